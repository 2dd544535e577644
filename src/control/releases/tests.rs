//! Releases through the controller: what is in force, what is stored, and what people are told.

use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::config::plan::{Otherwise, PlanStep, Promote};
use crate::control::command::{Command, PullCord, ResetCord, RollBack, SetWeight};
use crate::control::rig::{Answer, Rig, answered, shop};
use crate::control::testing::weight;
use crate::control::view::RouteView;

fn step(to: &str, hold_s: u64) -> PlanStep {
    PlanStep {
        to: weight(to),
        mirror: None,
        ramp: Duration::ZERO,
        hold: Duration::from_secs(hold_s),
        proof: false,
        approve: false,
        within: Duration::from_hours(1),
        otherwise: Otherwise::Hold,
    }
}

fn with_plan(steps: Vec<PlanStep>) -> Config {
    let plan = Plan { name: "careful".into(), steps, promote: Promote::Auto, hours: None };
    Config { plans: vec![plan], ..shop("0%") }
}

fn start(rig: &mut Rig) -> Answer<RouteView> {
    start_with(rig, None)
}

fn start_with(rig: &mut Rig, upstream: Option<&str>) -> Answer<RouteView> {
    let request = StartRelease {
        route: "shop".into(),
        plan: "careful".into(),
        name: None,
        upstream: upstream.map(Arc::from),
        if_revision: None,
        by: "ann".into(),
        why: "v2 is ready".into(),
    };
    rig.ask(|reply| Command::StartRelease(request, reply))
}

fn steer(rig: &mut Rig, steering: Steering) -> Answer<RouteView> {
    let request = SteerRelease {
        route: "shop".into(),
        id: None,
        steering,
        if_revision: None,
        by: "bob".into(),
        why: "I say so".into(),
    };
    rig.ask(|reply| Command::SteerRelease(request, reply))
}

/// Ticks, and stores whatever is under way, until nothing moves.
fn settle(rig: &mut Rig) {
    for _ in 0..10 {
        rig.all_is_well();
        while rig.controller.saving.is_under_way() {
            rig.stored();
        }
    }
}

fn state(rig: &Rig) -> String {
    rig.view().release.unwrap().release.state().to_owned()
}

fn effective_of(rig: &Rig) -> Weight {
    rig.view().canaries[0].effective
}

#[tokio::test]
async fn a_plan_is_followed_to_the_promotion_and_traffic_never_moves_back() {
    let mut rig = Rig::new(with_plan(vec![step("5%", 60), step("100%", 60)])).await;
    let mut started = start(&mut rig);
    rig.stored();
    assert_eq!(answered(&mut started).unwrap().release.unwrap().release.plan.name, "careful".into());
    settle(&mut rig);
    assert_eq!((rig.published(), state(&rig).as_str()), (weight("5%"), "holding"));
    rig.pass(Duration::from_secs(60));
    settle(&mut rig);
    assert_eq!((rig.published(), state(&rig).as_str()), (weight("100%"), "holding"));
    let (stable, canary) = served_by(&rig);
    assert_eq!((&*stable, &*canary), ("v1", "v2"));
    rig.pass(Duration::from_secs(60));
    settle(&mut rig);
    assert_eq!((rig.published(), state(&rig).as_str()), (Weight::ZERO, "promoted"));
    assert_eq!(rig.view().previous_stable, Some("v1".into()));
    let (stable, canary) = served_by(&rig);
    assert_eq!((&*stable, &*canary), ("v2", "v1"));
}

/// In the table that workers see.
fn served_by(rig: &Rig) -> (String, String) {
    let snapshot = rig.controller.publisher.live().load();
    let variants = &snapshot.table().routes()[0].serving.as_ref().unwrap().variants;
    (variants[0].group.name.to_string(), variants[1].group.name.to_string())
}

#[tokio::test]
async fn a_raise_of_the_plan_is_stored_before_it_is_in_force() {
    let mut rig = Rig::new(with_plan(vec![step("5%", 60)])).await;
    start(&mut rig);
    rig.stored();
    rig.tick();
    assert_eq!(rig.published(), Weight::ZERO);
    rig.not_stored();
    assert_eq!(rig.published(), Weight::ZERO);
    settle_after_failure(&mut rig);
    assert_eq!(rig.published(), weight("5%"));
}

fn settle_after_failure(rig: &mut Rig) {
    rig.pass(Duration::from_secs(5));
    settle(rig);
}

#[tokio::test]
async fn unhealthy_ends_the_release_and_the_next_waits_for_a_reset() {
    let mut rig = Rig::new(with_plan(vec![step("5%", 600), step("100%", 60)])).await;
    start(&mut rig);
    settle(&mut rig);
    rig.canary_breaks();
    settle(&mut rig);
    assert_eq!((rig.published(), state(&rig).as_str()), (Weight::ZERO, "backed_off"));
    let refused = answered(&mut start(&mut rig)).unwrap_err();
    assert!(matches!(refused, Refusal::CordPulled { .. }), "{refused:?}");
    let reset = ResetCord { route: "shop".into(), by: "ann".into(), why: "fixed".into() };
    rig.ask(|reply| Command::ResetCord(reset, reply));
    settle(&mut rig);
    assert_eq!(effective_of(&rig), Weight::ZERO, "a version that was taken back does not come by itself");
    let mut again = start(&mut rig);
    settle(&mut rig);
    assert!(answered(&mut again).is_ok());
    assert_eq!(rig.published(), weight("5%"));
}

#[tokio::test]
async fn a_cord_that_a_person_pulls_ends_it_too() {
    let mut rig = Rig::new(with_plan(vec![step("5%", 600)])).await;
    start(&mut rig);
    settle(&mut rig);
    let pull = PullCord { route: None, by: "bob".into(), why: "stop".into() };
    rig.ask(|reply| Command::PullCord(pull, reply));
    let ended = rig.view().release.unwrap().release.ended.unwrap();
    assert_eq!((ended.how, &*ended.by, &*ended.why), (End::BackedOff, "bob", "stop"));
}

#[tokio::test]
async fn a_weight_set_by_hand_holds_it_until_somebody_resumes() {
    let mut rig = Rig::new(with_plan(vec![step("5%", 1), step("50%", 600)])).await;
    start(&mut rig);
    rig.stored();
    rig.tick();
    rig.stored();
    let set = SetWeight {
        route: "shop".into(),
        canary: None,
        weight: weight("2%"),
        if_revision: None,
        by: "bob".into(),
        why: "less".into(),
    };
    rig.ask(|reply| Command::SetWeight(set, reply));
    settle(&mut rig);
    rig.pass(Duration::from_secs(5));
    settle(&mut rig);
    assert_eq!((rig.published(), state(&rig).as_str()), (weight("2%"), "held"));
    let held = rig.view().release.unwrap().release.held.unwrap();
    assert_eq!(&*held.why, "the weight was set to 2% by bob: less");
    steer(&mut rig, Steering::Resume);
    settle(&mut rig);
    assert_eq!(rig.published(), weight("50%"));
}

#[tokio::test]
async fn one_release_at_a_time_and_what_does_not_make_sense_is_refused() {
    let mut rig = Rig::new(with_plan(vec![step("5%", 600)])).await;
    let said = |mut answer: Answer<RouteView>| format!("{:?}", answered(&mut answer).unwrap_err());
    assert!(said(steer(&mut rig, Steering::Hold)).contains("UnknownRelease"));
    assert!(said(start_with(&mut rig, Some("v9"))).contains("NoUpstream"));
    assert!(said(start_with(&mut rig, Some("v1"))).contains("is stable already"));
    start(&mut rig);
    settle(&mut rig);
    assert!(said(start(&mut rig)).contains("is under way"));
    assert!(said(steer(&mut rig, Steering::Approve)).contains("waits for no approval"));
    assert!(said(steer(&mut rig, Steering::Resume)).contains("not held"));
    let mut aborted = steer(&mut rig, Steering::Abort);
    settle(&mut rig);
    assert!(answered(&mut aborted).is_ok());
    assert_eq!((rig.published(), state(&rig).as_str()), (Weight::ZERO, "aborted"));
    assert!(said(steer(&mut rig, Steering::Promote)).contains("has ended: aborted, by bob"));
}

#[tokio::test]
async fn another_upstream_plays_the_canary_and_a_promotion_is_rolled_back_in_one_move() {
    let mut rig = Rig::new(with_plan(vec![step("5%", 600)])).await;
    start_with(&mut rig, Some("v3"));
    settle(&mut rig);
    assert_eq!(served_by(&rig), ("v1".to_owned(), "v3".to_owned()));
    steer(&mut rig, Steering::Promote);
    settle(&mut rig);
    assert_eq!(served_by(&rig), ("v3".to_owned(), "v1".to_owned()));
    let back = RollBack { route: "shop".into(), if_revision: None, by: "ann".into(), why: "slow".into() };
    let mut rolled = rig.ask(|reply| Command::RollBack(back.clone(), reply));
    assert_eq!(served_by(&rig), ("v1".to_owned(), "v3".to_owned()), "at once");
    settle(&mut rig);
    assert!(answered(&mut rolled).is_ok());
    let refused = answered(&mut rig.ask(|reply| Command::RollBack(back, reply))).unwrap_err();
    assert!(format!("{refused:?}").contains("nothing to roll back to"), "{refused:?}");
}

#[tokio::test]
async fn too_few_endpoints_are_waited_for_and_refuse_a_hand() {
    let mut config = with_plan(vec![step("60%", 600)]);
    config.routes[0].capacity = Some(weight("50%"));
    config.upstreams[0].endpoints = (0..4).map(|port| ([127, 0, 0, 1], 9_100 + port).into()).collect();
    let mut rig = Rig::new(config).await;
    start(&mut rig);
    settle(&mut rig);
    assert_eq!((rig.published(), state(&rig).as_str()), (Weight::ZERO, "raising"));
    let waits = rig.view().release.unwrap().waiting.unwrap().sentence;
    assert!(waits.contains("has 1 usable endpoint, and 60% of the route takes 2"), "{waits}");
    let set = |share: &str| SetWeight {
        route: "shop".into(),
        canary: None,
        weight: weight(share),
        if_revision: None,
        by: "bob".into(),
        why: "more".into(),
    };
    let refused = answered(&mut rig.ask(|reply| Command::SetWeight(set("51%"), reply))).unwrap_err();
    assert!(matches!(refused, Refusal::NoCapacity { .. }), "{refused:?}");
    let mut taken = rig.ask(|reply| Command::SetWeight(set("50%"), reply));
    settle(&mut rig);
    assert!(answered(&mut taken).is_ok());
}
