//! Every way in which a release changes the state of a route. Pure, like [`super::state`].
//!
//! A release starts from 0%: whoever has the canary by hand goes back to stable first, because the people of a new release are
//! others. While it goes on it owns the aim. A person or a file that moves the aim holds it; a pulled cord ends it, and its
//! canary keeps nothing, so that a reset of the cord brings back no version that was taken back.

use std::sync::Arc;

use serde_json::json;

use super::clock::Stamp;
use super::command::{Refusal, StartRelease, SteerRelease, Steering};
use super::state::{Change, RouteState, Step, aim_sum_ppm, canary_decision, route_decision};
use crate::config::units::WHOLE_PPM;
use crate::config::{Plan, Weight};
use crate::release::{End, Ended, Held, Move, Phase, Release};
use crate::store::record::{Action, CanaryRecord, RouteRecord};

/// Whose moves are those of a plan.
pub(super) const BY_PLAN: &str = "plan";

impl RouteState {
    /// The release under way.
    pub fn release(&self) -> Option<&Release> {
        running(&self.record)
    }

    /// `upstream`: the one that is asked for, which exists.
    pub fn start_release(&self, request: &StartRelease, plan: &Plan, stamp: Stamp) -> Result<Step, Refusal> {
        let record = &self.record;
        if let Some(cord) = &record.cord {
            return Err(Refusal::CordPulled { route: Arc::clone(&record.route), cord: cord.clone() });
        }
        if let Some(Release { id, by, .. }) = running(record) {
            return Err(self.conflict(format!("release {id} by {by} is under way; there is one at a time")));
        }
        let index = self.canary_index(request.name.as_ref())?;
        let mut after = record.clone();
        let canary = &mut after.canaries[index];
        if let Some(upstream) = &request.upstream {
            canary.role.upstream = Arc::clone(upstream);
        }
        if canary.role.upstream == record.stable.upstream {
            let why = format!("upstream \"{}\" is stable already", canary.role.upstream);
            return Err(self.conflict(why));
        }
        canary.aim = Weight::ZERO;
        canary.ceiling = Weight::WHOLE;
        canary.strikes = None;
        let (name, upstream) = (Arc::clone(&canary.name), Arc::clone(&canary.role.upstream));
        fits(&after, plan)?;
        after.release = Some(Release {
            id: Arc::clone(&stamp.id),
            plan: plan.clone(),
            canary: name,
            upstream,
            by: Arc::clone(&request.by),
            why: Arc::clone(&request.why),
            started_ms: stamp.at_ms,
            step: 0,
            from: Weight::ZERO,
            phase: Phase::Raising,
            since_ms: stamp.at_ms,
            held: None,
            ended: None,
        });
        Ok(self.decide(after, Action::ReleaseStart, (&request.by, &request.why), stamp))
    }

    /// What a person says to a release under way.
    pub fn steer_release(&self, request: &SteerRelease, stamp: Stamp) -> Result<Step, Refusal> {
        let SteerRelease { id, steering, by, why, .. } = request;
        let known =
            self.record.release.as_ref().filter(|release| id.as_ref().is_none_or(|id| *id == release.id));
        let Some(release) = known else {
            return Err(Refusal::UnknownRelease { route: Arc::clone(&self.record.route), id: id.clone() });
        };
        if let Some(Ended { how, by, why, .. }) = &release.ended {
            let how = how.label().replace('_', " ");
            return Err(self.conflict(format!("release {} has ended: {how}, by {by}: {why}", release.id)));
        }
        let aim = self.aim_of(release);
        let held = || Held { by: Arc::clone(by), why: Arc::clone(why), at_ms: stamp.at_ms };
        let (action, next) = match steering {
            Steering::Hold if release.held.is_some() => return Ok(self.unchanged()),
            Steering::Hold => (Action::ReleaseHold, release.held(held())),
            Steering::Resume if release.held.is_none() => {
                return Err(
                    self.conflict("the release is not held, so there is nothing to resume".to_owned())
                );
            }
            Steering::Resume => (Action::ReleaseResume, release.resumed(stamp.at_ms)),
            Steering::Approve => match release.approved(stamp.at_ms, aim) {
                Some(approved) => (Action::ReleaseApprove, approved),
                None => {
                    let is = release.phase.label();
                    return Err(self.conflict(format!("the release is {is}, and waits for no approval")));
                }
            },
            Steering::Promote => {
                if let Some(cord) = &self.record.cord {
                    return Err(Refusal::CordPulled {
                        route: Arc::clone(&self.record.route),
                        cord: cord.clone(),
                    });
                }
                (Action::ReleasePromote, release.promoted_early(stamp.at_ms))
            }
            Steering::Abort => return Ok(self.abort_release(release, (by, why), stamp)),
        };
        let mut after = self.record.clone();
        after.release = Some(next);
        Ok(self.decide(after, action, (by, why), stamp))
    }

    /// What the plan says. `None`: the release has changed since.
    pub fn move_release(&self, next: &Move, stamp: Stamp) -> Option<Step> {
        let release = running(&self.record)?;
        let by = Arc::from(BY_PLAN);
        let at = self.canary_of(release)?;
        let mut after = self.record.clone();
        let (action, why): (_, Arc<str>) = match next {
            Move::Go(next) => {
                after.release = Some(next.clone());
                return Some(Step {
                    state: Self { record: after, revision: self.revision + 1 },
                    decision: None,
                });
            }
            Move::Raise(to, next) => {
                after.canaries[at].aim = *to;
                after.release = Some(next.clone());
                (Action::ReleaseStep, step_sentence(next).into())
            }
            Move::Hold(why) => {
                let held = Held { by: Arc::clone(&by), why: Arc::clone(why), at_ms: stamp.at_ms };
                after.release = Some(release.held(held));
                (Action::ReleaseHold, Arc::clone(why))
            }
            Move::Abort(why) => return Some(self.abort_release(release, (&by, why), stamp)),
            Move::Promote => {
                let why = promotion(&self.record, at).into();
                swap(&mut after, at);
                after.previous_stable = Some(Arc::clone(&self.record.stable.upstream));
                after.release = Some(ended(release, End::Promoted, (&by, &why), &stamp));
                (Action::ReleasePromote, why)
            }
        };
        Some(self.decide(after, action, (&by, &why), stamp))
    }

    /// The stable version of before the last promotion has the whole route again; of a release under way, nothing but that it
    /// is aborted.
    pub fn roll_back(&self, by: &Arc<str>, why: &Arc<str>, stamp: Stamp) -> Result<Step, Refusal> {
        if let Some(release) = running(&self.record) {
            return Ok(self.abort_release(release, (by, why), stamp));
        }
        let Some(previous) = &self.record.previous_stable else {
            return Err(
                self.conflict("there is nothing to roll back to: no release was promoted here".to_owned())
            );
        };
        let mut after = self.record.clone();
        match after.canaries.iter().position(|canary| canary.role.upstream == *previous) {
            Some(at) => swap(&mut after, at),
            None => after.stable.upstream = Arc::clone(previous),
        }
        after.previous_stable = None;
        Ok(self.decide(after, Action::RollBack, (by, why), stamp))
    }

    fn abort_release(&self, release: &Release, (by, why): (&Arc<str>, &Arc<str>), stamp: Stamp) -> Step {
        let mut after = self.record.clone();
        end_release(&mut after, release, End::Aborted, (by, why), &stamp);
        self.decide(after, Action::ReleaseAbort, (by, why), stamp)
    }

    pub(super) fn canary_of(&self, release: &Release) -> Option<usize> {
        self.record.canaries.iter().position(|canary| canary.name == release.canary)
    }

    fn aim_of(&self, release: &Release) -> Weight {
        self.canary_of(release).map_or(Weight::ZERO, |at| self.record.canaries[at].aim)
    }

    /// The release is the evidence: which, by which plan, at which step.
    fn decide(
        &self,
        after: RouteRecord,
        action: Action,
        (by, why): (&Arc<str>, &Arc<str>),
        stamp: Stamp,
    ) -> Step {
        let change = Change { action, by, why };
        let release = after.release.as_ref();
        let at = release
            .and_then(|release| after.canaries.iter().position(|canary| canary.name == release.canary));
        let mut decision = match at {
            Some(at) => canary_decision(&self.record, &after, at, change, stamp),
            None => route_decision(&self.record, &after, change, stamp),
        };
        decision.evidence = release.map(|release| {
            json!({
                "release": &*release.id,
                "plan": &*release.plan.name,
                "step": release.step + 1,
                "steps": release.plan.steps.len(),
                "state": release.state(),
                "stable_before": &*self.record.stable.upstream,
                "stable_after": &*after.stable.upstream,
            })
        });
        self.step(after, decision)
    }

    fn conflict(&self, because: String) -> Refusal {
        Refusal::ReleaseConflict { route: Arc::clone(&self.record.route), because }
    }
}

pub(super) fn running(record: &RouteRecord) -> Option<&Release> {
    record.release.as_ref().filter(|release| release.is_running())
}

/// Somebody else has moved the aim of its canary, which is theirs until the release is resumed.
pub(super) fn hold_release(record: &mut RouteRecord, (by, why): (&Arc<str>, String), at_ms: i64) {
    let Some(release) = running(record) else { return };
    let held = Held { by: Arc::clone(by), why: why.into(), at_ms };
    record.release = Some(release.held(held));
}

/// The cord is pulled.
pub(super) fn back_off_release(record: &mut RouteRecord, (by, why): (&Arc<str>, &Arc<str>), stamp: &Stamp) {
    if let Some(release) = running(record).cloned() {
        end_release(record, &release, End::BackedOff, (by, why), stamp);
    }
}

/// Its canary keeps nothing.
fn end_release(
    record: &mut RouteRecord,
    release: &Release,
    how: End,
    who: (&Arc<str>, &Arc<str>),
    stamp: &Stamp,
) {
    if let Some(canary) = record.canaries.iter_mut().find(|canary| canary.name == release.canary) {
        canary.aim = Weight::ZERO;
    }
    record.release = Some(ended(release, how, who, stamp));
}

fn ended(release: &Release, how: End, (by, why): (&Arc<str>, &Arc<str>), stamp: &Stamp) -> Release {
    release.ended(Ended { how, by: Arc::clone(by), why: Arc::clone(why), at_ms: stamp.at_ms })
}

/// The canary is stable, and what was stable is the canary, with nothing.
fn swap(record: &mut RouteRecord, at: usize) {
    let canary: &mut CanaryRecord = &mut record.canaries[at];
    std::mem::swap(&mut record.stable.upstream, &mut canary.role.upstream);
    canary.aim = Weight::ZERO;
    canary.ceiling = Weight::WHOLE;
    canary.strikes = None;
}

/// What other canaries have leaves room for the highest step.
fn fits(record: &RouteRecord, plan: &Plan) -> Result<(), Refusal> {
    let highest = plan.steps.last().map_or(Weight::WHOLE, |step| step.to);
    let sum_ppm = aim_sum_ppm(&record.canaries) + u64::from(highest.ppm());
    if sum_ppm > u64::from(WHOLE_PPM) { Err(Refusal::TooMuch { sum_ppm }) } else { Ok(()) }
}

/// `step 2 of 4 of plan "careful"`
fn step_sentence(release: &Release) -> String {
    let Release { plan, step, phase, .. } = release;
    match phase {
        Phase::Promoting => format!("promotion by plan \"{}\"", plan.name),
        _ => format!("step {} of {} of plan \"{}\"", step + 1, plan.steps.len(), plan.name),
    }
}

fn promotion(record: &RouteRecord, at: usize) -> String {
    let (old, new) = (&record.stable.upstream, &record.canaries[at].role.upstream);
    format!("stable is now upstream \"{new}\" (it was \"{old}\")")
}

#[cfg(test)]
mod tests;
