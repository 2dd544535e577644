//! When others are asked about a canary, and what their answers lead to.

use std::time::Duration;

use crate::config::outside::Source;
use crate::config::{BackOff, Config, Mode, OnUnhealthy, Outside, OutsideLimit, Web, Weight};
use crate::control::rig::{Rig, answered, shop, watching};
use crate::control::testing::weight;
use crate::control::view::VerdictKind;
use crate::notify::Asked;
use crate::store::record::{Action, Decision};

fn orders(mode: Mode) -> Outside {
    let server = Web { host: "h".into(), port: 9_090, path: "/".into(), tls: None, token: None };
    let canary = "orders{of=\"{route} {canary} {upstream} {stable_upstream}\"}[{x}]".into();
    Outside {
        name: "orders".into(),
        source: Source::Prometheus { server, canary, stable: None },
        limit: OutsideLimit::AtLeast(10.0),
        every: Duration::from_secs(15),
        timeout: Duration::from_secs(5),
        after: Duration::from_mins(1),
        failures: 3,
        mode,
    }
}

fn asking(mut config: Config, mode: Mode) -> Config {
    config.routes[0].guard.outside = vec![orders(mode)];
    config
}

/// So many bad readings of the one question.
fn report_bad(rig: &mut Rig, count: usize) {
    let id = rig.questions()[0].id;
    for _ in 0..count {
        rig.report(id, Ok(3.0));
    }
    rig.tick();
}

fn decisions(rig: &Rig) -> Vec<Decision> {
    rig.owed().into_iter().filter_map(|change| change.decision).collect()
}

#[tokio::test]
async fn only_a_canary_with_weight_is_asked_about_and_by_its_names() {
    let mut rig = Rig::new(asking(shop("0%"), Mode::Act)).await;
    rig.tick();
    assert!(rig.questions().is_empty());
    let view = rig.canary().verdict.outside.remove(0);
    assert_eq!(view.missing.as_deref(), Some("not asked: the canary has no traffic"));
    drop(rig.set_weight("5%"));
    rig.stored();
    rig.tick();
    let first = rig.questions();
    let Asked::Prometheus { query, .. } = &first[0].of_canary else { panic!("PromQL") };
    assert_eq!(&**query, "orders{of=\"shop canary v2 v1\"}[{x}]");
    drop(rig.set_weight("3%"));
    rig.stored();
    rig.tick();
    assert_eq!(rig.questions(), first, "another weight is the same question");
    drop(rig.set_weight("0%"));
    rig.tick();
    assert!(rig.questions().is_empty());
    rig.stored();
    drop(rig.set_weight("5%"));
    rig.stored();
    rig.tick();
    assert_ne!(rig.questions()[0].id, first[0].id, "it starts anew, and old reports are of another time");
}

#[tokio::test]
async fn bad_readings_in_a_row_back_the_canary_off_with_all_that_it_takes_to_check() {
    let mut rig = Rig::new(asking(shop("5%"), Mode::Act)).await;
    rig.tick();
    report_bad(&mut rig, 2);
    assert_eq!(rig.published(), weight("5%"));
    let view = rig.canary().verdict.outside.remove(0);
    assert_eq!((view.state, view.value, view.bad, view.failures), ("bad", Some(3.0), 2, 3));
    report_bad(&mut rig, 1);
    assert_eq!(rig.published(), Weight::ZERO);
    let verdict = rig.canary().verdict;
    assert_eq!(verdict.kind, VerdictKind::Unhealthy);
    assert!(
        verdict
            .reason
            .starts_with("outside signal \"orders\" is 3, at least 10 is wanted: 3 readings in a row of ")
    );
    let decided = decisions(&rig).remove(0);
    let evidence = decided.evidence.unwrap();
    assert_eq!(
        (decided.action, &evidence["outside"]["readings"][2]["canary"]),
        (Action::BackOff, &3.0.into())
    );
    assert_eq!(crate::immune::OutsideFinding::again(&evidence), Some(true));
    rig.tick();
    assert!(rig.questions().is_empty(), "it has no weight any more");
    assert_eq!(rig.canary().verdict.kind, VerdictKind::Unhealthy, "what was found stays found");
    rig.stored();
    let mut reset = rig.reset_cord();
    rig.stored();
    answered(&mut reset).unwrap();
    rig.tick();
    assert_eq!(rig.questions().len(), 1);
    assert_eq!(rig.canary().verdict.outside[0].state, "undecided");
}

#[tokio::test]
async fn what_is_undecided_never_acts_and_never_lets_a_canary_be_called_healthy() {
    let mut rig = Rig::new(asking(shop("50%"), Mode::Act)).await;
    rig.tick();
    let id = rig.questions()[0].id;
    for _ in 0..10 {
        rig.report(id, Err("no answer in time"));
        rig.tick();
    }
    assert_eq!(rig.published(), weight("50%"));
    for _ in 0..60 {
        rig.serve("canary", 400, crate::metrics::Outcome::Success);
        rig.serve("stable", 400, crate::metrics::Outcome::Success);
        (0..10).for_each(|_| rig.tick());
    }
    let verdict = rig.canary().verdict;
    assert_eq!(verdict.kind, VerdictKind::Undecided, "{verdict:?}");
    assert!(verdict.reason.contains("outside signal \"orders\" (at least 10 is wanted): "), "{verdict:?}");
    rig.report(id, Ok(12.0));
    assert_eq!(rig.canary().verdict.kind, VerdictKind::Healthy);
    // Silence is no pass.
    rig.pass(Duration::from_secs(46));
    assert_eq!(rig.canary().verdict.kind, VerdictKind::Undecided);
}

#[tokio::test]
async fn an_undecided_signal_does_not_keep_others_from_backing_off() {
    let mut rig = Rig::new(asking(shop("5%"), Mode::Act)).await;
    rig.all_is_well();
    let id = rig.questions()[0].id;
    rig.report(id, Err("down"));
    rig.canary_breaks();
    assert_eq!(rig.published(), Weight::ZERO);
}

#[tokio::test]
async fn a_signal_that_watches_is_recorded_once_and_changes_nothing() {
    for config in [asking(shop("5%"), Mode::Watch), watching(asking(shop("5%"), Mode::Act))] {
        let mut rig = Rig::new(config).await;
        rig.tick();
        report_bad(&mut rig, 3);
        report_bad(&mut rig, 3);
        assert_eq!(rig.published(), weight("5%"));
        let made = decisions(&rig);
        assert_eq!(made.iter().map(|one| one.action).collect::<Vec<_>>(), [Action::Watch]);
    }
}

#[tokio::test]
async fn a_cut_begins_the_count_anew() {
    let mut config = asking(shop("20%"), Mode::Act);
    config.routes[0].guard.on_unhealthy = OnUnhealthy::BackOff(BackOff::default());
    let mut rig = Rig::new(config).await;
    rig.tick();
    let first = rig.questions()[0].id;
    report_bad(&mut rig, 3);
    assert_eq!(rig.published(), weight("5%"));
    rig.tick();
    rig.report(first, Ok(3.0));
    rig.tick();
    assert_eq!((rig.published(), rig.canary().verdict.outside[0].bad), (weight("5%"), 0));
    rig.stored();
    report_bad(&mut rig, 3);
    assert_eq!(rig.published(), weight("1.25%"));
}

#[tokio::test]
async fn a_file_without_the_signal_ends_the_asking() {
    let mut rig = Rig::new(asking(shop("5%"), Mode::Act)).await;
    rig.tick();
    assert_eq!(rig.questions().len(), 1);
    answered(&mut rig.reload(shop("5%"))).unwrap();
    rig.tick();
    assert!(rig.questions().is_empty() && rig.canary().verdict.outside.is_empty());
}
