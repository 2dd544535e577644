//! The harm budget, seen from the control plane: given anew where a canary starts anew, and followed by a back-off
//! where it is used up.
//!
//! Traffic needs none of this: a worker that finds no permit sends the request to stable. But a canary whose users
//! have seen what they may see is finished, and people must hear of it: so its ceiling goes to 0 and the cord is pulled,
//! with a decision that says how many users it cost.

use std::sync::Arc;

use serde_json::{Value, json};

use super::controller::Controller;
use super::recorder::{Place, Recorded};
use super::routes::{Routes, SplitLive};
use super::watched::CanaryLive;
use crate::config::{Mode, OnUnhealthy};
use crate::immune::{Finding, OutsideFinding, numbers};
use crate::routing::Table;
use crate::routing::harm::HarmBudget;

/// Why a canary is backed off, in words and in numbers.
pub(super) struct Cause {
    pub(super) why: Arc<str>,
    pub(super) evidence: Value,
}

impl Cause {
    pub(super) fn of(finding: &Finding) -> Self {
        Self { why: finding.sentence().into(), evidence: finding.evidence() }
    }

    /// `odds`: of the guard at that moment, for what they are worth.
    pub(super) fn outside(finding: &OutsideFinding, odds: f64) -> Self {
        let mut evidence = finding.evidence();
        evidence["odds"] = odds.into();
        Self { why: finding.sentence().into(), evidence }
    }

    /// Says where the record holds what it was decided on, and by which numbers.
    pub(super) fn recorded(mut self, guard: &mut Recorded) -> Self {
        self.evidence["judge"] = numbers(guard.judge());
        if let Some(Place { began_ms, frame }) = guard.decided() {
            self.evidence["record"] = json!({ "began_ms": began_ms, "frame": frame });
        }
        self
    }

    fn harm(budget: &HarmBudget) -> Self {
        let (harmed, max) = (budget.permits.harmed(), budget.max);
        let users = if harmed == 1 { "user" } else { "users" };
        let why = format!("{harmed} {users} saw this canary fail, and its harm budget is {max}");
        let evidence = json!({
            "signal": "harm_budget",
            "sentence": why,
            "harmed": harmed,
            "limit": { "harm_max": max },
        });
        Self { why: why.into(), evidence }
    }
}

impl CanaryLive {
    fn has_spent(&self) -> bool {
        self.harm.as_ref().is_some_and(|budget| budget.permits.harmed() >= budget.max)
    }

    /// Permits that are neither out nor used up.
    pub(super) fn harm_left(&self) -> Option<u32> {
        self.harm.as_ref().map(|budget| budget.max.saturating_sub(budget.permits.used()))
    }
}

impl SplitLive {
    /// The place of a canary whose budget is used up, if that was not dealt with.
    pub(super) fn spent(&self) -> Option<usize> {
        let open = |canary: &CanaryLive| match (canary.guard.judge().harm, self.on_unhealthy) {
            (Mode::Off, _) => false,
            (Mode::Watch, _) | (_, OnUnhealthy::Watch) => !canary.harm_recorded,
            (Mode::Act, OnUnhealthy::Abort | OnUnhealthy::BackOff(_)) => self.state.record.cord.is_none(),
        };
        self.canaries.iter().position(|canary| canary.has_spent() && open(canary))
    }
}

impl Routes {
    /// After a reload: which budgets the workers take their permits from.
    pub(super) fn take_budgets(&mut self, table: &Table) {
        for (route, entry) in self.list.iter_mut().zip(table.routes()) {
            let (Some(split), Some(serving)) = (&mut route.split, &entry.serving) else { continue };
            for live in &mut split.canaries {
                let variant = serving.variants.iter().find(|variant| variant.slot == live.watched.slot);
                let budget = variant.and_then(|variant| variant.harm.clone());
                // It had none so far: what an earlier canary of this name has used is not held against it.
                if live.harm.is_none()
                    && let Some(budget) = &budget
                {
                    budget.permits.renew();
                }
                live.harm = budget;
            }
        }
    }
}

impl Controller {
    pub(super) fn spent(&mut self, route: usize, canary: usize, now_us: u64) {
        let Some(split) = self.routes.split_mut(route) else { return };
        let Some(live) = split.canaries.get_mut(canary) else { return };
        let Some(budget) = &live.harm else { return };
        let cause = Cause::harm(budget).recorded(&mut live.guard);
        live.harm_recorded = true;
        let mode = live.guard.judge().harm;
        match split.on_unhealthy {
            _ if mode != Mode::Act => self.watch(route, canary, &cause),
            OnUnhealthy::Watch => self.watch(route, canary, &cause),
            OnUnhealthy::Abort | OnUnhealthy::BackOff(_) => self.abort(route, canary, &cause, now_us),
        }
    }
}
