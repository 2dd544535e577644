//! A plain rule about numbers that others know: orders a minute, sign-ups, the lag of a queue.
//!
//! A reading breaks the limit or keeps it. So many readings one after another that break it make the canary unhealthy.
//! What is no number (no answer, none that can be read, a share of a stable that has nothing) is *undecided*: it counts
//! neither for the canary nor against it, and after a silence the count begins anew. Pure: when a reading came is told.

use std::sync::Arc;

use serde_json::{Value, json};

use super::wording::{number, percent, seconds};
use crate::config::OutsideLimit;

/// What is remembered is of use for so many times `every`.
const FRESH_PERIODS: u64 = 3;

/// What is fixed of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideRule {
    pub name: Arc<str>,
    pub limit: OutsideLimit,
    /// Readings one after another, at least 1.
    pub failures: u32,
    pub every_us: u64,
    /// What is asked, for people: of the canary, and of stable where it is compared.
    pub asked: Arc<str>,
    pub asked_of_stable: Option<Arc<str>>,
}

/// Numbers of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    pub at_ms: i64,
    pub canary: f64,
    /// `None`: the limit is fixed.
    pub stable: Option<f64>,
}

/// One signal of one canary.
#[derive(Clone, Debug)]
pub struct OutsideSignal {
    rule: OutsideRule,
    /// That broke the limit, one after another; at most `failures`.
    bad: Vec<Reading>,
    /// When a reading last counted.
    counted_us: u64,
    /// When it was last heard, and what.
    heard: Option<(u64, Result<Reading, Arc<str>>)>,
    finding: Option<OutsideFinding>,
}

/// Why the canary is unhealthy. Stays until the signal starts anew.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideFinding {
    pub rule: OutsideRule,
    /// As many as the rule wants, oldest first.
    pub readings: Vec<Reading>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OutsideState {
    /// What is missing.
    Undecided(Arc<str>),
    /// The last reading keeps the limit.
    Good,
    /// So many readings broke it, and more are wanted.
    Bad(u32),
    /// The rule is broken.
    Failing,
}

impl OutsideState {
    pub fn label(&self) -> &'static str {
        match self {
            Self::Undecided(_) => "undecided",
            Self::Good => "good",
            Self::Bad(_) => "bad",
            Self::Failing => "failing",
        }
    }
}

impl OutsideSignal {
    pub fn new(rule: OutsideRule) -> Self {
        Self { rule, bad: Vec::new(), counted_us: 0, heard: None, finding: None }
    }

    pub fn rule(&self) -> &OutsideRule {
        &self.rule
    }

    /// What was found at `now_us`, or why nothing was.
    pub fn hear(&mut self, now_us: u64, reading: Result<Reading, Arc<str>>) {
        let judged = reading.and_then(|reading| Ok((reading, breaks(self.rule.limit, &reading)?)));
        if let Ok((reading, is_bad)) = &judged {
            let was_silent = now_us.saturating_sub(self.counted_us) > self.fresh_us();
            if !is_bad || was_silent {
                self.bad.clear();
            }
            self.counted_us = now_us;
            if *is_bad {
                let wanted = self.rule.failures as usize;
                self.bad.drain(..(self.bad.len() + 1).saturating_sub(wanted));
                self.bad.push(*reading);
                if self.bad.len() == wanted && self.finding.is_none() {
                    let (rule, readings) = (self.rule.clone(), self.bad.clone());
                    self.finding = Some(OutsideFinding { rule, readings });
                }
            }
        }
        self.heard = Some((now_us, judged.map(|(reading, _)| reading)));
    }

    pub fn finding(&self) -> Option<&OutsideFinding> {
        self.finding.as_ref()
    }

    /// What holds now.
    pub fn state(&self, now_us: u64) -> OutsideState {
        if self.finding.is_some() {
            return OutsideState::Failing;
        }
        match &self.heard {
            None => OutsideState::Undecided("not asked yet".into()),
            Some((at_us, _)) if now_us.saturating_sub(*at_us) > self.fresh_us() => {
                let silent_s = now_us.saturating_sub(*at_us) as f64 / 1e6;
                OutsideState::Undecided(format!("nothing heard for {} s", seconds(silent_s)).into())
            }
            Some((_, Err(why))) => OutsideState::Undecided(Arc::clone(why)),
            Some((_, Ok(_))) if self.bad.is_empty() => OutsideState::Good,
            Some((_, Ok(_))) => OutsideState::Bad(u32::try_from(self.bad.len()).unwrap_or(u32::MAX)),
        }
    }

    /// The last numbers, and how old they are in microseconds; `None`: there were none, or something else came after.
    pub fn reading(&self, now_us: u64) -> Option<(Reading, u64)> {
        let (at_us, heard) = self.heard.as_ref()?;
        Some((*heard.as_ref().ok()?, now_us.saturating_sub(*at_us)))
    }

    fn fresh_us(&self) -> u64 {
        self.rule.every_us.saturating_mul(FRESH_PERIODS)
    }
}

/// Or why it cannot be said.
fn breaks(limit: OutsideLimit, reading: &Reading) -> Result<bool, Arc<str>> {
    if !reading.canary.is_finite() {
        return Err("the canary's number is none".into());
    }
    let share = match limit {
        OutsideLimit::AtLeast(least) => return Ok(reading.canary < least),
        OutsideLimit::AtMost(most) => return Ok(reading.canary > most),
        OutsideLimit::AtLeastOfStable(share) | OutsideLimit::AtMostOfStable(share) => share,
    };
    match reading.stable {
        Some(stable) if stable.is_finite() && stable > 0.0 => {
            let bound = share * stable;
            let is_least = matches!(limit, OutsideLimit::AtLeastOfStable(_));
            Ok(if is_least { reading.canary < bound } else { reading.canary > bound })
        }
        Some(_) => Err("stable has nothing to compare with".into()),
        None => Err("stable's number is missing".into()),
    }
}

impl OutsideRule {
    /// `at least 10`, `at least 80% of stable's`
    pub fn wanted(&self) -> String {
        match self.limit {
            OutsideLimit::AtLeast(least) => format!("at least {}", number(least)),
            OutsideLimit::AtMost(most) => format!("at most {}", number(most)),
            OutsideLimit::AtLeastOfStable(share) => format!("at least {}% of stable's", percent(share)),
            OutsideLimit::AtMostOfStable(share) => format!("at most {}% of stable's", percent(share)),
        }
    }

    fn limit(&self) -> Value {
        match self.limit {
            OutsideLimit::AtLeast(least) => json!({ "at_least": least }),
            OutsideLimit::AtMost(most) => json!({ "at_most": most }),
            OutsideLimit::AtLeastOfStable(share) => json!({ "at_least_of_stable": share }),
            OutsideLimit::AtMostOfStable(share) => json!({ "at_most_of_stable": share }),
        }
    }

    fn limit_of(limit: &Value) -> Option<OutsideLimit> {
        let (key, value) = limit.as_object()?.iter().next()?;
        let value = value.as_f64()?;
        match key.as_str() {
            "at_least" => Some(OutsideLimit::AtLeast(value)),
            "at_most" => Some(OutsideLimit::AtMost(value)),
            "at_least_of_stable" => Some(OutsideLimit::AtLeastOfStable(value)),
            "at_most_of_stable" => Some(OutsideLimit::AtMostOfStable(value)),
            _ => None,
        }
    }
}

impl OutsideFinding {
    /// `outside signal "orders" is 3.2, at least 10 is wanted: 3 readings in a row, of sum(…)`
    pub fn sentence(&self) -> String {
        let OutsideRule { name, asked, .. } = &self.rule;
        let last = self.readings.last();
        let canary = last.map_or_else(String::new, |reading| number(reading.canary));
        let stable = last.and_then(|reading| reading.stable);
        let stable = stable.map_or_else(String::new, |stable| format!(" (stable's is {})", number(stable)));
        let readings = match self.readings.len() {
            1 => "1 reading".to_owned(),
            count => format!("{count} readings in a row"),
        };
        format!(
            "outside signal \"{name}\" is {canary}{stable}, {} is wanted: {readings} of {asked}",
            self.rule.wanted()
        )
    }

    /// All that it takes to find the same again.
    pub fn evidence(&self) -> Value {
        let reading =
            |one: &Reading| json!({ "at_ms": one.at_ms, "canary": one.canary, "stable": one.stable });
        json!({
            "signal": "outside",
            "sentence": self.sentence(),
            "limit": self.rule.limit(),
            "outside": {
                "name": *self.rule.name,
                "asked": *self.rule.asked,
                "asked_of_stable": self.rule.asked_of_stable.as_deref(),
                "failures": self.rule.failures,
                "every_seconds": self.rule.every_us as f64 / 1e6,
                "readings": self.readings.iter().map(reading).collect::<Vec<_>>(),
            },
        })
    }

    /// Whether the readings of a recorded decision, judged again, break its rule. `None`: they cannot be read.
    pub fn again(evidence: &Value) -> Option<bool> {
        let outside = evidence.get("outside")?;
        let limit = OutsideRule::limit_of(evidence.get("limit")?)?;
        let failures = outside.get("failures")?.as_u64()?;
        let mut in_a_row = 0;
        for one in outside.get("readings")?.as_array()? {
            let stable = one.get("stable").and_then(Value::as_f64);
            let reading = Reading { at_ms: 0, canary: one.get("canary")?.as_f64()?, stable };
            in_a_row = if breaks(limit, &reading) == Ok(true) { in_a_row + 1 } else { 0 };
        }
        Some(in_a_row >= failures)
    }
}

#[cfg(test)]
mod tests;
