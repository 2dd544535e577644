//! Drills, played one by one.

use super::*;
use crate::config::Config;
use crate::control::command::Command;
use crate::control::rig::{Answer, Rig, answered, shop, watching};
use crate::control::testing::weight;

fn start(rig: &mut Rig, seconds: u64) -> Answer<RouteView> {
    let request = StartDrill {
        route: "shop".into(),
        canary: None,
        share: weight("10%"),
        span: Duration::from_secs(seconds),
        by: "dora".into(),
        why: "quarterly".into(),
    };
    rig.ask(|reply| Command::Drill(request, reply))
}

async fn drilling(seconds: u64) -> Rig {
    let mut rig = Rig::new(shop("5%")).await;
    rig.all_is_well();
    let mut started = start(&mut rig, seconds);
    rig.stored();
    let drill = answered(&mut started).unwrap().drill.unwrap();
    assert_eq!(
        (&*drill.canary, drill.share, &*drill.by, drill.ended),
        ("canary", weight("10%"), "dora", None)
    );
    rig
}

/// What workers are told.
fn told(rig: &Rig) -> Option<Weight> {
    rig.controller.publisher.shares()[0][0].drill
}

fn ended(rig: &Rig) -> Option<&'static str> {
    rig.view().drill.unwrap().ended
}

#[tokio::test]
async fn a_drill_is_recorded_told_to_workers_and_over_in_time() {
    let mut rig = Rig::new(shop("5%")).await;
    assert_eq!(told(&rig), None);
    let _started = start(&mut rig, 2);
    let decision = rig.owed()[0].decision.clone().unwrap();
    assert_eq!((decision.action, &*decision.by, &*decision.why), (Action::Drill, "dora", "quarterly"));
    assert_eq!((decision.before, decision.after), (weight("5%"), weight("5%")));
    assert_eq!(told(&rig), Some(weight("10%")));
    for _ in 0..19 {
        rig.tick();
    }
    assert_eq!((told(&rig), ended(&rig)), (Some(weight("10%")), None));
    rig.tick();
    assert_eq!((told(&rig), ended(&rig)), (None, Some("time")));
    let drill = rig.view().drill.unwrap();
    assert_eq!(drill.until_ms - drill.at_ms, 2_000);
}

#[tokio::test]
async fn the_back_off_is_real_says_that_it_was_a_drill_and_ends_it() {
    let mut rig = drilling(60).await;
    for _ in 0..60 {
        rig.serve("canary", 2, Outcome::Drill);
        rig.serve("stable", 40, Outcome::Success);
        rig.tick();
    }
    let view = rig.view();
    let cord = view.cord.unwrap();
    assert!(cord.why.starts_with("drill by dora: "), "{}", cord.why);
    assert_eq!((&*cord.by, told(&rig), ended(&rig)), ("immune system", None, Some("back_off")));
    let evidence = rig.owed()[0].decision.clone().unwrap().evidence.unwrap();
    assert_eq!(evidence["drill"]["by"], "dora");
    assert_eq!(evidence["drill"]["decision"], *view.drill.clone().unwrap().decision);
    let drill = view.drill.unwrap();
    let took = drill.back_off_seconds.unwrap();
    // Ten failures in a row that span a second, at twenty a second.
    assert!((1.0..=1.3).contains(&took), "{took}");
    assert!(drill.injected >= 20 && drill.last_request_seconds.is_some(), "{drill:?}");
}

#[tokio::test]
async fn whoever_takes_the_traffic_away_ends_the_drill() {
    let mut rig = drilling(60).await;
    let _pulled = rig.pull_cord(None);
    assert_eq!((told(&rig), ended(&rig)), (None, Some("overtaken")));
    let mut rig = drilling(60).await;
    let _lowered = rig.set_weight("1%");
    assert_eq!((told(&rig), ended(&rig)), (Some(weight("10%")), None), "it has some still");
    let _lowered = rig.set_weight("0%");
    assert_eq!((told(&rig), ended(&rig)), (None, Some("overtaken")));
    let mut rig = drilling(60).await;
    let mut other = shop("5%");
    other.routes[0].guard.judge.false_alarm = 0.01;
    let _reloaded = rig.reload(other);
    assert_eq!((told(&rig), ended(&rig)), (None, Some("overtaken")));
}

#[tokio::test]
async fn a_person_can_end_it_and_start_another() {
    let mut rig = drilling(60).await;
    assert!(matches!(answered(&mut start(&mut rig, 1)), Err(Refusal::NoDrill { .. })), "one at a time");
    rig.serve("canary", 3, Outcome::Drill);
    rig.tick();
    let mut stopped = rig.ask(|reply| Command::EndDrill("shop".into(), reply));
    let drill = answered(&mut stopped).unwrap().drill.unwrap();
    assert_eq!((drill.ended, drill.injected, told(&rig)), (Some("stopped"), 3, None));
    // One that was under way.
    rig.serve("canary", 1, Outcome::Drill);
    rig.tick();
    let drill = rig.view().drill.unwrap();
    assert_eq!((drill.ended, drill.injected), (Some("stopped"), 4));
    let _again = start(&mut rig, 60);
    rig.tick();
    let drill = rig.view().drill.unwrap();
    assert_eq!((drill.ended, drill.injected, drill.back_off_seconds), (None, 0, None));
}

#[tokio::test]
async fn where_nothing_would_come_of_it_or_somebody_would_be_harmed_it_is_refused() {
    let with = |change: fn(&mut Config)| {
        let mut config = shop("5%");
        change(&mut config);
        config
    };
    for (config, word) in [
        (shop("0%"), "no traffic"),
        (with(|config| config.routes[0].guard.rescue = None), "rescue"),
        (watching(shop("5%")), "watch"),
    ] {
        let mut rig = Rig::new(config).await;
        match answered(&mut start(&mut rig, 1)) {
            Err(Refusal::NoDrill { because, .. }) => assert!(because.contains(word), "{because}"),
            other => panic!("{other:?}"),
        }
        assert_eq!((told(&rig), rig.owed().len()), (None, 0));
    }
    let mut rig = Rig::new(shop("5%")).await;
    let _pulled = rig.pull_cord(None);
    assert!(matches!(answered(&mut start(&mut rig, 1)), Err(Refusal::CordPulled { .. })));
}
