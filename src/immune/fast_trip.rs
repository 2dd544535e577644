//! So many failures one after another, while stable answers, and the canary is off at once.
//!
//! No statistics: total failure is stopped after a second at any weight, before the bet has seen three ticks.
//! It never blames the canary for a shared fault: stable must have answered during the very same streak, and at
//! most a tenth of its requests then may have failed.
//!
//! # Counts instead of events
//!
//! The rule speaks of single requests in order. Counters are read every 100 ms, so the order within a call is
//! unknown, and each call is read in the way that spares the canary:
//!
//! - one canary success anywhere in the call ends the streak, whatever failed before or after it;
//! - only a call in which every finished canary request failed extends it; the run of connect errors goes on only
//!   if all of them were connect errors;
//! - stable's counts of the call are added before judging, so a shared fault that began in it is seen;
//! - in the call in which the streak **begins**, stable's failures count and its successes do not. They may have
//!   come before the first failure: when both variants lose their database in the last milliseconds of a call, the
//!   successes before that must not vouch for stable. The price is one call (100 ms) where the canary fails at once;
//! - a streak begins at the time of the call that brought its first failure, so a span is off by one call at most.

use serde::{Deserialize, Serialize};

use super::window::{Counts, Tally};
use crate::config;

/// Of stable's requests during the streak, at most this share may have failed.
pub const STABLE_FAILED_MAX: f64 = 0.1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FastTrip {
    limits: config::FastTrip,
    streak: Option<Streak>,
}

/// A streak that was long enough while stable was well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    pub limits: config::FastTrip,
    pub rule: Rule,
    pub failures: u64,
    /// The last so many of `failures` were connect errors.
    pub connect_errors: u64,
    pub span_us: u64,
    /// During the streak.
    pub stable: Tally,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    Failures,
    ConnectErrors,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Streak {
    began_us: u64,
    failures: u64,
    connect_errors: u64,
    stable: Tally,
}

impl FastTrip {
    pub fn new(limits: config::FastTrip) -> Self {
        Self { limits, streak: None }
    }

    /// What was counted since the last call. Constant time, however many requests.
    pub fn tick(&mut self, now_us: u64, canary: Counts, stable: Counts) -> Option<Trip> {
        let Counts { requests, failed, connect_errors } = canary;
        if requests > failed {
            self.canary_answered();
            return None;
        }
        if failed == 0 {
            self.stable_finished(stable.tally());
            return None;
        }
        if self.streak.is_some() {
            self.stable_finished(stable.tally());
            return self.canary_failed(now_us, failed, connect_errors);
        }
        let trip = self.canary_failed(now_us, failed, connect_errors); // none yet: stable has not answered since
        self.stable_finished(Tally { requests: stable.failed, unlucky: stable.failed });
        trip
    }

    pub fn limits(&self) -> config::FastTrip {
        self.limits
    }

    pub fn restart(&mut self) {
        self.streak = None;
    }

    fn canary_answered(&mut self) {
        self.streak = None;
    }

    /// Outside a streak it does not matter what stable does.
    fn stable_finished(&mut self, tally: Tally) {
        if let Some(streak) = &mut self.streak {
            streak.stable.add(tally);
        }
    }

    /// `failures` in a row, `connect_errors` of them for want of a connection.
    fn canary_failed(&mut self, now_us: u64, failures: u64, connect_errors: u64) -> Option<Trip> {
        let streak = self.streak.get_or_insert(Streak {
            began_us: now_us,
            failures: 0,
            connect_errors: 0,
            stable: Tally::default(),
        });
        streak.failures = streak.failures.saturating_add(failures);
        streak.connect_errors =
            if connect_errors == failures { streak.connect_errors.saturating_add(failures) } else { 0 };
        streak.judge(self.limits, now_us)
    }
}

impl Streak {
    fn judge(self, limits: config::FastTrip, now_us: u64) -> Option<Trip> {
        let Self { began_us, failures, connect_errors, stable } = self;
        let answered = stable.requests > stable.unlucky;
        if !answered || stable.unlucky as f64 > STABLE_FAILED_MAX * stable.requests as f64 {
            return None;
        }
        let span_us = now_us.saturating_sub(began_us);
        let lasted = u128::from(span_us) >= limits.span.as_micros();
        let rule = if failures >= limits.failures.into() && lasted {
            Rule::Failures
        } else if connect_errors >= limits.connect_errors.into() {
            Rule::ConnectErrors
        } else {
            return None;
        };
        Some(Trip { limits, rule, failures, connect_errors, span_us, stable })
    }
}

#[cfg(test)]
mod tests;
