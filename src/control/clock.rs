//! The one place of the control plane that reads a clock.
//!
//! Two times, and they are never mixed: microseconds since the process started (monotonic, the time that the
//! shards stamp, used to measure) and milliseconds since the Unix epoch (used in the record only). A wall clock
//! that jumps can thus make a record look odd, but never changes what is decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::{ContextV7, Timestamp, Uuid};

use crate::store::record::DecisionId;

/// When a decision is made, and the name it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub id: DecisionId,
    pub at_ms: i64,
}

#[derive(Debug)]
pub struct Clock {
    source: Source,
    ids: ContextV7,
}

#[derive(Debug)]
enum Source {
    System { process_start: Instant },
    Manual { now_us: Arc<AtomicU64>, start_unix_ms: i64 },
}

/// Now, as the origin of all times in microseconds: read once, by the wiring.
#[expect(clippy::disallowed_methods, reason = "the control plane's one reading of the clock")]
pub fn process_start() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the control plane's one reading of the date")]
pub fn unix_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

impl Clock {
    /// `process_start` must be the instant from which the workers count too.
    pub fn new(process_start: Instant) -> Self {
        Self { source: Source::System { process_start }, ids: ContextV7::new() }
    }

    /// Stands still until `now_us` is moved: for tests and simulations.
    pub fn manual(now_us: Arc<AtomicU64>, start_unix_ms: i64) -> Self {
        Self { source: Source::Manual { now_us, start_unix_ms }, ids: ContextV7::new() }
    }

    /// Since the process started.
    pub fn now_us(&self) -> u64 {
        match &self.source {
            Source::System { process_start } => {
                #[expect(clippy::disallowed_methods, reason = "the control plane's one reading of the clock")]
                let elapsed = Instant::now().saturating_duration_since(*process_start);
                u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
            }
            Source::Manual { now_us, .. } => now_us.load(Ordering::Relaxed),
        }
    }

    pub fn unix_ms(&self) -> i64 {
        match &self.source {
            Source::System { .. } => unix_ms(),
            Source::Manual { now_us, start_unix_ms } => {
                let past_ms = now_us.load(Ordering::Relaxed) / 1_000;
                start_unix_ms.saturating_add_unsigned(past_ms)
            }
        }
    }

    /// A new one each time; ids made later sort later, within a millisecond too.
    pub fn stamp(&self) -> Stamp {
        let at_ms = self.unix_ms();
        let ms = at_ms.unsigned_abs();
        let nanos = u32::try_from(ms % 1_000 * 1_000_000).unwrap_or(0);
        let id = Uuid::new_v7(Timestamp::from_unix(&self.ids, ms / 1_000, nanos));
        Stamp { id: id.to_string().into(), at_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_millisecond_sort_as_they_were_made() {
        let clock = Clock::manual(Arc::new(AtomicU64::new(0)), 1_700_000_000_000);
        let ids: Vec<_> = (0..1_000).map(|_| clock.stamp().id).collect();
        assert!(ids.is_sorted());
        assert_eq!(clock.stamp().at_ms, 1_700_000_000_000);
    }
}
