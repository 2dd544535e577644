//! The live picture: 23 lines from one state. Pure; the same state gives the same lines.
//!
//! What Andon sees (weights, rates, latencies, verdict, cord) comes from its own view of the route; failures are
//! those that users saw. Refuses to say anything by colour alone.

use std::net::SocketAddr;
use std::time::Duration;

use super::history::History;
use super::load::{Tally, Totals};
use super::setup;
use super::steps::{Mark, Steps};
use super::terminal::{Ink, WIDTH_MIN};
use super::text::{self, Line, Look};
use crate::config;
use crate::control::view::{CanaryView, RouteView, StableView, VerdictKind, WindowView};

/// Lines of every picture, so that it stands still: one less than the smallest usual terminal has.
pub(super) const HEIGHT: usize = 23;

/// Everything that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scene {
    pub(super) elapsed: Duration,
    pub(super) end: Duration,
    pub(super) route: RouteView,
    pub(super) users: Totals,
    pub(super) steps: Steps,
    pub(super) history: History,
    pub(super) admin: SocketAddr,
}

/// Columns of the labels on the left.
const LABEL: usize = 10;

pub(super) fn draw(scene: &Scene, width: usize, ink: Ink) -> Vec<String> {
    let mut lines = vec![title(scene, width)];
    lines.extend(table(scene, width));
    lines.push(Line::empty());
    lines.push(weights(scene, width));
    lines.extend(verdict(scene, width));
    lines.push(cord(scene));
    lines.push(Line::empty());
    lines.extend(timeline(scene, width));
    lines.push(Line::empty());
    lines.extend(story(scene));
    lines.push(Line::empty());
    lines.extend(try_it(scene));
    lines.resize(HEIGHT, Line::empty());
    lines.iter().map(|line| line.render(width, ink)).collect()
}

fn title(scene: &Scene, width: usize) -> Line {
    let left = " ANDON demo: a canary turns bad";
    let right = format!("{} of {} ", text::seconds(scene.elapsed), text::seconds(scene.end));
    let gap = width.saturating_sub(left.chars().count() + right.chars().count()).max(1);
    Line::empty().with(format!("{left}{}{right}", " ".repeat(gap)), Look::Title)
}

/// Wider terminals get more room between the columns.
fn table(scene: &Scene, width: usize) -> [Line; 3] {
    let room = (width.saturating_sub(WIDTH_MIN) / COLUMNS.len()).min(3);
    let stable = stable(scene).map(|stable| &stable.window);
    let canary = canary(scene).map(|canary| &canary.window);
    [
        Line::empty()
            .with(format!("{}{}", label(""), cells(COLUMNS.map(|(name, _)| name), room)), Look::Faint),
        row("● stable", Look::Stable, stable, scene.users.stable, room),
        row("▲ canary", Look::Canary, canary, scene.users.canary, room),
    ]
}

/// Names, and the columns that each takes at least.
const COLUMNS: [(&str, usize); 6] =
    [("req/s", 7), ("errors", 8), ("p50", 9), ("p95", 9), ("p99", 9), ("failed", 8)];

fn row(name: &str, look: Look, window: Option<&WindowView>, users: Tally, room: usize) -> Line {
    let nothing = WindowView::default();
    let window = window.unwrap_or(&nothing);
    let numbers = [
        format!("{:.1}", window.requests_per_second()),
        text::share(window.error_ratio()),
        text::latency(window.p50_us),
        text::latency(window.p95_us),
        text::latency(window.p99_us),
    ];
    let (failed, alarm) = match users.failed {
        0 => ("none".to_owned(), Look::Good),
        failed => (format!("✗ {}", text::count(failed)), Look::Bad),
    };
    let failed_width = COLUMNS[numbers.len()].1 + room;
    Line::empty()
        .with(label(name), look)
        .plain(cells(numbers.each_ref().map(String::as_str), room))
        .with(format!("{failed:>failed_width$}"), alarm)
}

/// The first of [`COLUMNS`], each flush right.
fn cells<const N: usize>(texts: [&str; N], room: usize) -> String {
    let cell = |(text, (_, width)): (&str, (&str, usize))| format!("{text:>0$}", width + room);
    texts.into_iter().zip(COLUMNS).map(cell).collect()
}

/// All of the traffic as one bar: stable's part full, the canary's hatched.
fn weights(scene: &Scene, width: usize) -> Line {
    let share = canary(scene).map_or(0.0, |canary| canary.effective.ratio());
    let stable = stable(scene).map_or_else(String::new, |stable| stable.effective.to_string());
    let canary = canary(scene).map_or_else(String::new, |canary| canary.effective.to_string());
    let (left, right) = (format!("stable {stable} "), format!(" {canary} canary"));
    let columns = width.saturating_sub(LABEL + left.chars().count() + right.chars().count());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the columns")]
    let mut hatched = (share * columns as f64).round() as usize;
    if share > 0.0 {
        hatched = hatched.max(1);
    }
    let hatched = hatched.min(columns);
    Line::empty()
        .with(label("weights"), Look::Strong)
        .with(left, Look::Stable)
        .with("█".repeat(columns - hatched), Look::Stable)
        .with("▒".repeat(hatched), Look::Canary)
        .with(right, Look::Canary)
}

/// What the immune system thinks, how sure it is that something is wrong, and its own sentence on two lines.
fn verdict(scene: &Scene, width: usize) -> [Line; 3] {
    let Some(canary) = canary(scene) else { return [Line::empty(), Line::empty(), Line::empty()] };
    let verdict = &canary.verdict;
    let (word, look) = match verdict.kind {
        VerdictKind::Healthy => ("✓ healthy", Look::Good),
        VerdictKind::Unhealthy => ("✗ UNHEALTHY", Look::Bad),
        VerdictKind::Undecided => ("? undecided", Look::Strong),
    };
    let meaning = if width < WIDTH_MIN + 10 { "" } else { " that it is worse" };
    let first = Line::empty()
        .with(label("verdict"), Look::Strong)
        .with(format!("{word:<13}"), look)
        .plain(format!("{} odds {}{meaning}", meter(verdict.odds), text::odds(verdict.odds)));
    let reason = text::wrap(&verdict.reason, width.saturating_sub(LABEL));
    let (second, third) = match reason.split_first() {
        Some((second, rest)) => (second.clone(), rest.join(" ")),
        None => (String::new(), String::new()),
    };
    let indented = |text: String| Line::empty().plain(format!("{}{text}", label("")));
    [first, indented(second), indented(third)]
}

/// Full when the odds are enough to act. Logarithmic, because evidence multiplies.
fn meter(odds: f64) -> String {
    const CELLS: usize = 12;
    let needed = 1.0 / config::Judge::default().false_alarm;
    let share = (odds.max(1.0).ln() / needed.ln()).clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the cells")]
    let full = (share * CELLS as f64).floor() as usize;
    format!("[{}{}]", "■".repeat(full), "·".repeat(CELLS - full))
}

fn cord(scene: &Scene) -> Line {
    let line = Line::empty().with(label("cord"), Look::Strong);
    match &scene.route.cord {
        Some(cord) => line
            .with("● PULLED", Look::Bad)
            .plain(format!(" by {}: nothing rises until a person resets it", cord.by)),
        None => line.plain("○ not pulled"),
    }
}

fn timeline(scene: &Scene, width: usize) -> [Line; 3] {
    let rows = scene.history.rows(width.saturating_sub(LABEL), scene.end);
    let line = |name: &str, row: String, look| Line::empty().with(label(name), Look::Strong).with(row, look);
    [
        line("canary %", rows.weight, Look::Canary),
        line("✗ canary", rows.canary_failed, Look::Bad),
        line("✗ stable", rows.stable_failed, Look::Stable),
    ]
}

fn story(scene: &Scene) -> Vec<Line> {
    let line = |(mark, at, what): (Mark, Option<Duration>, String)| {
        let (sign, look) = match mark {
            Mark::Done => ("✓", Look::Plain),
            Mark::Now => ("▸", Look::Strong),
            Mark::Next => ("·", Look::Faint),
        };
        let at = at.map_or_else(String::new, text::seconds);
        Line::empty().with(format!("{sign} {at:>7}  {what}"), look)
    };
    scene.steps.marked().map(line).collect()
}

fn try_it(scene: &Scene) -> [Line; 2] {
    let [first, second] = setup::suggestions(scene.admin);
    let line = |name: &str, command: String| Line::empty().with(label(name), Look::Faint).plain(command);
    [line("try it", first), line("", second)]
}

fn label(name: &str) -> String {
    format!("{name:LABEL$}")
}

fn stable(scene: &Scene) -> Option<&StableView> {
    scene.route.stable.as_ref()
}

fn canary(scene: &Scene) -> Option<&CanaryView> {
    scene.route.canaries.first()
}

#[cfg(test)]
mod tests;
