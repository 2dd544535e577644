//! `andon status`: weights, traffic and verdicts side by side, and who pulled which cord.

use std::fmt::Write as _;

use comfy_table::{Cell, Color as Ink};

use super::client::{Reply, segment};
use super::format::{ago, clean, lines, rate, ratio, seconds, table};
use super::remote::{Remote, name};
use super::{Exit, Failure, output};
use crate::admin::json::{
    CanaryJson, CordJson, LotsJson, MirrorJson, RouteJson, RoutesJson, SelfTestJson, StableJson, WindowJson,
};
use crate::config::Color;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this route, with the reason for each verdict
    #[arg(value_parser = name())]
    route: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

const HEADER: [&str; 11] =
    ["ROUTE", "VARIANT", "UPSTREAM", "WEIGHT", "AIM", "REQ/S", "ERRORS", "P50", "P95", "P99", "VERDICT"];

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (admin, color) = (&args.remote.admin, output::stdout_color());
    match &args.route {
        None => {
            let reply = admin.get("/api/v1/routes")?;
            args.remote
                .show(&reply, |all: RoutesJson| overview(&all.routes, &reply, color) + &drifting(&all.routes))
        }
        Some(route) => {
            let reply = admin.get(&format!("/api/v1/routes/{}", segment(route)))?;
            args.remote.show(&reply, |route: RouteJson| {
                let mut reasons: String = route.canaries.iter().map(reason).collect();
                reasons.extend(route.canaries.iter().flat_map(outside));
                reasons.extend(route.self_test.as_ref().map(self_test));
                reasons.extend(route.mirror.as_ref().map(mirror));
                overview(&[route], &reply, color) + &reasons
            })
        }
    }
}

/// The table, and below each route its cord if it is pulled.
pub(super) fn overview(routes: &[RouteJson], reply: &Reply, color: Color) -> String {
    if routes.is_empty() {
        return "no routes\n".to_owned();
    }
    let mut table = table(&HEADER, 3..10, color);
    for route in routes {
        table.add_rows(rows(route));
    }
    let mut lines = lines(&table).into_iter();
    let mut text = String::new();
    for line in lines.by_ref().take(1) {
        text += &line;
        text.push('\n');
    }
    for route in routes {
        for line in lines.by_ref().take(rows(route).len()) {
            text += &line;
            text.push('\n');
        }
        if let Some(cord) = &route.cord {
            text += &cord_line(cord, reply.now_ms);
        }
        if let Some(release) = route.release.as_ref().filter(|release| release.ended.is_none()) {
            let _ = writeln!(text, "  {}", super::release::line(release));
        }
        if route.unsaved {
            text += "  not stored yet: the store is down; a restart now would lose the last change\n";
        }
    }
    text
}

/// Below the table, where aims or roles were set at run time.
fn drifting(routes: &[RouteJson]) -> String {
    match routes.iter().filter(|route| route.drifts).collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        [route] => format!("{} is not as the file declares: see andon drift\n", clean(&route.name)),
        more => format!("{} routes are not as the file declares: see andon drift\n", more.len()),
    }
}

fn cord_line(cord: &CordJson, now_ms: Option<i64>) -> String {
    let when = ago(cord.at_ms, cord.at.as_deref(), now_ms);
    format!("  cord pulled by {} {when}: {}\n", clean(&cord.by), clean(&cord.why))
}

fn rows(route: &RouteJson) -> Vec<Vec<Cell>> {
    let stable = route.stable.as_ref().map(|stable| stable_row(route, stable));
    let canaries = route.canaries.iter().map(|canary| canary_row(route, canary));
    let denied = route.deny.then(|| texts([&clean(&route.name), "denied"]));
    let mirror = route.mirror.as_ref().map(|mirror| mirror_row(route, mirror));
    denied.into_iter().chain(stable).chain(canaries).chain(mirror).collect()
}

/// Of copies: users have no part of them.
fn mirror_row(route: &RouteJson, mirror: &MirrorJson) -> Vec<Cell> {
    let share = format!("copies {}", mirror.share);
    let mut row = texts([&clean(&route.name), "mirror", &clean(&mirror.upstream), "-", &share]);
    row.extend(window(&mirror.window));
    row.push(Cell::new("-"));
    row
}

fn stable_row(route: &RouteJson, stable: &StableJson) -> Vec<Cell> {
    let mut row = texts([&clean(&route.name), "stable", &clean(&stable.upstream), &stable.effective, "-"]);
    row.extend(window(&stable.window));
    row.push(Cell::new("-"));
    row
}

fn canary_row(route: &RouteJson, canary: &CanaryJson) -> Vec<Cell> {
    let aim = if canary.ceiling_ppm < canary.aim_ppm {
        format!("{}, ceiling {}", canary.aim, canary.ceiling)
    } else {
        canary.aim.clone()
    };
    let names = [&route.name, &canary.name, &canary.upstream].map(|name| clean(name));
    let mut row = texts([&names[0], &names[1], &names[2], &canary.effective, &aim]);
    row.extend(window(&canary.window));
    let verdict = Cell::new(clean(&canary.verdict.verdict));
    row.push(match canary.verdict.verdict.as_str() {
        "healthy" => verdict.fg(Ink::Green),
        "unhealthy" => verdict.fg(Ink::Red),
        _ => verdict,
    });
    row
}

fn window(window: &WindowJson) -> [Cell; 5] {
    [
        rate(window.requests_per_second),
        ratio(window.error_ratio),
        seconds(window.p50_seconds),
        seconds(window.p95_seconds),
        seconds(window.p99_seconds),
    ]
    .map(Cell::new)
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<Cell> {
    texts.into_iter().map(Cell::new).collect()
}

/// What the immune system says of itself.
fn self_test(test: &SelfTestJson) -> String {
    let Some(reason) = &test.reason else {
        return format!("  self-test: quiet, on {} of stable's requests\n", test.share);
    };
    let suspended = if test.suspended { "; its guard does not act until the cord is reset" } else { "" };
    format!("  self-test: alarm: {}{suspended}\n", clean(reason))
}

/// What came of copies.
fn mirror(mirror: &MirrorJson) -> String {
    let MirrorJson { same, different, dropped, .. } = mirror;
    format!("  mirror: {same} answers like stable's, {different} others, {dropped} copies dropped\n")
}

/// What others say of a canary.
fn outside(canary: &CanaryJson) -> impl Iterator<Item = String> {
    canary.verdict.outside.iter().map(|signal| {
        let says = match (&signal.missing, signal.value) {
            (Some(missing), _) => clean(missing),
            (None, Some(value)) => format!("{value}, {} is wanted", clean(&signal.wanted)),
            (None, None) => clean(&signal.wanted),
        };
        format!("  {}: {}: {}: {says}\n", clean(&canary.name), clean(&signal.name), clean(&signal.state))
    })
}

/// The verdict with its numbers, how far it has climbed back, and what the file says if it says otherwise.
fn reason(canary: &CanaryJson) -> String {
    let (verdict, why) = (clean(&canary.verdict.verdict), clean(&canary.verdict.reason));
    let mut text = format!("  {}: {verdict}: {why}\n", clean(&canary.name));
    if let Some(back_off) = &canary.back_off {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}: {}", clean(&canary.name), clean(&back_off.sentence));
    }
    if let Some(lots) = canary.lots.as_ref().filter(|lots| lots.mismatch) {
        let LotsJson { drawn, expected, given, .. } = lots;
        let name = clean(&canary.name);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {name}: split is off: given {given} of {drawn} requests, its weights say {expected:.0}"
        );
    }
    if let Some(lots) = canary.lots.as_ref().filter(|lots| lots.unjudged_mismatch) {
        let LotsJson { ended, unjudged, .. } = lots;
        let name = clean(&canary.name);
        let _ = writeln!(
            text,
            "  {name}: clients leave it more often than stable: {unjudged} of {ended} requests"
        );
    }
    if canary.file_aim_ppm != canary.aim_ppm {
        let _ = writeln!(
            text,
            "  {}: the file declares {}, the aim was set to {}",
            clean(&canary.name),
            canary.file_aim,
            canary.aim
        );
    }
    text
}
