//! The lot keeps its promises: exact to a handful after any number of requests, and deaf to periodic traffic.

use proptest::prelude::*;

use super::*;
use crate::config::Weight;
use crate::config::units::WHOLE_PPM;
use crate::routing::split::Split;

/// No canary is ever further from its share than so many requests (for any n up to 50 000).
const OFF_MAX: f64 = 8.0;
const REQUESTS: usize = 50_000;

fn positions(seed: u64, count: usize) -> Vec<u32> {
    let mut generator = Generator::new(seed);
    let mut lot = Lot::new(generator.draw());
    (0..count).map(|_| lot.next(&mut generator)).collect()
}

/// The largest distance of any variant from its share, over all prefixes.
fn furthest_off(positions: &[u32], weights: &[Weight]) -> f64 {
    let split = Split::new(weights);
    let canaries: u32 = weights.iter().map(|weight| weight.ppm()).sum();
    let stable = f64::from(WHOLE_PPM - canaries) / f64::from(WHOLE_PPM);
    let shares: Vec<f64> = [stable].into_iter().chain(weights.iter().map(|weight| weight.ratio())).collect();
    let mut counts = vec![0.0; shares.len()];
    let mut furthest: f64 = 0.0;
    for (n, position) in positions.iter().enumerate() {
        counts[split.variant_at(*position)] += 1.0;
        for (count, share) in counts.iter().zip(&shares) {
            furthest = furthest.max((count - (n + 1) as f64 * share).abs());
        }
    }
    furthest
}

fn weights(ppm: &[u32]) -> Vec<Weight> {
    ppm.iter().map(|ppm| Weight::from_ppm(*ppm).unwrap()).collect()
}

#[test]
fn after_any_number_of_requests_the_split_is_off_by_a_handful() {
    for (seed, ppm) in (0..).zip([
        &[1][..],
        &[2_500],
        &[10_000],
        &[50_000],
        &[123_457],
        &[381_966],
        &[500_000],
        &[990_000],
        &[50_000, 250_000],
        &[500_000, 499_999],
        &[100_000, 200_000, 300_000],
        &[62_500; 16],
    ]) {
        let off = furthest_off(&positions(seed, REQUESTS), &weights(ppm));
        assert!(off <= OFF_MAX, "{ppm:?}: off by {off}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_seed_and_any_two_weights_are_off_by_a_handful(seed: u64, low in 0..=WHOLE_PPM, share in 0..=100u32) {
        let high = (WHOLE_PPM - low) / 100 * share;
        let off = furthest_off(&positions(seed, REQUESTS), &weights(&[low, high]));
        prop_assert!(off <= OFF_MAX, "{low} {high}: off by {off}");
    }
}

#[test]
fn each_deck_holds_exactly_the_points_of_the_golden_sequence() {
    let mut generator = Generator::new(3);
    let mut lot = Lot::new(42);
    for deck in 0..100 {
        let mut dealt: Vec<u32> = (0..DECK).map(|_| lot.next(&mut generator)).collect();
        let point = |k: u64| GOLDEN.wrapping_mul(k).wrapping_add(42);
        let first = deck * u64::from(DECK);
        let mut golden: Vec<u32> =
            (first..first + u64::from(DECK)).map(|k| split::position_ppm(point(k))).collect();
        dealt.sort_unstable();
        golden.sort_unstable();
        assert_eq!(dealt, golden);
    }
}

/// Every period from 2 to 400 (all Fibonacci and Lucas numbers among them), 1 500 turns each.
#[test]
fn periodic_traffic_meets_the_canary_with_its_share_and_without_long_runs() {
    const TURNS: usize = 1_500;
    let positions = positions(11, 400 * TURNS);
    for ppm in [10_000, 50_000, 250_000, 500_000] {
        let share = f64::from(ppm) / f64::from(WHOLE_PPM);
        // A fair coin has a run this long in one of a million such series.
        let run_max = (1e6 * TURNS as f64).ln() / -share.ln();
        for period in 2..=400 {
            let turns = || positions.iter().step_by(period).take(TURNS).map(|position| *position < ppm);
            let hits = turns().filter(|hit| *hit).count() as f64;
            let mean = TURNS as f64 * share;
            let sigma = (mean * (1.0 - share)).sqrt();
            assert!((hits - mean).abs() <= 5.0 * sigma, "{ppm} ppm, period {period}: {hits} of {mean}");
            let run = longest_run(turns()) as f64;
            assert!(run <= run_max, "{ppm} ppm, period {period}: {run} in a row");
        }
    }
}

#[test]
fn the_golden_sequence_alone_would_resonate() {
    let plain = (0..1_500u64).map(|turn| split::position_ppm(GOLDEN.wrapping_mul(turn * 377)));
    assert!(longest_run(plain.map(|position| position < 500_000)) > 400);
}

fn longest_run(hits: impl Iterator<Item = bool>) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for hit in hits {
        run = if hit { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}
