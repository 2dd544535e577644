//! The bet: how sure it is that the canary's rate of unlucky requests exceeds what is tolerated.
//!
//! Seven small bets, "the canary is 1.5, 2, 3, 5, 10, 30, 100 times worse than tolerated", play each tick against
//! the coin that assigned the requests. Their mean capital is the odds against chance. Under the null it is a
//! supermartingale plus what is put down afresh, so it reaches 1000 with probability 1/1000 at most, however often
//! one looks and whatever the rate that both variants share does. The proofs assume that requests are assigned by
//! lot; why restart, clip and burst factor are needed stands in the [module documentation](super).
//!
//! The arithmetic is fixed by golden vectors (`tests/vectors.json`): a change that moves one of them changes what
//! the odds promise. No baseline rate is estimated for the decision; what is remembered of stable only divides
//! evidence, and can never make it larger than the counts say.

use std::time::Duration;

use super::window::{Tally, Window};
use crate::config::Guard;

/// How many times worse than tolerated the canary might be: one bet for each.
pub const TIMES_WORSE: [f64; BETS] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
const BETS: usize = 7;

/// The span for which the false-alarm promise is made; capital of 1/2 is put down over each such span.
const HORIZON: Duration = Duration::from_secs(24 * 60 * 60);
/// Half-life of what is remembered of stable.
const MEMORY_TICKS: f64 = 300.0;
/// Canary events that one tick may always show beyond expectation.
const SLOW_START: f64 = 1.0;

/// The burst factor starts as if this many ticks had shown no more than chance.
const PRIOR_TICKS: f64 = 60.0;
/// No single tick of stable says more than this about burstiness, or one incident would blind the guard for long.
const Z2_MAX: f64 = 50.0;

/// Keep the numbers finite: nothing is decided by them, since 1e300 is far beyond any odds asked for.
const LN_FACTOR_MAX: f64 = 600.0;
const CAPITAL_MAX: f64 = 1e300;
const ALLOWANCE_MAX: f64 = 1e9;

/// What is played for. Terms must not depend on what was counted while they hold, or the promise is void.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Tolerated: canary rate <= `ratio` times stable's rate plus `extra`.
    pub ratio: f64,
    pub extra: f64,
    /// Capital put down afresh each tick.
    pub restart: f64,
    pub slow_start: f64,
    pub memory_ticks: f64,
}

impl Terms {
    pub fn for_errors(config: &Guard) -> Self {
        Self {
            ratio: config.tolerate.errors,
            extra: config.tolerate.extra,
            restart: 0.5 * (config.tick.as_secs_f64() / HORIZON.as_secs_f64()),
            slow_start: SLOW_START,
            memory_ticks: MEMORY_TICKS,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Bet {
    terms: Terms,
    capital: [f64; BETS],
    /// Doubles while ticks exceed their limit, else returns to its start.
    allowance: f64,
    memory: Memory,
    total: Window,
    run: Run,
}

impl Bet {
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            capital: [0.5; BETS],
            allowance: terms.slow_start,
            memory: Memory::new(terms.memory_ticks),
            total: Window::default(),
            run: Run::new(),
        }
    }

    /// Capital starts anew; stable is not forgotten.
    pub fn restart(&mut self) {
        *self = Self { memory: self.memory, ..Self::new(self.terms) };
    }

    /// A bet is played to its end under the terms on which it was laid: other terms start capital anew.
    pub fn set_terms(&mut self, terms: Terms) {
        if terms != self.terms {
            self.terms = terms;
            self.restart();
        }
    }

    /// One tick. With `canary` empty only stable is learned.
    pub fn tick(&mut self, canary: Tally, stable: Tally) {
        let before = self.total;
        self.total.add_tick(canary, stable);
        // With one side empty there is nothing to compare: no evidence, and nothing put down either.
        if canary.requests > 0 && stable.requests > 0 {
            self.play(canary, stable, before);
        }
        self.memory.learn(stable);
    }

    /// The odds against chance that the canary is worse than tolerated.
    pub fn odds(&self) -> f64 {
        self.capital.iter().sum::<f64>() / BETS as f64
    }

    /// Since the leading bet's evidence began to build. For the report only.
    pub fn run(&self) -> Window {
        let mut leading = 0;
        for bet in 1..BETS {
            if self.capital[bet] > self.capital[leading] {
                leading = bet;
            }
        }
        self.total.since(self.run.began[leading])
    }

    /// Everything since capital last started.
    pub fn total(&self) -> Window {
        self.total
    }

    fn play(&mut self, canary: Tally, stable: Tally, before: Window) {
        let Terms { ratio, extra, restart, .. } = self.terms;
        let (canary_n, stable_n) = (canary.requests as f64, stable.requests as f64);
        let stable_x = stable.unlucky as f64;
        let rho = ratio * canary_n / stable_n; // tolerated canary events for each stable event
        let seen = self.clip(canary.unlucky as f64, rho * stable_x + extra * canary_n);
        let burst = self.burst_factor(canary_n);
        for (bet, times) in TIMES_WORSE.into_iter().enumerate() {
            let stake = (times - 1.0) / (1.0 + rho * times); // rho * stake < 1, so the logarithm exists
            let ln_gain = seen * stake.ln_1p() + stable_x * (-rho * stake).ln_1p() - extra * stake * canary_n;
            let gain = (ln_gain / burst).min(LN_FACTOR_MAX).exp();
            self.capital[bet] = (gain * (self.capital[bet] + restart)).min(CAPITAL_MAX);
            self.run.tick(bet, gain, before);
        }
    }

    /// Failures come in clumps. One tick shows at most expectation, two sigma and the allowance, so a blip counts
    /// about once; the allowance doubles while that is exceeded, so a lasting fault is believed within a few ticks.
    /// Counting fewer canary events can only lower the odds: valid however the limit is chosen.
    fn clip(&mut self, events: f64, expected: f64) -> f64 {
        let limit = expected + 2.0 * expected.sqrt() + self.allowance;
        if events <= limit {
            self.allowance = self.terms.slow_start;
            return events;
        }
        self.allowance = (self.allowance * 2.0).min(ALLOWANCE_MAX);
        limit
    }

    /// How much burstier than chance stable's own counts are, but not more than what clipping lets through.
    fn burst_factor(&self, canary_n: f64) -> f64 {
        let expected = self.terms.ratio * self.memory.rate() * canary_n + self.terms.extra * canary_n;
        self.memory.burstiness().min(1.0 + 2.0 * expected.sqrt()).max(1.0)
    }
}

/// What is remembered of stable, decayed: requests, events, and how they vary from one tick to the next.
#[derive(Clone, Copy, Debug)]
struct Memory {
    decay: f64,
    requests: f64,
    events: f64,
    /// Sum of squared z-scores of a tick against the tick before it, and how many there were.
    z2: f64,
    ticks: f64,
    last: Option<Tally>,
}

impl Memory {
    fn new(half_life_ticks: f64) -> Self {
        Self {
            decay: 0.5_f64.powf(1.0 / half_life_ticks),
            requests: 0.0,
            events: 0.0,
            z2: PRIOR_TICKS,
            ticks: PRIOR_TICKS,
            last: None,
        }
    }

    fn learn(&mut self, stable: Tally) {
        self.requests = self.requests * self.decay + stable.requests as f64;
        self.events = self.events * self.decay + stable.unlucky as f64;
        if let Some(z2) = self.last.and_then(|last| z_squared(last, stable)) {
            self.z2 = self.z2 * self.decay + z2.min(Z2_MAX);
            self.ticks = self.ticks * self.decay + 1.0;
        }
        self.last = Some(stable);
    }

    fn rate(&self) -> f64 {
        if self.requests > 0.0 { self.events / self.requests } else { 0.0 }
    }

    fn burstiness(&self) -> f64 {
        self.z2 / self.ticks
    }
}

/// Which of two neighbouring ticks an event fell in is a coin too, with the share of requests as its bias.
fn z_squared(last: Tally, now: Tally) -> Option<f64> {
    let (before_n, now_n) = (last.requests as f64, now.requests as f64);
    let both = last.unlucky as f64 + now.unlucky as f64;
    if both == 0.0 || before_n == 0.0 || now_n == 0.0 {
        return None;
    }
    // Both shares are computed: 1 - share would round to 0 beside a huge tick, and 0/0 is not a number.
    let (share, other_share) = (now_n / (now_n + before_n), before_n / (now_n + before_n));
    let off = now.unlucky as f64 - both * share;
    Some(off * off / (both * share * other_share))
}

/// When the present run of evidence began, by a CUSUM for each bet. Decides nothing: it only lets the report
/// say "in the last 3 s" where the odds alone would say "some time since the release began".
#[derive(Clone, Debug)]
struct Run {
    cusum: [f64; BETS],
    /// The bet's total when the run began.
    began: [Window; BETS],
}

impl Run {
    fn new() -> Self {
        Self { cusum: [1.0; BETS], began: [Window::default(); BETS] }
    }

    fn tick(&mut self, bet: usize, gain: f64, before: Window) {
        if self.cusum[bet] <= 1.0 {
            self.began[bet] = before;
            self.cusum[bet] = 1.0;
        }
        self.cusum[bet] = (gain * self.cusum[bet]).min(CAPITAL_MAX);
    }
}

#[cfg(test)]
mod tests;
