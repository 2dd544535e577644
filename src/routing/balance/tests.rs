//! Nobody is left out, nobody gets more than its part, and the busiest of two is spared.

use super::*;
use crate::routing::dice::Generator;
use crate::routing::testing;
use crate::routing::usable::WHOLE_PART;

fn endpoints(count: u16) -> Vec<Endpoint> {
    let endpoint = |port| Endpoint {
        id: EndpointId(u32::from(port)),
        address: std::net::SocketAddr::from(([127, 0, 0, 1], port)),
        tls: None,
    };
    (0..count).map(endpoint).collect()
}

fn group(balance: Balance) -> Group {
    let table = testing::table(vec![testing::route("shop")]).unwrap();
    let group = &*table.routes()[0].serving.as_ref().unwrap().variants[0].group;
    Group {
        name: group.name.clone(),
        index: 0,
        balance,
        endpoints: Box::default(),
        protocol: group.protocol,
        proxy_protocol: None,
        timeouts: group.timeouts,
        retry: None,
        limit: None,
    }
}

/// How often each of the endpoints is chosen; the last one has this part.
fn counts(balance: Balance, count: u16, part: u8) -> Vec<u32> {
    let (group, mut dice) = (group(balance), Dice::new(3));
    let mut list: Vec<_> = endpoints(count).into_iter().map(|endpoint| (endpoint, WHOLE_PART)).collect();
    list.last_mut().unwrap().1 = part;
    let usable = Usable::new(list, usize::from(count), balance);
    let mut counts = vec![0; usize::from(count)];
    for _ in 0..12_000 {
        let chosen = choose(&group, &usable, || panic!("asked for a key"), &mut dice, |_| 0).unwrap();
        counts[chosen.endpoint.id.0 as usize] += 1;
    }
    counts
}

#[test]
fn none_is_none_and_a_lone_endpoint_is_taken_without_asking() {
    for balance in [Balance::LeastRequest, Balance::RoundRobin, Balance::Hash] {
        let (group, mut dice) = (group(balance), Dice::new(1));
        let mut chosen = |usable: &Usable| {
            choose(&group, usable, || panic!("asked for a key"), &mut dice, |_| panic!("asked"))
        };
        assert_eq!(chosen(&Usable::all(&[], balance)), None);
        let only = endpoints(1)[0];
        assert_eq!(chosen(&Usable::all(&[only], balance)), Some(Chosen { endpoint: only, other: None }));
        assert_eq!(
            chosen(&Usable::new(vec![(only, 1)], 5, balance)),
            Some(Chosen { endpoint: only, other: None }),
            "there is nobody else"
        );
    }
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
fn a_retry_goes_to_each_of_the_others_in_turn_and_never_to_the_same() {
    let endpoints = endpoints(4);
    let others = |index: usize| -> Vec<u32> {
        (0..3).filter_map(|draw| another(&endpoints, index, draw)).map(|other| other.id.0).collect()
    };
    assert_eq!(others(0), [1, 2, 3]);
    assert_eq!(others(3), [0, 1, 2]);
}

#[test]
fn the_busiest_endpoint_is_never_taken() {
    let usable = Usable::all(&endpoints(5), Balance::LeastRequest);
    let (group, mut dice) = (group(Balance::LeastRequest), Dice::new(1));
    for _ in 0..1_000 {
        let chosen = choose(&group, &usable, || 0, &mut dice, |id| id.0).unwrap();
        assert_ne!(chosen.endpoint.id, EndpointId(4));
    }
}

#[test]
fn round_robin_gives_everybody_the_same() {
    assert_eq!(counts(Balance::RoundRobin, 5, WHOLE_PART), [2_400; 5]);
    let (group, usable) = (group(Balance::RoundRobin), Usable::all(&endpoints(7), Balance::RoundRobin));
    let mut dice = Dice::new(9);
    let mut turn = || choose(&group, &usable, || 0, &mut dice, |_| 0).unwrap().endpoint.id.0;
    let first = turn();
    assert!((1..20).all(|nth| turn() == (first + nth) % 7));
}

#[test]
fn a_part_is_kept_and_the_others_share_what_it_leaves() {
    for balance in [Balance::LeastRequest, Balance::RoundRobin] {
        for part in [1, 4, 8, 15] {
            let counts = counts(balance, 4, part);
            let expected = 12_000 / 4 * u32::from(part) / 16;
            assert!(counts[3].abs_diff(expected) < 300, "{balance:?} {part}: {counts:?}");
            let others = (12_000 - expected) / 3;
            assert!(counts[..3].iter().all(|n| n.abs_diff(others) < 300), "{balance:?} {part}: {counts:?}");
        }
    }
}
