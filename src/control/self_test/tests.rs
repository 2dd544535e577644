//! Alarms, played one by one.

use super::*;
use crate::config::Config;
use crate::control::rig::{Rig, answered, shop};
use crate::control::testing::weight;
use crate::metrics::Outcome;
use crate::store::record::Decision;

fn suspending() -> Config {
    let mut config = shop("5%");
    config.routes[0].guard.self_test = Some(SelfTest { on_alarm: OnAlarm::Suspend, ..SelfTest::default() });
    config
}

/// A few seconds in which stable fails a slice of itself, and nothing else.
fn phantom_breaks(rig: &mut Rig) {
    for _ in 0..40 {
        rig.serve_phantom(2, Outcome::ServerError);
        rig.serve("stable", 40, Outcome::Success);
        rig.tick();
    }
}

fn store_all(rig: &mut Rig) {
    while !rig.owed().is_empty() || !rig.controller.saving.is_idle() {
        rig.stored();
    }
}

fn decided(rig: &Rig, action: Action) -> Vec<Decision> {
    let all = rig.owed().into_iter().filter_map(|change| change.decision);
    all.filter(|decision| decision.action == action).collect()
}

#[tokio::test]
async fn an_alarm_is_recorded_once_and_changes_no_weight() {
    let mut rig = Rig::new(shop("5%")).await;
    let quiet = rig.view().self_test.unwrap();
    assert_eq!((quiet.alarm, quiet.suspended, quiet.share), (None, false, weight("5%")));
    phantom_breaks(&mut rig);
    let alarms = decided(&rig, Action::SelfTest);
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let alarm = &alarms[0];
    assert_eq!((&*alarm.by, &alarm.canary, alarm.before), (BY_IMMUNE, &None, weight("5%")));
    assert_eq!(alarm.after, alarm.before);
    assert!(
        alarm.why.starts_with("stable is worse than itself: a random slice of it fails 100%"),
        "{}",
        alarm.why
    );
    let evidence = alarm.evidence.as_ref().unwrap();
    assert_eq!(evidence["self_test"]["share"], "5%");
    assert!(
        evidence["canary"]["failed"].as_u64() > Some(0) && evidence["stable"]["failed"] == 0,
        "{evidence}"
    );
    let view = rig.view();
    assert!(view.cord.is_none() && !view.self_test.as_ref().unwrap().suspended);
    assert_eq!(view.self_test.unwrap().alarm.as_deref(), Some(&*alarm.why));
    assert_eq!(rig.published(), weight("5%"));
    let gauges = rig.controller.gauges();
    assert!(gauges.self_tests[0].alarm && gauges.self_tests[0].odds_log10 >= 3.0, "{gauges:?}");
}

#[tokio::test]
async fn a_failure_that_all_of_stable_has_is_no_alarm() {
    let mut rig = Rig::new(shop("0%")).await;
    for _ in 0..100 {
        for outcome in [Outcome::ServerError, Outcome::Success] {
            rig.serve_phantom(1, outcome);
            rig.serve("stable", 20, outcome);
        }
        rig.tick();
    }
    assert_eq!(rig.view().self_test.unwrap().alarm, None);
}

#[tokio::test]
async fn an_alarm_that_suspends_leaves_the_canary_alone_until_the_cord_is_reset() {
    let mut rig = Rig::new(suspending()).await;
    phantom_breaks(&mut rig);
    assert!(rig.view().self_test.unwrap().suspended);
    rig.canary_breaks();
    assert_eq!(rig.published(), weight("5%"), "its guard is suspended");
    let count = |action: Action| rig.controller.counts.of(action);
    assert_eq!((count(Action::SelfTest), count(Action::BackOff)), (1, 0));
    assert_eq!(count(Action::Watch), 1, "it is recorded all the same");
    store_all(&mut rig);

    let mut reset = rig.reset_cord();
    store_all(&mut rig);
    let view = answered(&mut reset).unwrap();
    let test = view.self_test.unwrap();
    assert_eq!((test.alarm, test.suspended), (None, false));
    assert_eq!(view.canaries[0].effective, weight("5%"));
    rig.all_is_well();
    assert_eq!(rig.published(), weight("5%"), "what was found meanwhile is forgotten");
    rig.canary_breaks();
    assert_eq!(rig.published(), weight("0%"), "its guard acts again");
}

#[tokio::test]
async fn a_reload_that_changes_how_the_route_is_judged_ends_an_alarm_and_another_does_not() {
    let mut rig = Rig::new(suspending()).await;
    phantom_breaks(&mut rig);
    rig.canary_breaks();
    store_all(&mut rig);
    let mut other = suspending();
    other.routes[0].hosts = vec![config::HostPattern::Exact("shop.example".into())];
    answered(&mut rig.reload(other.clone())).unwrap();
    assert!(rig.view().self_test.unwrap().suspended);
    other.routes[0].guard.judge.false_alarm = 0.000_1;
    answered(&mut rig.reload(other.clone())).unwrap();
    assert!(!rig.view().self_test.unwrap().suspended);
    rig.all_is_well();
    assert_eq!(rig.published(), weight("5%"), "what was found meanwhile is forgotten");
    other.routes[0].guard.self_test = None;
    answered(&mut rig.reload(other)).unwrap();
    assert_eq!(rig.view().self_test, None);
    assert!(rig.controller.gauges().self_tests.is_empty());
}

#[tokio::test]
async fn a_reset_where_nothing_is_pulled_and_nothing_alarms_is_refused() {
    let mut rig = Rig::new(shop("5%")).await;
    assert!(matches!(answered(&mut rig.reset_cord()), Err(crate::control::Refusal::CordNotPulled { .. })));
}
