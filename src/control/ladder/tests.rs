//! Down and up again, and what happens at the edges.

use super::super::state::{Direction, classify};
use super::*;
use crate::store::record::{CanaryRecord, Role, RouteRecord};

const HOUR_MS: i64 = 3_600_000;

fn weight(text: &str) -> Weight {
    Weight::parse(text).unwrap()
}

fn stamp(at_ms: i64) -> Stamp {
    Stamp { id: "id".into(), at_ms }
}

fn role(upstream: &str) -> Role {
    Role { file_upstream: upstream.into(), upstream: upstream.into() }
}

fn state(aims: &[&str]) -> RouteState {
    let canaries = aims.iter().enumerate().map(|(at, aim)| CanaryRecord {
        name: format!("canary-{at}").into(),
        role: role("v2"),
        file_aim: weight(aim),
        aim: weight(aim),
        ceiling: Weight::WHOLE,
        strikes: None,
    });
    let canaries = canaries.collect();
    RouteState {
        record: RouteRecord {
            route: "shop".into(),
            stable: role("v1"),
            canaries,
            cord: None,
            previous_stable: None,
            release: None,
        },
        revision: 1,
    }
}

fn plan() -> BackOff {
    BackOff::default()
}

fn cut_by(state: &RouteState, canary: usize, plan: &BackOff) -> Step {
    state.cut(canary, plan, "it fails", json!({ "odds": 9 }), stamp(1))
}

fn cut(state: &RouteState) -> RouteState {
    cut_by(state, 0, &plan()).state
}

fn up(state: &RouteState) -> RouteState {
    state.step_up(0, &plan(), stamp(2)).state
}

fn ceiling(state: &RouteState) -> Weight {
    state.record.canaries[0].ceiling
}

#[test]
fn a_cut_leaves_a_part_and_says_what_it_did() {
    let before = state(&["5%"]);
    let Step { state, decision } = cut_by(&before, 0, &plan());
    let decision = decision.unwrap();
    assert_eq!(state.record.canaries[0].strikes, Some(Strikes { count: 1, since_ms: 1 }));
    assert_eq!((decision.before, decision.after), (weight("5%"), weight("1.25%")));
    assert_eq!((decision.action, &*decision.by), (Action::BackOff, BY_IMMUNE));
    assert_eq!(&*decision.why, "it fails; ceiling 5% → 1.25%, strike 1 of 3");
    let ladder = json!({ "ceiling": "1.25%", "strike": 1, "strikes": 3 });
    assert_eq!(decision.evidence, Some(json!({ "odds": 9, "back_off": ladder })));
    assert_eq!(state.record.cord, None);
    assert_eq!(state.revision, before.revision + 1);
    assert_eq!(classify(Some(&before.record), &state.record), Direction::Lowering);
}

#[test]
fn it_climbs_by_as_much_as_it_was_cut_up_to_the_aim() {
    let low = cut(&cut(&state(&["5%"])));
    assert_eq!(ceiling(&low), weight("0.3125%"));
    let Step { state: higher, decision } = low.step_up(0, &plan(), stamp(HOUR_MS));
    assert_eq!(ceiling(&higher), weight("1.25%"));
    assert_eq!(higher.record.canaries[0].strikes, Some(Strikes { count: 2, since_ms: HOUR_MS }));
    assert_eq!(classify(Some(&low.record), &higher.record), Direction::Raising);
    let decision = decision.unwrap();
    assert_eq!((decision.before, decision.after), (weight("0.3125%"), weight("1.25%")));
    assert_eq!((decision.action, &*decision.by), (Action::Raise, BY_IMMUNE));
    assert_eq!(&*decision.why, "10 min without a finding after strike 2 of 3");

    let Step { state: top, decision } = higher.step_up(0, &plan(), stamp(2 * HOUR_MS));
    assert_eq!(ceiling(&top), Weight::WHOLE);
    let decision = decision.unwrap();
    assert_eq!(decision.after, weight("5%"));
    assert!(decision.why.ends_with("the aim is reached, and in 10 min more the strikes are forgotten"));
    assert_eq!(top.step_up(0, &plan(), stamp(3 * HOUR_MS)).decision, None, "there is nothing above");
    assert_eq!(top.forget_strikes(0).record.canaries[0].strikes, None);
}

#[test]
fn what_rounding_took_is_not_worth_a_step() {
    for (aim, factor) in [("5.0001%", 4.0), ("33.3333%", 1.1), ("7.7777%", 3.0), ("99.9999%", 1_000.0)] {
        let plan = BackOff { cut: factor, ..plan() };
        let below = cut_by(&state(&[aim]), 0, &plan).state;
        assert!(ceiling(&below) < weight(aim));
        assert_eq!(ceiling(&below.step_up(0, &plan, stamp(2)).state), Weight::WHOLE, "{aim} by {factor}");
    }
}

#[test]
fn the_last_strike_is_an_abort() {
    let twice = cut(&cut(&state(&["5%"])));
    let Step { state, decision } = cut_by(&twice, 0, &plan());
    assert_eq!(ceiling(&state), Weight::ZERO);
    assert_eq!(state.record.canaries[0].strikes, None);
    let decision = decision.unwrap();
    assert_eq!((decision.action, decision.after), (Action::BackOff, Weight::ZERO));
    assert_eq!(&*decision.why, "it fails; strike 3 of 3");
    assert_eq!(decision.evidence.unwrap()["back_off"]["ceiling"], "0%");
    assert_eq!(state.record.cord.unwrap().why, decision.why);
    let one = BackOff { strikes: 1, ..plan() };
    assert!(cut_by(&self::state(&["5%"]), 0, &one).state.record.cord.is_some());
}

#[test]
fn fewer_strikes_in_a_changed_file_hold_at_the_next_one() {
    let one = BackOff { strikes: 1, ..plan() };
    assert!(cut_by(&cut(&state(&["5%"])), 0, &one).state.record.cord.is_some());
}

#[test]
fn what_is_too_little_to_be_cut_is_an_abort() {
    let at = |aim| cut_by(&state(&[aim]), 0, &plan());
    assert_eq!(ceiling(&at("0.04%").state), weight("0.01%"));
    let Step { state, decision } = at("0.0399%");
    assert!(state.record.cord.is_some() && ceiling(&state).is_zero());
    assert_eq!(&*decision.unwrap().why, "it fails; strike 1 of 3, and 0.0399% is too little to be cut");
    assert!(at("0%").state.record.cord.is_some(), "a finding without weight, as ever");
}

#[test]
fn each_canary_has_a_ladder_of_its_own_and_an_abort_stops_them_all() {
    let both = state(&["40%", "8%"]);
    let one = cut_by(&both, 1, &plan()).state;
    let shares = |state: &RouteState| state.shares().iter().map(|share| share.effective).collect::<Vec<_>>();
    assert_eq!(shares(&one), [weight("40%"), weight("2%")]);
    assert_eq!(one.step_up(0, &plan(), stamp(2)).decision, None, "the other one was never cut");
    let aborted = one.back_off(0, &"worse".into(), Value::Null, stamp(2)).state;
    assert_eq!(shares(&aborted), [Weight::ZERO, Weight::ZERO]);
    assert_eq!(aborted.step_up(1, &plan(), stamp(3)).decision, None, "nobody climbs under a cord");
    let reset = aborted.reset_cord(&"ann".into(), &"fixed".into(), stamp(4)).unwrap().state;
    assert_eq!(shares(&reset), [weight("40%"), weight("8%")]);
    assert!(reset.record.canaries.iter().all(|canary| canary.strikes.is_none()));
}

#[test]
fn an_aim_below_the_ceiling_is_what_is_cut_and_what_is_reached() {
    let mut lower = cut(&state(&["40%"]));
    lower.record.canaries[0].aim = weight("1%");
    assert_eq!(ceiling(&lower), weight("10%"));
    assert_eq!(ceiling(&cut(&lower)), weight("0.25%"), "of what it really had");
    let Step { state: lifted, decision } = lower.step_up(0, &plan(), stamp(2));
    assert_eq!(ceiling(&lifted), Weight::WHOLE);
    assert_eq!(lifted.shares()[0].effective, weight("1%"));
    assert_eq!(
        decision.map(|decision| (decision.before, decision.after)),
        Some((weight("1%"), weight("1%")))
    );
}

#[test]
fn a_higher_aim_is_climbed_to_as_well() {
    let mut low = cut(&state(&["5%"]));
    low.record.canaries[0].aim = weight("20%");
    let once = up(&low);
    assert_eq!(ceiling(&once), weight("5%"));
    assert_eq!(ceiling(&up(&once)), Weight::WHOLE);
}

#[test]
fn spans_are_said_exactly() {
    for (span, said) in [
        (Duration::from_secs(10), "10 s"),
        (Duration::from_millis(10_500), "10.5 s"),
        (Duration::from_secs(60), "1 min"),
        (Duration::from_secs(150), "150 s"),
        (Duration::from_mins(90), "90 min"),
        (Duration::from_hours(24), "24 h"),
    ] {
        assert_eq!(exactly(span), said);
    }
}
