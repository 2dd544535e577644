//! What the guard says of a canary, with the numbers behind it.
//!
//! A verdict holds numbers only. Sentences and JSON are made when somebody asks, because a verdict is renewed every
//! tick for every canary and read rarely. Sentences stand alone: canary beside stable, counts beside rates, the limit
//! beside what crossed it, so that a person woken at night can agree or disagree without a dashboard.

use std::time::Duration;

use serde_json::{Value, json};

use super::fast_trip::{self, Trip};
use super::interval::{self, interval, requests_needed};
use super::window::Tally;
use super::wording::{about, odds, percent, seconds};
use crate::config;

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// What was seen rules out a failure rate above the limit.
    Healthy(Standing),
    /// Stays until the guard is restarted.
    Unhealthy(Finding),
    /// Neither; what is missing.
    Undecided(Missing),
}

/// Everything since the guard was started, beside the failure rate that the canary may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    pub canary: Tally,
    pub stable: Tally,
    pub seconds: f64,
    /// The lowest ceiling or what is tolerated beside stable, whichever is higher.
    pub limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Missing {
    CanaryRequests,
    StableRequests,
    /// Stable fails so much that no failure rate would exceed the limit: that proves nothing.
    Limit(Standing),
    /// Too few requests for the rate to be known well enough, or a rate above the limit that may be chance.
    Proof(Standing),
    /// The canary may be worse, but the odds are not enough to act.
    Odds {
        odds: f64,
        hold_at: f64,
        abort_at: f64,
    },
}

/// Why the canary is unhealthy: the counts that decided, and the limit that was crossed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    pub signal: Signal,
    pub canary: Tally,
    pub stable: Tally,
    /// The time in which these were counted.
    pub seconds: f64,
    /// Against chance, at that moment.
    pub odds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal {
    /// The odds that the canary fails more than tolerated.
    Errors {
        abort_at: f64,
    },
    ErrorCeiling {
        limits: config::Ceiling,
        hold_at: f64,
    },
    FastTrip(Trip),
}

impl Verdict {
    pub fn sentence(&self) -> String {
        match self {
            Self::Healthy(standing) => standing.healthy(),
            Self::Unhealthy(finding) => finding.sentence(),
            Self::Undecided(missing) => missing.sentence(),
        }
    }

    pub fn is_unhealthy(&self) -> bool {
        matches!(self, Self::Unhealthy(_))
    }
}

impl Standing {
    fn healthy(&self) -> String {
        format!(
            "{}, so not more than {}%",
            beside(self.canary, self.stable, &format!("in the last {} s", seconds(self.seconds))),
            percent(self.limit)
        )
    }

    fn missing(&self) -> String {
        let Tally { requests, .. } = self.canary;
        match requests_needed(self.limit, self.canary.rate().unwrap_or(0.0)) {
            Some(needed) => format!("{requests} of about {} requests", about(needed)),
            None => format!(
                "{}: above {}%, which may still be chance",
                beside(self.canary, self.stable, &format!("in the last {} s", seconds(self.seconds))),
                percent(self.limit)
            ),
        }
    }
}

impl Missing {
    pub fn sentence(&self) -> String {
        match self {
            Self::CanaryRequests => "no canary requests yet".to_owned(),
            Self::StableRequests => "nothing to compare with: stable had no requests".to_owned(),
            Self::Limit(standing) => format!(
                "stable fails {}, so that any canary would be tolerated beside it",
                rate_of(standing.stable)
            ),
            Self::Proof(standing) => standing.missing(),
            Self::Odds { odds: now, hold_at, abort_at } => format!(
                "odds {}:1 against chance that the canary is worse; held from {}:1, unhealthy from {}:1",
                odds(*now),
                odds(*hold_at),
                odds(*abort_at)
            ),
        }
    }
}

impl Finding {
    /// One line, in the words of the operator.
    pub fn sentence(&self) -> String {
        match self.signal {
            Signal::Errors { .. } => format!(
                "{}; odds {}:1 against chance",
                beside(self.canary, self.stable, &format!("in the last {} s", seconds(self.seconds))),
                odds(self.odds)
            ),
            Signal::ErrorCeiling { limits, .. } => format!(
                "{}: more than {rate}% failed in the last {} s (limit {rate}%, at least {} requests)",
                beside(self.canary, self.stable, ""),
                seconds(limits.window.as_secs_f64()),
                limits.min_requests,
                rate = percent(limits.error_rate)
            ),
            Signal::FastTrip(trip) => fast_trip_sentence(trip),
        }
    }

    /// Every number by name and unit, for the record of the decision.
    pub fn evidence(&self) -> Value {
        json!({
            "signal": self.signal.label(),
            "sentence": self.sentence(),
            "canary": tally_evidence(self.canary),
            "stable": tally_evidence(self.stable),
            "window_seconds": self.seconds,
            "odds": self.odds,
            "limit": self.signal.limit(),
        })
    }
}

impl Signal {
    /// As in metric labels and records.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Errors { .. } => "errors",
            Self::ErrorCeiling { .. } => "error_ceiling",
            Self::FastTrip(_) => "fast_trip",
        }
    }

    fn limit(&self) -> Value {
        match self {
            Self::Errors { abort_at } => json!({ "odds": abort_at }),
            Self::ErrorCeiling { limits, hold_at } => json!({
                "failed_ratio": limits.error_rate,
                "window_seconds": limits.window.as_secs_f64(),
                "requests_min": limits.min_requests,
                "odds_min": hold_at,
            }),
            Self::FastTrip(trip) => json!({
                "failures": trip.limits.failures,
                "span_seconds": trip.limits.span.as_secs_f64(),
                "connect_errors": trip.limits.connect_errors,
                "connect_errors_seen": trip.connect_errors,
                "stable_failed_ratio_max": fast_trip::STABLE_FAILED_MAX,
            }),
        }
    }
}

/// "canary fails 4.67% [0.87, 13.26] of requests (7/150) vs stable 0.035% (1/2850) in the last 3 s"
fn beside(canary: Tally, stable: Tally, when: &str) -> String {
    let (low, high) = interval(canary.unlucky, canary.requests);
    let space = if when.is_empty() { "" } else { " " };
    format!(
        "canary fails {}% [{}, {}] of requests ({}/{}) vs stable {}{space}{when}",
        percent(canary.rate().unwrap_or(0.0)),
        percent(low),
        percent(high),
        canary.unlucky,
        canary.requests,
        rate_of(stable)
    )
}

fn rate_of(tally: Tally) -> String {
    match tally.rate() {
        Some(rate) => format!("{}% ({}/{})", percent(rate), tally.unlucky, tally.requests),
        None => "without requests".to_owned(),
    }
}

fn fast_trip_sentence(trip: Trip) -> String {
    let Trip { rule, failures, connect_errors, span_us, stable, .. } = trip;
    let refused = match rule {
        fast_trip::Rule::Failures => String::new(),
        fast_trip::Rule::ConnectErrors => format!(" (the last {connect_errors} got no connection)"),
    };
    format!(
        "{failures} requests in a row failed over {} s{refused}, stable answered {} of {} in the same time",
        seconds(Duration::from_micros(span_us).as_secs_f64()),
        stable.requests - stable.unlucky.min(stable.requests),
        stable.requests
    )
}

fn tally_evidence(tally: Tally) -> Value {
    let (low, high) = interval(tally.unlucky, tally.requests);
    json!({
        "requests": tally.requests,
        "failed": tally.unlucky,
        "failed_ratio": tally.rate(),
        "failed_ratio_low": low,
        "failed_ratio_high": high,
        "interval_level": interval::LEVEL,
    })
}
