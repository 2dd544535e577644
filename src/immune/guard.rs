//! The guard of one canary: feeds the bet and the rules, and keeps the verdict.
//!
//! It is called every 100 ms with what was counted since the last call. The fast rule sees each call; every
//! `tick` of the configuration the sum of the calls goes to the bet and the ceilings. Within a call the fast rule
//! is asked first, then the odds, then the ceilings in their order: the first to object is the reason that is told.
//!
//! Time is only used to cut ticks and to measure streaks. A clock that stands still or runs backwards adds nothing;
//! one that jumps ahead cuts one tick early and ages a streak by a quarter of a second at most. A late call is one longer
//! tick: bets compare both variants within it, whatever its length.
//!
//! What to do about a verdict is the controller's business. After `Unhealthy` the guard keeps counting, so that
//! stable stays known, but the verdict is the first finding until [`Guard::restart`].

use std::time::Duration;

use super::ceiling::Ceiling;
use super::evidence::{Bet, Terms};
use super::fast_trip::{FastTrip, Trip};
use super::interval::proves_at_most;
use super::verdict::{Finding, Missing, Signal, Standing, Verdict};
use super::window::{Counts, Tally, Window};
use crate::config;

/// Two and a half calls. More cannot be told from a clock that jumps.
const CALL_MAX_US: u64 = 250_000;

#[derive(Clone, Debug)]
pub struct Guard {
    config: config::Guard,
    /// The bet on failures has all the odds until other signals share them.
    errors: Bet,
    ceilings: Vec<Ceiling>,
    fast_trip: Option<FastTrip>,
    clock: Clock,
    /// Counted since the last tick.
    canary: Tally,
    stable: Tally,
    verdict: Verdict,
}

impl Guard {
    pub fn new(config: &config::Guard) -> Self {
        Self {
            errors: Bet::new(Terms::for_errors(config)),
            ceilings: ceilings(config),
            fast_trip: config.fast_trip.map(FastTrip::new),
            clock: Clock::default(),
            canary: Tally::default(),
            stable: Tally::default(),
            verdict: Verdict::Undecided(Missing::CanaryRequests),
            config: config.clone(),
        }
    }

    /// `now_us` counts from anywhere. Call it also while the canary has no weight: stable is learned then.
    pub fn tick(&mut self, now_us: u64, canary: Counts, stable: Counts) -> &Verdict {
        let (canary, stable) = (canary.possible(), stable.possible());
        self.clock.advance(now_us);
        self.canary.add(canary.tally());
        self.stable.add(stable.tally());
        let tripped =
            self.fast_trip.as_mut().and_then(|rule| rule.tick(self.clock.streak_us, canary, stable));
        let tripped = tripped.map(|trip| self.tripped(trip));
        if self.clock.cut_tick(self.config.tick) {
            let found = self.judge();
            self.conclude(tripped.or(found));
        } else if tripped.is_some() {
            self.conclude(tripped);
        }
        &self.verdict
    }

    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The odds against chance that the canary is worse than tolerated.
    pub fn odds(&self) -> f64 {
        self.errors.odds()
    }

    /// The odds are such that nothing should rise.
    pub fn holds(&self) -> bool {
        self.odds() >= self.config.hold_at
    }

    /// A new release, a reset cord: capital, rules and verdict start anew; what is remembered of stable stays.
    pub fn restart(&mut self) {
        self.errors.restart();
        self.ceilings.iter_mut().for_each(Ceiling::restart);
        self.fast_trip.iter_mut().for_each(FastTrip::restart);
        self.canary = Tally::default();
        self.stable = Tally::default();
        self.verdict = Verdict::Undecided(Missing::CanaryRequests);
    }

    /// Other numbers hold from now on. Stable is remembered, and `Unhealthy` stays: a file does not acquit.
    /// Capital starts anew only if what is tolerated, or the tick, changed.
    pub fn reconfigure(&mut self, config: &config::Guard) {
        if *config == self.config {
            return;
        }
        self.errors.set_terms(Terms::for_errors(config));
        self.ceilings = ceilings(config);
        self.fast_trip = config.fast_trip.map(FastTrip::new);
        self.config = config.clone();
    }

    /// One tick of the bet and the ceilings.
    fn judge(&mut self) -> Option<Finding> {
        let (canary, stable) = (std::mem::take(&mut self.canary), std::mem::take(&mut self.stable));
        self.errors.tick(canary, stable);
        let odds = self.odds();
        // Every ceiling counts every tick, also when an earlier one objects.
        let mut over = None;
        for ceiling in &mut self.ceilings {
            if let Some(window) = ceiling.tick(canary, stable, odds) {
                over.get_or_insert((ceiling.limits(), window));
            }
        }
        if odds >= self.abort_at() {
            return Some(self.finding(Signal::Errors { abort_at: self.abort_at() }, self.errors.run()));
        }
        let (limits, window) = over?;
        Some(self.finding(Signal::ErrorCeiling { limits, hold_at: self.config.hold_at }, window))
    }

    fn conclude(&mut self, found: Option<Finding>) {
        if self.verdict.is_unhealthy() {
            return;
        }
        self.verdict = found.map_or_else(|| self.not_unhealthy(), Verdict::Unhealthy);
    }

    /// The first form of a proof: the canary's rate is surely below what an operator named or stable allows.
    fn not_unhealthy(&self) -> Verdict {
        let Window { canary, stable, .. } = self.errors.total();
        if canary.requests == 0 {
            return Verdict::Undecided(Missing::CanaryRequests);
        }
        if self.holds() {
            let (hold_at, abort_at) = (self.config.hold_at, self.abort_at());
            return Verdict::Undecided(Missing::Odds { odds: self.odds(), hold_at, abort_at });
        }
        let Some(stable_rate) = stable.rate() else {
            return Verdict::Undecided(Missing::StableRequests);
        };
        let seconds = self.seconds(self.errors.total());
        let limit = self.limit(stable_rate);
        let standing = Standing { canary, stable, seconds, limit };
        if limit >= 1.0 {
            return Verdict::Undecided(Missing::Limit(standing));
        }
        if proves_at_most(limit, canary.unlucky, canary.requests) {
            return Verdict::Healthy(standing);
        }
        Verdict::Undecided(Missing::Proof(standing))
    }

    fn limit(&self, stable_rate: f64) -> f64 {
        let tolerated = self.config.tolerate.errors * stable_rate + self.config.tolerate.extra;
        let lowest = self.config.ceilings.iter().map(|ceiling| ceiling.error_rate).reduce(f64::min);
        lowest.map_or(tolerated, |lowest| lowest.max(tolerated))
    }

    fn abort_at(&self) -> f64 {
        1.0 / self.config.false_alarm
    }

    fn seconds(&self, window: Window) -> f64 {
        window.ticks as f64 * self.config.tick.as_secs_f64()
    }

    fn finding(&self, signal: Signal, window: Window) -> Finding {
        let Window { canary, stable, .. } = window;
        Finding { signal, canary, stable, seconds: self.seconds(window), odds: self.odds() }
    }

    fn tripped(&self, trip: Trip) -> Finding {
        Finding {
            signal: Signal::FastTrip(trip),
            canary: Tally { requests: trip.failures, unlucky: trip.failures },
            stable: trip.stable,
            seconds: Duration::from_micros(trip.span_us).as_secs_f64(),
            odds: self.odds(),
        }
    }
}

/// Cuts ticks out of calls.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    last_us: Option<u64>,
    /// Since the last tick was cut.
    elapsed_us: u64,
    /// The sum of all calls, each `CALL_MAX_US` at most.
    streak_us: u64,
}

impl Clock {
    fn advance(&mut self, now_us: u64) {
        let step_us = self.last_us.map_or(0, |last_us| now_us.saturating_sub(last_us));
        self.last_us = Some(now_us);
        self.elapsed_us = self.elapsed_us.saturating_add(step_us);
        self.streak_us = self.streak_us.saturating_add(step_us.min(CALL_MAX_US));
    }

    /// The remainder is kept, so ticks are right on average though calls come a little early or late.
    fn cut_tick(&mut self, tick: Duration) -> bool {
        let tick_us = u64::try_from(tick.as_micros()).unwrap_or(u64::MAX).max(1);
        if self.elapsed_us < tick_us {
            return false;
        }
        self.elapsed_us %= tick_us;
        true
    }
}

fn ceilings(config: &config::Guard) -> Vec<Ceiling> {
    let ceiling = |limits: &config::Ceiling| Ceiling::new(*limits, config.tick, config.hold_at);
    config.ceilings.iter().map(ceiling).collect()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
