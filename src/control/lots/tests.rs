//! Splits that are as they should be, and others.

use super::*;
use crate::config::StickyKey;
use crate::control::rig::{Rig, shop};
use crate::metrics::Outcome;

/// So many seconds in which 10 lots a look are drawn, `given` of them for the canary.
fn draw(rig: &mut Rig, seconds: u32, given: u64) {
    for _ in 0..10 * seconds {
        rig.draw_lots("canary", given);
        rig.draw_lots("stable", 10 - given);
        rig.tick();
    }
}

fn lots(rig: &Rig) -> LotsView {
    rig.canary().lots.unwrap()
}

fn mismatches(rig: &Rig) -> [bool; 2] {
    let gauges = rig.controller.gauges();
    [gauges.splits[0].lots, gauges.splits[0].evidence]
}

#[tokio::test]
async fn what_the_weights_say_is_right_also_when_they_move() {
    let mut rig = Rig::new(shop("50%")).await;
    draw(&mut rig, 20, 5);
    let _lowered = rig.set_weight("20%");
    draw(&mut rig, 20, 2);
    let _pulled = rig.pull_cord(None);
    draw(&mut rig, 20, 0);
    let seen = lots(&rig);
    assert!(!seen.mismatch && seen.drawn > 1_500, "{seen:?}");
    assert!((seen.given as f64 - seen.expected).abs() < 1e-6, "{seen:?}");
    assert_eq!(mismatches(&rig), [false, false]);
}

#[tokio::test]
async fn requests_that_the_old_weight_sent_are_passed_over() {
    let mut rig = Rig::new(shop("50%")).await;
    draw(&mut rig, 5, 5);
    let _pulled = rig.pull_cord(None);
    for _ in 0..LOOKS_TO_SETTLE {
        rig.draw_lots("canary", 10);
        rig.tick();
    }
    draw(&mut rig, 5, 0);
    assert!(!lots(&rig).mismatch);
}

#[tokio::test]
async fn a_split_that_is_off_is_shown_until_the_canary_starts_anew() {
    let mut rig = Rig::new(shop("20%")).await;
    draw(&mut rig, 20, 4);
    let seen = lots(&rig);
    assert!(seen.mismatch, "{seen:?}");
    assert_eq!((seen.given, mismatches(&rig)), (4 * seen.drawn / 10, [true, false]));
    let _pulled = rig.pull_cord(None);
    rig.tick();
    assert!(lots(&rig).mismatch, "nobody has looked at it");
    rig.stored();
    let _reset = rig.reset_cord();
    rig.stored();
    draw(&mut rig, 5, 2);
    let seen = lots(&rig);
    assert!(!seen.mismatch && seen.drawn < 600, "{seen:?}");
}

#[tokio::test]
async fn clients_that_leave_only_the_canary_are_noticed() {
    let mut rig = Rig::new(shop("20%")).await;
    for _ in 0..100 {
        rig.serve("canary", 2, Outcome::Success);
        rig.leave("canary", 1);
        rig.serve("stable", 38, Outcome::Success);
        rig.leave("stable", 1);
        rig.tick();
    }
    let seen = lots(&rig);
    assert!(seen.unjudged_mismatch && seen.ended == 3 * seen.unjudged, "{seen:?}");
    assert_eq!(mismatches(&rig), [false, true]);
    assert!(rig.view().cord.is_none(), "it is watched, and no more");
}

#[tokio::test]
async fn where_users_are_tied_to_a_variant_their_requests_may_be_split_otherwise() {
    let mut config = shop("20%");
    config.routes[0].sticky = Some(StickyKey::Address);
    let mut rig = Rig::new(config).await;
    draw(&mut rig, 20, 9);
    assert_eq!(rig.canary().lots, None);
    assert!(rig.controller.gauges().splits.is_empty());
}
