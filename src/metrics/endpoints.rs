//! What one worker counts of one endpoint: enough to see that it fails, and nothing that is exported by itself.
//!
//! Chunks are made on first use. An endpoint beyond [`ENDPOINTS_MAX`] in the life of one process is not counted, so
//! it is never ejected for its failures; health checks still see it.

use std::sync::OnceLock;

use super::shard::Counter;

pub const ENDPOINTS_MAX: usize = 1 << 20;
const CHUNK: usize = 64;
const CHUNKS_MAX: usize = ENDPOINTS_MAX / CHUNK;

#[derive(Debug, Default)]
pub struct EndpointCounters {
    pub good: Counter,
    pub failed: Counter,
    /// Failures since the last good one.
    pub row: Counter,
}

impl EndpointCounters {
    pub fn good(&self) {
        self.row.set(0);
        self.good.add(1);
    }

    pub fn failed(&self) {
        self.row.add(1);
        self.failed.add(1);
    }
}

/// Of one worker.
#[derive(Debug)]
pub struct Endpoints {
    chunks: Box<[OnceLock<Box<[EndpointCounters]>>]>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self { chunks: (0..CHUNKS_MAX).map(|_| OnceLock::new()).collect() }
    }
}

impl Endpoints {
    /// `None` beyond [`ENDPOINTS_MAX`].
    pub fn at(&self, index: usize) -> Option<&EndpointCounters> {
        let chunk = self.chunks.get(index / CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| EndpointCounters::default()).collect());
        chunk.get(index % CHUNK)
    }

    /// For readers: `None` if this worker never used the endpoint's chunk.
    pub fn peek(&self, index: usize) -> Option<&EndpointCounters> {
        self.chunks.get(index / CHUNK)?.get()?.get(index % CHUNK)
    }
}

/// Of all workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointTotals {
    pub good: u64,
    pub failed: u64,
    /// The longest row that a worker has just now.
    pub row_max: u64,
}

impl EndpointTotals {
    pub(super) fn add(&mut self, counters: &EndpointCounters) {
        self.row_max = self.row_max.max(counters.row.get());
        self.failed += counters.failed.get();
        self.good += counters.good.get();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Shards;

    #[test]
    fn a_good_answer_ends_a_row_and_workers_are_added_up() {
        let shards = Shards::new(2);
        let (one, other) = (shards.worker(0), shards.worker(1));
        for _ in 0..3 {
            one.endpoints.at(70).unwrap().failed();
        }
        other.endpoints.at(70).unwrap().failed();
        other.endpoints.at(70).unwrap().good();
        let totals = shards.endpoint(70);
        assert_eq!(totals, EndpointTotals { good: 1, failed: 4, row_max: 3 });
        one.endpoints.at(70).unwrap().good();
        assert_eq!(shards.endpoint(70).row_max, 0);
        assert_eq!(shards.endpoint(7), EndpointTotals::default());
    }

    #[test]
    fn the_last_one_is_counted_and_the_next_one_is_not() {
        let endpoints = Endpoints::default();
        assert!(endpoints.at(ENDPOINTS_MAX - 1).is_some());
        assert!(endpoints.at(ENDPOINTS_MAX).is_none() && endpoints.peek(usize::MAX).is_none());
    }
}
