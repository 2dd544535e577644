//! Cases of the three-way merge.

use super::*;
use crate::control::testing::{route, weight};
use crate::store::record::Cord;

fn stamp() -> Stamp {
    Stamp { id: "id".into(), at_ms: 1 }
}

fn merged(before: Option<&RouteRecord>, route: &config::Route) -> Merged {
    let exists = |name: &str| matches!(name, "v1" | "v2" | "v3");
    merge(before, route, &Surroundings { upstream_exists: &exists, stamp: &stamp }).unwrap()
}

fn shop(canaries: &[(&str, &str, &str)]) -> config::Route {
    route("shop", canaries)
}

fn cord() -> Cord {
    Cord { by: "bob".into(), why: "smoke".into(), at_ms: 1, decision: "id".into() }
}

#[test]
fn a_new_route_comes_from_the_file() {
    let merged = merged(None, &shop(&[("canary", "v2", "5%")]));
    let canary = &merged.record.canaries[0];
    assert_eq!((canary.aim, canary.file_aim, canary.ceiling), (weight("5%"), weight("5%"), Weight::WHOLE));
    assert_eq!(merged.decisions.len(), 1);
    assert_eq!(&*merged.decisions[0].by, BY_FILE);
}

#[test]
fn a_denying_route_has_no_state() {
    let deny = config::Route { service: Service::Deny, ..shop(&[]) };
    let around = Surroundings { upstream_exists: &|_| true, stamp: &stamp };
    assert_eq!(merge(None, &deny, &around), None);
}

#[test]
fn an_unchanged_file_leaves_live_weights_alone() {
    let file = shop(&[("canary", "v2", "5%")]);
    let mut live = merged(None, &file).record;
    live.canaries[0].aim = weight("25%");
    let again = merged(Some(&live), &file);
    assert_eq!(again, Merged { record: live, decisions: Vec::new(), notes: Vec::new() });
}

#[test]
fn a_changed_file_wins_over_a_live_weight() {
    let mut live = merged(None, &shop(&[("canary", "v2", "5%")])).record;
    live.canaries[0].aim = weight("25%");
    let merged = merged(Some(&live), &shop(&[("canary", "v2", "10%")]));
    assert_eq!(merged.record.canaries[0].aim, weight("10%"));
    assert_eq!(merged.record.canaries[0].file_aim, weight("10%"));
    let decision = &merged.decisions[0];
    assert_eq!((decision.before, decision.after), (weight("25%"), weight("10%")));
    assert_eq!(merged.notes, ["route \"shop\": canary 25% → 10%: the file says 10% (it said 5%)"]);
}

#[test]
fn a_file_that_catches_up_with_a_live_weight_is_no_decision() {
    let mut live = merged(None, &shop(&[("canary", "v2", "5%")])).record;
    live.canaries[0].aim = weight("25%");
    let merged = merged(Some(&live), &shop(&[("canary", "v2", "25%")]));
    assert!(merged.decisions.is_empty());
    assert_eq!(merged.record.canaries[0].file_aim, weight("25%"));
}

#[test]
fn cord_and_ceiling_outlive_every_file() {
    let mut live = merged(None, &shop(&[("canary", "v2", "5%")])).record;
    live.canaries[0].ceiling = Weight::ZERO;
    live.cord = Some(cord());
    let merged = merged(Some(&live), &shop(&[("canary", "v3", "50%"), ("b", "v2", "1%")]));
    assert_eq!(merged.record.cord, live.cord);
    assert_eq!(merged.record.canaries[0].ceiling, Weight::ZERO);
    assert!(merged.decisions.iter().all(|decision| decision.after.is_zero()));
}

#[test]
fn a_canary_that_is_gone_from_the_file_is_dropped() {
    let live = merged(None, &shop(&[("a", "v2", "5%"), ("b", "v3", "7%")])).record;
    let merged = merged(Some(&live), &shop(&[("b", "v3", "7%")]));
    assert_eq!(merged.record.canaries.len(), 1);
    let decision = &merged.decisions[0];
    assert_eq!(decision.canary.as_deref(), Some("a"));
    assert_eq!((decision.before, decision.after), (weight("5%"), Weight::ZERO));
}

#[test]
fn if_aims_do_not_fit_the_file_wins_for_the_whole_route() {
    let mut live = merged(None, &shop(&[("a", "v2", "5%"), ("b", "v3", "5%")])).record;
    live.canaries[0].aim = weight("80%");
    let merged = merged(Some(&live), &shop(&[("a", "v2", "5%"), ("b", "v3", "30%")]));
    let aims: Vec<_> = merged.record.canaries.iter().map(|canary| canary.aim).collect();
    assert_eq!(aims, [weight("5%"), weight("30%")]);
    assert!(merged.notes[0].contains("would sum to 110%"), "{}", merged.notes[0]);
}

#[test]
fn a_live_role_stays_until_the_file_changes_or_loses_it() {
    let file = shop(&[("canary", "v2", "5%")]);
    let mut live = merged(None, &file).record;
    live.stable.upstream = "v3".into();
    assert_eq!(&*merged(Some(&live), &file).record.stable.upstream, "v3");
    let mut changed = file.clone();
    if let Service::Split { stable, .. } = &mut changed.service {
        *stable = "v2".into();
    }
    let after = merged(Some(&live), &changed);
    assert_eq!(&*after.record.stable.upstream, "v2");
    assert_eq!(after.decisions[0].action, Action::Role);
    live.stable.upstream = "gone".into();
    assert_eq!(&*merged(Some(&live), &file).record.stable.upstream, "v1");
}
