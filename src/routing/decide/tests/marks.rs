//! What a decision says of a request beside where it goes: the phantom's, whose lot it was, whether it is drilled.

use super::*;
use crate::config::{Guard, OnAlarm, SelfTest};

/// The route `shop` with a canary, whose phantom has this share.
fn tested(share: &str, sticky: Option<StickyKey>) -> Route {
    let mut route = Route { sticky, ..split_route("shop", &["v2"]) };
    let share = Weight::parse(share).unwrap();
    route.guard.self_test = Some(SelfTest { share, on_alarm: OnAlarm::Watch });
    route
}

#[test]
fn the_phantom_has_its_share_of_what_stable_has_by_lot_and_of_nothing_else() {
    for (share, weight_ppm) in [("5%", 0), ("5%", 200_000), ("50%", 500_000), ("0.1%", 999_000)] {
        let snapshot = snapshot(vec![tested(share, None)], &[weight_ppm]);
        let mut dice = Dice::new(1);
        let (mut stable, mut phantom) = (0, 0);
        for _ in 0..20_000 {
            let decision = get().decide(&snapshot, &mut dice);
            assert!(!(decision.canary && decision.phantom.is_some()), "a canary's request is no phantom's");
            stable += u32::from(!decision.canary);
            phantom += u32::from(decision.phantom.is_some());
        }
        let expected = f64::from(stable) * Weight::parse(share).unwrap().ratio();
        assert!(
            (f64::from(phantom) - expected).abs() <= 8.0,
            "{phantom} of {stable} at {share}, {weight_ppm}"
        );
    }
}

#[test]
fn a_route_that_tests_nothing_has_no_phantom() {
    let off = Route { guard: Guard { self_test: None, ..Guard::default() }, ..split_route("shop", &["v2"]) };
    for route in [route("plain"), off] {
        let snapshot = snapshot(vec![route], &[0]);
        let mut dice = Dice::new(1);
        assert!((0..100).all(|_| get().decide(&snapshot, &mut dice).phantom.is_none()));
    }
    let mut asked = with_overrides();
    asked.guard.self_test = tested("50%", None).guard.self_test;
    let snapshot = snapshot(vec![asked], &[0, 0]);
    let never = get().with("x-canary", "never");
    assert!(
        (0..100).all(|_| never.decide(&snapshot, &mut Dice::new(1)).phantom.is_none()),
        "it was asked for"
    );
}

#[test]
fn a_sticky_user_is_the_phantoms_or_never_whatever_the_weights_do() {
    let sticky = Some(StickyKey::Cookie("uid".into()));
    let snapshots: Vec<_> =
        [0, 300_000].iter().map(|ppm| snapshot(vec![tested("50%", sticky.clone())], &[*ppm])).collect();
    let is_phantom = |user: u32, snapshot: &Snapshot, seed| {
        let request = get().with("cookie", &format!("uid={user}"));
        let decision = request.decide(snapshot, &mut Dice::new(seed));
        (!decision.canary).then(|| decision.phantom.is_some())
    };
    let (mut phantoms, mut stable) = (0, 0);
    for user in 0..400 {
        let before = is_phantom(user, &snapshots[0], 1).unwrap();
        assert_eq!(is_phantom(user, &snapshots[0], 2), Some(before));
        if let Some(after) = is_phantom(user, &snapshots[1], 3) {
            assert_eq!(after, before, "user {user}");
            (phantoms, stable) = (phantoms + u32::from(after), stable + 1);
        }
    }
    // Whom the canary took says nothing about who is the phantom's.
    assert!((100..=180).contains(&phantoms) && stable > 230, "{phantoms} of {stable}");
}

#[test]
fn where_stable_has_no_endpoint_the_phantom_misses_it_too() {
    let snapshot = snapshot(vec![tested("50%", None)], &[0]);
    let nothing = (0..4).map(|group| (group, Arc::new(Usable::default()))).collect();
    let snapshot = snapshot.with_usable(2, nothing);
    let mut dice = Dice::new(1);
    let phantoms = (0..200).filter(|_| match decide(&snapshot, &get().view(), &mut dice, |_| 0).answer {
        Answer::NoEndpoint(found) => found.phantom.is_some(),
        other => panic!("{other:?}"),
    });
    assert!((92..=108).contains(&phantoms.count()));
}

#[test]
fn a_lot_is_the_canarys_whoever_serves_it() {
    let mut route = split_route("shop", &["v2"]);
    route.guard.harm_max = Some(1);
    let snapshot = snapshot(vec![route], &[1_000_000]);
    let canary = snapshot.table().routes()[0].serving.as_ref().unwrap().variants[1].slot;
    let mut dice = Dice::new(1);
    let first = decide(&snapshot, &get().view(), &mut dice, |_| 0);
    let Answer::Forward(second) = decide(&snapshot, &get().view(), &mut dice, |_| 0).answer else { panic!() };
    assert_eq!((second.why, second.lot, second.canary), (Why::HarmBudget, Some(canary), false));
    drop(first);
    let nothing = Arc::new(Usable::default());
    let gone = snapshot.with_usable(2, vec![(1, nothing)]);
    let third = get().decide(&gone, &mut dice);
    assert_eq!((third.why, third.lot, third.canary), (Why::NoEndpoint, Some(canary), false));
}

#[test]
fn a_drill_takes_its_share_of_what_the_lot_gave_to_that_canary() {
    let plain = snapshot(vec![with_overrides()], &[500_000, 300_000]);
    let drilled = Share { drill: Weight::from_ppm(250_000), ..open(500_000) };
    let drill = plain.with_shares(2, 0, &[drilled, open(300_000)]);
    let mut dice = Dice::new(1);
    let mut counts = [[0_u32; 2]; 3];
    for _ in 0..10_000 {
        let decision = get().decide(&drill, &mut dice);
        counts[decision.place.variant][usize::from(decision.drill)] += 1;
        assert!(!get().decide(&plain, &mut dice).drill);
    }
    let [stable, [well, failed], other] = counts;
    assert_eq!((stable[1], other[1]), (0, 0));
    assert!((1_100..1_400).contains(&failed) && (3_600..3_900).contains(&well), "{failed} of {well}");
    let asked = get().with("x-canary", "always");
    assert!((0..100).all(|_| !asked.decide(&drill, &mut dice).drill), "somebody asked for it");
}
