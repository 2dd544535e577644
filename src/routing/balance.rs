//! Which endpoint of the variant's upstream: two random choices, the one with fewer requests in flight.
//!
//! Two choices keep the load within a small factor of the best possible without looking at all endpoints, and
//! unlike "the least loaded of all" they do not send every worker to the same endpoint at once. What is in flight
//! is asked of the caller: it is the caller's own worker that counts.

use super::{Endpoint, EndpointId};

/// `endpoints` is not empty: a table with an empty upstream is not built. `draw` is 64 random bits.
pub(super) fn choose(endpoints: &[Endpoint], draw: u64, in_flight: impl Fn(EndpointId) -> u32) -> Endpoint {
    if let [only] = endpoints {
        return *only;
    }
    let (one, other) = two_of(endpoints.len(), draw);
    let (one, other) = (endpoints[one], endpoints[other]);
    if in_flight(other.id) < in_flight(one.id) { other } else { one }
}

/// Two different indexes below `count`, each pair equally likely; `count` is at least 2.
fn two_of(count: usize, draw: u64) -> (usize, usize) {
    let below = |bits: u64, count: usize| ((u128::from(bits) * count as u128) >> 32) as usize;
    let one = below(draw >> 32, count);
    let other = below(draw & 0xFFFF_FFFF, count - 1);
    (one, if other >= one { other + 1 } else { other })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::dice::Generator;

    fn endpoints(count: u16) -> Vec<Endpoint> {
        let endpoint = |port| Endpoint {
            id: EndpointId(u32::from(port)),
            address: std::net::SocketAddr::from(([127, 0, 0, 1], port)),
        };
        (0..count).map(endpoint).collect()
    }

    #[test]
    fn a_lone_endpoint_is_taken_without_asking() {
        let [only] = endpoints(1)[..] else { unreachable!() };
        assert_eq!(choose(&[only], u64::MAX, |_| panic!("asked")), only);
    }

    #[test]
    fn every_endpoint_has_its_turn_and_no_pair_is_twice_the_same() {
        let mut generator = Generator::new(7);
        for count in [2, 3, 5, 4_096] {
            let mut taken = vec![0; count];
            for _ in 0..40 * count {
                let (one, other) = two_of(count, generator.draw());
                assert_ne!(one, other);
                taken[one] += 1;
                taken[other] += 1;
            }
            assert!(taken.iter().all(|times| (20..160).contains(times)), "{count}: {taken:?}");
        }
        for draw in [0, u64::MAX, u64::MAX << 32, u64::from(u32::MAX)] {
            let (one, other) = two_of(2, draw);
            assert_eq!(one + other, 1, "{draw:x}");
        }
    }

    #[test]
    fn the_busiest_endpoint_is_never_taken() {
        let endpoints = endpoints(5);
        let mut generator = Generator::new(1);
        for _ in 0..1_000 {
            assert_ne!(choose(&endpoints, generator.draw(), |id| id.0).id, EndpointId(4));
        }
    }
}
