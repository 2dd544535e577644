//! What may change, and what may never.

use proptest::prelude::*;

use super::super::merge::{Surroundings, merge};
use super::super::testing;
use super::*;
use crate::config::{self, BackOff};
use crate::store::record::Role;

fn weight(text: &str) -> Weight {
    Weight::parse(text).unwrap()
}

fn stamp() -> Stamp {
    Stamp { id: "id".into(), at_ms: 1 }
}

fn role(upstream: &str) -> Role {
    Role { file_upstream: upstream.into(), upstream: upstream.into() }
}

fn canary(name: &str, aim: &str) -> CanaryRecord {
    let aim = weight(aim);
    CanaryRecord {
        name: name.into(),
        role: role("v2"),
        file_aim: aim,
        aim,
        ceiling: Weight::WHOLE,
        strikes: None,
    }
}

fn state(canaries: Vec<CanaryRecord>) -> RouteState {
    let record = RouteRecord {
        route: "shop".into(),
        stable: role("v1"),
        canaries,
        cord: None,
        previous_stable: None,
        release: None,
    };
    RouteState { record, revision: 7 }
}

fn set(canary: Option<&str>, share: &str) -> SetWeight {
    SetWeight {
        route: "shop".into(),
        canary: canary.map(Into::into),
        weight: weight(share),
        if_revision: None,
        by: "alice".into(),
        why: "because".into(),
    }
}

fn pulled(state: &RouteState) -> RouteState {
    state.pull_cord(&"bob".into(), &"smoke".into(), stamp()).state
}

fn backed_off(state: &RouteState) -> Step {
    state.back_off(0, &"it fails".into(), json!({ "odds": 9 }), stamp())
}

#[test]
fn a_weight_moves_the_aim_and_the_revision() {
    let step = state(vec![canary("canary", "5%")]).set_weight(&set(None, "25%"), stamp()).unwrap();
    assert_eq!(step.state.record.canaries[0].aim, weight("25%"));
    assert_eq!(step.state.revision, 8);
    let decision = step.decision.unwrap();
    assert_eq!((decision.before, decision.after), (weight("5%"), weight("25%")));
    assert_eq!((&*decision.by, decision.action), ("alice", Action::Weight));
}

#[test]
fn the_same_weight_again_is_no_decision() {
    let before = state(vec![canary("canary", "5%")]);
    let step = before.set_weight(&set(None, "5%"), stamp()).unwrap();
    assert_eq!(step, Step { state: before, decision: None });
}

#[test]
fn under_a_cord_weights_may_be_lowered_but_not_raised() {
    let state = pulled(&state(vec![canary("canary", "5%")]));
    let refusal = state.set_weight(&set(None, "6%"), stamp()).unwrap_err();
    assert!(matches!(refusal, Refusal::CordPulled { cord, .. } if &*cord.by == "bob"));
    let lowered = state.set_weight(&set(None, "1%"), stamp()).unwrap();
    assert_eq!(lowered.state.record.canaries[0].aim, weight("1%"));
    let decision = lowered.decision.unwrap();
    assert_eq!((decision.before, decision.after), (Weight::ZERO, Weight::ZERO));
    assert_eq!(decision.evidence, Some(json!({ "aim_before": "5%", "aim_after": "1%" })));
}

#[test]
fn aims_fill_a_route_to_the_brim_and_not_beyond() {
    let state = state(vec![canary("a", "40%"), canary("b", "5%")]);
    assert!(state.set_weight(&set(Some("b"), "60%"), stamp()).is_ok());
    let refusal = state.set_weight(&set(Some("b"), "60.0001%"), stamp()).unwrap_err();
    assert_eq!(refusal, Refusal::TooMuch { sum_ppm: 1_000_001 });
}

#[test]
fn which_canary_must_be_said_unless_there_is_one() {
    let known: Vec<Arc<str>> = vec!["a".into(), "b".into()];
    let two = state(vec![canary("a", "1%"), canary("b", "1%")]);
    for asked in [None, Some("c")] {
        let refusal = two.set_weight(&set(asked, "2%"), stamp()).unwrap_err();
        let expected =
            Refusal::WhichCanary { route: "shop".into(), asked: asked.map(Into::into), known: known.clone() };
        assert_eq!(refusal, expected);
    }
    assert!(state(Vec::new()).set_weight(&set(None, "2%"), stamp()).is_err());
}

#[test]
fn a_second_pull_keeps_the_first_cord() {
    let once = pulled(&state(vec![canary("canary", "5%")]));
    let twice = once.pull_cord(&"carol".into(), &"too".into(), stamp());
    assert_eq!(twice, Step { state: once, decision: None });
}

#[test]
fn a_reset_lifts_the_cord_and_the_ceiling_and_leaves_the_aim() {
    let off = backed_off(&state(vec![canary("canary", "5%")])).state;
    assert_eq!(off.shares(), [Share { effective: Weight::ZERO, open: false, drill: None, mirror: None }]);
    let step = off.reset_cord(&"carol".into(), &"fixed".into(), stamp()).unwrap();
    assert_eq!(
        step.state.shares(),
        [Share { effective: weight("5%"), open: true, drill: None, mirror: None }]
    );
    assert_eq!(step.decision.unwrap().after, weight("5%"));
    let refusal = step.state.reset_cord(&"carol".into(), &"fixed".into(), stamp()).unwrap_err();
    assert_eq!(refusal, Refusal::CordNotPulled { route: "shop".into() });
}

#[test]
fn a_back_off_pulls_the_cord_for_every_canary_and_keeps_the_numbers() {
    let step = backed_off(&state(vec![canary("a", "5%"), canary("b", "7%")]));
    assert!(step.state.shares().iter().all(|share| share.effective.is_zero() && !share.open));
    assert_eq!(step.state.record.canaries[0].ceiling, Weight::ZERO);
    assert_eq!(step.state.record.canaries[1].ceiling, Weight::WHOLE);
    let decision = step.decision.unwrap();
    assert_eq!(decision.evidence, Some(json!({ "odds": 9 })));
    assert_eq!(&*step.state.record.cord.unwrap().by, BY_IMMUNE);
}

#[test]
fn opening_to_overrides_is_a_raise_even_at_weight_zero() {
    let open = state(vec![canary("canary", "0%")]);
    let closed = pulled(&open);
    assert_eq!(classify(Some(&closed.record), &open.record), Direction::Raising);
    assert_eq!(classify(Some(&open.record), &closed.record), Direction::Lowering);
    assert_eq!(classify(None, &open.record), Direction::Raising);
}

#[test]
fn one_canary_up_and_another_down_is_a_raise() {
    let before = state(vec![canary("a", "50%"), canary("b", "5%")]);
    let after = state(vec![canary("a", "1%"), canary("b", "6%")]);
    assert_eq!(classify(Some(&before.record), &after.record), Direction::Raising);
}

#[derive(Clone, Debug)]
enum Operation {
    Weight(usize, u32),
    Pull,
    Reset,
    BackOff(usize),
    Cut(usize),
    StepUp(usize),
    File(Vec<u32>),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0..3usize, 0..=WHOLE_PPM).prop_map(|(canary, ppm)| Operation::Weight(canary, ppm)),
        1 => Just(Operation::Pull),
        2 => Just(Operation::Reset),
        1 => (0..3usize).prop_map(Operation::BackOff),
        3 => (0..3usize).prop_map(Operation::Cut),
        4 => (0..3usize).prop_map(Operation::StepUp),
        2 => prop::collection::vec(0..=WHOLE_PPM / 3, 1..=3).prop_map(Operation::File),
    ]
}

/// The file with so many canaries: `a`, `b`, `c`.
fn file(shares_ppm: &[u32]) -> config::Route {
    let mut route = testing::route("shop", &[("a", "v2", "0%"), ("b", "v2", "0%"), ("c", "v3", "0%")]);
    if let config::Service::Split { canaries, .. } = &mut route.service {
        canaries.truncate(shares_ppm.len());
        for (canary, ppm) in canaries.iter_mut().zip(shares_ppm) {
            canary.weight = Weight::from_ppm(*ppm).unwrap();
        }
    }
    route
}

fn apply(state: &RouteState, operation: &Operation) -> Option<RouteState> {
    let by = Arc::from("someone");
    match operation {
        Operation::Weight(canary, ppm) => {
            let name = ["a", "b", "c"][*canary];
            let request = SetWeight { weight: Weight::from_ppm(*ppm)?, ..set(Some(name), "0%") };
            Some(state.set_weight(&request, stamp()).ok()?.state)
        }
        Operation::Pull => Some(state.pull_cord(&by, &by, stamp()).state),
        Operation::Reset => Some(state.reset_cord(&by, &by, stamp()).ok()?.state),
        Operation::BackOff(canary) if *canary < state.record.canaries.len() => {
            Some(state.back_off(*canary, &by, Value::Null, stamp()).state)
        }
        Operation::Cut(canary) if *canary < state.record.canaries.len() => {
            Some(state.cut(*canary, &BackOff::default(), "bad", json!({}), stamp()).state)
        }
        Operation::StepUp(canary) if *canary < state.record.canaries.len() => {
            Some(state.step_up(*canary, &BackOff::default(), stamp()).state)
        }
        Operation::BackOff(_) | Operation::Cut(_) | Operation::StepUp(_) => None,
        Operation::File(shares_ppm) => {
            let around = Surroundings { upstream_exists: &|_| true, stamp: &stamp };
            let merged = merge(Some(&state.record), &file(shares_ppm), &around)?;
            Some(RouteState { record: merged.record, revision: state.revision + 1 })
        }
    }
}

fn must_hold(before: &RouteState, operation: &Operation, after: &RouteState) {
    let record = &after.record;
    assert!(aim_sum_ppm(&record.canaries) <= u64::from(WHOLE_PPM));
    for (canary, share) in record.canaries.iter().zip(after.shares()) {
        assert!(share.effective <= canary.aim.min(canary.ceiling));
        assert!(record.cord.is_none() || (share.effective.is_zero() && !share.open));
        assert!(canary.strikes.is_none() || !canary.ceiling.is_zero(), "who is aborted has no ladder");
        let is_lowered = canary.ceiling < Weight::WHOLE;
        assert!(!is_lowered || record.cord.is_some() || canary.strikes.is_some(), "who is cut can climb");
    }
    if matches!(operation, Operation::BackOff(_) | Operation::Cut(_) | Operation::Pull) {
        assert_eq!(classify(Some(&before.record), record), Direction::Lowering);
    }
    if let Operation::StepUp(climbs) = operation {
        for (at, (was, is)) in before.record.canaries.iter().zip(&record.canaries).enumerate() {
            assert_eq!(was.aim, is.aim);
            let rose = is.ceiling > was.ceiling;
            assert!(!rose || (at == *climbs && was.strikes.is_some() && before.record.cord.is_none()));
        }
    }
    if matches!(operation, Operation::File(_)) {
        assert_eq!(before.record.cord, record.cord, "a file does not touch cords");
        for canary in &record.canaries {
            let was = before.record.canaries.iter().find(|was| was.name == canary.name);
            assert!(was.is_none_or(|was| was.ceiling == canary.ceiling), "a file does not touch ceilings");
        }
    }
    if before.record.cord.is_some() && !matches!(operation, Operation::Reset) {
        assert_eq!(before.record.cord, record.cord, "only a reset lifts a cord");
    }
}

proptest! {
    #[test]
    fn no_sequence_of_changes_breaks_the_invariants(operations in prop::collection::vec(operation(), 1..60)) {
        let mut state = state(vec![canary("a", "5%"), canary("b", "0%")]);
        for operation in &operations {
            if let Some(after) = apply(&state, operation) {
                must_hold(&state, operation, &after);
                state = after;
            }
        }
    }
}
