//! Whether the split is what the weights say, and whether what was split is also seen.
//!
//! All that the immune system concludes rests on the lot: a canary of 5% gets one request in twenty, whichever they are.
//! Two things are looked at, so that this is measured and not believed.
//!
//! **Lots.** How many requests the lot gave to a canary, against what its weight said at that very time ([`Ratio`]). Eight
//! small bets, that the canary's odds of getting a request are 0.1 to 10 times what they should be, play against the
//! weight. If the split is as it should be, each bet's capital is a martingale whatever the weights do, so their mean reaches
//! 10 000 by chance once in 10 000 days at most; and since the lots are drawn more evenly than by coins, more seldom than
//! that. A little is put down afresh all the time, as for the other bets ([`super::evidence`]), so a fault that begins
//! late is found as well.
//!
//! **Evidence.** How many of a variant's requests ended without saying anything of it, since the client left first
//! ([`Unjudged`]). A canary so slow that its clients leave has few failures and good latencies, of those that stayed. The
//! same bet as on errors finds that it loses more of them than stable does.
//!
//! Neither is an argument against a canary by itself, so nothing acts on them: they say that something does not add up.

use super::evidence::{Bet, Side, Stakes, Terms};
use super::remembered::MEMORY_TICKS;
use super::window::{Tally, Window};
use crate::config::Judge;

/// Of chance alone, once in so many days.
pub const MISMATCH_ODDS: f64 = 10_000.0;

/// How many times the odds of getting a request might be what they should be: one bet for each.
const TIMES: [f64; BETS] = [0.1, 0.5, 0.8, 0.95, 1.05, 1.25, 2.0, 10.0];
const BETS: usize = 8;
const CAPITAL_AT_START: f64 = 0.5;
const CAPITAL_MAX: f64 = 1e300;
const LN_GAIN_MAX: f64 = 600.0;
const DAY_US: f64 = 86_400e6;

/// What may differ before lost requests count: a canary may be a little slower than stable, see `tolerate`.
const LOST_RATIO: f64 = 1.5;
const LOST_EXTRA: f64 = 0.005;

/// Of one canary.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    capital: [f64; BETS],
    requests: u64,
    reached: u64,
    expected: f64,
    /// Once it is found it stays.
    found: bool,
}

impl Default for Ratio {
    fn default() -> Self {
        Self { capital: [CAPITAL_AT_START; BETS], requests: 0, reached: 0, expected: 0.0, found: false }
    }
}

impl Ratio {
    /// In `step_us` lots were drawn for so many requests of the route, `reached` of them fell on the canary, and its weight
    /// was `weight` (0 to 1) all the time.
    pub fn add(&mut self, step_us: u64, requests: u64, reached: u64, weight: f64) {
        if requests == 0 {
            return;
        }
        let (n, x) = (requests as f64, reached.min(requests) as f64);
        let fresh = CAPITAL_AT_START * step_us as f64 / DAY_US;
        for (capital, times) in self.capital.iter_mut().zip(TIMES) {
            // Odds of `times` the weight's: a chance of times·w / (1 − w + times·w), and what it gains against w.
            let ln_gain = x * times.ln() - n * (weight * (times - 1.0)).ln_1p();
            *capital = (ln_gain.min(LN_GAIN_MAX).exp() * (*capital + fresh)).min(CAPITAL_MAX);
        }
        self.requests = self.requests.saturating_add(requests);
        self.reached = self.reached.saturating_add(reached);
        self.expected += n * weight;
        self.found |= self.odds() >= MISMATCH_ODDS;
    }

    /// Against chance.
    pub fn odds(&self) -> f64 {
        self.capital.iter().sum::<f64>() / BETS as f64
    }

    pub fn is_mismatch(&self) -> bool {
        self.found
    }

    /// For which lots were drawn.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// That should have reached it.
    pub fn expected(&self) -> f64 {
        self.expected
    }
}

/// Of one canary beside stable.
#[derive(Clone, Debug)]
pub struct Unjudged {
    bet: Bet,
    stakes: Stakes,
    found: bool,
}

impl Unjudged {
    pub fn new(judge: &Judge) -> Self {
        let bet = Bet::new(Terms::watching(judge, Side::More, LOST_RATIO, LOST_EXTRA), MEMORY_TICKS);
        Self { bet, stakes: Stakes::new(Side::More), found: false }
    }

    /// One tick: requests by lot that ended, and as unlucky those that ended without evidence.
    pub fn tick(&mut self, canary: Tally, stable: Tally) {
        self.bet.tick(canary, stable, &mut self.stakes);
        self.found |= self.bet.odds() >= MISMATCH_ODDS;
    }

    /// So many ticks in which nothing ended.
    pub fn pass(&mut self, ticks: u64) {
        (0..ticks).for_each(|_| self.tick(Tally::default(), Tally::default()));
    }

    /// Of its canary.
    pub fn restart(&mut self) {
        self.bet.restart();
        self.found = false;
    }

    pub fn is_mismatch(&self) -> bool {
        self.found
    }

    /// Since the start.
    pub fn total(&self) -> Window {
        self.bet.total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK_US: u64 = 100_000;

    /// A linear congruential generator: its high bits are good enough for coins.
    struct Random(u64);

    impl Random {
        /// From 0 to below 1.
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// A coin that is off by so much, a thousand requests a second.
    fn flip(ratio: &mut Ratio, random: &mut Random, looks: u32, (weight, truth): (f64, f64)) {
        for _ in 0..looks {
            let reached = (0..100).filter(|_| random.next() < truth).count() as u64;
            ratio.add(LOOK_US, 100, reached, weight);
        }
    }

    #[test]
    fn a_fair_coin_is_believed_however_often_one_looks_and_however_the_weight_moves() {
        let mut worst: f64 = 0.0;
        for seed in 0..60 {
            let (mut ratio, mut random) = (Ratio::default(), Random(seed));
            for weight in [0.0, 0.001, 0.01, 0.05, 0.5, 0.2, 1.0, 0.9, 0.0] {
                flip(&mut ratio, &mut random, 200, (weight, weight));
                worst = worst.max(ratio.odds());
            }
            assert!(!ratio.is_mismatch(), "seed {seed}");
        }
        assert!(worst < 1_000.0, "{worst}");
    }

    #[test]
    fn a_split_that_is_off_is_found_also_late() {
        for (weight, truth, looks_max) in
            [(0.05, 0.055, 1_500), (0.05, 0.045, 1_500), (0.05, 0.10, 60), (0.5, 0.55, 60), (0.01, 0.0, 60)]
        {
            let (mut ratio, mut random) = (Ratio::default(), Random(7));
            flip(&mut ratio, &mut random, 5_000, (weight, weight));
            let found = (0..looks_max).find(|_| {
                flip(&mut ratio, &mut random, 1, (weight, truth));
                ratio.is_mismatch()
            });
            assert!(found.is_some(), "{truth} instead of {weight}: {:e}", ratio.odds());
        }
    }

    #[test]
    fn what_cannot_be_is_found_at_once() {
        let mut nothing_expected = Ratio::default();
        nothing_expected.add(LOOK_US, 100, 6, 0.0);
        assert!(nothing_expected.is_mismatch());
        let mut all_expected = Ratio::default();
        all_expected.add(LOOK_US, 100, 94, 1.0);
        assert!(all_expected.is_mismatch());
        let mut as_it_should_be = Ratio::default();
        for _ in 0..100_000 {
            as_it_should_be.add(LOOK_US, 100, 0, 0.0);
            as_it_should_be.add(LOOK_US, 0, 0, 0.5);
        }
        assert!(!as_it_should_be.is_mismatch() && as_it_should_be.odds() < 1.0, "{}", as_it_should_be.odds());
    }

    #[test]
    fn a_lost_part_is_found_where_only_the_canary_loses_it() {
        let judge = Judge::default();
        let (mut alike, mut worse) = (Unjudged::new(&judge), Unjudged::new(&judge));
        for _ in 0..60 {
            let stable = Tally { requests: 950, unlucky: 19 };
            alike.tick(Tally { requests: 50, unlucky: 1 }, stable);
            worse.tick(Tally { requests: 50, unlucky: 10 }, stable);
        }
        assert!(!alike.is_mismatch() && worse.is_mismatch());
        worse.restart();
        assert!(!worse.is_mismatch());
    }
}
