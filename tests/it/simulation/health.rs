//! Proofs of health, and events: something good of which a bad canary leads to less.
//!
//! A canary exactly at what a proof allows is called healthy with probability 1/odds at most, whenever one looks; so
//! is one that is worse. How many requests a good canary needs is the price of that.

use andon::config::Judge;

use super::model::chance::at_least;
use super::model::play::median;
use super::model::proofs::{orders, requests_to_health};
use super::model::worlds::{Traffic, USUAL, World, clumps, independent};

const LEVEL: f64 = 0.001;

fn is_rarely_healthy(runs: u64, seconds: u64, world: impl Fn() -> World) {
    let healthy = (0..runs).filter(|seed| requests_to_health(world(), seconds, *seed).is_some()).count();
    let share = 1.0 / Judge::default().proof.odds;
    assert!(at_least(healthy as u64, runs, share) >= LEVEL, "{healthy} of {runs}");
}

#[test]
fn a_canary_at_the_limit_is_rarely_called_healthy() {
    for good in [0.0, 0.001, 0.02] {
        is_rarely_healthy(400, 300, || independent(USUAL, [1.5 * good + 0.005, good]));
    }
    let half = Traffic { per_s: 200.0, weight: 0.5 };
    is_rarely_healthy(400, 300, || independent(half, [0.0065, 0.001]));
}

/// Failures of both hardly matter, since the limit rises with stable's.
#[test]
fn a_good_canary_is_called_healthy_after_about_1000_to_2000_requests() {
    for rate in [0.0, 0.001, 0.01] {
        for weight in [0.01, 0.05, 0.25] {
            let world = || independent(Traffic { per_s: 1_000.0, weight }, [rate; 2]);
            let needed = (0..101).map(|seed| requests_to_health(world(), 3_000, seed));
            let needed = needed.map(|needed| needed.map_or(f64::INFINITY, |needed| needed as f64));
            let needed = median(needed.collect());
            assert!((500.0..=3_000.0).contains(&needed), "{needed} requests at {rate}, weight {weight}");
        }
    }
}

#[test]
fn as_few_orders_as_tolerated_keep_the_promise() {
    for rates in [[0.03; 2], [0.024, 0.03]] {
        let tops: Vec<f64> = (0..300).map(|seed| orders(independent(USUAL, rates), 400, seed).top).collect();
        for odds in [2.0, 5.0, 20.0, 1_000.0] {
            let reached = tops.iter().filter(|top| **top >= odds).count() as u64;
            assert!(
                at_least(reached, 300, 0.51 / odds) >= LEVEL,
                "{reached} of 300 reached {odds}:1 at {rates:?}"
            );
        }
    }
    // Orders come in clumps too: somebody buys ten times in a minute.
    assert!((0..100).all(|seed| orders(clumps(USUAL, 0.03, 4.0), 600, seed).unhealthy_s.is_none()));
}

#[test]
fn a_canary_with_half_the_orders_is_found() {
    for (weight, most_s) in [(0.05, 240.0), (0.25, 60.0)] {
        let world = || independent(Traffic { weight, ..USUAL }, [0.015, 0.03]);
        let found = (0..41).map(|seed| orders(world(), 3_000, seed).unhealthy_s.unwrap_or(f64::INFINITY));
        let found_s = median(found.collect());
        assert!(found_s <= most_s, "{found_s} s at weight {weight}");
    }
}
