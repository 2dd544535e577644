//! The bet: how sure it is that the canary's rate of unlucky requests exceeds what is tolerated, or stays below it.
//!
//! Seven small bets, "the canary is 1.5, 2, 3, 5, 10, 30, 100 times worse than tolerated", play each tick against
//! the coin that assigned the requests. Their mean capital is the odds against chance. Under the null it is a
//! supermartingale plus what is put down afresh, so it reaches 1000 with probability 1/1000 at most, however often
//! one looks and whatever the rate that both variants share does. The proofs assume that requests are assigned by
//! lot; why restart, clip and burst factor are needed stands in the [module documentation](super).
//!
//! # The other direction
//!
//! The same coin answers the opposite question ([`Side::Fewer`]): seven bets that the canary has 0.02 to 0.85 times as
//! many. With a stake below 0, `E[L] ≤ exp(|a| n_c (r p_s + δ − p_c))`, which is at most 1 as long as the canary has
//! `p_c ≥ r p_s + δ`. So it is evidence *against* "the canary is worse than r times stable and δ", which is a proof of
//! health, and, with r below 1 and no δ, evidence that the canary has fewer of something good, such as orders. What must
//! not be believed at once here is a clump on *stable*, so stable's events are clipped, at what is remembered of it.
//!
//! The arithmetic is fixed by golden vectors (`tests/vectors.json`): a change that moves one of them changes what
//! the odds promise. No baseline rate is estimated for the decision; what is remembered of stable only divides
//! or clips evidence, and can never make it larger than the counts say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::remembered::Remembered;
use super::window::{Tally, Window};
use crate::config::{self, Judge};

/// How many times worse than tolerated the canary might be: one bet for each.
pub const TIMES_WORSE: [f64; BETS] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
/// How many times as often as tolerated, where the question is whether it is less often.
pub const TIMES_FEWER: [f64; BETS] = [0.02, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85];
const BETS: usize = 7;

/// The span for which the false-alarm promise is made; capital of 1/2 is put down over each such span.
const HORIZON: Duration = Duration::from_secs(24 * 60 * 60);
/// Canary events that one tick may always show beyond expectation.
const SLOW_START: f64 = 1.0;

/// Keep the numbers finite: nothing is decided by them, since 1e300 is far beyond any odds asked for.
const LN_FACTOR_MAX: f64 = 600.0;
const CAPITAL_MAX: f64 = 1e300;
const ALLOWANCE_MAX: f64 = 1e9;
/// A proof that was made long ago must fall soon when the canary turns bad.
const PROOF_CAPITAL_MAX: f64 = 1e6;
const PROOF_CAPITAL: f64 = 1.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The canary has more than tolerated.
    More,
    Fewer,
}

/// What is played for. Terms must not depend on what was counted while they hold, or the promise is void.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    pub side: Side,
    /// Tolerated: canary rate <= `ratio` times stable's rate plus `extra`. On the side of fewer: >=.
    pub ratio: f64,
    pub extra: f64,
    /// At the start, and what is put down afresh each tick.
    pub capital: f64,
    pub restart: f64,
    pub capital_max: f64,
    pub slow_start: f64,
}

impl Terms {
    /// Each tick of `judge` puts down so much that it sums to 1/2 over the horizon.
    pub(super) fn watching(judge: &Judge, side: Side, ratio: f64, extra: f64) -> Self {
        let restart = 0.5 * (judge.tick.as_secs_f64() / HORIZON.as_secs_f64());
        let (capital_max, slow_start) = (CAPITAL_MAX, SLOW_START);
        Self { side, ratio, extra, capital: 0.5, restart, capital_max, slow_start }
    }

    pub fn for_errors(judge: &Judge) -> Self {
        Self::watching(judge, Side::More, judge.tolerate.errors, judge.tolerate.extra)
    }

    /// For requests slower than a mark: the mark tolerates already.
    pub fn for_latency(judge: &Judge) -> Self {
        Self::watching(judge, Side::More, 1.0, judge.tolerate.extra)
    }

    /// For something good of which stable may have `tolerate` times as much.
    pub fn for_events(judge: &Judge, tolerate: f64) -> Self {
        Self::watching(judge, Side::Fewer, 1.0 / tolerate, 0.0)
    }

    /// That the canary has fewer than what `proof` allows, of failures as of slow requests. Played once, from the start of
    /// the release: nothing is put down afresh.
    pub fn proof(judge: &Judge) -> Self {
        let config::Proof { errors: ratio, extra, .. } = judge.proof;
        let (capital_max, slow_start) = (PROOF_CAPITAL_MAX, SLOW_START);
        let capital = PROOF_CAPITAL;
        Self { side: Side::Fewer, ratio, extra, capital, restart: 0.0, capital_max, slow_start }
    }
}

/// Stakes and their logarithms for one `rho`: dear, and the same for all bets that are played over the same requests.
#[derive(Clone, Debug)]
pub struct Stakes {
    side: Side,
    rho: f64,
    stake: [f64; BETS],
    ln_canary: [f64; BETS],
    ln_stable: [f64; BETS],
}

impl Stakes {
    /// Worked out when they are first asked for: no share equals this one.
    pub fn new(side: Side) -> Self {
        Self { side, rho: f64::NAN, stake: [0.0; BETS], ln_canary: [0.0; BETS], ln_stable: [0.0; BETS] }
    }

    fn at(&mut self, rho: f64) -> &Self {
        if rho != self.rho {
            self.work_out(rho);
        }
        self
    }

    fn work_out(&mut self, rho: f64) {
        self.rho = rho;
        let times = match self.side {
            Side::More => TIMES_WORSE,
            Side::Fewer => TIMES_FEWER,
        };
        for (bet, times) in times.into_iter().enumerate() {
            let stake = (times - 1.0) / (1.0 + rho * times); // -1 < stake and rho * stake < 1: both logarithms exist
            self.stake[bet] = stake;
            self.ln_canary[bet] = stake.ln_1p();
            self.ln_stable[bet] = (-rho * stake).ln_1p();
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bet {
    terms: Terms,
    capital: [f64; BETS],
    /// Doubles while ticks exceed their limit, else returns to its start.
    allowance: f64,
    stable: Remembered,
    total: Window,
    run: Run,
}

impl Bet {
    pub fn new(terms: Terms, memory_ticks: f64) -> Self {
        Self {
            terms,
            capital: [terms.capital; BETS],
            allowance: terms.slow_start,
            stable: Remembered::new(memory_ticks),
            total: Window::default(),
            run: Run::new(),
        }
    }

    /// Capital starts anew; stable is not forgotten.
    pub fn restart(&mut self) {
        self.capital = [self.terms.capital; BETS];
        self.allowance = self.terms.slow_start;
        self.total = Window::default();
        self.run = Run::new();
    }

    /// A bet is played to its end under the terms on which it was laid: other terms start capital anew.
    pub fn set_terms(&mut self, terms: Terms) {
        if terms != self.terms {
            self.terms = terms;
            self.restart();
        }
    }

    /// What counts as unlucky has changed: two ticks beside each other no longer say how bursty stable is.
    pub fn forget_last_tick(&mut self) {
        self.stable.forget_last();
    }

    /// One tick. With `canary` empty only stable is learned. `stakes` are of the side of the terms.
    pub fn tick(&mut self, canary: Tally, stable: Tally, stakes: &mut Stakes) {
        let before = self.total;
        self.total.add_tick(canary, stable);
        // With one side empty there is nothing to compare: no evidence, and nothing put down either.
        if canary.requests > 0 && stable.requests > 0 {
            self.play(canary, stable, before, stakes);
        }
        self.stable.learn(stable);
    }

    /// The odds against chance.
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

    /// Stable's share of unlucky requests, as far as it is remembered. `None`: nothing is.
    pub(super) fn remembered(&self) -> Option<f64> {
        self.stable.is_known().then(|| self.stable.rate())
    }

    /// Everything since capital last started.
    pub fn total(&self) -> Window {
        self.total
    }

    fn play(&mut self, canary: Tally, stable: Tally, before: Window, stakes: &mut Stakes) {
        let Terms { side, ratio, extra, restart, capital_max, .. } = self.terms;
        let (canary_n, stable_n) = (canary.requests as f64, stable.requests as f64);
        let (mut canary_x, mut stable_x) = (canary.unlucky as f64, stable.unlucky as f64);
        let rho = ratio * canary_n / stable_n; // tolerated canary events for each stable event
        let burst = self.burst_factor(canary_n, stable_n);
        match side {
            Side::More => canary_x = self.clip(canary_x, rho * stable_x + extra * canary_n),
            Side::Fewer => stable_x = self.clip(stable_x, self.stable.rate() * stable_n),
        }
        let Stakes { stake, ln_canary, ln_stable, .. } = stakes.at(rho);
        for bet in 0..BETS {
            let ln_gain =
                canary_x * ln_canary[bet] + stable_x * ln_stable[bet] - extra * stake[bet] * canary_n;
            let gain = (ln_gain / burst).min(LN_FACTOR_MAX).exp();
            self.capital[bet] = (gain * (self.capital[bet] + restart)).min(capital_max);
            self.run.tick(bet, gain, before);
        }
    }

    /// Failures come in clumps. One tick shows at most expectation, two sigma and the allowance, so a blip counts
    /// about once; the allowance doubles while that is exceeded, so a lasting fault is believed within a few ticks.
    /// Counting fewer of what speaks for the bet can only lower the odds: valid however the limit is chosen.
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
    fn burst_factor(&self, canary_n: f64, stable_n: f64) -> f64 {
        let expected = match self.terms.side {
            Side::More => self.terms.ratio * self.stable.rate() * canary_n + self.terms.extra * canary_n,
            Side::Fewer => self.stable.rate() * stable_n,
        };
        self.stable.burstiness().min(1.0 + 2.0 * expected.sqrt()).max(1.0)
    }
}

/// At about how many canary requests, counted from the start, a proof of health would be made if canary and stable went on
/// in this proportion, both with the rate that they have together. `None`: never.
pub(super) fn requests_to_prove(allowed: config::Proof, canary: Tally, stable: Tally) -> Option<f64> {
    let both = Tally {
        requests: canary.requests.saturating_add(stable.requests),
        unlucky: canary.unlucky.saturating_add(stable.unlucky),
    };
    let config::Proof { odds, errors: ratio, extra } = allowed;
    let (rate, canary_n, stable_n) = (both.rate()?, canary.requests as f64, stable.requests as f64);
    if canary_n == 0.0 || stable_n == 0.0 {
        return None;
    }
    let mut stakes = Stakes::new(Side::Fewer);
    let Stakes { stake, ln_canary, ln_stable, .. } = stakes.at(ratio * canary_n / stable_n);
    let gain =
        |bet: usize| rate * ln_canary[bet] + rate * stable_n / canary_n * ln_stable[bet] - extra * stake[bet];
    let best = (0..BETS).map(gain).fold(f64::NEG_INFINITY, f64::max);
    let needed = (odds.ln() + (BETS as f64).ln() - PROOF_CAPITAL.ln()) / best;
    (best > 0.0 && needed.is_finite()).then_some(needed.max(1.0))
}

/// When the present run of evidence began, by a CUSUM for each bet. Decides nothing: it only lets the report
/// say "in the last 3 s" where the odds alone would say "some time since the release began".
#[derive(Clone, Debug, Serialize, Deserialize)]
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
