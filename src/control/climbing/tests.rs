//! A canary that fails, is cut, and climbs back, with every moment played.

use super::*;
use crate::config::{Config, Weight};
use crate::control::controller::Event;
use crate::control::rig::{Rig, START_MS, answered, shop};
use crate::control::testing::weight;
use crate::store::record::Action;

fn backing_off(share: &str) -> Config {
    let mut config = shop(share);
    config.routes[0].guard.on_unhealthy = OnUnhealthy::BackOff(BackOff::default());
    config
}

/// A canary of 5% that was cut once, and has been well since.
async fn cut_once() -> Rig {
    let mut rig = Rig::new(backing_off("5%")).await;
    rig.all_is_well();
    rig.breaks_until_cut();
    rig.stored();
    rig
}

impl Rig {
    fn breaks_until_cut(&mut self) {
        let before = self.published();
        for _ in 0..100 {
            if self.published() < before {
                return;
            }
            self.canary_fails_for_a_tick();
        }
        panic!("nothing was cut in 10 s");
    }

    /// Most of the way in one jump, for an hour of ticks is slow to play. Ends early when a save is under way: it would
    /// be given up.
    fn time_passes(&mut self, time: Duration) {
        self.pass(time.saturating_sub(Duration::from_secs(60)));
        for _ in 0..60 {
            self.all_is_well();
            if self.controller.saving.is_under_way() {
                return;
            }
        }
    }

    fn back_off(&self) -> BackOffView {
        self.canary().back_off.unwrap()
    }
}

#[tokio::test]
async fn a_finding_cuts_the_ceiling_and_the_evidence_starts_anew() {
    let mut rig = Rig::new(backing_off("5%")).await;
    rig.all_is_well();
    rig.breaks_until_cut();
    assert_eq!(rig.published(), weight("1.25%"));
    let owed = rig.owed();
    let decision = owed[0].decision.as_ref().unwrap();
    assert_eq!(decision.action, Action::BackOff);
    assert!(decision.why.ends_with("ceiling 5% → 1.25%, strike 1 of 3"), "{}", decision.why);
    assert!(rig.view().cord.is_none());
    assert!(!rig.controller.routes.split(0).unwrap().canaries[0].guard.is_unhealthy());
    assert!(rig.controller.gauges().back_off_seconds.is_empty(), "there is no last request");
    assert_eq!(rig.back_off().sentence(), "strike 1 of 3; next step up in 10 min");
}

#[tokio::test]
async fn what_the_old_weight_sent_is_not_held_against_the_new_one() {
    let mut rig = cut_once().await;
    for _ in 0..49 {
        rig.canary_fails_for_a_tick();
    }
    assert_eq!(rig.published(), weight("1.25%"), "no more than it had in flight");
    rig.breaks_until_cut();
    assert_eq!(rig.published(), weight("0.3125%"), "but it goes on failing");
}

#[tokio::test]
async fn a_canary_that_stays_bad_is_aborted_at_its_last_strike() {
    let mut rig = cut_once().await;
    rig.breaks_until_cut();
    rig.stored();
    rig.breaks_until_cut();
    assert_eq!(rig.published(), Weight::ZERO);
    assert!(rig.view().cord.unwrap().why.ends_with("strike 3 of 3"));
    assert_eq!(rig.canary().back_off, None);
    rig.all_is_well();
    assert_eq!(rig.controller.gauges().back_off_seconds.len(), 1);
}

#[tokio::test]
async fn a_canary_that_is_well_climbs_to_its_aim_and_its_strike_is_forgotten() {
    let mut rig = cut_once().await;
    rig.time_passes(Duration::from_mins(9));
    assert_eq!(rig.published(), weight("1.25%"));
    rig.time_passes(Duration::from_mins(2));
    assert_eq!(rig.published(), weight("1.25%"), "stored first");
    rig.stored();
    assert_eq!(rig.published(), weight("5%"));
    assert_eq!(rig.canary().ceiling, Weight::WHOLE);
    assert_eq!(rig.controller.counts.of(Action::Raise), 1);
    assert_eq!(rig.back_off().sentence(), "strike 1 of 3; at its aim; forgotten in 10 min");
    rig.time_passes(Duration::from_mins(9));
    assert!(rig.canary().back_off.is_some());
    rig.time_passes(Duration::from_mins(2));
    assert_eq!(rig.canary().back_off, None);
    let owed = rig.owed();
    assert_eq!((owed.len(), &owed[0].decision, owed[0].record.canaries[0].strikes), (1, &None, None));
}

#[tokio::test]
async fn a_step_up_that_cannot_be_stored_is_made_later() {
    let mut rig = cut_once().await;
    rig.time_passes(Duration::from_mins(11));
    rig.not_stored();
    assert_eq!(rig.published(), weight("1.25%"));
    assert_eq!(rig.owed()[0].record.canaries[0].ceiling, weight("1.25%"), "the failed save may have landed");
    assert_eq!(rig.back_off().sentence(), "strike 1 of 3; the next step up waits for the store");
    rig.tick();
    rig.stored();
    assert_eq!(rig.published(), weight("1.25%"), "that was the record in force");
    rig.tick();
    rig.stored();
    assert_eq!(rig.published(), weight("5%"));
}

#[tokio::test]
async fn a_cord_pulled_while_a_step_up_is_stored_voids_it() {
    let mut rig = cut_once().await;
    rig.time_passes(Duration::from_mins(11));
    drop(rig.pull_cord(None));
    rig.stored();
    assert_eq!(rig.published(), Weight::ZERO);
    let owed = rig.owed();
    assert!(owed.iter().all(|change| change.record.canaries[0].ceiling == weight("1.25%")));
    let void =
        owed.iter().filter_map(|change| change.decision.as_ref()).find(|void| void.action == Action::Raise);
    assert!(void.is_some_and(|void| void.why.contains("not carried out")), "{void:?}");
    rig.stored();
    rig.time_passes(Duration::from_mins(20));
    assert_eq!(rig.back_off().next, NextStep::Cord);
    let mut reset = rig.reset_cord();
    rig.stored();
    let view = answered(&mut reset).unwrap();
    assert_eq!((view.canaries[0].effective, view.canaries[0].back_off), (weight("5%"), None));
}

#[tokio::test]
async fn a_finding_while_a_step_up_is_stored_voids_it() {
    let mut rig = cut_once().await;
    rig.time_passes(Duration::from_mins(11));
    rig.breaks_until_cut();
    assert_eq!(rig.published(), weight("0.3125%"));
    rig.stored();
    assert_eq!(rig.published(), weight("0.3125%"));
    assert_eq!(rig.back_off().strikes, 2);
}

#[tokio::test]
async fn without_a_request_nothing_rises() {
    let mut rig = cut_once().await;
    rig.pass(Duration::from_secs(20));
    rig.tick();
    for _ in 0..200 {
        rig.pass(Duration::from_secs(6));
        rig.tick();
    }
    assert_eq!(rig.published(), weight("1.25%"));
    assert_eq!(rig.back_off().next, NextStep::Requests);
    rig.all_is_well();
    rig.stored();
    assert_eq!(rig.published(), weight("5%"));
}

#[tokio::test]
async fn nothing_rises_while_the_odds_are_in_doubt() {
    let mut rig = cut_once().await;
    rig.time_passes(Duration::from_mins(9));
    let guard = |rig: &Rig| rig.controller.routes.split(0).unwrap().canaries[0].guard.clone();
    for _ in 0..100 {
        if guard(&rig).holds() {
            break;
        }
        rig.canary_fails_for_a_tick();
        rig.all_is_well();
    }
    assert!(guard(&rig).holds() && !guard(&rig).is_unhealthy());
    rig.pass(Duration::from_mins(2));
    rig.tick();
    assert!(rig.controller.saving.is_idle());
    assert_eq!(rig.back_off().next, NextStep::Odds);
    for _ in 0..100 {
        if rig.controller.saving.is_under_way() {
            break;
        }
        rig.all_is_well();
    }
    rig.stored();
    assert_eq!(rig.published(), weight("5%"));
}

#[tokio::test]
async fn an_aim_that_a_person_sets_does_not_lift_the_ceiling() {
    let mut rig = cut_once().await;
    let mut raise = rig.set_weight("20%");
    rig.stored();
    assert_eq!(answered(&mut raise).unwrap().canaries[0].aim, weight("20%"));
    assert_eq!(rig.published(), weight("1.25%"));
    for expected in ["5%", "20%"] {
        rig.time_passes(Duration::from_mins(11));
        rig.stored();
        assert_eq!(rig.published(), weight(expected));
    }
}

#[tokio::test]
async fn a_file_that_no_longer_backs_off_takes_the_ladder_away_and_leaves_the_ceiling() {
    let mut rig = cut_once().await;
    drop(rig.reload(shop("5%")));
    rig.time_passes(Duration::from_mins(20));
    assert_eq!(rig.published(), weight("1.25%"));
    assert_eq!(rig.back_off().next, NextStep::NoLadder);
    assert_eq!(rig.back_off().strikes_max, None);
}

/// As if the process had begun anew, with the wall clock so long after the cut.
async fn restarted(after_ms: i64) -> Rig {
    let rig = cut_once().await;
    let mut record = rig.controller.routes.state("shop").unwrap().record.clone();
    record.canaries[0].strikes.as_mut().unwrap().since_ms = START_MS - after_ms;
    let mut rig = Rig::with_records(backing_off("5%"), vec![record]).await;
    rig.tick();
    rig
}

#[tokio::test]
async fn strikes_and_the_time_to_the_next_step_outlive_the_process() {
    let rig = restarted(240_000).await;
    assert_eq!(rig.published(), weight("1.25%"));
    let left = Duration::from_mins(6).saturating_sub(Duration::from_millis(100));
    assert_eq!(rig.back_off().next, NextStep::Up(left));
    assert_eq!(rig.back_off().sentence(), "strike 1 of 3; next step up in 6 min");
}

#[tokio::test]
async fn a_clock_that_jumped_moves_one_step_and_no_more() {
    let back = restarted(-86_400_000).await;
    assert_eq!(back.back_off().next, NextStep::Up(Duration::from_mins(10)));
    let mut forth = restarted(i64::MAX / 2).await;
    assert_eq!(forth.published(), weight("1.25%"), "not before a request has shown something");
    forth.all_is_well();
    forth.stored();
    assert_eq!(forth.published(), weight("5%"));
    let Some(NextStep::Forgotten(left)) = forth.canary().back_off.map(|back_off| back_off.next) else {
        panic!("{:?}", forth.canary())
    };
    assert!(left > Duration::from_mins(9), "{left:?}");
    assert_eq!(forth.controller.saving.down(), None);
    forth.controller.on(Event::Tick);
    assert_eq!(forth.back_off().strikes, 1);
}

#[tokio::test]
async fn only_what_closes_a_canary_is_told_to_those_who_wait_for_it() {
    let mut rig = Rig::new(backing_off("5%")).await;
    let closings = rig.closings();
    rig.all_is_well();
    rig.breaks_until_cut();
    drop(rig.set_weight("0%"));
    assert_eq!(*closings.borrow(), 0, "it still takes somebody");
    drop(rig.pull_cord(None));
    assert_eq!(*closings.borrow(), rig.controller.publisher.generation());
}
