//! `andon explain`: one decision, with all that a person needs to agree or disagree: the sentence, canary beside stable,
//! the limit, the odds, the numbers that were in force, and whether the record, judged again, says the same.

mod svg;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;

use super::client::{Admin, Reply, segment};
use super::format::{clean, lines, ratio, table};
use super::remote::name;
use super::{Exit, Failure, output};
use crate::admin::json::{DecisionJson, timestamp};
use crate::admin::record_json::{EvidenceJson, TickJson};

/// Ticks in the table: the last ones before the decision.
const TICKS_SHOWN: usize = 10;
const TICKS_HEADER: [&str; 6] = ["TICK", "CANARY", "FAILED", "STABLE", "FAILED", "ODDS"];
const READINGS_HEADER: [&str; 4] = ["READING", "CANARY", "STABLE", ""];
const COUNTS_HEADER: [&str; 5] = ["", "REQUESTS", "UNLUCKY", "RATE", "INTERVAL"];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As `andon decisions -o json` and the cord name it
    #[arg(value_parser = name())]
    id: String,
    /// Draw it into this file, too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    admin: Admin,
    /// For people, the API's answer as it is, or a picture
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Svg,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let reply = args.admin.get(&format!("/api/v1/decisions/{}/evidence", segment(&args.id)))?;
    if let Some(file) = &args.svg {
        let drawn = svg::draw(&read(args, &reply)?);
        fs::write(file, drawn).map_err(|error| Failure {
            exit: Exit::Failure,
            message: format!("{} cannot be written: {error}", file.display()),
        })?;
    }
    match args.output {
        Format::Json => output::print_bytes(&reply.body)?,
        Format::Svg => output::print(&svg::draw(&read(args, &reply)?))?,
        Format::Text => output::print(&text(&read(args, &reply)?))?,
    }
    Ok(Exit::Ok)
}

fn read(args: &Args, reply: &Reply) -> Result<EvidenceJson, Failure> {
    serde_json::from_slice(&reply.body).map_err(|error| Failure {
        exit: Exit::Failure,
        message: format!(
            "the answer of {} is not understood: {error}; is that andon, of this version?",
            args.admin
        ),
    })
}

fn text(explained: &EvidenceJson) -> String {
    let EvidenceJson { decision, ticks, .. } = explained;
    let mut out = format!("{}\n{}\n\n", title(decision), clean(&decision.why));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<10}{}", clean(value));
    };
    row("when", decision.at.as_deref().unwrap_or("-"));
    row("by", &decision.by);
    row("weight", &format!("{} → {}", decision.before, decision.after));
    row("id", &decision.id);
    let Some(evidence) = &decision.evidence else { return out };
    if let Some(odds) = evidence["odds"].as_f64() {
        row("odds", &format!("{}:1 against chance{}", short(odds), levels(evidence)));
    }
    if let Some(limit) = evidence["limit"].as_object() {
        let limit: Vec<_> = limit.iter().map(|(key, value)| format!("{key} = {}", plain(value))).collect();
        row("limit", &limit.join(", "));
    }
    if let (Some(was), Some(is)) = (evidence["aim_before"].as_str(), evidence["aim_after"].as_str()) {
        row("aim", &format!("{was} → {is}"));
    }
    if evidence["signal"].is_string() {
        row("record", &record(explained));
    }
    if evidence["canary"].is_object() {
        let _ = write!(out, "\n{}", counts(evidence));
    }
    if let Some(readings) = evidence["outside"]["readings"].as_array() {
        let _ = write!(out, "\n{}", asked(&evidence["outside"], readings));
    }
    if let Some(judge) = evidence["judge"].as_object() {
        out.push_str("\njudged by\n");
        for (key, value) in judge {
            let _ = writeln!(out, "  {} = {}", clean(key), clean(&plain(value)));
        }
    }
    if !ticks.is_empty() {
        let _ = write!(out, "\n{}", last_ticks(ticks));
    }
    out
}

pub(super) fn title(decision: &DecisionJson) -> String {
    let what = match decision.action.as_str() {
        "back_off" => "was backed off",
        "watch" => "was found unhealthy, and only watched",
        "cord_pull" => "got 0%: the cord was pulled",
        "cord_reset" => "may rise again: the cord was reset",
        "weight" => "got another weight",
        "role" => "changed its part",
        other => return format!("route \"{}\": {}", clean(&decision.route), clean(other)),
    };
    let who = match decision.canary.as_deref() {
        None => "every canary".to_owned(),
        Some("canary") => "canary".to_owned(),
        Some(name) => format!("canary \"{}\"", clean(name)),
    };
    format!("route \"{}\": {who} {what}", clean(&decision.route))
}

/// What the record proves.
pub(super) fn record(explained: &EvidenceJson) -> String {
    let is_outside =
        explained.decision.evidence.as_ref().is_some_and(|evidence| evidence["outside"].is_object());
    let said = match explained.replayed {
        Some(true) if is_outside => "worked out again from its readings: the same verdict",
        Some(false) if is_outside => "worked out again from its readings: NOT the same verdict",
        Some(true) => "replayed from the record: the same verdict, bit for bit",
        Some(false) => "replayed from the record: NOT the same verdict",
        None if explained.ticks.is_empty() => "not replayed",
        None => "not replayed: this is not decided by odds",
    };
    match &explained.note {
        Some(note) => format!("{said}; {note}"),
        None => said.to_owned(),
    }
}

/// Where the judge acts and holds, if the decision says it.
fn levels(evidence: &Value) -> String {
    match svg::levels(evidence) {
        Some((hold_at, abort_at)) => {
            format!("; nothing rises from {}:1, unhealthy from {}:1", short(hold_at), short(abort_at))
        }
        None => String::new(),
    }
}

fn counts(evidence: &Value) -> String {
    let mut table = table(&COUNTS_HEADER, 1..4, output::stdout_color());
    for variant in ["canary", "stable"] {
        let of = |key: &str| evidence[variant][key].as_f64();
        let whole = |key: &str| evidence[variant][key].as_u64().map_or("-".to_owned(), |n| n.to_string());
        let interval = match (of("failed_ratio_low"), of("failed_ratio_high")) {
            (Some(low), Some(high)) => format!("{} to {}", ratio(Some(low)), ratio(Some(high))),
            _ => "-".to_owned(),
        };
        let rate = ratio(of("failed_ratio"));
        table.add_row([variant.to_owned(), whole("requests"), whole("failed"), rate, interval]);
    }
    let mut out = joined(&table);
    let seconds = evidence["window_seconds"].as_f64().unwrap_or(0.0);
    let level = evidence["canary"]["interval_level"].as_f64().unwrap_or(0.95) * 100.0;
    let _ = writeln!(out, "in {seconds:.1} s; the intervals hold at every moment at once, with {level:.0}%");
    out
}

/// What others were asked, and what they said.
fn asked(outside: &Value, readings: &[Value]) -> String {
    let mut out = String::new();
    for (variant, key) in [("canary", "asked"), ("stable", "asked_of_stable")] {
        if let Some(query) = outside[key].as_str() {
            let _ = writeln!(out, "{variant:<10}{}", clean(query));
        }
    }
    let mut table = table(&READINGS_HEADER, 1..3, output::stdout_color());
    for reading in readings {
        let at = timestamp(reading["at_ms"].as_i64().unwrap_or_default()).unwrap_or_default();
        let of = |variant: &str| reading[variant].as_f64().map_or("-".to_owned(), |value| value.to_string());
        table.add_row([at, of("canary"), of("stable"), String::new()]);
    }
    out + &joined(&table)
}

fn last_ticks(ticks: &[TickJson]) -> String {
    let mut table = table(&TICKS_HEADER, 1..6, output::stdout_color());
    for tick in &ticks[ticks.len().saturating_sub(TICKS_SHOWN)..] {
        let at = tick.at.as_deref().unwrap_or("-");
        let odds = tick.odds.map_or("-".to_owned(), short);
        let mark = if tick.decided { " decided" } else { "" };
        table.add_row([
            clean(at),
            tick.canary.requests.to_string(),
            tick.canary.failed.to_string(),
            tick.stable.requests.to_string(),
            tick.stable.failed.to_string(),
            format!("{odds}{mark}"),
        ]);
    }
    joined(&table)
}

fn joined(table: &comfy_table::Table) -> String {
    lines(table).iter().map(|line| format!("{line}\n")).collect()
}

/// `0.5`, `27.38`, `1000`, `1.32e5`.
pub(super) fn short(odds: f64) -> String {
    match odds {
        0.01..1_000.0 => {
            let text = format!("{odds:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        1_000.0..100_000.0 => format!("{odds:.0}"),
        0.0 => "0".to_owned(),
        _ => format!("{odds:.2e}").replace(".00e", "e"),
    }
}

/// As in the file, as far as JSON can say it.
fn plain(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs: Vec<_> =
                table.iter().map(|(key, value)| format!("{key} = {}", plain(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |found| found.to_string())
        }
        other => other.to_string(),
    }
}
