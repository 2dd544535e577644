//! Good and bad canaries, played with seeded chance: what is promised of false alarms and of delay.

use super::tests::{Play, counts};
use crate::config::Judge;

#[test]
fn stable_failing_alike_is_never_blamed() {
    let mut chance = SplitMix(1);
    let mut play = Play::new(&Judge { latency: crate::config::Mode::Off, ..Judge::default() });
    for _ in 0..6_000 {
        let (canary, stable) = (chance.binomial(5, 0.5), chance.binomial(95, 0.5));
        assert!(!play.call(counts(5, canary), counts(95, stable)).is_unhealthy());
    }
}

#[test]
fn a_good_canary_is_left_alone() {
    const RUNS: u64 = 200;
    for seed in 0..RUNS {
        let mut chance = SplitMix(seed);
        let mut play = Play::new(&Judge { latency: crate::config::Mode::Off, ..Judge::default() });
        for _ in 0..3_600 {
            let (canary, stable) = (chance.binomial(50, 0.001), chance.binomial(950, 0.001));
            play.second(counts(50, canary), counts(950, stable));
        }
        let verdict = play.guard.verdict();
        assert!(!verdict.is_unhealthy(), "seed {seed}: {}", verdict.sentence());
    }
}

#[test]
fn a_canary_failing_5_percent_beside_a_tenth_of_a_percent_is_found_in_seconds() {
    let mut ticks: Vec<u64> = (0..201)
        .map(|seed| {
            let mut chance = SplitMix(seed);
            let mut play = Play::new(&Judge { latency: crate::config::Mode::Off, ..Judge::default() });
            (1..=600)
                .find(|_| {
                    let (canary, stable) = (chance.binomial(50, 0.05), chance.binomial(950, 0.001));
                    play.second(counts(50, canary), counts(950, stable)).is_unhealthy()
                })
                .unwrap()
        })
        .collect();
    ticks.sort_unstable();
    assert!(ticks[100] <= 6, "median of {} ticks", ticks[100]);
}

/// Sebastiano Vigna's splitmix64: small, seeded, the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }

    /// How many of `trials` succeed, by jumping from one success to the next.
    fn binomial(&mut self, trials: u64, chance: f64) -> u64 {
        let (mut successes, mut at) = (0, 0.0);
        loop {
            at += (self.unit().ln() / (-chance).ln_1p()).floor() + 1.0;
            if at > trials as f64 {
                return successes;
            }
            successes += 1;
        }
    }
}
