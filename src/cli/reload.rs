//! `andon reload`: read the configuration file again, and wait for what came of it.

use super::format::clean;
use super::remote::Remote;
use super::{Exit, Failure};
use crate::admin::json::ReloadJson;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    remote: Remote,
}

/// A file with problems changes nothing: they are printed, and the exit code is that of a failure.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let reply = args.remote.admin.post("/api/v1/config/reload")?;
    args.remote.show(&reply, |report: ReloadJson| text(&report))
}

fn text(report: &ReloadJson) -> String {
    let done = if report.changed { "reloaded" } else { "unchanged" };
    let notes: String = report.notes.iter().map(|note| format!("  {}\n", clean(note))).collect();
    format!("{done}: generation {}\n{notes}", report.generation)
}
