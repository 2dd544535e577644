//! A route at rest is as if it had been looked at all the time, and costs nothing meanwhile.

use super::*;
use crate::config::StickyKey;
use crate::control::rig::{Rig, config, shop};
use crate::control::testing::route;
use crate::immune::Guard;
use crate::immune::journal::{Segment, Writer};
use crate::metrics::Outcome;

fn is_awake(rig: &Rig) -> bool {
    !rig.controller.routes.rota.awake().is_empty()
}

fn pass(rig: &mut Rig, looks: usize) {
    (0..looks).for_each(|_| rig.tick());
}

/// All that the immune system knows of the route, to the last bit.
fn known(rig: &mut Rig) -> Vec<Vec<u8>> {
    rig.controller.routes.catch_up_all();
    let split = rig.controller.routes.split(0).unwrap();
    let test = split.self_test.as_ref().map(|test| test.guard());
    let guards = split.canaries.iter().map(|live| &*live.guard).chain(test);
    guards.map(|guard: &Guard| Writer::new(guard).finish()).collect()
}

/// A day in little: bursts and silences of any length, with failures in some of them.
fn live_through(mut rig: Rig, sleepless: bool) -> (Vec<Vec<u8>>, String, bool) {
    let mut chance = fastrand::Rng::with_seed(5);
    let mut has_rested = false;
    for _ in 0..40 {
        for _ in 0..chance.u32(1..60) {
            rig.serve("stable", chance.u64(0..40), Outcome::Success);
            rig.serve("stable", chance.u64(0..2), Outcome::ServerError);
            rig.serve_phantom(chance.u64(0..3), Outcome::Success);
            rig.serve("canary", chance.u64(0..4), Outcome::Success);
            rig.serve("canary", u64::from(chance.u32(0..30) == 0), Outcome::ServerError);
            rig.tick();
        }
        for _ in 0..chance.usize(0..400) + chance.usize(0..10) / 9 * 2 * NAP_LOOKS {
            if sleepless {
                rig.controller.routes.wake_all();
            }
            rig.pass(std::time::Duration::from_millis(chance.u64(0..30)));
            rig.tick();
            has_rested |= !is_awake(&rig);
        }
    }
    let known = known(&mut rig);
    (known, format!("{:?}", rig.canary()), has_rested)
}

#[tokio::test]
async fn rest_leaves_no_trace_in_what_is_known() {
    let (rested, view, has_rested) = live_through(Rig::new(shop("5%")).await, false);
    let (sleepless, same_view, has_not) = live_through(Rig::new(shop("5%")).await, true);
    assert!(has_rested && !has_not);
    assert!(rested == sleepless);
    assert_eq!(view, same_view);
}

#[tokio::test]
async fn a_route_rests_after_a_tick_without_requests_and_wakes_with_the_first_one() {
    let mut rig = Rig::new(shop("5%")).await;
    rig.all_is_well();
    assert!(is_awake(&rig));
    pass(&mut rig, 20);
    assert!(!is_awake(&rig));
    pass(&mut rig, 500);
    rig.serve("canary", 1, Outcome::Success);
    rig.tick();
    assert!(is_awake(&rig));
}

#[tokio::test]
async fn a_canary_that_breaks_after_a_long_silence_is_taken_back_as_soon_as_any_other() {
    let mut looks = Vec::new();
    for silence in [0, 5 * NAP_LOOKS] {
        let mut rig = Rig::new(shop("5%")).await;
        rig.all_is_well();
        pass(&mut rig, silence);
        let until = (1_u32..100).find(|_| {
            rig.canary_fails_for_a_tick();
            rig.view().cord.is_some()
        });
        looks.push(until.unwrap());
    }
    assert!(looks[1].abs_diff(looks[0]) <= 1, "{looks:?}");
}

#[tokio::test]
async fn whoever_changes_a_route_wakes_it_and_whoever_looks_does_not() {
    let mut rig = Rig::new(shop("5%")).await;
    rig.all_is_well();
    pass(&mut rig, 100);
    drop(rig.ask(|reply| crate::control::Command::Route("shop".into(), reply)));
    drop(rig.ask(crate::control::Command::Routes));
    assert!(!is_awake(&rig));
    drop(rig.pull_cord(None));
    assert!(is_awake(&rig));
    rig.stored();
    pass(&mut rig, 100);
    assert!(!is_awake(&rig), "a pulled cord is nothing that time brings to an end");
}

#[tokio::test]
async fn users_who_were_counted_just_now_are_waited_for() {
    let mut config = shop("50%");
    config.routes[0].sticky = Some(StickyKey::Address);
    let mut rig = Rig::new(config).await;
    pass(&mut rig, 230);
    assert!(rig.counts_success_of("canary", 7));
    pass(&mut rig, 50);
    assert!(is_awake(&rig) && !rig.counts_success_of("canary", 7));
    pass(&mut rig, 150);
    assert!(!is_awake(&rig));
    assert!(rig.counts_success_of("canary", 7), "the silence was long enough to be counted anew");
}

#[tokio::test]
async fn routes_rest_one_by_one() {
    let two =
        config(vec![route("shop", &[("canary", "v2", "5%")]), route("blog", &[("canary", "v2", "5%")])]);
    let mut rig = Rig::new(two).await;
    for _ in 0..50 {
        rig.serve("stable", 1, Outcome::Success);
        rig.tick();
    }
    assert_eq!(rig.controller.routes.rota.awake(), [0]);
}

#[tokio::test]
async fn what_a_silence_leaves_in_the_record_is_a_sign_of_life() {
    let mut rig = Rig::new(shop("5%")).await;
    pass(&mut rig, 2 * NAP_LOOKS);
    assert!(segments(&rig).is_empty(), "nobody has been judged yet");
    rig.all_is_well();
    pass(&mut rig, 30);
    let before = segments(&rig).len();
    pass(&mut rig, 3 * NAP_LOOKS);
    let all = segments(&rig);
    let signs = &all[before..];
    assert_eq!(signs.len(), 3);
    assert!(signs.iter().all(|frames| *frames <= 3), "{signs:?}");
}

fn segments(rig: &Rig) -> Vec<usize> {
    let waiting = rig.controller.evidence.waiting();
    waiting.map(|one| Segment::decode(&one.blob).unwrap().frames.len()).collect()
}
