//! With whom a canary is compared, and what its guard hears.

use crate::config::Service;
use crate::control::rig::{Rig, config};
use crate::control::testing::route;
use crate::metrics::Outcome;

/// A canary and, on `v3`, what may be called the baseline.
fn two(baseline: bool) -> crate::config::Config {
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
