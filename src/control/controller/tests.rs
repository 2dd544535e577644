//! Orders of events, played one by one.

use std::time::Duration;

use super::*;
use crate::config::{OnUnhealthy, Service, Weight};
use crate::control::command::{Handle, PullCord, SetWeight};
use crate::control::rig::{Rig, answered, config, shop, waits, watching};
use crate::control::saving::SAVE_WAIT_US_MAX;
use crate::control::state::BY_IMMUNE;
use crate::control::testing::{route, weight};
use crate::store::record::{Action, DecisionFilter};

#[tokio::test]
async fn a_raise_is_in_force_only_when_it_is_stored() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut raise = rig.set_weight("25%");
    assert!(waits(&mut raise));
    assert_eq!(rig.published(), weight("5%"));
    rig.stored();
    assert_eq!(rig.published(), weight("25%"));
    assert_eq!(answered(&mut raise).unwrap().canaries[0].effective, weight("25%"));
}

#[tokio::test]
async fn a_lowering_is_in_force_at_once_and_answered_when_stored() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut lowering = rig.set_weight("1%");
    assert_eq!(rig.published(), weight("1%"));
    assert!(waits(&mut lowering));
    assert!(rig.view().unsaved);
    rig.stored();
    assert!(!answered(&mut lowering).unwrap().unsaved);
}

#[tokio::test]
async fn a_lowering_that_cannot_be_stored_stays_in_force_and_says_so() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut lowering = rig.set_weight("1%");
    rig.not_stored();
    assert!(answered(&mut lowering).unwrap().unsaved);
    assert_eq!(rig.published(), weight("1%"));
    assert!(!rig.controller.gauges().store_up);
    rig.tick();
    rig.stored();
    assert!(!rig.view().unsaved);
    assert!(rig.controller.gauges().store_up);
}

#[tokio::test]
async fn a_raise_that_cannot_be_stored_changes_nothing_and_is_set_right() {
    let mut rig = Rig::new(shop("5%")).await;
    let before = rig.view();
    let mut raise = rig.set_weight("25%");
    rig.not_stored();
    assert!(matches!(answered(&mut raise), Err(Refusal::StoreDown(why)) if why.contains("disk full")));
    assert_eq!(rig.published(), weight("5%"));
    assert_eq!(rig.view().revision, before.revision);
    // The failed save may have landed all the same: the record in force goes after it.
    assert_eq!(rig.owed()[0].record.canaries[0].aim, weight("5%"));
    assert!(matches!(answered(&mut rig.set_weight("30%")), Err(Refusal::StoreDown(_))));
}

#[tokio::test]
async fn the_immune_system_backs_off_while_the_store_hangs() {
    let mut rig = Rig::new(shop("5%")).await;
    rig.all_is_well();
    let mut raise = rig.set_weight("25%");
    assert!(waits(&mut raise));
    rig.canary_breaks();
    assert_eq!(rig.published(), Weight::ZERO);
    assert_eq!(&*rig.view().cord.unwrap().by, BY_IMMUNE);
    // The raise lands at last. It must not undo the back-off.
    rig.controller.on(Event::Saved(Ok(())));
    assert_eq!(rig.published(), Weight::ZERO);
    assert_eq!(rig.canary().aim, weight("5%"));
    let refusal = answered(&mut raise).unwrap_err();
    assert!(matches!(refusal, Refusal::CordPulled { .. }), "{refusal:?}");
    let owed = rig.owed();
    assert!(owed.iter().all(|change| change.record.cord.is_some()));
    assert!(owed.iter().any(|change| {
        change.decision.as_ref().is_some_and(|decision| decision.action == Action::BackOff)
    }));
}

#[tokio::test]
async fn a_cord_pulled_while_a_raise_is_stored_voids_the_raise() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut raise = rig.set_weight("25%");
    let mut pull = rig.pull_cord(None);
    assert_eq!(rig.published(), Weight::ZERO);
    assert!(waits(&mut pull));
    rig.stored();
    assert!(matches!(answered(&mut raise), Err(Refusal::CordPulled { .. })));
    let owed = rig.owed();
    assert!(owed.iter().all(|change| change.record.canaries[0].aim == weight("5%")));
    let whys: Vec<_> = owed.iter().filter_map(|change| Some(change.decision.as_ref()?.why.clone())).collect();
    assert_eq!(whys.len(), 2);
    assert!(whys[1].contains("not carried out"), "{}", whys[1]);
    rig.stored();
    assert!(answered(&mut pull).unwrap()[0].cord.is_some());
}

#[tokio::test]
async fn a_second_pull_voids_a_reset_that_is_being_stored() {
    let mut rig = Rig::new(shop("5%")).await;
    drop(rig.pull_cord(None));
    rig.stored();
    let mut reset = rig.reset_cord();
    let mut pull = rig.pull_cord(Some("shop"));
    assert!(answered(&mut pull).unwrap()[0].cord.is_some());
    rig.stored();
    assert!(matches!(answered(&mut reset), Err(Refusal::CordPulled { .. })));
    assert_eq!(rig.published(), Weight::ZERO);
}

#[tokio::test]
async fn raises_go_one_after_another() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut first = rig.set_weight("25%");
    let mut second = rig.set_weight("50%");
    rig.stored();
    assert_eq!(answered(&mut first).unwrap().canaries[0].aim, weight("25%"));
    assert!(waits(&mut second));
    assert_eq!(rig.published(), weight("25%"));
    rig.stored();
    assert_eq!(answered(&mut second).unwrap().canaries[0].aim, weight("50%"));
}

#[tokio::test]
async fn a_lowering_overtakes_waiting_raises_and_voids_them() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut stored_raise = rig.set_weight("25%");
    let mut waiting_raise = rig.set_weight("50%");
    let mut lowering = rig.set_weight("1%");
    assert_eq!(rig.published(), weight("1%"));
    rig.stored();
    assert!(matches!(answered(&mut stored_raise), Err(Refusal::Outdated(_))));
    rig.stored();
    assert!(answered(&mut lowering).is_ok());
    assert!(matches!(answered(&mut waiting_raise), Err(Refusal::Outdated(_))));
    assert_eq!(rig.published(), weight("1%"));
    assert!(rig.controller.saving.is_idle());
}

#[tokio::test]
async fn callers_do_not_wait_for_ever_on_a_store_that_hangs() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut raise = rig.set_weight("25%");
    let mut queued = rig.set_weight("30%");
    rig.pass(Duration::from_micros(SAVE_WAIT_US_MAX));
    rig.tick();
    assert!(matches!(answered(&mut raise), Err(Refusal::StoreDown(_))));
    assert!(matches!(answered(&mut queued), Err(Refusal::StoreDown(_))));
    assert!(answered(&mut rig.set_weight("1%")).unwrap().unsaved);
    // The abandoned save lands; the present record goes after it.
    rig.controller.on(Event::Saved(Ok(())));
    assert_eq!(rig.owed().last().unwrap().record.canaries[0].aim, weight("1%"));
    rig.stored();
    assert!(rig.controller.saving.is_idle());
    assert_eq!(rig.published(), weight("1%"));
}

#[tokio::test]
async fn retries_wait_longer_each_time_and_keep_every_decision() {
    let mut rig = Rig::new(shop("5%")).await;
    drop(rig.set_weight("4%"));
    rig.not_stored();
    drop(rig.set_weight("3%"));
    rig.tick();
    rig.not_stored();
    rig.tick();
    assert!(!rig.controller.saving.is_under_way(), "200 ms have not passed");
    rig.tick();
    let owed = rig.owed();
    let afters: Vec<_> = owed.iter().map(|change| change.decision.as_ref().unwrap().after).collect();
    assert_eq!(afters, [weight("4%"), weight("3%")]);
    assert!(owed.iter().all(|change| change.record.canaries[0].aim == weight("3%")));
}

#[tokio::test]
async fn a_bad_canary_is_backed_off_with_its_numbers_and_can_be_let_go_on() {
    let mut rig = Rig::new(shop("25%")).await;
    rig.all_is_well();
    rig.canary_breaks();
    let owed = rig.owed();
    let decision = owed[0].decision.clone().unwrap();
    assert_eq!(decision.action, Action::BackOff);
    assert_eq!((decision.before, decision.after), (weight("25%"), Weight::ZERO));
    assert!(decision.evidence.is_some());
    assert_eq!(owed.len(), 1, "one decision, however long it fails");
    rig.stored();
    let gauges = rig.controller.gauges();
    assert_eq!(gauges.cords, [("shop".into(), true)]);
    assert_eq!(gauges.back_off_seconds.len(), 1);
    assert_eq!(rig.controller.counts.of(Action::BackOff), 1);
    let mut reset = rig.reset_cord();
    rig.stored();
    assert_eq!(answered(&mut reset).unwrap().canaries[0].ceiling, Weight::WHOLE);
    rig.all_is_well();
    assert_eq!(rig.published(), weight("25%"));
}

#[tokio::test]
async fn a_watching_guard_records_once_and_changes_nothing() {
    let mut rig = Rig::new(watching(shop("25%"))).await;
    rig.all_is_well();
    rig.canary_breaks();
    let owed = rig.owed();
    assert_eq!(owed.len(), 1);
    assert_eq!(owed[0].decision.as_ref().unwrap().action, Action::Watch);
    assert_eq!(rig.published(), weight("25%"));
    assert_eq!(rig.view().cord, None);
}

#[tokio::test]
async fn a_cord_for_all_takes_every_route_with_a_canary_at_once() {
    let routes = vec![
        route("shop", &[("canary", "v2", "5%")]),
        route("plain", &[]),
        route("cart", &[("canary", "v3", "9%")]),
    ];
    let mut rig = Rig::new(config(routes)).await;
    let before = rig.controller.publisher.generation();
    let mut pull = rig.pull_cord(None);
    assert_eq!(rig.controller.publisher.generation(), before + 1);
    rig.stored();
    let views = answered(&mut pull).unwrap();
    assert_eq!(views.iter().map(|view| &*view.name).collect::<Vec<_>>(), ["shop", "cart"]);
    assert!(views.iter().all(|view| view.cord.is_some()));
}

#[tokio::test]
async fn commands_name_what_does_not_exist() {
    let deny = crate::config::Route { service: Service::Deny, ..route("secret", &[]) };
    let mut rig = Rig::new(config(vec![route("shop", &[("canary", "v2", "5%")]), deny])).await;
    let mut nobody = rig.set_weight_of("shopp", None, "1%", None);
    assert!(matches!(answered(&mut nobody), Err(Refusal::UnknownRoute { known, .. }) if known.len() == 2));
    let mut denied = rig.set_weight_of("secret", None, "1%", None);
    assert!(matches!(answered(&mut denied), Err(Refusal::WhichCanary { .. })));
    let revision = rig.view().revision;
    let mut outdated = rig.set_weight_of("shop", None, "1%", Some(revision + 1));
    assert!(matches!(answered(&mut outdated), Err(Refusal::Outdated(view)) if view.revision == revision));
    assert!(matches!(answered(&mut rig.reset_cord()), Err(Refusal::CordNotPulled { .. })));
    let shown = answered(&mut rig.ask(Command::Routes)).unwrap();
    assert!(shown[1].deny && shown[1].stable.is_none());
}

#[tokio::test]
async fn a_reload_that_raises_is_stored_first() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut reload = rig.reload(shop("10%"));
    assert!(waits(&mut reload));
    assert_eq!(rig.published(), weight("5%"));
    rig.stored();
    assert_eq!(rig.published(), weight("10%"));
    let report = answered(&mut reload).unwrap();
    assert!(report.changed);
    assert_eq!(report.notes, ["route \"shop\": canary 5% → 10%: the file says 10% (it said 5%)"]);
}

#[tokio::test]
async fn a_reload_that_lowers_is_in_force_even_if_the_store_is_down() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut reload = rig.reload(shop("1%"));
    assert_eq!(rig.published(), weight("1%"));
    rig.controller.on(Event::Tick);
    rig.not_stored();
    assert!(answered(&mut reload).unwrap().changed);
    assert!(rig.view().unsaved);
    let mut raise = rig.reload(shop("10%"));
    assert!(matches!(answered(&mut raise), Err(Refusal::StoreDown(_))));
    assert_eq!(rig.published(), weight("1%"));
    assert!(!rig.controller.gauges().config_last_reload_successful);
}

#[tokio::test]
async fn the_same_file_again_is_not_a_change() {
    let mut rig = Rig::new(shop("5%")).await;
    drop(rig.set_weight("2%"));
    rig.stored();
    let generation = rig.controller.publisher.generation();
    let report = answered(&mut rig.reload(shop("5%"))).unwrap();
    assert!(!report.changed);
    assert_eq!(report.generation, generation);
    assert_eq!(rig.published(), weight("2%"));
}

#[tokio::test]
async fn a_cord_pulled_while_a_reload_is_stored_holds() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut reload = rig.reload(shop("10%"));
    drop(rig.pull_cord(None));
    rig.stored();
    assert_eq!(rig.published(), Weight::ZERO);
    let view = rig.view();
    assert!(view.cord.is_some());
    assert_eq!(view.canaries[0].file_aim, weight("10%"));
    rig.stored();
    assert!(answered(&mut reload).unwrap().changed);
    assert!(!rig.view().unsaved);
}

#[tokio::test]
async fn a_route_that_comes_back_finds_its_cord_pulled() {
    let both =
        config(vec![route("shop", &[("canary", "v2", "5%")]), route("cart", &[("canary", "v3", "9%")])]);
    let mut rig = Rig::new(both.clone()).await;
    drop(rig.pull_cord(Some("shop")));
    rig.stored();
    let cart = config(vec![route("cart", &[("canary", "v3", "9%")])]);
    assert!(answered(&mut rig.reload(cart)).unwrap().changed);
    assert!(answered(&mut rig.reload(both)).unwrap().changed);
    assert!(rig.view().cord.is_some());
    assert_eq!(rig.published(), Weight::ZERO);
}

#[tokio::test]
async fn stored_state_outlives_the_process() {
    let mut rig = Rig::new(shop("5%")).await;
    drop(rig.set_weight("3%"));
    drop(rig.pull_cord(None));
    let record = rig.controller.routes.state("shop").unwrap().record.clone();
    let restarted = Rig::with_records(shop("5%"), vec![record]).await;
    assert_eq!(restarted.canary().aim, weight("3%"));
    assert_eq!(restarted.published(), Weight::ZERO);
}

#[tokio::test]
async fn what_needs_a_restart_is_said_and_the_rest_applies() {
    let mut rig = Rig::new(shop("5%")).await;
    let mut file = shop("4%");
    file.workers.count += 1;
    file.routes[0].guard.on_unhealthy = OnUnhealthy::Watch;
    let mut reload = rig.reload(file);
    rig.controller.on(Event::Tick);
    rig.stored();
    let report = answered(&mut reload).unwrap();
    assert!(report.notes.iter().any(|note| note.starts_with("[workers] has changed")), "{report:?}");
    assert_eq!(rig.published(), weight("4%"));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_changes_nothing() {
    let mut rig = Rig::new(shop("5%")).await;
    rig.controller.config_path = Some("no/such/file.toml".into());
    let (handle, commands) = Handle::new();
    let ask = async move {
        let before = handle.route("shop").await.unwrap();
        let refusal = handle.reload().await.unwrap_err();
        assert!(matches!(refusal, Refusal::BadConfig { count: 1, .. }), "{refusal:?}");
        assert_eq!(handle.route("shop").await.unwrap().revision, before.revision);
    };
    tokio::join!(ask, rig.controller.run(commands));
}

#[tokio::test]
async fn the_loop_answers_and_ends_with_its_last_handle() {
    let rig = Rig::new(shop("5%")).await;
    let (handle, commands) = Handle::new();
    let ask = async move {
        let set = |share| SetWeight {
            route: "shop".into(),
            canary: None,
            weight: weight(share),
            if_revision: None,
            by: "alice".into(),
            why: "looks good".into(),
        };
        assert_eq!(handle.set_weight(set("25%")).await.unwrap().canaries[0].effective, weight("25%"));
        assert!(!handle.set_weight(set("10%")).await.unwrap().unsaved);
        let pull = PullCord { route: None, by: "bob".into(), why: "smoke".into() };
        assert!(handle.pull_cord(pull).await.unwrap()[0].cord.is_some());
        assert!(matches!(handle.set_weight(set("50%")).await, Err(Refusal::CordPulled { .. })));
        assert!(!handle.reload().await.unwrap().changed);
        handle.metrics().await.unwrap();
        handle.decisions(DecisionFilter { limit: 10, ..DecisionFilter::default() }).await.unwrap();
        assert_eq!(handle.routes().await.unwrap().len(), 1);
    };
    tokio::join!(ask, rig.controller.run(commands));
}
