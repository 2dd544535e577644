//! What a load saw, as the JSON that `loadtest/load.py` reads.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longer than every timeout here, so that nothing is cut off.
const LATENCY_US_MAX: u64 = 120_000_000;
/// Where the latency curve is read.
const CURVE: [f64; 16] =
    [0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.75, 99.9, 99.95, 99.975, 99.99, 99.995, 100.0];

pub struct Figures {
    latency: Histogram<u64>,
    /// How late this program itself was: from the intended moment until it had the request in hand.
    late: Histogram<u64>,
    failures: BTreeMap<String, u64>,
}

impl Figures {
    pub fn new() -> Self {
        let histogram = || Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are sound");
        Self { latency: histogram(), late: histogram(), failures: BTreeMap::new() }
    }

    pub fn answered(&mut self, latency: Duration) {
        self.latency.saturating_record(microseconds(latency));
    }

    pub fn was_late(&mut self, by: Duration) {
        self.late.saturating_record(microseconds(by));
    }

    pub fn failed(&mut self, why: String) {
        *self.failures.entry(why).or_default() += 1;
    }

    pub fn to_json(&self, took: Duration) -> Value {
        let failed: u64 = self.failures.values().sum();
        let at = |percentile: f64| self.latency.value_at_percentile(percentile) as f64 / 1000.0;
        let curve: Vec<_> = CURVE.iter().map(|percentile| json!([percentile, at(*percentile)])).collect();
        json!({
            "requests": self.latency.len(),
            "failed": failed,
            "failures": self.failures,
            "seconds": took.as_secs_f64(),
            "p50_ms": at(50.0),
            "p99_ms": at(99.0),
            "p999_ms": at(99.9),
            "max_ms": at(100.0),
            "late_p99_ms": self.late.value_at_percentile(99.0) as f64 / 1000.0,
            "curve": curve,
        })
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}
