//! What remains on the screen: how it ended, the numbers, and the decision in its own words. Pure.

use std::fmt::Write;
use std::time::Duration;

use super::load::{Tally, Totals};
use super::text;
use super::upstreams::Account;
use crate::control::view::RouteView;
use crate::store::record::Decision;

const LABEL: usize = 26;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) ending: Ending,
    pub(super) back_off: Option<BackOff>,
    pub(super) users: Totals,
    /// As last seen.
    pub(super) route: RouteView,
    /// How long the canary was bad, at most.
    pub(super) bad_for: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The story was told to its end, whatever the end was.
    Told,
    Interrupted,
    /// One sentence.
    Failed(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct BackOff {
    pub(super) decision: Decision,
    /// The canary's own account when its last request must have come.
    pub(super) canary: Account,
    /// Requests that it got after that.
    pub(super) late: u64,
}

impl Summary {
    /// Why this was no success; `None` if the bad canary was really backed off by the immune system.
    pub(super) fn failure(&self) -> Option<String> {
        if let Ending::Failed(why) = &self.ending {
            return Some(why.clone());
        }
        let Some(back_off) = &self.back_off else { return Some(self.why_not_backed_off()) };
        let BackOff { decision, canary, late } = back_off;
        if canary.first_failure.is_none() {
            return Some(format!("the canary was backed off before it failed: {}", decision.why));
        }
        if !decision.after.is_zero() {
            return Some(format!("the canary was backed off to {} only", decision.after));
        }
        (*late > 0)
            .then(|| format!("{} requests reached the canary after it was backed off", text::count(*late)))
    }

    /// Wrapped to so many columns.
    pub(super) fn text(&self, width: usize) -> String {
        let mut out = match self.failure() {
            None => "\nThe bad canary was backed off by the immune system.\n\n".to_owned(),
            Some(_) => "\nThe demo did NOT show what it should.\n\n".to_owned(),
        };
        if let Some(back_off) = &self.back_off {
            line(&mut out, width, "last canary request", &reaction(back_off.canary));
        }
        line(&mut out, width, "failed, as users saw it", &of(self.users.failed(), self.users.requests()));
        line(&mut out, width, "  served by the canary", &tally(self.users.canary));
        line(&mut out, width, "  served by stable", &tally(self.users.stable));
        if self.users.nobody.requests > 0 {
            line(&mut out, width, "  served by neither", &tally(self.users.nobody));
        }
        line(&mut out, width, "stable's users waited", &waited(self.users.stable));
        if let Some(BackOff { decision, .. }) = &self.back_off {
            line(
                &mut out,
                width,
                "weight of the canary",
                &format!("{} -> {}", decision.before, decision.after),
            );
            line(&mut out, width, "why", &decision.why);
            line(&mut out, width, "decision", &decision.id);
        }
        line(&mut out, width, "cord", &self.cord());
        out.push('\n');
        out
    }

    fn why_not_backed_off(&self) -> String {
        if self.ending == Ending::Interrupted {
            return "interrupted before the canary was backed off".to_owned();
        }
        let thought = self.route.canaries.first().map_or_else(String::new, |canary| {
            format!(": {}, {}", canary.verdict.kind.label(), canary.verdict.reason)
        });
        let cord = self
            .route
            .cord
            .as_ref()
            .map_or_else(String::new, |cord| format!("; {} had pulled the cord: {}", cord.by, cord.why));
        let bad_for = text::seconds(self.bad_for);
        format!("the immune system did not back the bad canary off in {bad_for}{thought}{cord}")
    }

    fn cord(&self) -> String {
        match &self.route.cord {
            Some(cord) => format!("pulled by {}; nothing rises until a person resets it", cord.by),
            None => "not pulled".to_owned(),
        }
    }
}

fn reaction(canary: Account) -> String {
    match (canary.first_failure, canary.last_request) {
        (Some(first), Some(last)) => {
            format!("{:.2} s after the first failing answer", last.saturating_sub(first).as_secs_f64())
        }
        _ => "-".to_owned(),
    }
}

fn tally(tally: Tally) -> String {
    of(tally.failed, tally.requests)
}

fn of(failed: u64, requests: u64) -> String {
    let failed = if failed == 0 { "none".to_owned() } else { text::count(failed) };
    format!("{failed} of {}", text::count(requests))
}

fn waited(tally: Tally) -> String {
    format!("{} (median), {} (99% of them at most)", text::latency(tally.p50_us), text::latency(tally.p99_us))
}

/// The label on the first line, the text wrapped beside it.
fn line(out: &mut String, width: usize, label: &str, text: &str) {
    for (index, part) in text::wrap(text, width.saturating_sub(LABEL + 2)).iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", format!("  {label:LABEL$}{part}").trim_end());
    }
}

#[cfg(test)]
mod tests;
