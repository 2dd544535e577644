//! A drill: a canary that is well fails on purpose, to see how long it takes until it is taken back.
//!
//! Who has never seen a back-off does not know that it works: that traffic suffices, that nothing was set too mildly, that
//! the right people hear of it. So a share of the canary's requests by lot fails before the canary has seen them, marked
//! as [`Outcome::Drill`], and stable answers them (`proxy::rescue`); a request that stable could not answer in its place
//! is left alone. All that follows is real: the failures are evidence, the guard decides as always, the ceiling goes
//! to 0 and the cord is pulled, and a person has to reset it.
//!
//! A drill is recorded when it starts, with who and why, but is no part of what is stored: it ends with the process. It also
//! ends by itself when its time is over, with the back-off, with whatever else takes the canary's traffic away, and
//! with a reload. Workers learn of it as they learn of weights, from the snapshot.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tracing::info;

use super::command::{Refusal, Reply, StartDrill};
use super::controller::Controller;
use super::harm::Cause;
use super::jobs::{Waiter, answer};
use super::routes::{BackOff, SplitLive};
use super::state::{Change as Said, canary_decision, effective};
use super::view::{DrillView, RouteView};
use crate::config::{OnUnhealthy, Service, Weight};
use crate::metrics::{Outcome, Shards, SlotId};
use crate::routing::Share;
use crate::store::record::{Action, Change, Decision, DecisionId};

pub(super) struct Drill {
    canary: Arc<str>,
    slot: SlotId,
    share: Weight,
    by: Arc<str>,
    why: Arc<str>,
    decision: DecisionId,
    at_ms: i64,
    span: Duration,
    until_us: u64,
    /// Of earlier drills.
    injected_before: u64,
    injected: u64,
    looked_us: u64,
    /// The look before the first failure was seen: it is at most a tick older.
    first_us: Option<u64>,
    backed_off_us: Option<u64>,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    BackOff,
    /// Its time was over.
    Time,
    /// A person had enough.
    Stopped,
    /// Something else took the canary's traffic away, or changed the route.
    Overtaken,
}

impl End {
    fn label(self) -> &'static str {
        match self {
            Self::BackOff => "back_off",
            Self::Time => "time",
            Self::Stopped => "stopped",
            Self::Overtaken => "overtaken",
        }
    }
}

impl Drill {
    fn is_running(&self) -> bool {
        self.end.is_none()
    }

    /// The first end counts.
    fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    /// Nothing of it is left to be seen.
    pub(super) fn may_rest(&self) -> bool {
        !self.is_running() && (self.backed_off_us.is_some() || self.end != Some(End::BackOff))
    }

    pub(super) fn overtaken(mut self) -> Self {
        self.end(End::Overtaken);
        self
    }

    fn look(&mut self, now_us: u64, shards: &Shards) {
        let injected = injected(self.slot, shards).saturating_sub(self.injected_before);
        if injected > 0 {
            self.first_us.get_or_insert(self.looked_us);
        }
        self.injected = injected;
        self.looked_us = now_us;
        if self.end == Some(End::BackOff) {
            self.backed_off_us.get_or_insert(now_us);
        }
    }

    fn view(&self, back_off: Option<BackOff>) -> DrillView {
        let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
        let last_request_seconds = match back_off {
            Some(BackOff::Took { seconds }) if self.end == Some(End::BackOff) => Some(seconds),
            _ => None,
        };
        DrillView {
            canary: Arc::clone(&self.canary),
            share: self.share,
            by: Arc::clone(&self.by),
            why: Arc::clone(&self.why),
            at_ms: self.at_ms,
            until_ms: self.at_ms.saturating_add(i64::try_from(self.span.as_millis()).unwrap_or(i64::MAX)),
            decision: Arc::clone(&self.decision),
            injected: self.injected,
            ended: self.end.map(End::label),
            back_off_seconds: self.first_us.zip(self.backed_off_us).map(|(from, to)| seconds(from, to)),
            last_request_seconds,
        }
    }
}

/// By any drill, ever.
fn injected(slot: SlotId, shards: &Shards) -> u64 {
    shards.sum(slot, |counters| &counters.outcomes[Outcome::Drill as usize])
}

impl SplitLive {
    /// What routing is told.
    pub(super) fn shares(&self) -> Vec<Share> {
        let mut shares = self.state.shares();
        if let Some(drill) = self.drill.as_ref().filter(|drill| drill.is_running())
            && let Some(at) = self.place_of(&drill.canary)
        {
            shares[at].drill = Some(drill.share);
        }
        shares
    }

    fn place_of(&self, canary: &str) -> Option<usize> {
        self.state.record.canaries.iter().position(|record| &*record.name == canary)
    }

    /// What is in force now may have ended it.
    pub(super) fn end_drill_by(&mut self, decision: &Decision) {
        let record = &self.state.record;
        let Some(drill) = &mut self.drill else { return };
        let canary = record.canaries.iter().find(|canary| canary.name == drill.canary);
        if decision.action == Action::BackOff && decision.canary.as_ref() == Some(&drill.canary) {
            drill.end(End::BackOff);
        } else if canary.is_none_or(|canary| effective(record, canary).is_zero()) {
            drill.end(End::Overtaken);
        }
    }

    /// Whoever reads why a canary was backed off must see that it was a drill.
    pub(super) fn in_drill(&self, canary: usize, cause: &Cause) -> Cause {
        let name = self.state.record.canaries.get(canary).map(|canary| &canary.name);
        let drill = self.drill.as_ref().filter(|drill| drill.is_running() && Some(&drill.canary) == name);
        let (why, mut evidence) = (Arc::clone(&cause.why), cause.evidence.clone());
        let Some(Drill { by, injected, decision, .. }) = drill else { return Cause { why, evidence } };
        evidence["drill"] = json!({ "decision": **decision, "by": **by, "injected": injected });
        Cause { why: format!("drill by {by}: {why}").into(), evidence }
    }

    pub(super) fn drill_view(&self) -> Option<DrillView> {
        self.drill.as_ref().map(|drill| drill.view(self.back_off))
    }
}

impl Controller {
    pub(super) fn start_drill(&mut self, request: StartDrill, reply: Reply<RouteView>) {
        let (route, canary) = match self.may_drill(&request) {
            Ok(place) => place,
            Err(refusal) => return answer(reply, Err(refusal)),
        };
        let (stamp, now_us) = (self.clock.stamp(), self.clock.now_us());
        let Some(split) = self.routes.split_mut(route) else { return answer(reply, Err(Refusal::Gone)) };
        let StartDrill { share, span, by, why, .. } = request;
        let record = split.state.record.clone();
        let said = Said { action: Action::Drill, by: &by, why: &why };
        let mut decision = canary_decision(&record, &record, canary, said, stamp);
        decision.evidence = Some(json!({ "share": share.to_string(), "for_seconds": span.as_secs_f64() }));
        let slot = split.canaries[canary].watched.slot;
        split.drill = Some(Drill {
            canary: Arc::clone(&record.canaries[canary].name),
            slot,
            share,
            decision: Arc::clone(&decision.id),
            at_ms: decision.at_ms,
            span,
            until_us: now_us.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)),
            injected_before: injected(slot, &self.shards),
            injected: 0,
            looked_us: now_us,
            first_us: None,
            backed_off_us: None,
            end: None,
            by,
            why,
        });
        let shares = split.shares();
        self.publisher.update(vec![(route, shares)]);
        self.note(&decision);
        self.saving.owe(Change { record, decision: Some(decision) });
        self.wait(Waiter::Route(Arc::clone(&self.routes.list[route].name), reply));
    }

    /// The places of route and canary. Refused where nothing would come of it, or where it could do harm.
    fn may_drill(&self, request: &StartDrill) -> Result<(usize, usize), Refusal> {
        let route = self.find_split(&request.route)?;
        let split = self.routes.split(route).ok_or(Refusal::Gone)?;
        let canary = split.state.canary_index(request.canary.as_ref())?;
        let record = &split.state.record;
        if let Some(cord) = &record.cord {
            return Err(Refusal::CordPulled { route: Arc::clone(&record.route), cord: cord.clone() });
        }
        let file = self.config.routes.get(route);
        let has_rescue = file
            .is_some_and(|file| matches!(file.service, Service::Split { .. }) && file.guard.rescue.is_some());
        let because = if effective(record, &record.canaries[canary]).is_zero() {
            "the canary has no traffic, so it cannot fail any"
        } else if !has_rescue {
            "its guard says `rescue = false`, so users would meet the failures"
        } else if split.reaction() == OnUnhealthy::Watch || split.canaries[canary].is_baseline {
            "its guard would only watch, and back nothing off"
        } else if split.drill.as_ref().is_some_and(Drill::is_running) {
            "a drill is under way already; DELETE ends it"
        } else {
            return Ok((route, canary));
        };
        Err(Refusal::NoDrill { route: Arc::clone(&record.route), because })
    }

    pub(super) fn end_drill(&mut self, route: &Arc<str>, reply: Reply<RouteView>) {
        let route = match self.find_split(route) {
            Ok(route) => route,
            Err(refusal) => return answer(reply, Err(refusal)),
        };
        self.stop_drill(route, End::Stopped);
        answer(reply, self.view(route).ok_or(Refusal::Gone));
    }

    /// Every 100 ms, also of a process that decides nothing any more.
    pub(super) fn tend_drills(&mut self, now_us: u64) {
        let mut at = 0;
        while let Some(route) = self.routes.rota.awake().get(at).copied() {
            at += 1;
            let Some(drill) = self.routes.awake_mut(route).and_then(|split| split.drill.as_mut()) else {
                continue;
            };
            // Also behind its end: what it had begun is counted when it is answered.
            drill.look(now_us, &self.shards);
            if drill.is_running() && now_us >= drill.until_us {
                self.stop_drill(route, End::Time);
            } else if self.frozen {
                self.stop_drill(route, End::Overtaken);
            }
        }
    }

    fn stop_drill(&mut self, route: usize, end: End) {
        let Some(split) = self.routes.split_mut(route) else { return };
        let Some(drill) = split.drill.as_mut().filter(|drill| drill.is_running()) else { return };
        drill.end(end);
        info!(route = %split.state.record.route, variant = %drill.canary, ended = end.label(), injected = drill.injected,
            "the drill is over");
        let shares = split.shares();
        self.publisher.update(vec![(route, shares)]);
    }
}

#[cfg(test)]
mod tests;
