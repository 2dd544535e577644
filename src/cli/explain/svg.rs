//! A decision as a picture: the odds of each signal over time on a scale of powers of ten, failures of canary and stable
//! below, the decision marked.
//!
//! Plain SVG, without script, font or link. It follows the reader's light or dark, and says everything in words and shapes
//! too: each line has its own dashes and its name at its end.

use std::fmt::Write as _;

use serde_json::Value;

use super::{record, short, title};
use crate::admin::record_json::{EvidenceJson, TickJson};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 820.0;
/// Odds, then failures.
const ODDS: (f64, f64) = (96.0, 340.0);
const FAILED: (f64, f64) = (392.0, 500.0);
/// Powers of ten that are shown.
const LOG_MIN: f64 = -3.0;
const LOG_MAX_MIN: f64 = 4.0;
const LOG_MAX_MAX: f64 = 12.0;
/// Signals with a line of their own.
const SIGNALS_MAX: usize = 6;
const LINE_CHARS_MAX: usize = 128;

const STYLE: &str = "
svg { background: #fff; color: #1b1f24; font: 13px system-ui, sans-serif }
text { fill: currentColor } .title { font-size: 17px; font-weight: 600 } .soft { opacity: .7 }
.end { text-anchor: end } .mid { text-anchor: middle }
.grid { stroke: currentColor; stroke-opacity: .15 } .limit { stroke: currentColor; stroke-dasharray: 7 4 }
.line { fill: none; stroke-width: 2 } .decided { stroke: #c4320a; stroke-width: 2 }
.s0 { stroke: #c4320a } .s1 { stroke: #175cd3; stroke-dasharray: 6 3 } .s2 { stroke: #6941c6; stroke-dasharray: 2 3 }
.s3 { stroke: #027a48; stroke-dasharray: 9 3 2 3 } .s4 { stroke: #854a0e; stroke-dasharray: 1 4 } .s5 { stroke: #344054 }
.canary { fill: #c4320a } .stable { fill: none; stroke: #175cd3; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
svg { background: #14171c; color: #e8eaed } .decided, .s0 { stroke: #ff8a5c } .s1, .stable { stroke: #84adff }
.s2 { stroke: #bda4ff } .s3 { stroke: #6ce9a6 } .s4 { stroke: #fdb022 } .s5 { stroke: #d0d5dd } .canary { fill: #ff8a5c }
}";

/// Where things lie: time to the right, odds and failures upwards.
struct Scale {
    from_ms: i64,
    to_ms: i64,
    log_max: f64,
    failed_max: f64,
}

/// Odds from which nothing rises, and from which a canary is unhealthy.
pub(super) fn levels(evidence: &Value) -> Option<(f64, f64)> {
    let judge = &evidence["judge"];
    let false_alarm = judge["false_alarm"].as_f64().filter(|share| *share > 0.0)?;
    Some((judge["hold_at"].as_f64()?, 1.0 / false_alarm))
}

pub(super) fn draw(explained: &EvidenceJson) -> String {
    let mut out = String::new();
    let decision = &explained.decision;
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<title>{}</title>\n\
         <style>{STYLE}\n</style>\n",
        escaped(&title(decision))
    );
    text(&mut out, "title", 20.0, 30.0, &title(decision));
    for (line, y) in wrapped(&decision.why).iter().zip([50.0, 66.0]) {
        text(&mut out, "soft", 20.0, y, line);
    }
    if explained.ticks.is_empty() {
        text(&mut out, "", LEFT, 200.0, "The record holds no ticks of this decision.");
    } else {
        plot(&mut out, explained);
    }
    let at = decision.at.as_deref().unwrap_or("-");
    let foot = format!(
        "{at} by {}, weight {} → {}. {}",
        decision.by,
        decision.before,
        decision.after,
        record(explained)
    );
    for (line, y) in wrapped(&foot).iter().zip([536.0, 552.0]) {
        text(&mut out, "soft", 20.0, y, line);
    }
    out.push_str("</svg>\n");
    out
}

fn plot(out: &mut String, explained: &EvidenceJson) {
    let ticks = &explained.ticks;
    let levels = explained.decision.evidence.as_ref().and_then(levels);
    let scale = Scale::of(ticks, levels);
    axes(out, &scale);
    if let Some((hold_at, abort_at)) = levels {
        limit(out, &scale, hold_at, "nothing rises");
        limit(out, &scale, abort_at, "unhealthy");
    }
    bars(out, &scale, ticks);
    lines(out, &scale, ticks);
    for tick in ticks.iter().filter(|tick| tick.decided) {
        let x = scale.x(tick.at_ms);
        let (top, bottom) = (ODDS.0 - 4.0, FAILED.1);
        let _ = writeln!(
            out,
            "<line class=\"decided\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>"
        );
        text(out, "end", x - 6.0, top + 10.0, "decided ▸");
    }
}

fn axes(out: &mut String, scale: &Scale) {
    text(out, "soft", LEFT, ODDS.0 - 10.0, "odds against chance that the canary is worse");
    let mut power = LOG_MIN;
    while power <= scale.log_max {
        let y = scale.y_odds(power);
        let _ =
            writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        text(out, "end soft", LEFT - 8.0, y + 4.0, &format!("{}:1", short(10_f64.powf(power))));
        power += if scale.log_max > 6.0 { 2.0 } else { 1.0 };
    }
    text(out, "soft", LEFT, FAILED.0 - 10.0, "failed in each tick: ■ canary, □ stable");
    for share in [0.0, 1.0] {
        let y = FAILED.1 - share * (FAILED.1 - FAILED.0);
        let _ =
            writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        text(out, "end soft", LEFT - 8.0, y + 4.0, &format!("{:.0}", share * scale.failed_max));
    }
    for part in 0..=4_i64 {
        let at_ms = scale.from_ms + (scale.to_ms - scale.from_ms) * part / 4;
        let seconds = (at_ms - scale.to_ms) as f64 / 1e3;
        let label = if part == 4 { "the decision".to_owned() } else { format!("{seconds:.0} s") };
        text(out, "mid soft", scale.x(at_ms), FAILED.1 + 16.0, &label);
    }
}

fn limit(out: &mut String, scale: &Scale, odds: f64, label: &str) {
    let y = scale.y_odds(odds.log10());
    let _ = writeln!(out, "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
    text(out, "", LEFT + 6.0, y - 5.0, &format!("{label} from {}:1", short(odds)));
}

/// Each signal, and what acts: all of them together. Names that would lie on one another are moved apart.
fn lines(out: &mut String, scale: &Scale, ticks: &[TickJson]) {
    let mut ends = Vec::new();
    let names: Vec<&str> =
        ticks.last().into_iter().flat_map(|tick| &tick.signals).map(|one| &*one.signal).collect();
    let all = |tick: &TickJson| tick.odds_log10;
    path(out, scale, ticks, 0, all);
    ends.push((scale.y_odds(all(&ticks[ticks.len() - 1]).unwrap_or(LOG_MIN)), 0, "together".to_owned()));
    for (index, name) in names.into_iter().enumerate().take(SIGNALS_MAX - 1) {
        let of = |tick: &TickJson| tick.signals.iter().find(|one| one.signal == name)?.odds_log10;
        path(out, scale, ticks, index + 1, of);
        let y = scale.y_odds(of(&ticks[ticks.len() - 1]).unwrap_or(LOG_MIN));
        ends.push((y, index + 1, name.to_owned()));
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = 0.0;
    for (y, class, name) in ends {
        let y = y.max(free);
        free = y + 16.0;
        let _ = writeln!(
            out,
            "<line class=\"line s{class}\" x1=\"{}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            RIGHT + 6.0,
            RIGHT + 34.0
        );
        text(out, "", RIGHT + 40.0, y + 4.0, &name);
    }
}

fn path(
    out: &mut String,
    scale: &Scale,
    ticks: &[TickJson],
    class: usize,
    log: impl Fn(&TickJson) -> Option<f64>,
) {
    let mut points = String::new();
    for tick in ticks {
        let _ =
            write!(points, "{:.1},{:.1} ", scale.x(tick.at_ms), scale.y_odds(log(tick).unwrap_or(LOG_MIN)));
    }
    let _ = writeln!(out, "<polyline class=\"line s{class}\" points=\"{}\"/>", points.trim_end());
}

/// The canary is filled, stable an outline, side by side.
fn bars(out: &mut String, scale: &Scale, ticks: &[TickJson]) {
    let width = ((RIGHT - LEFT) / ticks.len() as f64 * 0.4).clamp(0.8, 10.0);
    for tick in ticks {
        let x = scale.x(tick.at_ms);
        for (class, failed, x) in
            [("canary", tick.canary.failed, x - width), ("stable", tick.stable.failed, x)]
        {
            if failed > 0 {
                let height = failed as f64 / scale.failed_max * (FAILED.1 - FAILED.0);
                let y = FAILED.1 - height;
                let _ = writeln!(
                    out,
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
                );
            }
        }
    }
}

impl Scale {
    fn of(ticks: &[TickJson], levels: Option<(f64, f64)>) -> Self {
        let (first, last) = (&ticks[0], &ticks[ticks.len() - 1]);
        #[expect(clippy::cast_possible_truncation, reason = "a tick is a minute at most")]
        let from_ms = first.at_ms - (first.seconds * 1e3) as i64;
        let logs = ticks
            .iter()
            .flat_map(|tick| tick.signals.iter().filter_map(|one| one.odds_log10).chain(tick.odds_log10));
        let abort = levels.map_or(LOG_MAX_MIN, |(_, abort_at)| abort_at.log10() + 1.0);
        let log_max = logs.fold(abort.max(LOG_MAX_MIN), f64::max).ceil().min(LOG_MAX_MAX);
        let failed = ticks.iter().map(|tick| tick.canary.failed.max(tick.stable.failed)).max().unwrap_or(0);
        Self { from_ms, to_ms: last.at_ms.max(from_ms + 1), log_max, failed_max: failed.max(1) as f64 }
    }

    fn x(&self, at_ms: i64) -> f64 {
        let share = (at_ms - self.from_ms) as f64 / (self.to_ms - self.from_ms) as f64;
        LEFT + share * (RIGHT - LEFT)
    }

    fn y_odds(&self, log10: f64) -> f64 {
        let share = (log10.clamp(LOG_MIN, self.log_max) - LOG_MIN) / (self.log_max - LOG_MIN);
        ODDS.1 - share * (ODDS.1 - ODDS.0)
    }
}

fn text(out: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(words));
}

/// Lines of at most so many characters, broken between words.
fn wrapped(words: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let last = lines.len() - 1;
        let fits = lines[last].chars().count() + 1 + word.chars().count() <= LINE_CHARS_MAX;
        if lines[last].is_empty() {
            lines[last].push_str(word);
        } else if fits {
            lines[last].push(' ');
            lines[last].push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// For text between tags. What XML cannot hold at all is left out.
fn escaped(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for char in words.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            char if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_afar_stay_words() {
        assert_eq!(escaped("<script>&\u{1b}\u{0}"), "&lt;script&gt;&amp;\u{fffd}\u{fffd}");
        assert_eq!(wrapped(&"word ".repeat(60)).iter().map(|line| line.chars().count()).max(), Some(124));
    }
}
