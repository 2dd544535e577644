//! `andon decisions`: what was decided, by whom and why; and whether the record is as it was written.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::client::{Admin, segment};
use super::format::{clean, lines, table};
use super::remote::{Output, Remote, name};
use super::{Exit, Failure, output};
use crate::admin::json::{DecisionJson, DecisionsJson};
use crate::admin::record_json::CheckedJson;
use crate::config::units::parse_duration;
use crate::store::Store;
use crate::store::record::Head;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only of this route
    #[arg(value_parser = name())]
    route: Option<String>,
    /// How many, 1 to 1000: the newest (20 if it is not said), or with -o jsonl the oldest (all)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,
    /// Only of this kind, such as back_off
    #[arg(long, value_name = "ACTION", value_parser = name())]
    action: Option<String>,
    /// No older than this: 24h, or a time such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    since: Option<When>,
    /// Older than this
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// Whether any decision was changed, taken out or put in; exit code 1 if so
    #[arg(long, conflicts_with_all = ["route", "limit", "action", "since", "until"])]
    verify: bool,
    /// With --verify: a row that must be there as it is
    #[arg(long, value_name = "ROW:HASH", requires = "verify", value_parser = head)]
    head: Option<String>,
    /// With --verify: look into this file, whether andon runs or not
    #[arg(long, value_name = "FILE", requires = "verify")]
    store: Option<PathBuf>,
    #[command(flatten)]
    admin: Admin,
    /// For people, the API's answer as it is, or all of it a line each, oldest first
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Jsonl,
}

/// By the clock of the server, which wrote the record.
#[derive(Clone, Debug)]
enum When {
    Ago(i64),
    At(String),
}

const LIMIT_DEFAULT: u32 = 20;
const HEADER: [&str; 7] = ["WHEN", "ROUTE", "CANARY", "ACTION", "WEIGHT", "BY", "WHY"];

impl When {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(ago) = parse_duration(text) {
            return Ok(Self::Ago(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
        }
        match text.parse::<jiff::Timestamp>() {
            Ok(at) => Ok(Self::At(at.as_millisecond().to_string())),
            Err(_) => Err("write a duration such as 24h, or a time such as 2026-01-31T09:00:00Z".to_owned()),
        }
    }

    fn ms(&self, admin: &Admin) -> Result<String, Failure> {
        match self {
            Self::At(ms) => Ok(ms.clone()),
            Self::Ago(ago) => {
                let now_ms = admin.get("/livez")?.now_ms.unwrap_or(i64::MAX);
                Ok(now_ms.saturating_sub(*ago).to_string())
            }
        }
    }
}

fn head(text: &str) -> Result<String, String> {
    Head::parse(text).map(|_| text.to_owned()).ok_or_else(|| format!("write {}", Head::ACCEPTED))
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if args.verify {
        return verify(args);
    }
    let mut query = String::new();
    let mut add = |key: &str, value: &str| query += &format!("&{key}={}", segment(value));
    for (key, when) in [("since", &args.since), ("until", &args.until)] {
        if let Some(when) = when {
            add(key, &when.ms(&args.admin)?);
        }
    }
    args.route.iter().for_each(|route| add("route", route));
    args.action.iter().for_each(|action| add("action", action));
    let limit = args.limit.or((args.output != Format::Jsonl).then_some(LIMIT_DEFAULT));
    limit.iter().for_each(|limit| add("limit", &limit.to_string()));
    if args.output == Format::Jsonl {
        args.admin.stream(&format!("/api/v1/decisions?format=jsonl{query}"), output::print_bytes)?;
        return Ok(Exit::Ok);
    }
    let reply = args.admin.get(&format!("/api/v1/decisions?format=json{query}"))?;
    remote(args).show(&reply, |page: DecisionsJson| text(&page.decisions))
}

fn remote(args: &Args) -> Remote {
    let output = if args.output == Format::Text { Output::Text } else { Output::Json };
    Remote { admin: args.admin.clone(), output }
}

/// Exit code 0 says that every row fits.
fn verify(args: &Args) -> Result<Exit, Failure> {
    let (checked, json) = match &args.store {
        Some(file) => {
            let checked = verify_file(file, args.head.as_deref())?;
            let json = serde_json::to_string(&checked).unwrap_or_default() + "\n";
            (checked, json.into_bytes())
        }
        None => {
            let wanted = args.head.as_ref().map(|head| format!("?head={}", segment(head)));
            let path = format!("/api/v1/decisions/verify{}", wanted.unwrap_or_default());
            let reply = args.admin.get(&path)?;
            (remote(args).read(&reply)?, reply.body.to_vec())
        }
    };
    match args.output {
        Format::Text => output::print(&verdict(&checked))?,
        Format::Json | Format::Jsonl => output::print_bytes(&json)?,
    }
    Ok(if checked.whole { Exit::Ok } else { Exit::Failure })
}

fn verify_file(file: &Path, wanted: Option<&str>) -> Result<CheckedJson, Failure> {
    let wanted = wanted.and_then(Head::parse);
    let checked = Store::check_file(file, wanted.as_ref())
        .map_err(|error| Failure { exit: Exit::Failure, message: error.to_string() })?;
    Ok(CheckedJson::from(&checked))
}

fn verdict(checked: &CheckedJson) -> String {
    let CheckedJson { rows, pruned, head, broken, .. } = checked;
    let before = if *pruned > 0 { format!(", after {pruned} that were pruned") } else { String::new() };
    match broken {
        None => {
            format!("whole: {rows} decisions fit{before}; the last is {}:{}\n", head.seq, clean(&head.hash))
        }
        Some(broken) => {
            let id = broken.id.as_ref().map(|id| format!(" (decision {})", clean(id))).unwrap_or_default();
            format!(
                "BROKEN at row {}{id}: {}\n{rows} decisions before it fit{before}; what comes after it was not looked at\n",
                broken.seq,
                clean(&broken.found)
            )
        }
    }
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
        if decision.route.is_empty() { "-" } else { &decision.route },
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
    let told = |name: &str| decision.evidence.as_ref()?.get(name)?.as_str();
    if let Some(upstream) = told("upstream") {
        return format!("upstream {upstream}");
    }
    let effective = if decision.before_ppm == decision.after_ppm {
        decision.after.clone()
    } else {
        format!("{} → {}", decision.before, decision.after)
    };
    match (told("aim_before"), told("aim_after")) {
        (Some(before), Some(after)) => format!("{effective} (aim {before} → {after})"),
        _ => effective,
    }
}
