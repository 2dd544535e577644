//! Good and bad canaries, played with seeded chance: what is promised of false alarms and of delay.

use super::super::chance::SplitMix;
use super::tests::{Play, counts};
use crate::config::Judge;

#[test]
fn stable_failing_alike_is_never_blamed() {
    let mut chance = SplitMix::numbered(0, 1);
    let mut play = Play::new(&Judge { latency: crate::config::Mode::Off, ..Judge::default() });
    for _ in 0..6_000 {
        let (canary, stable) = (binomial(&mut chance, 5, 0.5), binomial(&mut chance, 95, 0.5));
        assert!(!play.call(counts(5, canary), counts(95, stable)).is_unhealthy());
    }
}

#[test]
fn a_good_canary_is_left_alone() {
    const RUNS: u64 = 200;
    for seed in 0..RUNS {
        let mut chance = SplitMix::numbered(0, seed);
        let mut play = Play::new(&Judge { latency: crate::config::Mode::Off, ..Judge::default() });
        for _ in 0..3_600 {
            let (canary, stable) = (binomial(&mut chance, 50, 0.001), binomial(&mut chance, 950, 0.001));
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
            let mut chance = SplitMix::numbered(0, seed);
            let mut play = Play::new(&Judge { latency: crate::config::Mode::Off, ..Judge::default() });
            (1..=600)
                .find(|_| {
                    let (canary, stable) =
                        (binomial(&mut chance, 50, 0.05), binomial(&mut chance, 950, 0.001));
                    play.second(counts(50, canary), counts(950, stable)).is_unhealthy()
                })
                .unwrap()
        })
        .collect();
    ticks.sort_unstable();
    assert!(ticks[100] <= 6, "median of {} ticks", ticks[100]);
}

/// How many of `trials` succeed, by jumping from one success to the next.
fn binomial(chance: &mut SplitMix, trials: u64, share: f64) -> u64 {
    let (mut successes, mut at) = (0, 0.0);
    loop {
        at += (chance.unit().ln() / (-share).ln_1p()).floor() + 1.0;
        if at > trials as f64 {
            return successes;
        }
        successes += 1;
    }
}
