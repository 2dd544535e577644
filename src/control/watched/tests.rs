//! With whom a canary is compared, and what its guard hears.

use crate::config::{Config, Service, StickyKey};
use crate::control::rig::{Rig, config, shop};
use crate::control::testing::route;
use crate::metrics::Outcome;

/// A canary and, on `v3`, what may be called the baseline.
fn two(baseline: bool) -> Config {
    let mut route = route("shop", &[("canary", "v2", "5%"), ("fresh", "v3", "5%")]);
    if let Service::Split { canaries, .. } = &mut route.service {
        canaries[1].baseline = baseline;
    }
    config(vec![route])
}

/// Freshly started instances fail one request in five, and stable none.
fn fresh_ones_fail(rig: &mut Rig, seconds: u32) {
    for call in 0..seconds * 10 {
        for variant in ["canary", "fresh"] {
            rig.serve(variant, u64::from(call % 5 == 0), Outcome::ServerError);
            rig.serve(variant, 4, Outcome::Success);
        }
        rig.serve("stable", 90, Outcome::Success);
        rig.tick();
    }
}

#[tokio::test]
async fn a_canary_is_no_worse_than_a_baseline_that_fails_alike() {
    let mut rig = Rig::new(two(true)).await;
    fresh_ones_fail(&mut rig, 60);
    let canary = rig.canary();
    assert_eq!(&*canary.verdict.compared_with, "fresh");
    assert!(!canary.ceiling.is_zero(), "{}", canary.verdict.reason);
    let fresh = &rig.view().canaries[1];
    assert_eq!((&*fresh.verdict.compared_with, fresh.verdict.kind.label()), ("stable", "unhealthy"));
    assert!(rig.view().cord.is_none(), "a baseline is judged and never acted on");

    let mut rig = Rig::new(two(false)).await;
    fresh_ones_fail(&mut rig, 60);
    assert!(rig.view().cord.is_some(), "beside stable it is worse");
}

#[tokio::test]
async fn a_baseline_without_traffic_compares_with_nobody() {
    let mut rig = Rig::new(two(true)).await;
    let _lowered = rig.set_weight_of("shop", Some("fresh"), "0%", None);
    assert_eq!(&*rig.canary().verdict.compared_with, "stable");
    fresh_ones_fail(&mut rig, 20);
    assert!(rig.view().cord.is_some());
}

fn sticky(mut config: Config) -> Config {
    config.routes[0].sticky = Some(StickyKey::Address);
    config
}

#[tokio::test]
async fn users_who_failed_come_back_when_the_release_starts_anew() {
    let mut rig = Rig::new(sticky(shop("50%"))).await;
    assert!(rig.counts_failure_of("stable", 7) && !rig.counts_failure_of("canary", 7));
    rig.tick();
    drop(rig.set_weight("60%"));
    rig.stored();
    assert!(!rig.counts_failure_of("canary", 7), "a step up is the same release");
    drop(rig.pull_cord(None));
    rig.stored();
    drop(rig.reset_cord());
    rig.stored();
    assert!(rig.counts_failure_of("canary", 7) && !rig.counts_failure_of("stable", 7));
}

#[tokio::test]
async fn users_come_back_when_a_quarter_of_them_has_left() {
    let mut rig = Rig::new(sticky(shop("50%"))).await;
    (0..=1 << 15).for_each(|user| assert!(rig.counts_failure_of("canary", user)));
    (0..20).for_each(|_| rig.tick());
    assert!(rig.counts_failure_of("stable", 7));
}

#[tokio::test]
async fn where_requests_are_drawn_nobody_leaves() {
    let mut rig = Rig::new(shop("50%")).await;
    assert!((0..3).all(|_| rig.counts_failure_of("canary", 7)));
    drop(rig.reload(sticky(shop("50%"))));
    assert!(rig.counts_failure_of("canary", 7) && !rig.counts_failure_of("canary", 7));
}
