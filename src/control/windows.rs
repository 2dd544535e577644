//! What was seen of each variant in the last seconds, for people who look.
//!
//! Nothing is decided by these numbers, so they must be cheap and bounded, also with 10 000 routes:
//!
//! - requests and failures: a ring of one-second samples per slot. The window goes from the oldest to now, so it is ten to
//!   eleven seconds long, and what has just ended is in it. A slot has a ring from its first request on until nothing has
//!   moved in it for a window; all others are not looked at;
//! - latency: two copies of the slot's histogram, taken ten seconds apart in turn. The quantiles are those of
//!   everything since the older copy, that is of the last ten to twenty seconds, and are worked out only when
//!   somebody asks. A pair of copies is 12 KiB, so only [`LATENCY_SLOTS_MAX`] slots may have one, and have it from their
//!   first latency on: routes with canaries first, in the order of the file. A slot without shows no quantiles, never wrong ones.

use std::collections::HashMap;

use super::view::WindowView;
use crate::metrics::histogram::{BUCKETS, quantile};
use crate::metrics::{Shards, SlotId};

pub(super) const WINDOW_SECONDS: usize = 10;
pub(super) const SAMPLE_EVERY_US: u64 = 1_000_000;
pub(super) const LATENCY_SLOTS_MAX: usize = 1_024;

/// One more than seconds: a window is at least as long as the samples are apart.
const SAMPLES: usize = WINDOW_SECONDS + 1;
const LATENCY_COPY_EVERY_US: u64 = 10_000_000;

#[derive(Default)]
pub(super) struct Windows {
    /// Slots in which nothing moves: what each sample of them would be.
    still: HashMap<SlotId, Sample>,
    rings: HashMap<SlotId, [Sample; SAMPLES]>,
    latencies: HashMap<SlotId, Latency>,
    /// When the samples were taken, in the order of the rings.
    taken_us: [u64; SAMPLES],
    /// How many were taken, ever; the newest is at `(taken - 1) % SAMPLES`.
    taken: usize,
    copied_us: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sample {
    requests: u64,
    failures: u64,
}

struct Latency {
    /// `None`: there was none yet, so both would be empty.
    copies: Option<Box<Copies>>,
    /// Turns until both copies are what the histogram is.
    turns_due: u8,
}

struct Copies {
    older: [u64; BUCKETS],
    newer: [u64; BUCKETS],
}

impl Windows {
    /// Keeps the slots that are still of interest, and adds the new ones with an empty past. `slots` is in order of
    /// importance.
    pub(super) fn retarget(&mut self, slots: &[SlotId], shards: &Shards) {
        let old_still = std::mem::take(&mut self.still);
        let mut old = std::mem::take(&mut self.rings);
        let mut old_latencies = std::mem::take(&mut self.latencies);
        for slot in slots {
            match old.remove(slot) {
                Some(ring) => drop(self.rings.insert(*slot, ring)),
                None => {
                    let known = old_still.get(slot).copied();
                    self.still.insert(*slot, known.unwrap_or_else(|| Sample::read(*slot, shards)));
                }
            }
        }
        for slot in slots.iter().take(LATENCY_SLOTS_MAX) {
            let latency = old_latencies.remove(slot).unwrap_or_else(|| Latency::starting(*slot, shards));
            self.latencies.insert(*slot, latency);
        }
    }

    /// Something was counted in the slot.
    pub(super) fn stir(&mut self, slot: SlotId) {
        if let Some(known) = self.still.remove(&slot) {
            self.rings.insert(slot, [known; SAMPLES]);
        }
        if let Some(latency) = self.latencies.get_mut(&slot) {
            latency.turns_due = 2;
        }
    }

    /// Called on every tick; does something once a second.
    pub(super) fn tick(&mut self, now_us: u64, shards: &Shards) {
        let newest = self.taken.checked_sub(1).map(|newest| self.taken_us[newest % SAMPLES]);
        if newest.is_some_and(|newest| now_us < newest.saturating_add(SAMPLE_EVERY_US)) {
            return;
        }
        let place = self.taken % SAMPLES;
        let still = &mut self.still;
        self.rings.retain(|slot, ring| {
            ring[place] = Sample::read(*slot, shards);
            let moves = ring.iter().any(|sample| *sample != ring[place]);
            if !moves {
                still.insert(*slot, ring[place]);
            }
            moves
        });
        self.taken_us[place] = now_us;
        self.taken += 1;
        if now_us >= self.copied_us.saturating_add(LATENCY_COPY_EVERY_US) {
            self.copied_us = now_us;
            for (slot, latency) in &mut self.latencies {
                latency.turn(*slot, shards);
            }
        }
    }

    pub(super) fn view(&self, slot: SlotId, now_us: u64, shards: &Shards) -> WindowView {
        let totals = shards.totals(slot);
        let mut view = WindowView { in_flight: totals.in_flight(), ..WindowView::default() };
        let ring = self.rings.get(&slot).copied();
        let ring = ring.or_else(|| self.still.get(&slot).map(|known| [*known; SAMPLES]));
        if let (Some(ring), Some(newest)) = (ring, self.taken.checked_sub(1)) {
            let oldest = newest.saturating_sub(WINDOW_SECONDS) % SAMPLES;
            view.seconds = now_us.saturating_sub(self.taken_us[oldest]) as f64 / 1e6;
            view.requests = totals.finished.saturating_sub(ring[oldest].requests);
            view.failures = totals.failed.saturating_sub(ring[oldest].failures);
        }
        if let Some(latency) = self.latencies.get(&slot) {
            let counts = latency.since_older(slot, shards);
            view.p50_us = quantile(&counts[..], 0.50);
            view.p95_us = quantile(&counts[..], 0.95);
            view.p99_us = quantile(&counts[..], 0.99);
        }
        view
    }
}

impl Sample {
    fn read(slot: SlotId, shards: &Shards) -> Self {
        let totals = shards.totals(slot);
        Self { requests: totals.finished, failures: totals.failed }
    }
}

impl Latency {
    /// Nothing of what was counted until now is shown.
    fn starting(slot: SlotId, shards: &Shards) -> Self {
        let copies = shards.has_latency(slot).then(|| {
            let now = *histogram(slot, shards);
            Box::new(Copies { older: now, newer: now })
        });
        Self { copies, turns_due: 0 }
    }

    fn turn(&mut self, slot: SlotId, shards: &Shards) {
        if self.turns_due == 0 || (self.copies.is_none() && !shards.has_latency(slot)) {
            return;
        }
        self.turns_due -= 1;
        let empty = || Box::new(Copies { older: [0; BUCKETS], newer: [0; BUCKETS] });
        let Copies { older, newer } = &mut **self.copies.get_or_insert_with(empty);
        std::mem::swap(older, newer);
        newer.fill(0);
        shards.add_latency(slot, newer);
    }

    fn since_older(&self, slot: SlotId, shards: &Shards) -> Box<[u64; BUCKETS]> {
        let mut counts = histogram(slot, shards);
        if let Some(copies) = &self.copies {
            for (count, before) in counts.iter_mut().zip(&copies.older) {
                *count = count.saturating_sub(*before);
            }
        }
        counts
    }
}

fn histogram(slot: SlotId, shards: &Shards) -> Box<[u64; BUCKETS]> {
    let mut counts = Box::new([0; BUCKETS]);
    shards.add_latency(slot, &mut counts);
    counts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::control::rig::{Rig, shop};
    use crate::metrics::Outcome;

    #[tokio::test]
    async fn windows_hold_ten_seconds_and_what_came_since_the_last_sample() {
        let mut rig = Rig::new(shop("5%")).await;
        for _ in 0..12 {
            rig.all_is_well();
        }
        let window = rig.canary().window;
        assert_eq!((window.seconds, window.requests, window.failures), (10.9, 218, 0));
    }

    #[tokio::test]
    async fn what_has_just_ended_is_in_the_window() {
        let mut rig = Rig::new(shop("5%")).await;
        rig.tick();
        rig.serve("canary", 20, Outcome::Success);
        rig.pass(Duration::from_millis(50));
        let window = rig.canary().window;
        assert_eq!((window.seconds, window.requests), (0.05, 20));
        assert!((window.requests_per_second() - 400.0).abs() < 0.01, "{window:?}");
    }
}
