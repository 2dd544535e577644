//! `andon what-if`: what other numbers would have decided on the traffic that was recorded.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use serde_json::{Map, Value};

use super::format::{clean, lines, table};
use super::remote::{Remote, name};
use super::{Exit, Failure, output};
use crate::admin::record_json::{JudgedJson, JudgedReleaseJson, WhatIfJson};
use crate::config::units::parse_duration;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Keys as in [route.guard]: at the top, or in a table [guard] or [route.guard]
    #[arg(long, value_name = "FILE")]
    guard: PathBuf,
    /// Only of this route
    #[arg(value_parser = name())]
    route: Option<String>,
    /// How far back, such as 90m or 24h
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = since)]
    since: Duration,
    #[command(flatten)]
    remote: Remote,
}

const HEADER: [&str; 9] =
    ["ROUTE", "CANARY", "FROM", "LASTED", "REQUESTS", "FAILED", "WAS", "WOULD BE", "DIFFERENCE"];

fn since(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 90m or 24h".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let text = fs::read_to_string(&args.guard).map_err(|error| Failure {
        exit: Exit::Failure,
        message: format!("{} cannot be read: {error}", args.guard.display()),
    })?;
    let mut body = Map::new();
    body.insert("guard".to_owned(), text.into());
    body.insert("file".to_owned(), args.guard.display().to_string().into());
    if let Some(route) = &args.route {
        body.insert("route".to_owned(), route.as_str().into());
    }
    // By the server's clock, which wrote the record.
    if let Some(now_ms) = args.remote.admin.get("/livez")?.now_ms {
        let since_ms = i64::try_from(args.since.as_millis()).unwrap_or(i64::MAX);
        body.insert("since_ms".to_owned(), Value::from(now_ms.saturating_sub(since_ms)));
    }
    let reply = args.remote.admin.send(Method::POST, "/api/v1/what-if", body)?;
    args.remote.show(&reply, |report: WhatIfJson| told(&report))
}

fn told(report: &WhatIfJson) -> String {
    let mut out = String::new();
    if report.releases.is_empty() {
        out.push_str("no canary had traffic in the record\n");
    } else {
        let mut table = table(&HEADER, 3..6, output::stdout_color());
        table.add_rows(report.releases.iter().map(row));
        lines(&table).iter().for_each(|line| out.push_str(&format!("{line}\n")));
    }
    for release in &report.releases {
        let found = release.would.as_ref().map(|would| &would.sentence);
        let differs = release.was.as_ref().map(|was| &was.sentence) != found;
        if let Some(sentence) = found.filter(|_| differs) {
            out.push_str(&format!(
                "\n{} {}: {}\n",
                clean(&release.route),
                clean(&release.canary),
                clean(sentence)
            ));
        }
    }
    if report.unreadable > 0 {
        let (unreadable, segments) = (report.unreadable, report.segments);
        out.push_str(&format!("{unreadable} of {segments} stretches of the record cannot be read\n"));
    }
    if report.truncated {
        out.push_str("there was more than is judged at once: ask for one route, or a shorter time\n");
    }
    out
}

fn row(release: &JudgedReleaseJson) -> [String; 9] {
    let since = if release.whole { "" } else { "before " };
    let from = format!("{since}{}", release.from.as_deref().unwrap_or("-"));
    let lasted = seconds((release.to_ms - release.from_ms) as f64 / 1e3);
    [
        release.route.clone(),
        release.canary.clone(),
        from,
        lasted,
        release.seen.requests.to_string(),
        release.seen.failed.to_string(),
        found(release, release.was.as_ref()),
        found(release, release.would.as_ref()),
        difference(release),
    ]
    .map(|text| clean(&text))
}

/// `errors after 3.2 s, 7 failed`
fn found(release: &JudgedReleaseJson, judged: Option<&JudgedJson>) -> String {
    let Some(judged) = judged else { return "left alone".to_owned() };
    let after = seconds((judged.at_ms - release.from_ms) as f64 / 1e3);
    format!("{} after {after}, {} failed", judged.signal, judged.until_then.failed)
}

fn difference(release: &JudgedReleaseJson) -> String {
    match (release.sooner_seconds, &release.was, &release.would) {
        (Some(0.0), ..) => "none".to_owned(),
        (Some(sooner), ..) if sooner > 0.0 => format!("{} sooner", seconds(sooner)),
        (Some(later), ..) => format!("{} later", seconds(-later)),
        (None, None, Some(_)) => "taken back".to_owned(),
        (None, Some(_), None) => "not as far as recorded".to_owned(),
        (None, ..) => "none".to_owned(),
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        ..100.0 => format!("{seconds:.1} s"),
        100.0..6_000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}
