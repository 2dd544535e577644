//! `andon drift`: where file and live state differ. The exit code tells a script, such as one that deploys the file.

use super::format::{ago, clean, lines, table};
use super::remote::Remote;
use super::{Exit, Failure, output};
use crate::admin::drift::{DifferenceJson, DriftJson};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 they agree, 1 they differ, 5 admin listener unreachable or not allowed."
)]
pub(super) struct Args {
    #[command(flatten)]
    remote: Remote,
}

const HEADER: [&str; 7] = ["WHAT", "OF", "FILE", "LIVE", "SINCE", "BY", "WHY"];

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let reply = args.remote.admin.get("/api/v1/drift")?;
    let drift: DriftJson = args.remote.read(&reply)?;
    let agree = drift.differences.is_empty();
    args.remote.show(&reply, |drift: DriftJson| text(&drift, reply.now_ms))?;
    Ok(if agree { Exit::Ok } else { Exit::Failure })
}

/// A row for each, and below it how they can agree again.
fn text(drift: &DriftJson, now_ms: Option<i64>) -> String {
    if drift.differences.is_empty() {
        return "file and live state agree\n".to_owned();
    }
    let mut table = table(&HEADER, 0..0, output::stdout_color());
    table.add_rows(drift.differences.iter().map(|one| row(one, now_ms)));
    let remedies = drift.differences.iter().map(|one| format!("  to agree: {}\n", clean(&one.remedy)));
    let mut lines = lines(&table).into_iter();
    let mut text: String = lines.by_ref().take(1).map(|header| header + "\n").collect();
    text.extend(lines.zip(remedies).map(|(row, remedy)| format!("{row}\n{remedy}")));
    if drift.more > 0 {
        text += &format!("and {} more\n", drift.more);
    }
    text
}

fn row(one: &DifferenceJson, now_ms: Option<i64>) -> [String; 7] {
    let of = match (&one.route, &one.canary, &one.upstream) {
        (Some(route), Some(canary), _) => format!("{route} {canary}"),
        (Some(route), None, _) => route.clone(),
        (None, _, Some(upstream)) => upstream.clone(),
        (None, _, None) => "-".to_owned(),
    };
    let since = one.since_ms.map(|since_ms| ago(since_ms, one.since.as_deref(), now_ms));
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [&one.kind, &of, &one.file, &one.live, &or(&since), &or(&one.by), &or(&one.why)].map(|text| clean(text))
}
