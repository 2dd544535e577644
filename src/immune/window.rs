//! What was counted: of one variant, and of canary and stable side by side.
//!
//! Everything that the immune system knows of traffic is sums of these, so threads and replicas merge by adding.
//! Sums stop at the largest number instead of wrapping. Nothing here knows what a count proves.

use serde::{Deserialize, Serialize};

use crate::config::Event;
use crate::metrics::histogram::Histogram;

/// What happened since the last call. Only requests assigned by lot, only first attempts: a tester's override
/// says nothing about chance, and a retry on stable would hide a request that poisons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub requests: u64,
    /// Ended with upstream blame, connect errors included.
    pub failed: u64,
    pub connect_errors: u64,
}

impl Counts {
    /// Counters that are read one after another while requests finish may be off by one against each other.
    /// What cannot be is trimmed here, once, so that no rate exceeds 1 further in.
    pub(super) fn possible(self) -> Self {
        let failed = self.failed.min(self.requests);
        Self { requests: self.requests, failed, connect_errors: self.connect_errors.min(failed) }
    }

    pub fn tally(self) -> Tally {
        Tally { requests: self.requests, unlucky: self.failed }
    }
}

/// What one tick brought of a variant beside its [`Counts`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// To the head of the answer, of the judged successes.
    pub latency: Histogram,
    /// In the order of the configuration.
    pub events: [u64; Event::EVENTS_MAX],
}

impl Detail {
    pub fn add(&mut self, more: &Self) {
        self.latency.merge(&more.latency);
        for (sum, more) in self.events.iter_mut().zip(&more.events) {
            *sum = sum.saturating_add(*more);
        }
    }

    pub fn clear(&mut self) {
        self.latency.clear();
        self.events = [0; Event::EVENTS_MAX];
    }
}

/// Requests of one variant, and how many of them were unlucky: here, failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub requests: u64,
    pub unlucky: u64,
}

impl Tally {
    /// `None`: no requests, no rate.
    pub fn rate(self) -> Option<f64> {
        (self.requests > 0).then(|| self.unlucky as f64 / self.requests as f64)
    }

    pub fn add(&mut self, more: Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.unlucky = self.unlucky.saturating_add(more.unlucky);
    }

    fn minus(self, before: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            unlucky: self.unlucky.saturating_sub(before.unlucky),
        }
    }
}

/// A stretch of ticks, both variants in the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub ticks: u64,
    pub canary: Tally,
    pub stable: Tally,
}

impl Window {
    pub(super) fn add_tick(&mut self, canary: Tally, stable: Tally) {
        self.ticks = self.ticks.saturating_add(1);
        self.canary.add(canary);
        self.stable.add(stable);
    }

    /// What came after `before`, which was this window at an earlier time.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            ticks: self.ticks.saturating_sub(before.ticks),
            canary: self.canary.minus(before.canary),
            stable: self.stable.minus(before.stable),
        }
    }
}
