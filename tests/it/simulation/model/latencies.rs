//! How long successes take: a table to draw from, so that a request costs one draw.

use andon::immune::{Detail, Guard, Signal, Verdict};
use andon::metrics::histogram::{Histogram, bucket_of};

use super::chance::Chance;
use super::play::{Both, Calls, Play, counts};
use super::table::as_studied;
use super::worlds::USUAL;

const TABLE: usize = 1 << 17;
/// Of the p99, 202 ms, beside a p50 of 50 ms: lognormal.
const SPREAD: f64 = 0.600;
const P50_US: f64 = 50_000.0;
const P95_US: f64 = 134_200.0;
const P99_US: f64 = 202_000.0;

/// What a canary does to the time that a request would take on stable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Slower {
    Not,
    Times(f64),
    /// What lies beyond p95 is stretched so that p99 doubles.
    TailTwice,
    /// One request in a hundred takes a second longer.
    SecondOnOnePercent,
}

/// Buckets, one for each of many equally likely requests.
pub(crate) struct Latencies(Vec<usize>);

impl Latencies {
    pub(crate) fn new(slower: Slower) -> Self {
        let mut chance = Chance::new(1);
        let draw = |at| {
            let us = P50_US * (SPREAD * chance.normal()).exp();
            bucket_of(slower.of(us, at))
        };
        Self((0..TABLE).map(draw).collect())
    }

    pub(crate) fn fill(&self, histogram: &mut Histogram, requests: u64, chance: &mut Chance) {
        histogram.clear();
        for _ in 0..requests {
            let at = chance.one_of(TABLE);
            histogram.add(self.0[at], 1);
        }
    }
}

impl Slower {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "microseconds: positive, and small"
    )]
    fn of(self, us: f64, at: usize) -> u64 {
        let us = match self {
            Self::Not => us,
            Self::Times(factor) => factor * us,
            Self::TailTwice if us <= P95_US => us,
            Self::TailTwice => P95_US + (us - P95_US) * (2.0 * P99_US - P95_US) / (P99_US - P95_US),
            Self::SecondOnOnePercent if at.is_multiple_of(100) => us + 1e6,
            Self::SecondOnOnePercent => us,
        };
        us as u64
    }
}

/// The successes of one second.
pub(crate) fn second(
    details: &mut (Detail, Detail),
    [canary, stable]: [(&Latencies, u64); 2],
    chance: &mut Chance,
) {
    canary.0.fill(&mut details.0.latency, canary.1, chance);
    stable.0.fill(&mut details.1.latency, stable.1, chance);
}

/// Of the study: seconds from the start, seconds after good hours, and the mark that found it.
pub(crate) const SLOWER: [(Slower, f64, f64, &str); 4] = [
    (Slower::TailTwice, 24.0, 48.0, "0.999"),
    (Slower::Times(1.5), 26.0, 46.0, "0.9"),
    (Slower::Times(2.0), 5.0, 9.0, "0.9"),
    (Slower::SecondOnOnePercent, 25.0, 44.0, "0.999"),
];

/// A guard after ten minutes of stable alone, and then some of a canary that is as fast.
pub(crate) fn as_fast(stable: &Latencies, good_s: u64, seed: u64) -> Guard {
    let mut play = Play::new(&as_studied());
    let mut chance = Chance::new(seed);
    for second in 0..600 + good_s {
        let unhealthy = step(&mut play, [stable; 2], &mut chance, second >= 600);
        assert!(!unhealthy, "a canary as fast as stable was aborted, seed {seed}");
    }
    play.guard
}

/// And by which mark.
pub(crate) fn seconds_to_slow(guard: &Guard, latencies: [&Latencies; 2], seed: u64) -> (f64, Option<String>) {
    let mut play = Play::with(guard.clone());
    let mut chance = Chance::new(seed);
    let found = (1..1_000).find(|_| step(&mut play, latencies, &mut chance, true));
    let mark = match play.guard.verdict() {
        Verdict::Unhealthy(found) => match &found.signal {
            Signal::Latency { quantile, .. } => Some(quantile.to_string()),
            _ => None,
        },
        _ => None,
    };
    (found.map_or(f64::INFINITY, f64::from), mark)
}

fn step(play: &mut Play, latencies: [&Latencies; 2], chance: &mut Chance, with_canary: bool) -> bool {
    let [mine, theirs] = USUAL.arrivals(chance, 1.0);
    let mine = if with_canary { mine } else { 0 };
    second(&mut play.details, [(latencies[0], mine), (latencies[1], theirs)], chance);
    let both = Both { canary: counts(mine, 0), stable: counts(theirs, 0) };
    play.step(both, Calls::Once).is_unhealthy()
}
