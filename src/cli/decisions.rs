//! `andon decisions`: what was decided, by whom and why.

use super::client::segment;
use super::format::{clean, lines, table};
use super::remote::{Remote, name};
use super::{Exit, Failure, output};
use crate::admin::json::{DecisionJson, DecisionsJson};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only of this route
    #[arg(value_parser = name())]
    route: Option<String>,
    /// How many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    remote: Remote,
}

const HEADER: [&str; 7] = ["WHEN", "ROUTE", "CANARY", "ACTION", "WEIGHT", "BY", "WHY"];

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let route = args.route.as_ref().map(|route| format!("&route={}", segment(route))).unwrap_or_default();
    let reply = args.remote.admin.get(&format!("/api/v1/decisions?limit={}{route}", args.limit))?;
    args.remote.show(&reply, |page: DecisionsJson| text(&page.decisions))
}

fn text(decisions: &[DecisionJson]) -> String {
    if decisions.is_empty() {
        return "no decisions\n".to_owned();
    }
    let mut table = table(&HEADER, 0..0, output::stdout_color());
    table.add_rows(decisions.iter().map(row));
    lines(&table).iter().map(|line| format!("{line}\n")).collect()
}

fn row(decision: &DecisionJson) -> [String; 7] {
    let weight = weight(decision);
    [
        decision.at.as_deref().unwrap_or("-"),
        &decision.route,
        decision.canary.as_deref().unwrap_or("-"),
        &decision.action,
        &weight,
        &decision.by,
        &decision.why,
    ]
    .map(clean)
}

/// The effective weight, and the aim where cord or ceiling hid its change.
fn weight(decision: &DecisionJson) -> String {
    let effective = if decision.before_ppm == decision.after_ppm {
        decision.after.clone()
    } else {
        format!("{} → {}", decision.before, decision.after)
    };
    let aim = |name: &str| decision.evidence.as_ref()?.get(name)?.as_str();
    match (aim("aim_before"), aim("aim_after")) {
        (Some(before), Some(after)) => format!("{effective} (aim {before} → {after})"),
        _ => effective,
    }
}
