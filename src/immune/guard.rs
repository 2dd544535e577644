//! The guard of one canary: feeds the bets and the rules, and says what comes of it.
//!
//! It is called every 100 ms with what was counted since the last call ([`Guard::call`]); the fast rule sees each call.
//! When a tick is over ([`super::pace`]), the sum of the calls goes to the bets and the ceilings, together with what is
//! read once a tick: latencies and events ([`Guard::tick`]). The first to object is the reason that is told: the fast rule, then
//! the odds, then the ceilings in their order.
//!
//! What a signal finds counts by its mode. `act` makes the canary unhealthy; `watch` is noticed once and told by
//! [`Guard::take_noticed`]; `off` is not looked at.
//!
//! What to do about a verdict is the controller's business. After `Unhealthy` the guard keeps counting, so that
//! stable stays known, but the verdict is the first finding until [`Guard::restart`].
//!
//! A guard is a function of what it was given. It can be written down and read back to the last bit, and goes on as if
//! nothing had happened: that is what makes a decision checkable years later ([`super::journal`]).

use serde::{Deserialize, Serialize};

use super::ceiling::Ceiling;
use super::evidence::{Bet, Stakes, Terms};
use super::fast_trip::{FastTrip, Trip};
use super::latency::{self, Allowed, BEYOND_MIN, LatencyMemory, Mark, Percentile};
use super::remembered::MEMORY_TICKS;
use super::verdict::{Finding, Signal, Verdict};
use super::window::{Counts, Detail, Tally, Window};
use crate::config::{CeilingLimit, Judge, LatencyMax, Mode};

/// How stable is learned. The defaults are part of the method; golden vectors try others.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Learning {
    /// Half-life of what is remembered of stable.
    pub memory_ticks: f64,
    /// Remembered requests that must lie beyond a mark before it is used.
    pub beyond_min: f64,
}

impl Default for Learning {
    fn default() -> Self {
        Self { memory_ticks: MEMORY_TICKS, beyond_min: BEYOND_MIN }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Guard {
    judge: Judge,
    learning: Learning,
    errors: Bet,
    proof: Bet,
    percentiles: Vec<Percentile>,
    memory: LatencyMemory,
    /// In the order of `judge.events`.
    events: Vec<Bet>,
    ceilings: Vec<Ceiling>,
    fast_trip: Option<FastTrip>,
    /// The sum of all steps.
    streak_us: u64,
    /// Counted since the last tick.
    canary: Tally,
    stable: Tally,
    /// Ticks in which the canary's requests are not yet, or not just now, what the lot said.
    skip: u32,
    /// Ticks until latency is judged.
    warm_up: u64,
    /// The first that acts, until the restart.
    finding: Option<Finding>,
    /// Labels of watching signals that have been noticed since the restart.
    noticed: Vec<String>,
    unread: Vec<Finding>,
    #[serde(skip, default = "latency::stakes")]
    stakes: [Stakes; 2],
}

impl Guard {
    pub fn new(judge: &Judge) -> Self {
        Self::learning(judge, Learning::default())
    }

    pub fn learning(judge: &Judge, learning: Learning) -> Self {
        let Learning { memory_ticks, beyond_min } = learning;
        Self {
            learning,
            errors: Bet::new(Terms::for_errors(judge), memory_ticks),
            proof: Bet::new(Terms::proof(judge), memory_ticks),
            percentiles: percentiles(judge, memory_ticks),
            memory: LatencyMemory::new(memory_ticks, beyond_min),
            events: events(judge, memory_ticks),
            ceilings: ceilings(judge),
            fast_trip: judge.fast_trip.map(FastTrip::new),
            streak_us: 0,
            canary: Tally::default(),
            stable: Tally::default(),
            skip: 0,
            warm_up: warm_up_ticks(judge),
            finding: None,
            noticed: Vec::new(),
            unread: Vec::new(),
            stakes: latency::stakes(),
            judge: judge.clone(),
        }
    }

    /// About every 100 ms; `step_us` have passed since the last call. Also while the canary has no weight.
    pub fn call(&mut self, step_us: u64, canary: Counts, stable: Counts) {
        let (canary, stable) = (canary.possible(), stable.possible());
        self.streak_us = self.streak_us.saturating_add(step_us);
        self.canary.add(canary.tally());
        self.stable.add(stable.tally());
        let tripped = self.fast_trip.as_mut().and_then(|rule| rule.tick(self.streak_us, canary, stable));
        if let Some(trip) = tripped {
            let finding = self.tripped(trip);
            self.found(finding, trip.limits.mode);
        }
    }

    /// A tick is over. What the calls counted since the last one is judged, with what is told once a tick.
    pub fn tick(&mut self, canary: &Detail, stable: &Detail) {
        let (canary_n, stable_n) = (std::mem::take(&mut self.canary), std::mem::take(&mut self.stable));
        if self.warm_up > 0 && canary_n.requests > 0 {
            self.warm_up -= 1;
        }
        let in_doubt = self.skip > 0;
        self.skip = self.skip.saturating_sub(1);
        // Of a canary in doubt nothing is believed, but stable is learned all the same.
        let believed = if in_doubt { Tally::default() } else { canary_n };
        let [more, fewer] = &mut self.stakes;
        self.errors.tick(believed, stable_n, more);
        self.proof.tick(believed, stable_n, fewer);
        let events = canary.events.iter().zip(&stable.events);
        for (bet, (canary_x, stable_x)) in self.events.iter_mut().zip(events) {
            let done = |all: Tally, events: &u64| Tally { unlucky: *events, ..all };
            bet.tick(done(believed, canary_x), done(stable_n, stable_x), fewer);
        }
        if self.judge.latency != Mode::Off {
            self.judge_latency(canary, stable, in_doubt);
        }
        self.look_at_odds();
        self.look_at_ceilings((canary_n, canary), (stable_n, stable));
        self.memory.learn(&stable.latency);
    }

    /// Worked out for whoever asks: nobody looks at most ticks of most canaries.
    pub fn verdict(&self) -> Verdict {
        self.finding
            .as_ref()
            .map_or_else(|| self.not_unhealthy(), |finding| Verdict::Unhealthy(finding.clone()))
    }

    /// Why the canary is unhealthy; `None`: it is not.
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    pub fn is_unhealthy(&self) -> bool {
        self.finding.is_some()
    }

    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    pub(super) fn errors(&self) -> &Bet {
        &self.errors
    }

    pub(super) fn proof(&self) -> &Bet {
        &self.proof
    }

    pub(super) fn percentiles(&self) -> &[Percentile] {
        if self.judge.latency == Mode::Off { &[] } else { &self.percentiles }
    }

    pub(super) fn events(&self) -> &[Bet] {
        &self.events
    }

    /// How often stable fails, as far as it is remembered. `None`: it had no requests yet.
    pub fn stable_rate(&self) -> Option<f64> {
        self.errors.remembered()
    }

    /// For how many more ticks nothing of the canary is believed.
    pub fn skips(&self) -> u32 {
        self.skip
    }

    /// What is slow at each percentile, where stable is known well enough.
    pub fn marks(&self) -> Vec<(f64, Mark)> {
        let marks = self.percentiles().iter();
        marks.filter_map(|percentile| Some((percentile.quantile, percentile.mark?))).collect()
    }

    /// The odds are such that nothing should rise.
    pub fn holds(&self) -> bool {
        self.odds() >= self.judge.hold_at
    }

    /// What signals that only watch have found since the last call, each once until the restart.
    pub fn take_noticed(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.unread)
    }

    /// The weight has gone down: for so many ticks requests that are still under way were sent by the old one.
    pub fn skip(&mut self, ticks: u32) {
        self.skip = self.skip.max(ticks);
    }

    /// A new release, a reset cord: capital, rules and verdict start anew; what is remembered of stable stays.
    pub fn restart(&mut self) {
        self.errors.restart();
        self.proof.restart();
        self.events.iter_mut().for_each(Bet::restart);
        self.percentiles.iter_mut().for_each(Percentile::restart);
        self.ceilings.iter_mut().for_each(Ceiling::restart);
        self.fast_trip.iter_mut().for_each(FastTrip::restart);
        self.canary = Tally::default();
        self.stable = Tally::default();
        self.skip = 0;
        self.warm_up = warm_up_ticks(&self.judge);
        self.finding = None;
        self.noticed.clear();
        self.unread.clear();
    }

    /// Other numbers hold from now on. Stable is remembered, and `Unhealthy` stays: a file does not acquit.
    /// Capital starts anew only where what is tolerated, or the tick, changed.
    pub fn reconfigure(&mut self, judge: &Judge) {
        if *judge == self.judge {
            return;
        }
        let memory_ticks = self.learning.memory_ticks;
        self.errors.set_terms(Terms::for_errors(judge));
        self.proof.set_terms(Terms::proof(judge));
        if judge.percentiles != self.judge.percentiles || Allowed::of(judge) != Allowed::of(&self.judge) {
            self.percentiles = percentiles(judge, memory_ticks);
        }
        self.percentiles.iter_mut().for_each(|percentile| percentile.set_terms(judge));
        if judge.events != self.judge.events {
            self.events = events(judge, memory_ticks);
        }
        for (bet, event) in self.events.iter_mut().zip(&judge.events) {
            bet.set_terms(Terms::for_events(judge, event.tolerate));
        }
        self.ceilings = ceilings(judge);
        self.fast_trip = judge.fast_trip.map(FastTrip::new);
        self.warm_up = self.warm_up.min(warm_up_ticks(judge));
        self.judge = judge.clone();
    }

    fn judge_latency(&mut self, canary: &Detail, stable: &Detail, in_doubt: bool) {
        let quantiles: &mut Vec<Option<usize>> = &mut Vec::with_capacity(self.percentiles.len());
        self.memory.marks(&self.judge.percentiles, quantiles);
        let nothing = Detail::default;
        let held_back = in_doubt.then(nothing);
        let canary = held_back.as_ref().unwrap_or(canary);
        let allowed = Allowed::of(&self.judge);
        for (percentile, mark) in self.percentiles.iter_mut().zip(quantiles) {
            let latencies = (&canary.latency, &stable.latency);
            percentile.tick(*mark, allowed, latencies, &mut self.stakes, self.warm_up == 0);
        }
    }

    fn look_at_odds(&mut self) {
        let abort_at = self.abort_at();
        if !self.is_unhealthy() && self.odds() >= abort_at {
            let leading = self.leading(Mode::Act);
            self.found(leading, Mode::Act);
        }
        for finding in self.watching() {
            self.found(finding, Mode::Watch);
        }
    }

    /// Every ceiling counts every tick, also when an earlier one objects.
    fn look_at_ceilings(&mut self, canary: (Tally, &Detail), stable: (Tally, &Detail)) {
        let mut over = Vec::new();
        let all = self.odds();
        for at in 0..self.ceilings.len() {
            let limits = self.ceilings[at].limits();
            let (mine, theirs) = self.tallies(limits.limit, canary, stable);
            let odds = match limits.limit {
                CeilingLimit::Errors(_) => all.max(self.errors.odds()),
                CeilingLimit::Latency { .. } => all.max(self.latency_odds()),
            };
            if let Some(window) = self.ceilings[at].tick(mine, theirs, odds) {
                over.push((limits, window));
            }
        }
        for (limits, window) in over {
            let signal = Signal::Ceiling { limits, hold_at: self.judge.hold_at };
            let finding = self.found_by(signal, window);
            self.found(finding, limits.mode);
        }
    }

    /// Of canary and stable, with what the limit is about as unlucky. Nothing where stable is not known well enough.
    fn tallies(
        &self,
        limit: CeilingLimit,
        canary: (Tally, &Detail),
        stable: (Tally, &Detail),
    ) -> (Tally, Tally) {
        let CeilingLimit::Latency { percentile, max } = limit else { return (canary.0, stable.0) };
        if self.warm_up > 0 {
            return Default::default();
        }
        let allowed = match max {
            LatencyMax::Absolute(max) => {
                let allowed = Allowed { factor: 0.0, slack_us: max.as_micros() as f64 };
                allowed.mark(0).map(|mark| (mark.canary, mark.canary))
            }
            LatencyMax::Relative(factor) => {
                let mut found = Vec::new();
                self.memory.marks(&[percentile], &mut found);
                let mark = found[0].and_then(|stable| Allowed { factor, slack_us: 0.0 }.mark(stable));
                mark.map(|mark| (mark.canary, mark.stable))
            }
        };
        let Some((canary_slow, stable_slow)) = allowed else { return Default::default() };
        (latency::tally(&canary.1.latency, canary_slow), latency::tally(&stable.1.latency, stable_slow))
    }

    /// The first finding that acts is the verdict; what is watched is told once.
    fn found(&mut self, finding: Finding, mode: Mode) {
        match mode {
            Mode::Off => {}
            Mode::Act if self.is_unhealthy() => {}
            Mode::Act => self.finding = Some(finding),
            Mode::Watch => {
                let key = finding.signal.key();
                if !self.noticed.contains(&key) {
                    self.noticed.push(key);
                    self.unread.push(finding);
                }
            }
        }
    }

    pub(super) fn abort_at(&self) -> f64 {
        1.0 / self.judge.false_alarm
    }

    pub(super) fn seconds(&self, window: Window) -> f64 {
        window.ticks as f64 * self.judge.tick.as_secs_f64()
    }

    pub(super) fn found_by(&self, signal: Signal, window: Window) -> Finding {
        let Window { canary, stable, .. } = window;
        Finding { signal, canary, stable, seconds: self.seconds(window), odds: self.odds() }
    }

    fn tripped(&self, trip: Trip) -> Finding {
        Finding {
            signal: Signal::FastTrip(trip),
            canary: Tally { requests: trip.failures, unlucky: trip.failures },
            stable: trip.stable,
            seconds: std::time::Duration::from_micros(trip.span_us).as_secs_f64(),
            odds: self.odds(),
        }
    }
}

fn percentiles(judge: &Judge, memory_ticks: f64) -> Vec<Percentile> {
    judge.percentiles.iter().map(|quantile| Percentile::new(*quantile, judge, memory_ticks)).collect()
}

fn events(judge: &Judge, memory_ticks: f64) -> Vec<Bet> {
    let terms = judge.events.iter().map(|event| Terms::for_events(judge, event.tolerate));
    terms.map(|terms| Bet::new(terms, memory_ticks)).collect()
}

fn ceilings(judge: &Judge) -> Vec<Ceiling> {
    let ceilings = judge.ceilings.iter().filter(|limits| limits.mode != Mode::Off);
    ceilings.map(|limits| Ceiling::new(*limits, judge.tick, judge.hold_at)).collect()
}

fn warm_up_ticks(judge: &Judge) -> u64 {
    u64::try_from(judge.warm_up.as_micros().div_ceil(judge.tick.as_micros().max(1))).unwrap_or(u64::MAX)
}

mod silence;
#[cfg(test)]
mod tests;
