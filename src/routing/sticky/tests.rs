//! Keys of all kinds are split evenly, and a salt picks people that no other salt knows of.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::HeaderName;

use super::*;
use crate::config::units::WHOLE_PPM;
use crate::routing::testing::Request;

const SALT: u64 = 0x5EED;

fn key_kinds() -> Vec<(&'static str, Vec<String>)> {
    let of = |count: u32, form: &dyn Fn(u32) -> String| (0..count).map(form).collect::<Vec<_>>();
    vec![
        ("sequential", of(40_000, &|n| n.to_string())),
        ("padded", of(40_000, &|n| format!("{n:012}"))),
        ("emails", of(40_000, &|n| format!("user{n}@shop.example"))),
        ("uuids", of(40_000, &|n| uuid::Uuid::from_u128(u128::from(n) << 64 | 0x8000).to_string())),
        ("long", of(10_000, &|n| format!("{}{n}", "x".repeat(300)))),
        ("bytes", of(256, &|n| char::from_u32(n).unwrap_or(' ').to_string())),
    ]
}

fn within_binomial_bounds(label: &str, hits: usize, count: usize, share: f64) {
    let mean = count as f64 * share;
    let sigma = (mean * (1.0 - share)).sqrt();
    assert!((hits as f64 - mean).abs() <= 5.0 * sigma, "{label}: {hits} of {count}, expected {mean}");
}

#[test]
fn keys_of_every_kind_are_split_by_weight() {
    for (kind, keys) in key_kinds() {
        for salt in [0, 1, SALT, u64::MAX] {
            for ppm in [10_000, 50_000, 500_000, 900_000] {
                let hits = keys.iter().filter(|key| position_of(salt, key.as_bytes()) < ppm).count();
                let share = f64::from(ppm) / f64::from(WHOLE_PPM);
                within_binomial_bounds(&format!("{kind}, salt {salt:x}, {ppm} ppm"), hits, keys.len(), share);
            }
        }
    }
}

#[test]
fn addresses_of_one_network_are_split_by_weight() {
    let hits =
        (0..65_536u32).filter(|n| position_of(SALT, &(0x0A00_0000 + n).to_be_bytes()) < 100_000).count();
    within_binomial_bounds("10.0.0.0/16", hits, 65_536, 0.1);
}

#[test]
fn one_character_keys_meet_the_canary_with_its_share_of_the_salts() {
    for key in "aZ09_é".chars().map(String::from) {
        let hits = (0..20_000u64).filter(|salt| position_of(*salt, key.as_bytes()) < 250_000).count();
        within_binomial_bounds(&key, hits, 20_000, 0.25);
    }
}

#[test]
fn another_salt_picks_other_people() {
    for (kind, keys) in key_kinds() {
        let salts = [salt("shop", ["v2"].into_iter()), salt("shop", ["v3"].into_iter()), SALT, SALT + 1];
        for pair in salts.windows(2) {
            let both = |key: &&String| pair.iter().all(|salt| position_of(*salt, key.as_bytes()) < 300_000);
            let hits = keys.iter().filter(both).count();
            within_binomial_bounds(&format!("{kind} under two salts"), hits, keys.len(), 0.09);
        }
    }
}

#[test]
fn the_salt_knows_route_and_canaries_and_nothing_else() {
    let of = |route: &str, upstreams: &[&'static str]| salt(route, upstreams.iter().copied());
    let shop = of("shop", &["v2"]);
    assert_eq!(shop, of("shop", &["v2"]));
    for other in [of("shop", &["v3"]), of("shop", &[]), of("shop", &["v2", "v3"]), of("pay", &["v2"])] {
        assert_ne!(shop, other);
    }
    assert_ne!(of("shop", &["v2", "v3"]), of("shop", &["v3", "v2"]));
}

/// Pinned: replicas of different builds must agree, and other programs can compute it.
#[test]
fn the_hash_is_xxh3_64_with_the_salt_as_seed() {
    assert_eq!(XxHash3_64::oneshot_with_seed(0, b""), 0x2D06_8005_38D3_94C2);
    let hash = u128::from(XxHash3_64::oneshot_with_seed(SALT, b"user-1"));
    assert_eq!(u128::from(position_of(SALT, b"user-1")), (hash * 1_000_000) >> 64);
}

#[test]
fn a_missing_or_empty_key_ties_nobody() {
    let cookie = StickyKey::Cookie("uid".into());
    let header = StickyKey::Header(HeaderName::from_static("x-user"));
    for request in [
        Request::get("a", "/"),
        Request::get("a", "/").with("cookie", "uid=").with("x-user", ""),
        Request::get("a", "/").with("cookie", "uid=\"\"; uid=2"),
        Request::get("a", "/").with("cookie", "uidx=1"),
    ] {
        assert_eq!(position_ppm_of(&cookie, SALT, &request.view()), None);
        assert_eq!(position_ppm_of(&header, SALT, &request.view()), None);
    }
}

#[test]
fn the_same_key_stands_in_the_same_place_wherever_it_is_found() {
    let request = Request::get("a", "/").with("cookie", "a=1; uid=\"u7\"; uid=u8").with("x-user", "u7");
    let expected = Some(position_of(SALT, b"u7"));
    assert_eq!(position_ppm_of(&StickyKey::Cookie("uid".into()), SALT, &request.view()), expected);
    let header = StickyKey::Header(HeaderName::from_static("x-user"));
    assert_eq!(position_ppm_of(&header, SALT, &request.view()), expected);
}

#[test]
fn an_ipv4_client_is_the_same_on_every_socket() {
    let (four, mapped) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
    let at = |client: IpAddr| {
        let request = Request { client, ..Request::get("a", "/") };
        position_ppm_of(&StickyKey::Address, SALT, &request.view())
    };
    assert_eq!(at(four.into()), at(mapped.into()));
    assert_ne!(at(four.into()), at(Ipv6Addr::LOCALHOST.into()));
}

fn position_of(salt: u64, key: &[u8]) -> u32 {
    split::position_ppm(XxHash3_64::oneshot_with_seed(salt, key))
}

fn position_ppm_of(key: &StickyKey, salt: u64, view: &View<'_>) -> Option<u32> {
    place(key, salt, view).map(|(position_ppm, _)| position_ppm)
}

#[test]
fn who_somebody_is_says_nothing_of_where_they_stand() {
    let header = StickyKey::Header(HeaderName::from_static("x-user"));
    let mut on_the_canary = Vec::new();
    let mut collisions = 0;
    for user in 0..40_000 {
        let request = Request::get("shop.example", "/").with("x-user", &user.to_string());
        let (position_ppm, user) = place(&header, SALT, &request.view()).unwrap();
        if position_ppm < 10_000 {
            collisions += usize::from(on_the_canary.contains(&user));
            on_the_canary.push(user);
        }
    }
    // One in a hundred has one in a hundred of the places, but any of the bits: about 0.6 meet, where 60 would.
    assert!(on_the_canary.len() > 300 && collisions < 10, "{collisions} of {}", on_the_canary.len());
}
