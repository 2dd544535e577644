//! A decision of the immune system, judged again from the record. Pure: segments in, ticks and an answer out.

use std::sync::Arc;

use serde_json::Value;

use super::recorder::Place;
use crate::immune::journal::{Frame, Segment};
use crate::immune::latency::Mark;
use crate::immune::{Finding, Guard, OutsideFinding, Tally};
use crate::store::record::{Decision, Evidence};

/// How far back the ticks before a decision are shown.
pub(super) const BEFORE_MS: i64 = 600_000;
/// Ticks shown: ten minutes of one-second ticks, and those that were cut in two.
const TICKS_MAX: usize = 1_000;
/// Signals that a guard judges. A harm budget is none.
const JUDGED: [&str; 6] = ["errors", "latency", "event", "error_ceiling", "latency_ceiling", "fast_trip"];

/// What the record says of a decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// Oldest first; the last one decided.
    pub ticks: Vec<TickView>,
    /// Whether the deciding tick, judged again, gives the same finding to the last bit. `None`: it cannot be judged again.
    pub replayed: Option<bool>,
    /// Why there is less than one would expect.
    pub note: Option<String>,
}

/// One tick, and what the guard thought after it.
#[derive(Clone, Debug, PartialEq)]
pub struct TickView {
    /// When it was over.
    pub at_ms: i64,
    pub seconds: f64,
    pub canary: Tally,
    pub stable: Tally,
    /// Of all signals that act.
    pub odds: f64,
    pub signals: Vec<(String, f64)>,
    /// Percentiles, and what is slow at them.
    pub marks: Vec<(f64, Mark)>,
    pub decided: bool,
}

/// Where the record holds a decision; `None`: it was not made on what a guard was given.
pub(super) fn place(decision: &Decision) -> Option<(Arc<str>, Place)> {
    let record = decision.evidence.as_ref()?.get("record")?;
    let began_ms = record.get("began_ms")?.as_i64()?;
    let frame = u32::try_from(record.get("frame")?.as_u64()?).ok()?;
    Some((Arc::clone(decision.canary.as_ref()?), Place { began_ms, frame }))
}

/// Takes the segments before a decision one after another, oldest first.
pub(super) struct Explaining<'a> {
    evidence: &'a Value,
    place: Place,
    explanation: Explanation,
    is_found: bool,
}

impl<'a> Explaining<'a> {
    pub(super) fn new(evidence: &'a Value, place: Place) -> Self {
        Self { evidence, place, explanation: Explanation::default(), is_found: false }
    }

    pub(super) fn take(&mut self, evidence: &Evidence) {
        if self.is_found || evidence.frames == 0 {
            return;
        }
        let decides = evidence.began_ms == self.place.began_ms && evidence.frames > self.place.frame;
        let segment = match Segment::decode(&evidence.blob) {
            Ok(segment) => segment,
            Err(why) => {
                let which = if decides { "the minute of the decision" } else { "a minute before it" };
                self.explanation.note = Some(format!("{which} cannot be read: {why}"));
                self.is_found |= decides;
                return;
            }
        };
        let (mut frame, mut passed_us) = (0, 0);
        segment.replay(|given, guard| {
            passed_us += given.span_us();
            let at_ms = evidence.began_ms.saturating_add_unsigned(passed_us / 1_000);
            let is_it = decides && frame == self.place.frame;
            frame += 1;
            let noticed = guard.take_noticed();
            if self.is_found {
                return;
            }
            self.explanation.ticks.push(tick(at_ms, given, guard, is_it));
            if is_it {
                self.is_found = true;
                self.explanation.replayed = self.is_the_same(&noticed, guard);
            }
        });
    }

    pub(super) fn done(self) -> Explanation {
        let Self { mut explanation, is_found, .. } = self;
        let more = explanation.ticks.len().saturating_sub(TICKS_MAX);
        explanation.ticks.drain(..more);
        if !is_found {
            let gone =
                "the record does not hold the minute of the decision: it was pruned, or is not stored yet";
            explanation.note = Some(gone.to_owned());
        }
        if self.evidence.get("signal").is_some_and(|signal| signal == "outside") {
            // The decision holds all that it was made on.
            explanation.replayed = OutsideFinding::again(self.evidence);
        }
        explanation
    }

    /// `None`: the decision was about something that a guard does not judge.
    fn is_the_same(&self, noticed: &[Finding], guard: &Guard) -> Option<bool> {
        let signal = self.evidence.get("signal")?.as_str()?;
        if !JUDGED.contains(&signal) {
            return None;
        }
        Some(noticed.iter().chain(guard.finding()).any(|finding| is_told_by(finding, self.evidence)))
    }
}

/// Every number of the finding stands in the evidence, and is the same.
fn is_told_by(finding: &Finding, evidence: &Value) -> bool {
    let Value::Object(again) = finding.evidence() else { return false };
    again.iter().all(|(key, value)| evidence.get(key) == Some(value))
}

fn tick(at_ms: i64, given: &Frame, guard: &Guard, decided: bool) -> TickView {
    let (mut canary, mut stable) = (Tally::default(), Tally::default());
    for call in &given.calls {
        canary.add(call.canary.tally());
        stable.add(call.stable.tally());
    }
    TickView {
        at_ms,
        seconds: given.span_us() as f64 / 1e6,
        canary,
        stable,
        odds: guard.odds(),
        signals: guard.odds_by_signal(),
        marks: guard.marks(),
        decided,
    }
}
