//! What the file declares meets what was decided live: a three-way merge, route by route. Pure.
//!
//! The record remembers which file value was last applied. A *changed* file value wins, an unchanged one leaves
//! the live decision alone; ceilings, strikes and cords are never undone by a file. A route or canary that is new comes
//! from the file, a canary that is gone from it is dropped. Should the aims of a route then sum to more than
//! 100%, the file wins for all of that route, because its own weights are known to fit.

use std::sync::Arc;

use super::clock::Stamp;
use super::releases::{hold_release, running};
use super::state::{
    BY_FILE, Change, aim_sum_ppm, canary_decision, decision, effective, route_decision, weight_decision,
};
use crate::config::units::WHOLE_PPM;
use crate::config::{self, Service, Weight};
use crate::release::{End, Ended};
use crate::store::record::{Action, CanaryRecord, Decision, Role, RouteRecord};

#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    pub record: RouteRecord,
    pub decisions: Vec<Decision>,
    /// One sentence for each thing that the operator should know.
    pub notes: Vec<String>,
}

/// What surrounds a merge: which upstreams there are, and where ids and times come from.
pub struct Surroundings<'a> {
    pub upstream_exists: &'a dyn Fn(&str) -> bool,
    pub stamp: &'a dyn Fn() -> Stamp,
}

/// `None`: the route denies, so it has no live state.
pub fn merge(
    before: Option<&RouteRecord>,
    route: &config::Route,
    around: &Surroundings<'_>,
) -> Option<Merged> {
    let Service::Split { stable, canaries } = &route.service else { return None };
    let mut notes = Vec::new();
    let stable_role = merge_role(before.map(|record| &record.stable), stable, around);
    let old = |name: &str| before?.canaries.iter().find(|canary| &*canary.name == name);
    let mut record = RouteRecord {
        route: Arc::clone(&route.name),
        stable: stable_role,
        canaries: canaries.iter().map(|canary| merge_canary(old(&canary.name), canary, around)).collect(),
        cord: before.and_then(|record| record.cord.clone()),
        previous_stable: before.and_then(|record| record.previous_stable.clone()),
        release: before.and_then(|record| record.release.clone()),
    };
    let sum_ppm = aim_sum_ppm(&record.canaries);
    if sum_ppm > u64::from(WHOLE_PPM) {
        notes.push(format!(
            "route \"{}\": the live weights and the changed file would sum to {}; the weights of the file hold for all its canaries",
            route.name,
            percent(sum_ppm),
        ));
        for canary in &mut record.canaries {
            canary.aim = canary.file_aim;
        }
    }
    if let Some(before) = before {
        follow_file(before, &mut record, around);
    }
    let decisions = decisions(before, &record, around);
    notes.extend(decisions.iter().map(note));
    Some(Merged { record, decisions, notes })
}

/// A release whose aim the file moves holds; one whose roles it gives away is over.
fn follow_file(before: &RouteRecord, record: &mut RouteRecord, around: &Surroundings<'_>) {
    let by: Arc<str> = Arc::from(BY_FILE);
    if before.stable.upstream != record.stable.upstream {
        record.previous_stable = None;
    }
    let Some(release) = running(record).cloned() else { return };
    let canary =
        |record: &RouteRecord| record.canaries.iter().find(|canary| canary.name == release.canary).cloned();
    let stamp = (around.stamp)();
    let over = |why: &str| {
        let ended = Ended { how: End::Aborted, by: Arc::clone(&by), why: why.into(), at_ms: stamp.at_ms };
        Some(release.ended(ended))
    };
    match (canary(before), canary(record)) {
        (_, None) => record.release = over("the file no longer declares its canary"),
        (Some(was), Some(now)) if was.role.upstream != now.role.upstream => {
            record.release = over("the file says that another upstream is the canary");
        }
        _ if before.stable.upstream != record.stable.upstream => {
            record.release = over("the file says that another upstream is stable");
        }
        (Some(was), Some(now)) if was.aim != now.aim => {
            hold_release(record, (&by, format!("the file says {}", now.aim)), stamp.at_ms);
        }
        _ => {}
    }
}

fn merge_canary(
    before: Option<&CanaryRecord>,
    file: &config::Canary,
    around: &Surroundings<'_>,
) -> CanaryRecord {
    let live_aim = before.filter(|before| before.file_aim == file.weight).map(|before| before.aim);
    CanaryRecord {
        name: Arc::clone(&file.name),
        role: merge_role(before.map(|before| &before.role), &file.upstream, around),
        file_aim: file.weight,
        aim: live_aim.unwrap_or(file.weight),
        ceiling: before.map_or(Weight::WHOLE, |before| before.ceiling),
        strikes: before.and_then(|before| before.strikes),
    }
}

/// A live upstream that the file no longer has cannot serve anybody, so the file's takes its place.
fn merge_role(before: Option<&Role>, file: &Arc<str>, around: &Surroundings<'_>) -> Role {
    let live = before
        .filter(|before| before.file_upstream == *file && (around.upstream_exists)(&before.upstream))
        .map(|before| &before.upstream);
    Role { file_upstream: Arc::clone(file), upstream: Arc::clone(live.unwrap_or(file)) }
}

fn decisions(before: Option<&RouteRecord>, after: &RouteRecord, around: &Surroundings<'_>) -> Vec<Decision> {
    let nothing = RouteRecord { canaries: Vec::new(), cord: None, ..after.clone() };
    let was = before.unwrap_or(&nothing);
    let by = Arc::from(BY_FILE);
    let mut decisions = Vec::new();
    if was.stable.upstream != after.stable.upstream {
        let why = role_changed("stable", &was.stable, &after.stable);
        let change = Change { action: Action::Role, by: &by, why: &why };
        decisions.push(route_decision(was, after, change, (around.stamp)()));
    }
    for (index, canary) in after.canaries.iter().enumerate() {
        let old = was.canaries.iter().find(|old| old.name == canary.name);
        if let Some(old) = old.filter(|old| old.role.upstream != canary.role.upstream) {
            let why = role_changed(&canary.name, &old.role, &canary.role);
            let change = Change { action: Action::Role, by: &by, why: &why };
            decisions.push(canary_decision(was, after, index, change, (around.stamp)()));
        }
        if old.map_or(Weight::ZERO, |old| old.aim) != canary.aim {
            let why = match old {
                Some(old) => format!("the file says {} (it said {})", canary.file_aim, old.file_aim),
                None => format!("the file declares this canary with {}", canary.file_aim),
            };
            let change = Change { action: Action::Weight, by: &by, why: &why.into() };
            decisions.push(weight_decision(was, after, index, change, (around.stamp)()));
        }
    }
    let gone = |old: &&CanaryRecord| !after.canaries.iter().any(|canary| canary.name == old.name);
    for old in was.canaries.iter().filter(gone).filter(|old| !old.aim.is_zero()) {
        let why = Arc::from("the file no longer declares this canary");
        let change = Change { action: Action::Weight, by: &by, why: &why };
        let weights = (effective(was, old), Weight::ZERO);
        decisions.push(decision(after, Some(Arc::clone(&old.name)), weights, change, (around.stamp)()));
    }
    decisions
}

fn role_changed(variant: &str, before: &Role, after: &Role) -> Arc<str> {
    format!("{variant} is now upstream \"{}\" (it was \"{}\")", after.upstream, before.upstream).into()
}

fn note(decision: &Decision) -> String {
    let variant = decision.canary.as_deref().unwrap_or("stable");
    let Decision { route, why, before, after, .. } = decision;
    match decision.action {
        Action::Role => format!("route \"{route}\": {why}"),
        _ => format!("route \"{route}\": {variant} {before} → {after}: {why}"),
    }
}

/// More than a [`Weight`] can hold.
fn percent(ppm: u64) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned() + "%"
}

#[cfg(test)]
mod tests;
