//! Permits: how many users may see a canary fail, and how many requests an upstream has at a time.
//!
//! Both are counts that all workers share, one atomic each, and only where the configuration asks for them. A
//! decision comes with what it took ([`Holds`]); the holder gives it back by dropping it, so a request that is
//! cancelled, or a task that panics, gives it back as well.
//!
//! The harm budget is a promise, not an estimate: a request takes its permit before it goes to the canary and
//! keeps it for ever if it did harm, so at no moment can requests that did harm and requests that still may be
//! more than the budget, whatever the workers do at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const EPOCH_ONE: u64 = 1 << (2 * COUNT_BITS);
const HARMED_ONE: u64 = 1 << COUNT_BITS;

/// The permits of one canary, for the life of the process.
///
/// One word: which budget this is (16 bits), how many permits did harm, how many are out or did harm (24 bits each;
/// a budget is at most a million).
#[derive(Debug, Default)]
pub struct Permits(AtomicU64);

impl Permits {
    /// How many permits of the budget in force did harm.
    pub fn harmed(&self) -> u32 {
        count(self.0.load(Ordering::Acquire) >> COUNT_BITS)
    }

    /// How many are out or did harm.
    pub fn used(&self) -> u32 {
        count(self.0.load(Ordering::Acquire))
    }

    /// A fresh budget. What requests of the one before still do is counted nowhere.
    pub fn renew(&self) {
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            Some((word & !(EPOCH_ONE - 1)).wrapping_add(EPOCH_ONE))
        });
    }

    fn take(&self, max: u32) -> Option<u64> {
        let took = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            (count(word) < max).then_some(word + 1)
        });
        took.ok().map(epoch)
    }

    fn end(&self, taken: u64, did_harm: bool) {
        // An error means that the budget was renewed meanwhile: this permit is of no account any more.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            (epoch(word) == taken).then(|| if did_harm { word + HARMED_ONE } else { word - 1 })
        });
    }
}

fn epoch(word: u64) -> u64 {
    word >> (2 * COUNT_BITS)
}

fn count(word: u64) -> u32 {
    (word & COUNT_MASK) as u32
}

/// A canary's harm budget as the configuration has it.
#[derive(Clone, Debug)]
pub struct HarmBudget {
    pub permits: Arc<Permits>,
    pub max: u32,
}

impl HarmBudget {
    /// `None`: no more harm may be risked.
    pub(super) fn take(&self) -> Option<Permit> {
        let epoch = self.permits.take(self.max)?;
        Some(Permit { permits: Arc::clone(&self.permits), epoch, did_harm: false })
    }
}

/// May do harm once. Dropped, it did none.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    permits: Arc<Permits>,
    epoch: u64,
    did_harm: bool,
}

impl Permit {
    /// A user saw it: the permit is gone for good.
    pub fn did_harm(mut self) {
        self.did_harm = true;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.end(self.epoch, self.did_harm);
    }
}

/// The most requests that an upstream may have at a time.
#[derive(Clone, Debug)]
pub struct Limit {
    pub(super) in_flight: Arc<AtomicU32>,
    pub(super) max: u32,
}

impl Limit {
    /// `None`: the upstream has as many as it may.
    pub fn take(&self) -> Option<Seat> {
        let enter = |now: u32| (now < self.max).then_some(now + 1);
        self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter).ok()?;
        Some(Seat(Arc::clone(&self.in_flight)))
    }
}

/// One request in flight to an upstream with a [`Limit`].
#[derive(Debug)]
#[must_use]
pub struct Seat(Arc<AtomicU32>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a decision took, and what its request may have to take. All `None` for an ordinary request.
#[derive(Debug, Default)]
pub struct Holds {
    pub permit: Option<Permit>,
    /// Of the upstream that was decided for.
    pub limit: Option<Limit>,
    /// Of stable's, where it may come to the rescue.
    pub fallback_limit: Option<Limit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(max: u32) -> HarmBudget {
        HarmBudget { permits: Arc::default(), max }
    }

    #[test]
    fn a_permit_that_did_no_harm_can_be_had_again() {
        let budget = budget(1);
        for _ in 0..3 {
            let permit = budget.take().unwrap();
            assert!(budget.take().is_none());
            drop(permit);
        }
        budget.take().unwrap().did_harm();
        assert!(budget.take().is_none());
        assert_eq!((budget.permits.harmed(), budget.permits.used()), (1, 1));
    }

    #[test]
    fn a_fresh_budget_owes_nothing_to_the_one_before() {
        let budget = budget(2);
        let (late_harm, late_success) = (budget.take().unwrap(), budget.take().unwrap());
        budget.permits.renew();
        late_harm.did_harm();
        drop(late_success);
        assert_eq!((budget.permits.harmed(), budget.permits.used()), (0, 0));
        let _two = [budget.take().unwrap(), budget.take().unwrap()];
        assert!(budget.take().is_none());
    }

    #[test]
    fn the_counts_do_not_run_into_each_other() {
        let budget = budget(1_000_000);
        for _ in 0..1_000_000 {
            budget.take().unwrap().did_harm();
        }
        assert!(budget.take().is_none());
        assert_eq!((budget.permits.harmed(), budget.permits.used()), (1_000_000, 1_000_000));
        budget.permits.renew();
        assert_eq!((budget.permits.harmed(), budget.permits.used()), (0, 0));
    }

    #[test]
    fn eight_threads_together_never_do_more_harm_than_allowed() {
        for round in 0..50 {
            let budget = budget(25);
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let budget = &budget;
                    scope.spawn(move || {
                        for request in 0..200 {
                            if let Some(permit) = budget.take()
                                && (request + thread + round) % 3 != 0
                            {
                                permit.did_harm();
                            }
                        }
                    });
                }
            });
            assert_eq!((budget.permits.harmed(), budget.permits.used()), (25, 25));
        }
    }

    #[test]
    fn seats_are_taken_up_to_the_limit_and_given_back() {
        let limit = Limit { in_flight: Arc::default(), max: 2 };
        let (one, _two) = (limit.take().unwrap(), limit.take().unwrap());
        assert!(limit.take().is_none());
        drop(one);
        assert!(limit.take().is_some());
    }
}
