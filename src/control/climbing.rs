//! When a canary may make the next step up its [`ladder`](super::ladder), and how the step is made.
//!
//! A step is due when the ceiling has not moved for a cooldown. It is made if nothing speaks against it at that moment,
//! and waits otherwise: while the odds are such that nothing should rise, while not one request has come that could
//! have shown that the canary is well (a night without traffic must not lead back to the aim), and while the store is
//! down. It then goes the way of every raise: stored first, published after, and void if anything lowered the route
//! meanwhile; whatever stopped it, the next tick looks again.
//!
//! The time is measured by the clock that never jumps. Only what had passed before the process began is taken from the
//! record's wall clock; a wall clock that jumped while nobody looked can bring one step forward, or put it off by one
//! cooldown, and no more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::info;

use super::clock::Stamp;
use super::controller::Controller;
use super::harm::Cause;
use super::jobs::{Ask, StepUp};
use super::ladder::is_cut;
use super::routes::{STEP_DOWN_TICKS, SplitLive};
use super::state::Step;
use super::view::{BackOffView, NextStep};
use crate::config::{self, BackOff, OnUnhealthy};
use crate::store::record::{Change, Strikes};

/// However long a request may wait for its answer, a canary that was cut is judged again after it.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// A canary with strikes, since its ceiling moved last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    /// Of the record: another one is another rung.
    since_ms: i64,
    /// That it had stood here when it was first seen.
    stood_us: u64,
    seen_us: u64,
    /// The canary's requests until then.
    requests: u64,
}

#[derive(Clone, Copy)]
struct Now {
    us: u64,
    unix_ms: i64,
}

impl Rung {
    fn new(strikes: Strikes, now: Now, requests: u64) -> Self {
        let stood_ms = u64::try_from(now.unix_ms.saturating_sub(strikes.since_ms)).unwrap_or(0);
        Self {
            since_ms: strikes.since_ms,
            stood_us: stood_ms.saturating_mul(1_000),
            seen_us: now.us,
            requests,
        }
    }

    /// Until the cooldown is over.
    fn rest(&self, cooldown: Duration, now_us: u64) -> Duration {
        let stood_us = self.stood_us.saturating_add(now_us.saturating_sub(self.seen_us));
        cooldown.saturating_sub(Duration::from_micros(stood_us))
    }
}

/// How long a canary that was cut is not judged: requests that the old weight sent are still to end.
pub(super) fn settle(guard: &config::Guard) -> Duration {
    (guard.judge.tick * STEP_DOWN_TICKS).max(guard.verdict_timeout.min(SETTLE_MAX))
}

impl Controller {
    /// A finding on a route that backs off step by step.
    pub(super) fn cut(&mut self, route: usize, canary: usize, cause: &Cause, plan: &BackOff, now_us: u64) {
        let Some(split) = self.routes.split(route) else { return };
        let Cause { why, evidence } = &split.in_drill(canary, cause);
        let step = split.state.cut(canary, plan, why, evidence.clone(), self.clock.stamp());
        self.back_off(route, canary, step, now_us);
        let Some(split) = self.routes.split_mut(route) else { return };
        if split.state.record.cord.is_none() {
            split.judge_anew(canary, now_us);
        }
    }

    /// Starts the steps up that can be made now. They have time: one at a time, and only when nothing else is to be
    /// done.
    pub(super) fn climb(&mut self, now_us: u64) {
        let now = Now { us: now_us, unix_ms: self.clock.unix_ms() };
        let mut due = Vec::new();
        for route in self.routes.rota.awake() {
            let list = &mut self.routes.list;
            let Some(split) = list.get_mut(*route).and_then(|route| route.split.as_mut()) else { continue };
            for canary in 0..split.canaries.len() {
                split.find_rung(canary, now);
                if split.next_step(canary, now_us).is_some_and(is_due) {
                    due.push((*route, canary));
                }
            }
        }
        for (route, canary) in due {
            self.make_step(route, canary);
        }
    }

    fn make_step(&mut self, route: usize, canary: usize) {
        let is_quiet = self.saving.is_idle() && self.jobs.is_empty() && self.loading.is_none();
        if !is_quiet || self.saving.down().is_some() {
            return;
        }
        let Some(split) = self.routes.split_mut(route) else { return };
        let record = &split.state.record.canaries[canary];
        if !is_cut(record.ceiling) {
            info!(route = %split.state.record.route, variant = %record.name, "well at its aim; strikes forgotten");
            split.state = split.state.forget_strikes(canary);
            let record = split.state.record.clone();
            return self.saving.owe(Change { record, decision: None });
        }
        let up = StepUp { route: Arc::clone(&split.state.record.route), canary: Arc::clone(&record.name) };
        let (reply, _nobody) = oneshot::channel();
        self.enqueue(Ask::StepUp(up, reply));
    }

    pub(super) fn back_off_view(&self, split: &SplitLive, canary: usize) -> Option<BackOffView> {
        let strikes = split.state.record.canaries.get(canary)?.strikes?;
        let next = match split.next_step(canary, self.clock.now_us())? {
            NextStep::Up(Duration::ZERO) | NextStep::Forgotten(Duration::ZERO)
                if self.saving.down().is_some() =>
            {
                NextStep::Store
            }
            next => next,
        };
        Some(BackOffView { strikes: strikes.count, strikes_max: split.plan().map(|plan| plan.strikes), next })
    }
}

fn is_due(next: NextStep) -> bool {
    matches!(next, NextStep::Up(Duration::ZERO) | NextStep::Forgotten(Duration::ZERO))
}

impl SplitLive {
    fn plan(&self) -> Option<&BackOff> {
        match &self.on_unhealthy {
            OnUnhealthy::BackOff(plan) => Some(plan),
            OnUnhealthy::Abort | OnUnhealthy::Watch => None,
        }
    }

    /// The canary has less than before, and the evidence was of more. Its harm budget stays: users have seen what
    /// they have seen.
    fn judge_anew(&mut self, canary: usize, now_us: u64) {
        let live = &mut self.canaries[canary];
        live.guard.restart();
        live.guard.skip(STEP_DOWN_TICKS);
        live.outside = Default::default();
        live.recorded = false;
        live.settles_until_us =
            now_us.saturating_add(u64::try_from(self.settle.as_micros()).unwrap_or(u64::MAX));
    }

    /// The ceiling may have moved since the last look, or the process just begun.
    fn find_rung(&mut self, canary: usize, now: Now) {
        let live = &mut self.canaries[canary];
        let strikes = self.state.record.canaries[canary].strikes;
        let requests = live.watched.requests();
        if live.rung.map(|rung| rung.since_ms) != strikes.map(|strikes| strikes.since_ms) {
            live.rung = strikes.map(|strikes| Rung::new(strikes, now, requests));
        }
        if let Some(rung) = live.rung.as_mut().filter(|_| now.us < live.settles_until_us) {
            rung.requests = requests;
        }
    }

    /// `None`: the canary has no strikes.
    fn next_step(&self, canary: usize, now_us: u64) -> Option<NextStep> {
        let (record, live) = (&self.state.record.canaries[canary], &self.canaries[canary]);
        let strikes = record.strikes?;
        if self.state.record.cord.is_some() {
            return Some(NextStep::Cord);
        }
        let Some(plan) = self.plan() else { return Some(NextStep::NoLadder) };
        let rung = live.rung.filter(|rung| rung.since_ms == strikes.since_ms);
        let rest = rung.map_or(plan.cooldown, |rung| rung.rest(plan.cooldown, now_us));
        let has_answered = rung.is_some_and(|rung| live.watched.requests() > rung.requests);
        Some(if !rest.is_zero() {
            if is_cut(record.ceiling) { NextStep::Up(rest) } else { NextStep::Forgotten(rest) }
        } else if live.guard.holds() || live.guard.is_unhealthy() || live.outside.objection(now_us).is_some()
        {
            NextStep::Odds
        } else if !has_answered {
            NextStep::Requests
        } else if is_cut(record.ceiling) {
            NextStep::Up(rest)
        } else {
            NextStep::Forgotten(rest)
        })
    }

    /// `None`: the canary or the ladder has gone since it was due.
    pub(super) fn step_up(&self, canary: &str, stamp: Stamp) -> Option<Step> {
        let at = self.state.record.canaries.iter().position(|record| &*record.name == canary)?;
        Some(self.state.step_up(at, self.plan()?, stamp))
    }
}

#[cfg(test)]
mod tests;
