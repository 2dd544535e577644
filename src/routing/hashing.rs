//! The same endpoint for the same key, and when an endpoint goes only its own users move.
//!
//! Up to [`RENDEZVOUS_MAX`] endpoints by rendezvous: each endpoint has a score for the key, and the highest has the
//! request, so the endpoints that are not there do not matter. With more that would cost too much a request; then each
//! endpoint has [`POINTS`] places on a ring that is built once, and a key goes to the next place. Which of the two
//! is decided by how many endpoints the upstream has in all: if it were by how many are usable, one that fails
//! could move everybody. An endpoint's places and scores come from its address, so all workers and replicas agree.

use std::net::{IpAddr, SocketAddr};

use twox_hash::XxHash3_64;

use super::Endpoint;
use super::dice::mix;
use super::usable::Usable;

/// What it costs at most: so many multiplications a request.
const RENDEZVOUS_MAX: usize = 64;
/// Of one endpoint on the ring: the parts differ by about a sixth.
const POINTS: u64 = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hashing {
    /// One for each endpoint, in their order.
    Rendezvous(Box<[u64]>),
    /// Places with the index of their endpoint, in order of place.
    Ring(Box<[(u64, u16)]>),
}

impl Hashing {
    pub(super) fn new(endpoints: &[Endpoint], members: usize) -> Self {
        let seeds = endpoints.iter().map(|endpoint| seed(endpoint.address));
        if members <= RENDEZVOUS_MAX {
            return Self::Rendezvous(seeds.collect());
        }
        let mut places: Vec<(u64, u16)> = seeds
            .zip(0..=u16::MAX)
            .flat_map(|(seed, index)| (1..=POINTS).map(move |nth| (mix(seed ^ mix(nth)), index)))
            .collect();
        places.sort_unstable();
        Self::Ring(places.into())
    }

    /// The index of the endpoint that has this key. `usable` is not empty, and is what `self` was built for.
    pub(super) fn choose(&self, usable: &Usable, key: u64) -> usize {
        match self {
            Self::Rendezvous(seeds) => {
                let score = |seed: &u64| mix(seed ^ key);
                let scores = seeds.iter().map(score).enumerate();
                let taking = scores.filter(|(index, score)| usable.takes(*index, *score));
                taking.max_by_key(|(_, score)| *score).map_or(0, |(index, _)| index)
            }
            Self::Ring(places) => {
                let start = places.partition_point(|(place, _)| *place < key);
                let from_start = places[start..].iter().chain(&places[..start]);
                let takes = |place: &u64, index: usize| usable.takes(index, mix(place ^ key));
                let taking = from_start.map(|(place, index)| (place, usize::from(*index)));
                taking.clone().find(|(place, index)| takes(place, *index)).map_or(0, |(_, index)| index)
            }
        }
    }
}

fn seed(address: SocketAddr) -> u64 {
    let port = u64::from(address.port());
    match address.ip() {
        IpAddr::V4(ip) => XxHash3_64::oneshot_with_seed(port, &ip.octets()),
        IpAddr::V6(ip) => XxHash3_64::oneshot_with_seed(port, &ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::Balance;
    use crate::routing::EndpointId;
    use crate::routing::usable::WHOLE_PART;

    const KEYS: u64 = 40_000;

    fn endpoints(count: u32) -> Vec<(Endpoint, u8)> {
        let endpoint = |n: u32| {
            let ip = std::net::Ipv4Addr::from(0x0A00_0000 + n);
            (Endpoint { id: EndpointId(n), address: (ip, 9_000).into(), tls: None }, WHOLE_PART)
        };
        (0..count).map(endpoint).collect()
    }

    fn homes(list: Vec<(Endpoint, u8)>, members: usize) -> Vec<EndpointId> {
        let usable = Usable::new(list, members, Balance::Hash);
        let hashing = usable.hashing().unwrap();
        (0..KEYS).map(|key| usable.endpoints()[hashing.choose(&usable, mix(key))].id).collect()
    }

    #[test]
    fn when_an_endpoint_goes_only_its_own_users_move() {
        for count in [2, 3, 10, 64, 65, 300] {
            let all = endpoints(count);
            let before = homes(all.clone(), all.len());
            for gone in [0, count / 2, count - 1] {
                let mut left = all.clone();
                left.remove(gone as usize);
                for (was, is) in before.iter().zip(homes(left, all.len())) {
                    assert!(
                        *was == is || *was == EndpointId(gone),
                        "{was:?} to {is:?} without {gone} of {count}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_endpoint_has_about_its_part() {
        for (count, from, to) in [(2, 0.95, 1.05), (10, 0.9, 1.1), (64, 0.8, 1.2), (100, 0.5, 1.6)] {
            let mut parts: HashMap<EndpointId, f64> = HashMap::new();
            for home in homes(endpoints(count), count as usize) {
                *parts.entry(home).or_default() += f64::from(count) / KEYS as f64;
            }
            assert_eq!(parts.len(), count as usize);
            assert!(parts.values().all(|part| (from..to).contains(part)), "{count}: {parts:?}");
        }
    }

    #[test]
    fn one_that_comes_back_slowly_takes_more_and_more_of_its_own_users() {
        for count in [4, 80] {
            let full = homes(endpoints(count), count as usize);
            let back = EndpointId(1);
            let mut earlier = 0;
            for part in 1..=WHOLE_PART {
                let mut list = endpoints(count);
                list[1].1 = part;
                let now = homes(list, count as usize);
                let strangers = now.iter().zip(&full).filter(|(is, full)| **is == back && **full != back);
                assert_eq!(strangers.count(), 0, "{count} at {part}");
                let users = now.iter().filter(|is| **is == back).count();
                assert!(users >= earlier, "{users} after {earlier} of {count} at {part}");
                earlier = users;
            }
            assert_eq!(earlier, full.iter().filter(|home| **home == back).count());
        }
    }
}
