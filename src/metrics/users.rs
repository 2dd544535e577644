//! Who has left the evidence, where users are drawn and not requests (`[route.sticky]`).
//!
//! The bet's coin is the lot. Where a sticky key ties users to a variant, a lot is drawn once for each user and not for each of
//! their requests: somebody whose cart is broken fails a hundred times in a minute, with whichever variant has them, and a
//! hundred failures of one user would look like a hundred throws. So a user counts as failing once. With the first failure
//! they leave the evidence: from then on neither their requests nor their failures count, whichever variant they are on.
//!
//! Leaving does not depend on the variant, so if the canary is no worse than stable then those who are still counted are
//! alike on both, and each of them who fails for the first time is one throw of the coin. That is why the variants of a
//! route share one set: if each had its own, everybody who fails always and has left stable long ago would come to the
//! canary as somebody new when its weight is raised, and fail once more, there alone.
//!
//! Users are told apart by 17 bits of the hash of their key, other bits than those that choose the variant. Two who share
//! them leave together. That falls on the variants alike, and so costs power and never validity; to bound what it costs all
//! come back when a quarter of the bits is set, and whenever a release starts anew.
//!
//! **Requests** stand below the line of that fraction, and there a busy client weighs as much as everybody else together: a
//! crawler on stable that never fails would make stable look good and the canary bad. So of a user who has not failed one
//! request counts in ten seconds, and a failure whenever it comes.
//!
//! **Latency** has the same unit, but somebody slow is slow for good reasons, and is not to leave: each user gives one
//! sample a minute to each worker. What they ask beyond it counts as answered, and not how fast.
//!
//! An ordinary request costs two loads here; a user's first one in ten seconds and a failure write, and only with a sticky
//! key any of it is looked at.

use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::shard::Counter;

const USERS: u32 = 1 << 17;
const WORDS: usize = USERS as usize / 64;
const LEFT_MAX: u32 = USERS / 4;
const SAMPLE_US: u64 = 60_000_000;
const PACE_US: u64 = 10_000_000;

/// Somebody, as far as evidence tells people apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User(NonZeroU32);

impl User {
    /// The place on the ring is made of the upper bits, so these say nothing of the variant.
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are those that are wanted")]
    pub fn of_hash(hash: u64) -> Self {
        Self(NonZeroU32::MIN.saturating_add(hash as u32 % USERS))
    }

    fn bit(self) -> (usize, u64) {
        let place = self.0.get() - 1;
        ((place / 64) as usize, 1 << (place % 64))
    }
}

/// One bit for each user, made when the first is set.
#[derive(Debug, Default)]
struct Bits(OnceLock<Box<[AtomicU64]>>);

impl Bits {
    fn has(&self, user: User) -> bool {
        let (word, bit) = user.bit();
        self.0.get().is_some_and(|words| words[word].load(Ordering::Relaxed) & bit != 0)
    }

    /// False: it was there.
    fn set(&self, user: User) -> bool {
        let (word, bit) = user.bit();
        let words = self.0.get_or_init(|| (0..WORDS).map(|_| AtomicU64::new(0)).collect());
        words[word].fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    fn clear(&self) {
        self.0.get().into_iter().flatten().for_each(|word| word.store(0, Ordering::Relaxed));
    }
}

/// Those of one route who have failed since its release started. All workers write, whoever sees a failure first.
#[derive(Debug, Default)]
pub struct Users {
    failed: Bits,
    /// Of whom a request has counted since the last turn.
    asked: Bits,
    turned_us: AtomicU64,
    /// How many bits are set, give or take what fails in the moment of a renewal.
    count: AtomicU32,
}

impl Users {
    pub fn has_left(&self, user: User) -> bool {
        self.failed.has(user)
    }

    /// The user has failed. False: not for the first time.
    pub fn leave(&self, user: User) -> bool {
        let first = self.failed.set(user);
        if first {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        first
    }

    /// True once in ten seconds for each user.
    pub fn asks(&self, user: User) -> bool {
        !self.asked.has(user) && self.asked.set(user)
    }

    /// For the control thread, which alone turns: after ten seconds everybody may be counted again.
    pub fn turn(&self, now_us: u64) {
        if now_us.saturating_sub(self.turned_us()) >= PACE_US {
            self.turned_us.store(now_us, Ordering::Relaxed);
            self.asked.clear();
        }
    }

    /// As [`Users::turn`], where nobody can have asked since the last turn.
    pub fn pass(&self, now_us: u64) {
        if now_us.saturating_sub(self.turned_us()) >= PACE_US {
            self.turned_us.store(now_us, Ordering::Relaxed);
        }
    }

    /// When everybody might last be counted again.
    pub fn turned_us(&self) -> u64 {
        self.turned_us.load(Ordering::Relaxed)
    }

    /// So many have left that others leave with them.
    pub fn lost_many(&self) -> bool {
        self.count.load(Ordering::Relaxed) > LEFT_MAX
    }

    /// All come back.
    pub fn renew(&self) {
        self.failed.clear();
        self.count.store(0, Ordering::Relaxed);
    }
}

/// Whose latency one worker has counted in this minute. It alone writes.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    minute: Counter,
    users: Bits,
}

impl Sampled {
    /// True once a minute for each user.
    pub(super) fn takes(&self, user: User, now_us: u64) -> bool {
        let minute = now_us / SAMPLE_US;
        if self.minute.get() != minute {
            self.minute.set(minute);
            self.users.clear();
        }
        !self.users.has(user) && self.users.set(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_told_apart_by_the_lower_bits() {
        let [first, last] = [0, u64::from(USERS) - 1].map(User::of_hash);
        assert_eq!((first.bit(), last.bit()), ((0, 1), (WORDS - 1, 1 << 63)));
        assert_eq!(User::of_hash(u64::from(USERS)), first);
        assert_eq!(User::of_hash(u64::MAX), last);
        assert_eq!(size_of::<Option<User>>(), 4);
    }

    #[test]
    fn a_user_fails_once_until_all_come_back() {
        let users = Users::default();
        let user = User::of_hash(77);
        assert!(!users.has_left(user));
        assert!(users.leave(user) && !users.leave(user));
        assert!(users.has_left(user) && !users.has_left(User::of_hash(78)));
        users.renew();
        assert!(!users.has_left(user) && users.leave(user));
    }

    #[test]
    fn of_a_user_who_has_not_failed_one_request_counts_in_ten_seconds() {
        let users = Users::default();
        let (ann, bob) = (User::of_hash(1), User::of_hash(2));
        assert!(users.asks(ann) && !users.asks(ann) && users.asks(bob));
        users.turn(PACE_US - 1);
        assert!(!users.asks(ann));
        users.turn(PACE_US);
        assert!(users.asks(ann) && !users.asks(ann));
        users.turn(2 * PACE_US - 1);
        assert!(!users.asks(ann));
    }

    #[test]
    fn beyond_a_quarter_of_the_bits_too_few_are_left() {
        let users = Users::default();
        (0..u64::from(LEFT_MAX)).for_each(|hash| assert!(users.leave(User::of_hash(hash))));
        // Some twice.
        (0..100).for_each(|hash| assert!(!users.leave(User::of_hash(hash))));
        assert!(!users.lost_many());
        users.leave(User::of_hash(u64::from(LEFT_MAX)));
        assert!(users.lost_many());
        users.renew();
        assert!(!users.lost_many());
    }

    #[test]
    fn each_user_gives_one_sample_a_minute() {
        let sampled = Sampled::default();
        let (ann, bob) = (User::of_hash(1), User::of_hash(2));
        assert!(sampled.takes(ann, 5) && !sampled.takes(ann, 59_999_999));
        assert!(sampled.takes(bob, 59_999_999));
        assert!(sampled.takes(ann, 60_000_000) && !sampled.takes(ann, 60_000_001));
        assert!(sampled.takes(bob, 60_000_001));
    }
}
