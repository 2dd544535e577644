//! The live state of one route, and every way in which it may change. Pure: no clock, no I/O.
//!
//! A change is a method that returns the whole new state beside the decision to record, or a refusal; the old
//! state is not touched. So the controller can store the new one before it is in force, or drop it.
//!
//! One number per canary is exposed to traffic, the effective weight: 0 under a cord, else min(aim, ceiling).
//! People and the file move aims, the immune system lowers ceilings and pulls cords, only a person resets a
//! cord. What the immune system raises is a ceiling that it has lowered itself, step by step and never above the aim:
//! that is [`super::ladder`], and nothing else here raises a weight on its behalf.

use std::sync::Arc;

use serde_json::{Value, json};

use super::clock::Stamp;
use super::command::{Refusal, SetWeight};
use super::releases::{back_off_release, hold_release, running};
use crate::config::Weight;
use crate::config::units::WHOLE_PPM;
use crate::routing::Share;
use crate::store::record::{Action, CanaryRecord, Cord, Decision, RouteRecord};

/// Who acted, where it was not a person.
pub const BY_FILE: &str = "file";
pub const BY_IMMUNE: &str = "immune system";

#[derive(Clone, Debug, PartialEq)]
pub struct RouteState {
    pub record: RouteRecord,
    /// Grows with every change; the `ETag`.
    pub revision: u64,
}

/// A change that is allowed: what it leads to, and what is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub state: RouteState,
    /// `None`: things are already as wanted, and nothing is to be done.
    pub decision: Option<Decision>,
}

/// Decides the order of publishing and storing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// No canary gets more than before: publish first, then store.
    Lowering,
    /// Some canary gets more: store first, then publish.
    Raising,
}

/// Which way a change goes. A canary that was not there had nothing; one that opens to overrides gets more, even
/// if its weight stays 0.
pub fn classify(before: Option<&RouteRecord>, after: &RouteRecord) -> Direction {
    let had = |name: &str| {
        let record = before?;
        let canary = record.canaries.iter().find(|canary| &*canary.name == name)?;
        Some(share(record, canary))
    };
    let rises = after.canaries.iter().any(|canary| {
        let (has, had) = (share(after, canary), had(&canary.name));
        has.effective > had.map_or(Weight::ZERO, |had| had.effective)
            || (has.open && !had.is_some_and(|had| had.open))
    });
    if rises { Direction::Raising } else { Direction::Lowering }
}

/// What routing is told of a canary.
pub fn share(record: &RouteRecord, canary: &CanaryRecord) -> Share {
    let open = record.cord.is_none() && !canary.ceiling.is_zero();
    Share { effective: effective(record, canary), open, drill: None, mirror: None }
}

pub fn effective(record: &RouteRecord, canary: &CanaryRecord) -> Weight {
    if record.cord.is_some() { Weight::ZERO } else { canary.aim.min(canary.ceiling) }
}

/// Of all canaries together.
pub fn effective_sum(record: &RouteRecord) -> Weight {
    sum(record.canaries.iter().map(|canary| effective(record, canary)))
}

pub fn aim_sum_ppm(canaries: &[CanaryRecord]) -> u64 {
    canaries.iter().map(|canary| u64::from(canary.aim.ppm())).sum()
}

fn sum(weights: impl Iterator<Item = Weight>) -> Weight {
    let ppm: u64 = weights.map(|weight| u64::from(weight.ppm())).sum();
    u32::try_from(ppm).ok().and_then(Weight::from_ppm).unwrap_or(Weight::WHOLE)
}

impl RouteState {
    pub fn shares(&self) -> Vec<Share> {
        let mut shares: Vec<_> =
            self.record.canaries.iter().map(|canary| share(&self.record, canary)).collect();
        if let Some(release) = self.release()
            && let Some(at) = self.canary_of(release)
        {
            shares[at].mirror = release.mirror();
        }
        shares
    }

    /// `request.if_revision` is the caller's to check: only it can show the present state.
    pub fn set_weight(&self, request: &SetWeight, stamp: Stamp) -> Result<Step, Refusal> {
        let index = self.canary_index(request.canary.as_ref())?;
        let before = &self.record.canaries[index];
        if request.weight == before.aim {
            return Ok(self.unchanged());
        }
        if let Some(cord) = self.record.cord.as_ref().filter(|_| request.weight > before.aim) {
            return Err(Refusal::CordPulled { route: Arc::clone(&self.record.route), cord: cord.clone() });
        }
        let mut after = self.record.clone();
        after.canaries[index].aim = request.weight;
        if running(&after).is_some_and(|release| release.canary == after.canaries[index].name) {
            let why = format!("the weight was set to {} by {}: {}", request.weight, request.by, request.why);
            hold_release(&mut after, (&request.by, why), stamp.at_ms);
        }
        let sum_ppm = aim_sum_ppm(&after.canaries);
        if sum_ppm > u64::from(WHOLE_PPM) && request.weight > before.aim {
            return Err(Refusal::TooMuch { sum_ppm });
        }
        let change = Change { action: Action::Weight, by: &request.by, why: &request.why };
        let decision = weight_decision(&self.record, &after, index, change, stamp);
        Ok(self.step(after, decision))
    }

    /// A pulled cord stays as it is: who pulled first, and why, is what people must see.
    pub fn pull_cord(&self, by: &Arc<str>, why: &Arc<str>, stamp: Stamp) -> Step {
        if self.record.cord.is_some() {
            return self.unchanged();
        }
        let mut after = self.record.clone();
        after.cord = Some(cord(by, why, &stamp));
        back_off_release(&mut after, (by, why), &stamp);
        let change = Change { action: Action::CordPull, by, why };
        let decision = route_decision(&self.record, &after, change, stamp);
        self.step(after, decision)
    }

    /// Lifts the ceilings that the immune system has lowered, too, and forgets all strikes. Aims stay: who wants to go
    /// on lower lowers the aim first.
    pub fn reset_cord(&self, by: &Arc<str>, why: &Arc<str>, stamp: Stamp) -> Result<Step, Refusal> {
        if self.record.cord.is_none() {
            return Err(Refusal::CordNotPulled { route: Arc::clone(&self.record.route) });
        }
        let mut after = self.record.clone();
        after.cord = None;
        for canary in &mut after.canaries {
            canary.ceiling = Weight::WHOLE;
            canary.strikes = None;
        }
        let change = Change { action: Action::CordReset, by, why };
        let decision = route_decision(&self.record, &after, change, stamp);
        Ok(self.step(after, decision))
    }

    /// A reset where no cord is pulled, but something else waits for a person's word: only the word is recorded.
    pub fn acknowledge(&self, by: &Arc<str>, why: &Arc<str>, stamp: Stamp) -> Step {
        let change = Change { action: Action::CordReset, by, why };
        self.step(self.record.clone(), route_decision(&self.record, &self.record, change, stamp))
    }

    /// The abort: this canary's ceiling to 0, and the cord pulled for the whole route.
    pub fn back_off(&self, canary: usize, why: &Arc<str>, evidence: Value, stamp: Stamp) -> Step {
        let mut after = self.record.clone();
        after.canaries[canary].ceiling = Weight::ZERO;
        after.canaries[canary].strikes = None;
        let by = Arc::from(BY_IMMUNE);
        if after.cord.is_none() {
            after.cord = Some(cord(&by, why, &stamp));
        }
        back_off_release(&mut after, (&by, why), &stamp);
        let change = Change { action: Action::BackOff, by: &by, why };
        let mut decision = canary_decision(&self.record, &after, canary, change, stamp);
        decision.evidence = Some(evidence);
        self.step(after, decision)
    }

    /// What the immune system would have done, had it not been told to watch. The state stays.
    pub fn watch(&self, canary: usize, why: &Arc<str>, evidence: Value, stamp: Stamp) -> Decision {
        let by = Arc::from(BY_IMMUNE);
        let change = Change { action: Action::Watch, by: &by, why };
        let mut decision = canary_decision(&self.record, &self.record, canary, change, stamp);
        decision.evidence = Some(evidence);
        decision
    }

    /// For the record: `wanted` was stored, but something lowered the route meanwhile, and it never took effect.
    pub fn void(&self, wanted: &Decision, stamp: Stamp) -> Decision {
        let why =
            format!("decision {} was stored but not carried out: the route changed meanwhile", wanted.id);
        let now = match &wanted.canary {
            Some(name) => self.record.canaries.iter().find(|canary| canary.name == *name),
            None => None,
        };
        let weight =
            now.map_or_else(|| effective_sum(&self.record), |canary| effective(&self.record, canary));
        Decision {
            id: stamp.id,
            at_ms: stamp.at_ms,
            why: why.into(),
            before: weight,
            after: weight,
            evidence: None,
            ..wanted.clone()
        }
    }

    pub(super) fn canary_index(&self, asked: Option<&Arc<str>>) -> Result<usize, Refusal> {
        let canaries = &self.record.canaries;
        let found = match asked {
            Some(name) => canaries.iter().position(|canary| canary.name == *name),
            None => (canaries.len() == 1).then_some(0),
        };
        found.ok_or_else(|| Refusal::WhichCanary {
            route: Arc::clone(&self.record.route),
            asked: asked.cloned(),
            known: canaries.iter().map(|canary| Arc::clone(&canary.name)).collect(),
        })
    }

    pub(super) fn unchanged(&self) -> Step {
        Step { state: self.clone(), decision: None }
    }

    pub(super) fn step(&self, record: RouteRecord, decision: Decision) -> Step {
        Step { state: Self { record, revision: self.revision + 1 }, decision: Some(decision) }
    }
}

/// What every decision says beside its numbers.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) action: Action,
    pub(super) by: &'a Arc<str>,
    pub(super) why: &'a Arc<str>,
}

/// Of a moved aim. Where cord or ceiling hide it from the effective weight, the aims are the evidence.
pub(super) fn weight_decision(
    before: &RouteRecord,
    after: &RouteRecord,
    canary: usize,
    change: Change<'_>,
    stamp: Stamp,
) -> Decision {
    let mut decision = canary_decision(before, after, canary, change, stamp);
    let now = &after.canaries[canary];
    let was = before.canaries.iter().find(|old| old.name == now.name);
    let was = was.map_or(Weight::ZERO, |was| was.aim);
    if decision.before != was || decision.after != now.aim {
        let aims = json!({ "aim_before": was.to_string(), "aim_after": now.aim.to_string() });
        decision.evidence = Some(aims);
    }
    decision
}

/// `canary` counts in `after`.
pub(super) fn canary_decision(
    before: &RouteRecord,
    after: &RouteRecord,
    canary: usize,
    change: Change<'_>,
    stamp: Stamp,
) -> Decision {
    let now = &after.canaries[canary];
    let was = before.canaries.iter().find(|old| old.name == now.name);
    let weights = (was.map_or(Weight::ZERO, |was| effective(before, was)), effective(after, now));
    decision(after, Some(Arc::clone(&now.name)), weights, change, stamp)
}

pub(super) fn route_decision(
    before: &RouteRecord,
    after: &RouteRecord,
    change: Change<'_>,
    stamp: Stamp,
) -> Decision {
    decision(after, None, (effective_sum(before), effective_sum(after)), change, stamp)
}

pub(super) fn decision(
    record: &RouteRecord,
    canary: Option<Arc<str>>,
    (before, after): (Weight, Weight),
    change: Change<'_>,
    stamp: Stamp,
) -> Decision {
    Decision {
        id: stamp.id,
        at_ms: stamp.at_ms,
        route: Arc::clone(&record.route),
        canary,
        action: change.action,
        by: Arc::clone(change.by),
        why: Arc::clone(change.why),
        before,
        after,
        evidence: None,
    }
}

fn cord(by: &Arc<str>, why: &Arc<str>, stamp: &Stamp) -> Cord {
    Cord { by: Arc::clone(by), why: Arc::clone(why), at_ms: stamp.at_ms, decision: Arc::clone(&stamp.id) }
}

#[cfg(test)]
mod tests;
