//! Budgets of what is sent a second time, so that retries and rescues cannot make an outage worse.
//!
//! A budget is a bucket of tokens of one worker, one (route, variant) and one kind. It fills by a share of the
//! requests that the worker began meanwhile, and a little with time, so that rare requests may be retried too. Nothing
//! is counted for it on the way of an ordinary request: the worker's own counters are looked at when a token is
//! wanted.
//!
//! A retry uses its token up. A rescue gets it back when stable answers well: then stable only did what it would have
//! done without a canary. So what a rescue budget bounds is the rescues in vain, as in an outage of both.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::Weight;
use crate::metrics::SlotId;

/// What retries may save up.
const RETRIES_SAVED_MAX: f64 = 10.0;
/// As many rescues may wait for stable at the same time, beyond what traffic brings in.
const RESCUES_SAVED_MAX: f64 = 100.0;
pub(super) const RESCUES_PER_SECOND: u16 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Retry,
    Rescue,
}

impl Kind {
    fn saved_max(self) -> f64 {
        match self {
            Self::Retry => RETRIES_SAVED_MAX,
            Self::Rescue => RESCUES_SAVED_MAX,
        }
    }
}

/// What fills a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Income {
    pub(super) share: Weight,
    pub(super) per_second: u16,
    /// Requests begun, ever.
    pub(super) live: u64,
    pub(super) now: Instant,
}

/// At most two buckets for each slot.
#[derive(Default)]
pub(super) struct Budgets(RefCell<HashMap<(SlotId, Kind), Bucket>>);

struct Bucket {
    tokens: f64,
    live: u64,
    at: Instant,
}

impl Budgets {
    /// Takes a token if there is one.
    pub(super) fn take(&self, slot: SlotId, kind: Kind, income: Income) -> bool {
        let mut buckets = self.0.borrow_mut();
        let full = || Bucket { tokens: kind.saved_max(), live: income.live, at: income.now };
        let bucket = buckets.entry((slot, kind)).or_insert_with(full);
        bucket.fill(kind, income);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    pub(super) fn give_back(&self, slot: SlotId, kind: Kind) {
        if let Some(bucket) = self.0.borrow_mut().get_mut(&(slot, kind)) {
            bucket.tokens = (bucket.tokens + 1.0).min(kind.saved_max());
        }
    }
}

impl Bucket {
    fn fill(&mut self, kind: Kind, income: Income) {
        let requests = income.live.saturating_sub(self.live) as f64;
        let passed = income.now.saturating_duration_since(self.at).as_secs_f64();
        let filled = requests * income.share.ratio() + passed * f64::from(income.per_second);
        self.tokens = (self.tokens + filled).min(kind.saved_max());
        self.live = income.live;
        self.at = income.now;
    }
}

/// Full jitter: anything from nothing to `longest`, so that those who failed together do not come back together.
pub(super) fn pause(longest: Duration, random: u64) -> Duration {
    longest.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    fn income(live: u64, now: Instant, per_second: u16) -> Income {
        Income { share: Weight::parse("20%").unwrap(), per_second, live, now }
    }

    fn granted(budgets: &Budgets, kind: Kind, income: Income, asked: usize) -> usize {
        (0..asked).filter(|_| budgets.take(SlotId::from_index(0), kind, income)).count()
    }

    #[test]
    fn in_an_outage_retries_are_a_fifth_of_the_requests() {
        let (budgets, start) = (Budgets::default(), clock::now());
        let saved = granted(&budgets, Kind::Retry, income(0, start, 0), 1_000);
        assert_eq!(saved, 10);
        let retries: usize =
            (1..=1_000).map(|live| granted(&budgets, Kind::Retry, income(live, start, 0), 1)).sum();
        assert!((199..=200).contains(&retries), "{retries}");
    }

    #[test]
    fn without_traffic_time_brings_a_few() {
        let (budgets, start) = (Budgets::default(), clock::now());
        granted(&budgets, Kind::Retry, income(0, start, 3), 1_000);
        let later = start + Duration::from_secs(1);
        assert_eq!(granted(&budgets, Kind::Retry, income(0, later, 3), 1_000), 3);
        let much_later = later + Duration::from_secs(3_600);
        assert_eq!(granted(&budgets, Kind::Retry, income(0, much_later, 3), 1_000), 10);
    }

    #[test]
    fn a_rescue_that_worked_costs_nothing() {
        let (budgets, start) = (Budgets::default(), clock::now());
        for _ in 0..1_000 {
            assert_eq!(granted(&budgets, Kind::Rescue, income(0, start, 0), 1), 1);
            budgets.give_back(SlotId::from_index(0), Kind::Rescue);
        }
        assert_eq!(granted(&budgets, Kind::Rescue, income(0, start, 0), 1_000), 100);
    }

    #[test]
    fn kinds_do_not_share_a_budget() {
        let (budgets, start) = (Budgets::default(), clock::now());
        granted(&budgets, Kind::Retry, income(0, start, 0), 1_000);
        assert_eq!(granted(&budgets, Kind::Rescue, income(0, start, 0), 1), 1);
    }

    #[test]
    fn a_pause_is_never_longer_than_asked() {
        let longest = Duration::from_millis(25);
        assert_eq!(pause(longest, 0), Duration::ZERO);
        assert!(pause(longest, u64::MAX) <= longest && pause(longest, u64::MAX) > longest.mul_f64(0.99));
    }
}
