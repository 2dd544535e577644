//! Wrong tokens: whoever goes on trying waits longer for each answer.
//!
//! What keeps guessers out are the 256 bits of a token; this keeps the core and the log quiet, and slows those who try
//! what they have found. A right token is never slowed, whatever its address has tried before, so nobody can lock
//! others out by failing in their name.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// Addresses that are remembered. When full, the one that has been quiet longest is forgotten.
const ADDRESSES_MAX: usize = 1_024;
/// Failures that are answered at once: people paste the wrong thing.
const FREE_MAX: u32 = 5;
const DELAY_FIRST: Duration = Duration::from_millis(250);
const DELAY_MAX: Duration = Duration::from_secs(4);
/// An address that fails no more for so long has never failed.
const FORGET: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<IpAddr, Failures>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

/// What follows from one more failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slowed {
    /// Before the answer. Zero: at once.
    pub(super) delay: Duration,
    /// The first that was slowed: worth a line in the log.
    pub(super) begins: bool,
}

impl Attempts {
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) -> Slowed {
        let network = network(address);
        self.make_room(network, now);
        let failures = self.0.entry(network).or_insert(Failures { count: 0, last: now });
        *failures = Failures { count: failures.count.saturating_add(1), last: now };
        let Some(beyond) = failures.count.checked_sub(FREE_MAX + 1) else {
            return Slowed { delay: Duration::ZERO, begins: false };
        };
        let delay = DELAY_FIRST.saturating_mul(1 << beyond.min(16)).min(DELAY_MAX);
        Slowed { delay, begins: beyond == 0 }
    }

    fn make_room(&mut self, network: IpAddr, now: Instant) {
        if self.0.get(&network).is_some_and(|failures| now.duration_since(failures.last) > FORGET) {
            self.0.remove(&network);
        }
        if self.0.len() < ADDRESSES_MAX || self.0.contains_key(&network) {
            return;
        }
        let quietest = self.0.iter().min_by_key(|(_, failures)| failures.last).map(|(address, _)| *address);
        if let Some(quietest) = quietest {
            self.0.remove(&quietest);
        }
    }
}

/// Who has an IPv6 address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn delays(attempts: &mut Attempts, address: IpAddr, times: u32, now: Instant) -> Vec<u128> {
        (0..times).map(|_| attempts.failed(address, now).delay.as_millis()).collect()
    }

    #[test]
    fn the_first_five_are_free_and_then_the_wait_doubles_up_to_four_seconds() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let expected = [0, 0, 0, 0, 0, 250, 500, 1_000, 2_000, 4_000, 4_000];
        assert_eq!(delays(&mut attempts, ONE, 11, now), expected);
        assert_eq!(delays(&mut attempts, ONE, 40, now), [4_000; 40]);
        assert_eq!(delays(&mut attempts, "192.0.2.2".parse().unwrap(), 1, now), [0]);
    }

    #[test]
    fn the_beginning_is_told_once() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let told: Vec<bool> = (0..20).map(|_| attempts.failed(ONE, now).begins).collect();
        assert_eq!(told.iter().position(|told| *told), Some(5));
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
    }

    #[test]
    fn a_minute_of_quiet_is_a_new_beginning() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        delays(&mut attempts, ONE, 10, now);
        assert_eq!(delays(&mut attempts, ONE, 1, now + FORGET), [4_000]);
        assert_eq!(delays(&mut attempts, ONE, 1, now + FORGET * 2 + Duration::from_millis(1)), [0]);
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_mapped_ipv4_is_ipv4() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        delays(&mut attempts, "2001:db8::1".parse().unwrap(), 5, now);
        assert_eq!(delays(&mut attempts, "2001:db8::ffff:1".parse().unwrap(), 1, now), [250]);
        assert_eq!(delays(&mut attempts, "2001:db8:0:1::1".parse().unwrap(), 1, now), [0]);
        delays(&mut attempts, ONE, 5, now);
        assert_eq!(delays(&mut attempts, "::ffff:192.0.2.1".parse().unwrap(), 1, now), [250]);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_quietest() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        delays(&mut attempts, ONE, 6, now);
        for n in 0..u32::try_from(ADDRESSES_MAX).unwrap() {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
            delays(&mut attempts, address, 1, now + Duration::from_millis(1));
        }
        assert_eq!(attempts.0.len(), ADDRESSES_MAX);
        assert_eq!(delays(&mut attempts, ONE, 1, now + Duration::from_millis(2)), [0]);
    }
}
