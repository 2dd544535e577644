//! The evidence: what one worker counts of one (route, variant) for the immune system alone.
//!
//! Only requests assigned by lot, only first attempts, only outcomes that are the upstream's doing or nobody's, and no answer
//! that a rule of the operator's calls none. Whoever counts here has made sure of that; here it is only counted. An event is
//! counted with the request that led to it or not at all, so that there are never more of them than requests. As everywhere in a shard the worker is the only writer, and a
//! part is written after its whole: a reader that reads parts first never sees more failures than requests.

use std::sync::{Arc, OnceLock};

use super::histogram::{BUCKETS, Histogram, bucket_of};
use super::shard::Counter;
use super::totals::Shards;
use super::users::{Sampled, User, Users};
use super::{Blame, Outcome, SlotId};
use crate::config::Event;

#[derive(Debug, Default)]
pub struct Judged {
    pub requests: Counter,
    pub failed: Counter,
    pub connect_errors: Counter,
    /// In the order of the configuration.
    pub events: [Counter; Event::EVENTS_MAX],
    latency: OnceLock<Box<[Counter; BUCKETS]>>,
    /// Of the route, where users are the unit.
    users: OnceLock<Arc<Users>>,
    sampled: OnceLock<Box<Sampled>>,
}

/// How a request ended, as far as it is evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// `head_us`: how long the head of the answer took.
    Success {
        head_us: Option<u64>,
    },
    Failure,
    /// No connection came about.
    ConnectError,
}

impl Evidence {
    /// `None`: it was the client's doing, or ours, and says nothing of the variant.
    pub fn of(outcome: Outcome, head_us: Option<u64>) -> Option<Self> {
        match outcome.blame() {
            Blame::Nobody => Some(Self::Success { head_us }),
            Blame::Upstream if outcome.is_connect_error() => Some(Self::ConnectError),
            Blame::Upstream => Some(Self::Failure),
            Blame::Downstream | Blame::Andon => None,
        }
    }
}

impl Judged {
    /// What of this counts, where users are the unit: see [`super::users`].
    pub fn admit(&self, user: Option<User>, evidence: Evidence, now_us: u64) -> Option<Evidence> {
        let (Some(user), Some(users)) = (user, self.users.get()) else { return Some(evidence) };
        if users.has_left(user) {
            return None;
        }
        match evidence {
            Evidence::Success { .. } if !users.asks(user) => None,
            Evidence::Success { head_us } => {
                let is_sample = || self.sampled.get_or_init(Box::default).takes(user, now_us);
                Some(Evidence::Success { head_us: head_us.filter(|_| is_sample()) })
            }
            Evidence::Failure | Evidence::ConnectError => users.leave(user).then_some(evidence),
        }
    }

    pub fn count(&self, evidence: Evidence) {
        self.requests.add(1);
        match evidence {
            Evidence::Success { head_us } => {
                if let Some(head_us) = head_us {
                    self.latency()[bucket_of(head_us)].add(1);
                }
            }
            Evidence::Failure => self.failed.add(1),
            Evidence::ConnectError => {
                self.failed.add(1);
                self.connect_errors.add(1);
            }
        }
    }

    /// A bit for each. Of a request that was counted.
    pub fn count_events(&self, events: u8) {
        for (at, event) in self.events.iter().enumerate() {
            event.add(u64::from(events >> at & 1));
        }
    }

    fn latency(&self) -> &[Counter; BUCKETS] {
        self.latency.get_or_init(|| Box::new(std::array::from_fn(|_| Counter::default())))
    }

    /// `None` until the first success.
    pub fn latency_counts(&self) -> Option<&[Counter; BUCKETS]> {
        self.latency.get().map(|counts| &**counts)
    }
}

/// What a reader has seen of a slot, so that it can tell what is new.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Modulo 2^32: more cannot come between two looks.
    latency: Option<Box<[u32; BUCKETS]>>,
    events: [u64; Event::EVENTS_MAX],
}

impl Shards {
    /// From now on users are the unit of these variants of one route, in all workers. The same set as ever, if they have one.
    pub fn share_users(&self, variants: &[SlotId]) -> Arc<Users> {
        let known =
            variants.iter().flat_map(|slot| self.slots(*slot)).find_map(|slot| slot.judged.users.get());
        let users = known.map_or_else(Arc::default, Arc::clone);
        for shard in self.workers() {
            for slot in variants {
                shard.prepared(*slot).judged.users.get_or_init(|| Arc::clone(&users));
            }
        }
        users
    }

    /// Latencies and events since the last look, added to what is there.
    pub fn judged_since(
        &self,
        slot: SlotId,
        seen: &mut Seen,
        latency: &mut Histogram,
        events: &mut [u64; Event::EVENTS_MAX],
    ) {
        for (event, (seen, new)) in seen.events.iter_mut().zip(events).enumerate() {
            let now = self.sum(slot, |counters| &counters.judged.events[event]);
            *new += now.saturating_sub(*seen);
            *seen = now;
        }
        let mut now = [0_u32; BUCKETS];
        if !self.sum_latency(slot, &mut now) {
            return;
        }
        let before = seen.latency.get_or_insert_with(|| Box::new([0; BUCKETS]));
        for (bucket, (now, before)) in now.iter().zip(before.iter_mut()).enumerate() {
            if now != before {
                latency.add(bucket, now.wrapping_sub(*before));
                *before = *now;
            }
        }
    }

    /// False: no worker has counted any.
    fn sum_latency(&self, slot: SlotId, sums: &mut [u32; BUCKETS]) -> bool {
        let mut any = false;
        for counts in self.slots(slot).filter_map(|counters| counters.judged.latency_counts()) {
            any = true;
            for (sum, counter) in sums.iter_mut().zip(counts) {
                #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32, as the differences are")]
                let count = counter.get() as u32;
                *sum = sum.wrapping_add(count);
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_failed_has_left_every_variant_in_every_worker() {
        let shards = Shards::new(2);
        let slots = [3, 4].map(SlotId::from_index);
        let users = shards.share_users(&slots);
        let admit = |worker: usize, slot: usize, user, evidence| {
            shards.worker(worker).slot(slots[slot]).judged.admit(user, evidence, 1)
        };
        let [ann, bob] = [1, 2].map(|hash| Some(User::of_hash(hash)));
        let (failure, success) = (Evidence::Failure, Evidence::Success { head_us: None });
        assert_eq!(admit(0, 0, ann, failure), Some(failure));
        for (worker, slot) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            assert_eq!(admit(worker, slot, ann, failure), None);
            assert_eq!(admit(worker, slot, ann, success), None);
            assert_eq!(admit(worker, slot, None, failure), Some(failure), "a request of nobody");
        }
        assert_eq!(admit(0, 0, bob, success), Some(success));
        assert_eq!(admit(1, 0, bob, success), None, "counted just now, by another worker");
        users.turn(u64::MAX);
        assert_eq!(admit(1, 0, bob, success), Some(success));
        assert!(Arc::ptr_eq(&users, &shards.share_users(&[SlotId::from_index(9), slots[1]])));
        users.renew();
        assert_eq!(admit(1, 1, ann, Evidence::ConnectError), Some(Evidence::ConnectError));
    }

    #[test]
    fn a_user_gives_a_worker_one_latency_a_minute_and_is_counted_all_the_same() {
        let shards = Shards::new(1);
        let slot = SlotId::from_index(3);
        let users = shards.share_users(&[slot]);
        let shard = shards.worker(0);
        let slot = shard.slot(slot);
        let judged = &slot.judged;
        let user = Some(User::of_hash(1));
        let success = |head_us| Evidence::Success { head_us };
        assert_eq!(judged.admit(user, success(Some(5)), 1), Some(success(Some(5))));
        users.turn(10_000_000);
        assert_eq!(judged.admit(user, success(Some(6)), 10_000_000), Some(success(None)));
        users.turn(60_000_001);
        assert_eq!(judged.admit(user, success(Some(7)), 60_000_001), Some(success(Some(7))));
    }

    #[test]
    fn each_look_tells_what_is_new() {
        let shards = Shards::new(2);
        let slot = SlotId::from_index(3);
        let mut seen = Seen::default();
        let mut look = || {
            let (mut latency, mut events) = (Histogram::default(), [0; Event::EVENTS_MAX]);
            shards.judged_since(slot, &mut seen, &mut latency, &mut events);
            (latency.iter().collect::<Vec<_>>(), events[1])
        };
        assert_eq!(look(), (vec![], 0));
        for worker in 0..2 {
            let shard = shards.worker(worker);
            let slot = shard.slot(slot);
            let judged = &slot.judged;
            judged.count(Evidence::Success { head_us: Some(5) });
            judged.count(Evidence::Success { head_us: None });
            judged.count(Evidence::Failure);
            judged.events[1].add(2);
        }
        assert_eq!(look(), (vec![(5, 2)], 4));
        shards.worker(1).slot(slot).judged.count(Evidence::Success { head_us: Some(31) });
        assert_eq!(look(), (vec![(31, 1)], 0));
        assert_eq!(look(), (vec![], 0));
    }

    #[test]
    fn a_failure_is_a_request_and_a_connect_error_a_failure() {
        let judged = Judged::default();
        let all = [Evidence::Success { head_us: None }, Evidence::Failure, Evidence::ConnectError];
        all.into_iter().for_each(|evidence| judged.count(evidence));
        assert_eq!((judged.requests.get(), judged.failed.get(), judged.connect_errors.get()), (3, 2, 1));
        assert!(judged.latency_counts().is_none());
    }
}
