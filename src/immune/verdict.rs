//! What the guard says of a canary, with the numbers behind it.
//!
//! A verdict holds numbers only. Sentences and JSON are made when somebody asks, because a verdict is renewed every
//! tick for every canary and read rarely. Sentences stand alone: canary beside stable, counts beside rates, the limit
//! beside what crossed it, so that a person woken at night can agree or disagree without a dashboard.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::evidence::requests_to_prove;
use super::fast_trip::{self, Trip};
use super::interval::{self, interval};
use super::latency::Mark;
use super::window::Tally;
use super::wording::{about, milliseconds, odds, percent, percentile, seconds, times};
use crate::config::{self, CeilingLimit, EventTerms, LatencyMax};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// There is evidence that the canary is not worse than what a proof of health allows.
    Healthy(Standing),
    /// Stays until the guard is restarted.
    Unhealthy(Finding),
    /// Neither; what is missing.
    Undecided(Missing),
}

/// How far a proof of health is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub of: Of,
    pub canary: Tally,
    pub stable: Tally,
    pub seconds: f64,
    /// Against chance that the canary is worse than that.
    pub odds: f64,
    pub allowed: config::Proof,
}

/// One question of a proof of health.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Of {
    Errors,
    Latency { quantile: f64, mark: Mark },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Missing {
    CanaryRequests,
    StableRequests,
    /// Too few answers of stable are remembered to tell how fast it is.
    StableLatency,
    /// Stable fails so much that no failure rate would exceed what is allowed: that proves nothing.
    Limit(Standing),
    /// Too few requests for a proof, or it looks worse than the proof allows.
    Proof(Standing),
    /// The canary may be worse, but the odds are not enough to act.
    Odds {
        odds: f64,
        hold_at: f64,
        abort_at: f64,
    },
}

/// Why the canary is unhealthy: the counts that decided, and the limit that was crossed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub signal: Signal,
    pub canary: Tally,
    pub stable: Tally,
    /// The time in which these were counted.
    pub seconds: f64,
    /// Against chance, at that moment.
    pub odds: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Signal {
    /// The odds that the canary fails more than tolerated.
    Errors {
        abort_at: f64,
    },
    /// The odds that it is slower than tolerated. `mark`: what is slow; there is one wherever there are odds.
    Latency {
        quantile: f64,
        mark: Option<Mark>,
        factor: f64,
        slack: Duration,
        abort_at: f64,
    },
    /// The odds that fewer of its requests lead to something good.
    Event {
        terms: EventTerms,
        abort_at: f64,
    },
    Ceiling {
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
        let (odds, window) = (odds(self.odds), seconds(self.seconds));
        format!("{} in the last {window} s; odds {odds}:1 that it is {}", self.beside(), self.wanted())
    }

    fn missing(&self) -> String {
        let requests = self.canary.requests;
        let wanted = format!("a proof that it is {}", self.wanted());
        match requests_to_prove(self.allowed, self.canary, self.stable) {
            Some(needed) if needed > requests as f64 => {
                format!("{requests} of about {} requests for {wanted}", about(needed))
            }
            _ => format!(
                "{} in the last {} s; odds {}:1 of {}:1 for {wanted}",
                self.beside(),
                seconds(self.seconds),
                odds(self.odds),
                odds(self.allowed.odds)
            ),
        }
    }

    fn beside(&self) -> String {
        let does = match self.of {
            Of::Errors => "fails".to_owned(),
            Of::Latency { mark, .. } => {
                let [canary, stable] = [mark.canary_us(), mark.stable_us()].map(milliseconds);
                format!("is slower than {canary} ms (stable: than {stable} ms) on")
            }
        };
        format!("canary {does} {}", compared(self.canary, self.stable))
    }

    fn wanted(&self) -> String {
        let config::Proof { errors, extra, .. } = self.allowed;
        let limit = format!("{} times stable's share and {}%", times(errors), percent(extra));
        match self.of {
            Of::Errors => format!("not failing more than {limit}"),
            Of::Latency { quantile, .. } => {
                format!("not slower than stable's {} on more than {limit}", percentile(quantile))
            }
        }
    }
}

impl Missing {
    pub fn sentence(&self) -> String {
        match self {
            Self::CanaryRequests => "no canary requests yet".to_owned(),
            Self::StableRequests => "nothing to compare with: stable had no requests".to_owned(),
            Self::StableLatency => "too few answers of stable to know how fast it is".to_owned(),
            Self::Limit(standing) => format!(
                "stable fails {}, so that any canary would be allowed beside it",
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
        let window = seconds(self.seconds);
        match &self.signal {
            Signal::Errors { .. } => format!(
                "{} in the last {window} s; odds {}:1 against chance",
                beside("fails", self.canary, self.stable),
                odds(self.odds)
            ),
            Signal::Latency { quantile, mark, factor, .. } => {
                let mark = mark.unwrap_or(Mark { stable: 0, canary: 0 });
                format!(
                    "canary is slower than {} ms (stable {} = {} ms, tolerated x{}) on {} in the last {window} s; odds \
                     {}:1 against chance",
                    milliseconds(mark.canary_us()),
                    percentile(*quantile),
                    milliseconds(mark.stable_us()),
                    times(*factor),
                    compared(self.canary, self.stable),
                    odds(self.odds)
                )
            }
            Signal::Event { terms, .. } => format!(
                "canary has \"{}\" on {} in the last {window} s (tolerated: {} times fewer); odds {}:1 against chance",
                terms.name,
                compared(self.canary, self.stable),
                times(terms.tolerate),
                odds(self.odds)
            ),
            Signal::Ceiling { limits, .. } => ceiling_sentence(limits, self),
            Signal::FastTrip(trip) => fast_trip_sentence(*trip),
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
            Self::Latency { .. } => "latency",
            Self::Event { .. } => "event",
            Self::Ceiling { limits: config::Ceiling { limit: CeilingLimit::Errors(_), .. }, .. } => {
                "error_ceiling"
            }
            Self::Ceiling { .. } => "latency_ceiling",
            Self::FastTrip(_) => "fast_trip",
        }
    }

    /// Tells apart what can find something by itself.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Event { terms, .. } => format!("event {}", terms.name),
            Self::Ceiling { limits, .. } => format!("ceiling {limits:?}"),
            _ => self.label().to_owned(),
        }
    }

    fn limit(&self) -> Value {
        match self {
            Self::Errors { abort_at } => json!({ "odds": abort_at }),
            Self::Latency { quantile, mark, factor, slack, abort_at } => json!({
                "odds": abort_at,
                "quantile": quantile,
                "stable_slow_seconds": mark.map(|mark| mark.stable_us() as f64 / 1e6),
                "canary_slow_seconds": mark.map(|mark| mark.canary_us() as f64 / 1e6),
                "factor": factor,
                "slack_seconds": slack.as_secs_f64(),
            }),
            Self::Event { terms, abort_at } => {
                json!({ "odds": abort_at, "event": *terms.name, "factor": terms.tolerate })
            }
            Self::Ceiling { limits, hold_at } => ceiling_limit(limits, *hold_at),
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

fn ceiling_limit(limits: &config::Ceiling, hold_at: f64) -> Value {
    let mut limit = json!({
        "window_seconds": limits.window.as_secs_f64(),
        "requests_min": limits.min_requests,
        "odds_min": hold_at,
    });
    match limits.limit {
        CeilingLimit::Errors(share) => limit["failed_ratio"] = share.into(),
        CeilingLimit::Latency { percentile, max } => {
            limit["quantile"] = percentile.into();
            match max {
                LatencyMax::Absolute(max) => limit["latency_seconds"] = max.as_secs_f64().into(),
                LatencyMax::Relative(factor) => limit["latency_factor"] = factor.into(),
            }
        }
    }
    limit
}

fn ceiling_sentence(limits: &config::Ceiling, finding: &Finding) -> String {
    let window = seconds(limits.window.as_secs_f64());
    let Finding { canary, stable, .. } = *finding;
    match limits.limit {
        CeilingLimit::Errors(share) => format!(
            "{}: more than {share}% failed in the last {window} s (limit {share}%, at least {} requests)",
            beside("fails", canary, stable),
            limits.min_requests,
            share = percent(share)
        ),
        CeilingLimit::Latency { percentile: quantile, max } => {
            let max = match max {
                LatencyMax::Absolute(max) => format!("{} ms", milliseconds(micros(max))),
                LatencyMax::Relative(factor) => format!("{} times stable's", times(factor)),
            };
            format!(
                "canary's {} is above {max}: {} took longer in the last {window} s (limit {}%, at least {} requests)",
                percentile(quantile),
                compared(canary, stable),
                percent(1.0 - quantile),
                limits.min_requests
            )
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// "canary fails 4.67% [0.87, 13.26] of requests (7/150) vs stable 0.035% (1/2850)"
fn beside(does: &str, canary: Tally, stable: Tally) -> String {
    format!("canary {does} {}", compared(canary, stable))
}

/// "4.67% [0.87, 13.26] of requests (7/150) vs stable 0.035% (1/2850)"
fn compared(canary: Tally, stable: Tally) -> String {
    let (low, high) = interval(canary.unlucky, canary.requests);
    format!(
        "{}% [{}, {}] of requests ({}/{}) vs stable {}",
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
