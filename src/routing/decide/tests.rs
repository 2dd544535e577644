//! A whole decision: order of the steps, cords, and shares that move between snapshots.

use std::sync::Arc;

use http::HeaderName;

use super::*;
use crate::config::{Matcher, Override, OverrideTo, Route, Service, StickyKey, Trigger, Upgrade, Weight};
use crate::routing::testing::{Request, open, route, snapshot, split_route};
use crate::routing::{Share, Snapshot, Usable};

const CLOSED: Share = Share { effective: Weight::ZERO, open: false, drill: None, mirror: None };

fn get() -> Request {
    Request::get("shop.example", "/")
}

fn rule(trigger: Trigger, value: Option<&str>, to: OverrideTo) -> Override {
    Override { matcher: Matcher { trigger, value: value.map(Into::into) }, to, from: Vec::new() }
}

/// Two canaries, `v2` and `v3`; the first is asked for by header or cookie and refused by a header, the second by
/// query.
fn with_overrides() -> Route {
    let mut route = split_route("shop", &["v2", "v3"]);
    let Service::Split { canaries, .. } = &mut route.service else { unreachable!() };
    let header = || Trigger::Header(HeaderName::from_static("x-canary"));
    canaries[0].overrides = vec![
        rule(header(), Some("never"), OverrideTo::Stable),
        rule(header(), Some("always"), OverrideTo::Canary),
        rule(Trigger::Cookie("beta".into()), None, OverrideTo::Canary),
    ];
    canaries[1].overrides = vec![rule(Trigger::Query("canary".into()), Some("v 3"), OverrideTo::Canary)];
    route
}

/// The variant's place in the route and why, from a decision on a snapshot with one route.
fn assigned(request: &Request, snapshot: &Snapshot, dice: &mut Dice) -> (usize, Why) {
    let decision = request.decide(snapshot, dice);
    let serving = snapshot.table().routes()[0].serving.as_ref().unwrap();
    let variant = serving.variants.iter().position(|variant| variant.slot == decision.slot);
    (variant.unwrap(), decision.why)
}

#[test]
fn no_route_and_deny_are_answers() {
    let deny = Route { service: Service::Deny, ..route("closed") };
    let snapshot =
        snapshot(vec![Route { path: crate::config::PathPattern::Prefix("/x".into()), ..deny }], &[]);
    let mut dice = Dice::new(1);
    let mut ask = |path: &str| decide(&snapshot, &Request::get("a", path).view(), &mut dice, |_| 0).answer;
    assert_eq!(ask("/x"), Answer::Deny(0));
    assert_eq!(ask("/y"), Answer::NoRoute);
}

#[test]
fn a_decision_carries_all_that_forwarding_needs() {
    let snapshot = snapshot(vec![Route { upgrade: vec![Upgrade::Websocket], ..route("shop") }], &[]);
    let decision = get().decide(&snapshot, &mut Dice::new(1));
    assert_eq!(decision.generation, 1);
    assert_eq!(decision.endpoint.address.port(), 9_001);
    assert_eq!(decision.timeouts.response.as_secs(), 15);
    assert_eq!(decision.why, Why::Weight);
    assert!(decision.websocket);
}

#[test]
fn overrides_are_tried_in_order_and_reach_a_canary_of_weight_zero() {
    let snapshot = snapshot(vec![with_overrides()], &[0, 0]);
    let mut dice = Dice::new(1);
    let query = |text: &str| Request { query: Some(text.into()), ..get() };
    for (request, expected) in [
        (get(), (0, Why::Weight)),
        (get().with("x-canary", "always"), (1, Why::Override)),
        (get().with("x-canary", "Always"), (0, Why::Weight)),
        (get().with("x-canary", "never").with("cookie", "beta=1"), (0, Why::Override)),
        (get().with("cookie", "a=b; beta="), (1, Why::Override)),
        (query("canary=v+3"), (2, Why::Override)),
        (query("canary=v%203&x"), (2, Why::Override)),
        (query("canary=v2"), (0, Why::Weight)),
        (query("canary=v+3").with("cookie", "beta=1"), (1, Why::Override)),
    ] {
        assert_eq!(
            assigned(&request, &snapshot, &mut dice),
            expected,
            "{:?} {:?}",
            request.headers,
            request.query
        );
    }
}

#[test]
fn a_closed_canary_is_out_of_reach() {
    let open_both = snapshot(vec![with_overrides()], &[500_000, 500_000]);
    let mut dice = Dice::new(1);
    let always = get().with("x-canary", "always");
    let cord = open_both.with_shares(2, 0, &[CLOSED, CLOSED]);
    assert_eq!(assigned(&always, &cord, &mut dice), (0, Why::Cord));
    assert_eq!(assigned(&get().with("x-canary", "never"), &cord, &mut dice), (0, Why::Override));
    // Even if the controller left a weight on it, or forgot a canary.
    let half_closed = Share { open: false, ..open(1_000_000) };
    for shares in [&[half_closed][..], &[]] {
        let snapshot = open_both.with_shares(3, 0, shares);
        for _ in 0..100 {
            assert_eq!(assigned(&get(), &snapshot, &mut dice), (0, Why::Weight));
        }
    }
    assert_eq!(assigned(&always, &open_both, &mut dice), (1, Why::Override));
}

#[test]
fn shares_beyond_the_canaries_are_ignored() {
    let snapshot = snapshot(vec![route("plain")], &[1_000_000, 1_000_000]);
    assert_eq!(assigned(&get(), &snapshot, &mut Dice::new(1)), (0, Why::Weight));
    assert_eq!(snapshot.with_shares(2, 7, &[open(1)]).generation(), 2);
}

#[test]
fn a_sticky_user_stays_and_a_stranger_draws_a_lot() {
    let sticky = Some(StickyKey::Cookie("uid".into()));
    let snapshot = snapshot(vec![Route { sticky, ..split_route("shop", &["v2"]) }], &[500_000]);
    let mut dice = Dice::new(1);
    let mut seen = [0; 2];
    for user in 0..100 {
        let request = get().with("cookie", &format!("uid={user}"));
        let (variant, why) = assigned(&request, &snapshot, &mut dice);
        assert_eq!(why, Why::Sticky);
        seen[variant] += 1;
        for seed in 0..3 {
            assert_eq!(assigned(&request, &snapshot, &mut Dice::new(seed)).0, variant);
        }
    }
    assert!(seen.iter().all(|users| (25..=75).contains(users)), "{seen:?}");
    assert_eq!(assigned(&get(), &snapshot, &mut dice).1, Why::Weight);
}

#[test]
fn raising_a_weight_moves_sticky_users_only_from_stable_to_that_canary() {
    let sticky = Some(StickyKey::Cookie("uid".into()));
    let mut before = snapshot(vec![Route { sticky, ..split_route("shop", &["v2", "v3"]) }], &[0, 0]);
    let mut dice = Dice::new(1);
    let users: Vec<Request> = (0..500).map(|n| get().with("cookie", &format!("uid=u{n}"))).collect();
    for (raised, ppm) in
        [(1, [10_000, 0]), (2, [10_000, 300_000]), (1, [400_000, 300_000]), (2, [400_000, 600_000])]
    {
        let after = before.with_shares(2, 0, &ppm.map(open));
        for user in &users {
            let (was, is) = (assigned(user, &before, &mut dice).0, assigned(user, &after, &mut dice).0);
            assert!(was == is || (was == 0 && is == raised), "{was} to {is} at {ppm:?}");
        }
        before = after;
    }
    assert!(users.iter().all(|user| assigned(user, &before, &mut dice).0 != 0));
}

#[test]
fn the_whole_sends_all_and_zero_sends_nothing() {
    for (ppm, expected) in [([1_000_000, 0], 1), ([0, 1_000_000], 2), ([0, 0], 0)] {
        let snapshot = snapshot(vec![split_route("shop", &["v2", "v3"])], &ppm);
        let mut dice = Dice::new(9);
        for _ in 0..2_000 {
            assert_eq!(assigned(&get(), &snapshot, &mut dice), (expected, Why::Weight));
        }
    }
}

#[test]
fn a_new_snapshot_does_not_start_the_lot_anew() {
    let still = snapshot(vec![split_route("shop", &["v2"])], &[100_000]);
    let (mut one, mut other) = (Dice::new(5), Dice::new(5));
    for n in 0..5_000u64 {
        let moving = still.with_shares(n, 0, &[open(100_000)]);
        assert_eq!(assigned(&get(), &still, &mut one), assigned(&get(), &moving, &mut other));
    }
}

#[test]
fn interleaved_routes_each_keep_their_share() {
    let routes = ["a", "b", "c"].map(|host| Route {
        hosts: vec![crate::config::HostPattern::Exact(host.into())],
        ..split_route(host, &["v2"])
    });
    let snapshot = snapshot(routes.into(), &[200_000]);
    let mut dice = Dice::new(3);
    let mut hits = [0i32; 3];
    for n in 1..=3_000 {
        for (hits, host) in hits.iter_mut().zip(["a", "b", "c"]) {
            let decision = Request::get(host, "/").decide(&snapshot, &mut dice);
            *hits += i32::from(decision.endpoint.address.port() == 9_002);
        }
        assert!(hits.iter().all(|hits| (5 * hits - n).abs() <= 40), "{hits:?} after {n}");
    }
}

#[test]
fn workers_with_other_seeds_begin_elsewhere() {
    let snapshot = snapshot(vec![split_route("shop", &["v2"])], &[100_000]);
    let first = |seed| assigned(&get(), &snapshot, &mut Dice::new(seed)).0;
    let hits: usize = (0..1_000).map(first).sum();
    assert!((50..=150).contains(&hits), "{hits}");
}

#[test]
fn the_endpoint_with_fewer_in_flight_is_taken() {
    let snapshot = snapshot(vec![split_route("shop", &["v4"])], &[1_000_000]);
    let serving = snapshot.table().routes()[0].serving.as_ref().unwrap();
    let busy = serving.variants[1].group.endpoints[0].id;
    let mut dice = Dice::new(1);
    for _ in 0..100 {
        let answer = decide(&snapshot, &get().view(), &mut dice, |id| u32::from(id == busy)).answer;
        let Answer::Forward(decision) = answer else { panic!("{answer:?}") };
        assert_eq!(decision.endpoint.address.port(), 9_005);
    }
}

#[test]
fn only_the_moved_route_is_built_anew() {
    let routes = (0..3).map(|n| split_route(&format!("r{n}"), &["v2"])).collect();
    let before = snapshot(routes, &[1]);
    let after = before.with_shares(2, 1, &[open(2)]);
    assert!(std::ptr::eq(before.shares(0), after.shares(0)));
    assert_ne!(before.shares(1), after.shares(1));
    assert!(Arc::ptr_eq(before.table(), after.table()));
}

/// The canary's upstream and stable's as they are told, `true`: usable.
fn with_endpoints(stable: bool, canary: Usable) -> Snapshot {
    let before = snapshot(vec![split_route("shop", &["v2"])], &[1_000_000]);
    let group = |variant: usize| {
        let serving = before.table().routes()[0].serving.as_ref().unwrap();
        serving.variants[variant].group.index
    };
    let mut changes = vec![(group(1), Arc::new(canary))];
    if !stable {
        changes.push((group(0), Arc::default()));
    }
    before.with_usable(2, changes)
}

fn slots(snapshot: &Snapshot) -> [crate::metrics::SlotId; 2] {
    let serving = snapshot.table().routes()[0].serving.as_ref().unwrap();
    [serving.variants[0].slot, serving.variants[1].slot]
}

#[test]
fn a_canary_without_an_endpoint_is_served_by_stable_and_the_canary_missed_it() {
    let snapshot = with_endpoints(true, Usable::default());
    let [stable, canary] = slots(&snapshot);
    let decision = get().decide(&snapshot, &mut Dice::new(1));
    assert_eq!((decision.slot, decision.endpoint.address.port()), (stable, 9_001));
    assert_eq!(decision.why, Why::NoEndpoint);
    assert!(!decision.why.by_lot());
    assert_eq!(decision.instead_of, Some(Missed { slot: canary, by_lot: true, user: None }));
}

#[test]
fn names_that_were_never_looked_up_are_nobodys_failure() {
    let snapshot = with_endpoints(true, Usable::pending());
    let decision = get().decide(&snapshot, &mut Dice::new(1));
    assert_eq!((decision.why, decision.instead_of), (Why::NoEndpoint, None));
}

#[test]
fn stable_without_an_endpoint_has_nobody_behind_it() {
    let snapshot = with_endpoints(false, Usable::default());
    let [stable, canary] = slots(&snapshot);
    let answer = decide(&snapshot, &get().view(), &mut Dice::new(1), |_| 0).answer;
    let instead_of = Some(Missed { slot: canary, by_lot: true, user: None });
    let place = Place { route: 0, variant: STABLE };
    let expected = NoEndpoint {
        slot: stable,
        place,
        why: Why::NoEndpoint,
        user: None,
        instead_of,
        lot: Some(canary),
        phantom: None,
    };
    assert_eq!(answer, Answer::NoEndpoint(expected));

    let canary_off = snapshot.with_shares(3, 0, &[open(0)]);
    let answer = decide(&canary_off, &get().view(), &mut Dice::new(1), |_| 0).answer;
    let expected = NoEndpoint {
        slot: stable,
        place,
        why: Why::Weight,
        user: None,
        instead_of: None,
        lot: Some(stable),
        phantom: None,
    };
    assert_eq!(answer, Answer::NoEndpoint(expected));
}

#[test]
fn only_a_sticky_lot_is_somebodys() {
    let keyed = Route {
        sticky: Some(StickyKey::Header(HeaderName::from_static("x-user"))),
        ..split_route("shop", &["v2"])
    };
    let snapshot = snapshot(vec![keyed], &[500_000]);
    let mut dice = Dice::new(1);
    let mut user = |request: Request| request.decide(&snapshot, &mut dice).user;
    let ann = user(get().with("x-user", "ann"));
    assert!(ann.is_some());
    assert_eq!(user(get().with("x-user", "ann")), ann);
    assert_ne!(user(get().with("x-user", "bob")), ann);
    assert_eq!(user(get()), None);
}

#[test]
fn a_verdict_timeout_is_in_whole_milliseconds() {
    let mut slow = route("shop");
    slow.guard.verdict_timeout = std::time::Duration::from_micros(250_001);
    let snapshot = snapshot(vec![slow], &[]);
    assert_eq!(get().decide(&snapshot, &mut Dice::new(1)).verdict_timeout_ms, 251);
}

mod marks;
