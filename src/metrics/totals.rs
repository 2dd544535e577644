//! The sum over all workers. Reading never disturbs a writer.

use std::sync::Arc;

use super::admin::AdminCounters;
use super::endpoints::EndpointTotals;
use super::histogram::BUCKETS;
use super::shard::{Counter, Shard, SlotCounters};
use super::{Blame, Outcome, SlotId};

/// The shards of all workers; cheap to clone.
#[derive(Clone, Debug)]
pub struct Shards {
    workers: Arc<[Arc<Shard>]>,
    access_log: Arc<LogCounters>,
    spans: Arc<SpanCounters>,
    admin: Arc<AdminCounters>,
}

/// What the thread of the access log counts.
#[derive(Debug, Default)]
pub struct LogCounters {
    pub written: Counter,
    /// Lines that it could not write; the shards count those that did not reach it.
    pub dropped: Counter,
}

/// What the thread that exports spans counts.
#[derive(Debug, Default)]
pub struct SpanCounters {
    pub exported: Counter,
    /// Spans that no collector took; the shards count those that did not reach it.
    pub dropped: Counter,
}

/// Cumulative sums of one (route, variant). Differences of two of these are a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotTotals {
    pub started: u64,
    pub finished: u64,
    /// Ended with upstream blame, however assigned.
    pub failed: u64,
    /// Assigned by lot and ended with an outcome that is evidence.
    pub judged: u64,
    pub judged_failed: u64,
    pub judged_connect_errors: u64,
    /// Microseconds since the process started; 0 if never.
    pub last_start_us: u64,
    pub last_failure_us: u64,
}

impl SlotTotals {
    pub fn in_flight(&self) -> u64 {
        self.started.saturating_sub(self.finished)
    }
}

impl Shards {
    pub fn new(workers: usize) -> Self {
        let workers = (0..workers).map(|_| Arc::new(Shard::default())).collect();
        Self { workers, access_log: Arc::default(), spans: Arc::default(), admin: Arc::default() }
    }

    /// The shard that worker `index` alone writes.
    pub fn worker(&self, index: usize) -> Arc<Shard> {
        Arc::clone(&self.workers[index])
    }

    pub fn access_log(&self) -> &Arc<LogCounters> {
        &self.access_log
    }

    pub fn spans(&self) -> &Arc<SpanCounters> {
        &self.spans
    }

    pub fn admin(&self) -> &Arc<AdminCounters> {
        &self.admin
    }

    pub fn totals(&self, slot: SlotId) -> SlotTotals {
        let mut sum = SlotTotals::default();
        for counters in self.slots(slot) {
            add(&mut sum, counters);
        }
        sum
    }

    /// Adds the fine latency histogram of the slot's judged successes to `counts`.
    pub fn add_latency(&self, slot: SlotId, counts: &mut [u64; BUCKETS]) {
        for fine in self.workers.iter().filter_map(|shard| shard.peek(slot)?.judged.latency_counts()) {
            for (sum, counter) in counts.iter_mut().zip(fine) {
                *sum += counter.get();
            }
        }
    }

    /// Some worker has counted a latency of the slot.
    pub fn has_latency(&self, slot: SlotId) -> bool {
        self.slots(slot).any(|counters| counters.judged.latency_counts().is_some())
    }

    pub(super) fn workers(&self) -> &[Arc<Shard>] {
        &self.workers
    }

    /// The counters of every worker that has ever served the slot's chunk.
    pub(super) fn slots(&self, slot: SlotId) -> impl Iterator<Item = &SlotCounters> {
        self.workers.iter().filter_map(move |shard| shard.peek(slot))
    }

    /// Any counter of a slot, summed.
    pub fn sum(&self, slot: SlotId, counter: impl Fn(&SlotCounters) -> &Counter) -> u64 {
        self.slots(slot).map(|counters| counter(counters).get()).sum()
    }

    /// `index` is that of the endpoint's id.
    pub fn endpoint(&self, index: usize) -> EndpointTotals {
        let mut sum = EndpointTotals::default();
        self.workers.iter().filter_map(|shard| shard.endpoints.peek(index)).for_each(|one| sum.add(one));
        sum
    }

    /// The workers that have not answered this beat of the watchdog.
    pub fn silent(&self, beat: u64) -> Vec<usize> {
        let silent = self.workers.iter().enumerate().filter(|(_, shard)| shard.pulse.get() < beat);
        silent.map(|(index, _)| index).collect()
    }

    /// Any counter of the workers themselves, summed.
    pub fn sum_workers(&self, counter: impl Fn(&Shard) -> &Counter) -> u64 {
        self.workers.iter().map(|shard| counter(shard).get()).sum()
    }
}

/// Parts are read before their wholes: see `shard`.
fn add(sum: &mut SlotTotals, counters: &SlotCounters) {
    sum.judged_connect_errors += counters.judged.connect_errors.get();
    sum.judged_failed += counters.judged.failed.get();
    sum.judged += counters.judged.requests.get();
    for outcome in Outcome::ALL {
        let count = counters.outcomes[outcome as usize].get();
        sum.finished += count;
        if outcome.blame() == Blame::Upstream {
            sum.failed += count;
        }
    }
    sum.started += counters.started.get();
    sum.last_start_us = sum.last_start_us.max(counters.last_start_us.get());
    sum.last_failure_us = sum.last_failure_us.max(counters.last_failure_us.get());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::judged::Evidence;
    use crate::metrics::shard::Finish;

    #[test]
    fn totals_add_up_over_workers() {
        let shards = Shards::new(2);
        let slot = SlotId::from_index(5);
        for (index, outcome) in [(0, Outcome::Success), (1, Outcome::Reset)] {
            let shard = shards.worker(index);
            shard.slot(slot).start(10 + index as u64);
            shard.slot(slot).finish(&Finish {
                outcome,
                code: 200,
                duration_us: 1,
                evidence: Evidence::of(outcome, Some(1)),
                now_us: 50,
            });
        }
        shards.worker(0).slot(slot).start(99);
        let totals = shards.totals(slot);
        assert_eq!((totals.started, totals.finished, totals.in_flight()), (3, 2, 1));
        assert_eq!((totals.failed, totals.judged, totals.judged_failed), (1, 2, 1));
        assert_eq!((totals.last_start_us, totals.last_failure_us), (99, 50));
        assert_eq!(shards.totals(SlotId::from_index(4)), SlotTotals::default());
    }
}
