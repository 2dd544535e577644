//! Every 100 ms: what each canary did since the last look, beside stable in the same time, and what follows. Then
//! what became of endpoints.
//!
//! Only routes with a canary are looked at, and of those only the ones on which something happens ([`super::rest`]). An ordinary
//! look costs the reading of their slots and the guards' arithmetic: nothing is formatted or allocated unless something is
//! found.

use tracing::warn;

use super::controller::Controller;
use super::harm::Cause;
use super::routes::{BackOff, SplitLive};
use super::state::Step;
use super::watched::CanaryLive;
use crate::config::OnUnhealthy;
use crate::immune::Finding;
use crate::metrics::Shards;
use crate::notify;
use crate::store::record::Change;

/// After this long no worker can still act on an older snapshot: the last request has started.
const BACK_OFF_MEASURED_AFTER_US: u64 = 500_000;

/// What a look found, by the places of routes and canaries.
#[derive(Default)]
struct Seen {
    /// Not dealt with.
    unhealthy: Vec<(usize, usize)>,
    /// By signals that only watch.
    noticed: Vec<(usize, usize, Finding)>,
    /// By numbers of others, not dealt with.
    outside: Vec<(usize, usize)>,
    /// Routes where a harm budget is used up.
    spent: Vec<usize>,
    /// Routes whose self-test has found something.
    alarms: Vec<usize>,
}

impl Controller {
    pub(super) fn tick(&mut self) {
        let now_us = self.clock.now_us();
        let written = self.routes.begin_look(self.slots.len(), now_us, &self.shards);
        written.iter().for_each(|slot| self.windows.stir(*slot));
        self.tend_outside();
        let Seen { unhealthy, noticed, outside, spent, alarms } = self.look(now_us);
        for route in alarms {
            self.alarm(route);
        }
        for (route, canary, finding) in noticed {
            let cause = self.cause(route, canary, &finding);
            self.watch(route, canary, &cause);
        }
        for (route, canary) in unhealthy {
            self.act(route, canary, now_us);
        }
        for (route, canary) in outside {
            self.act_outside(route, canary, now_us);
        }
        for route in spent {
            if let Some(canary) = self.routes.split(route).and_then(SplitLive::spent) {
                self.spent(route, canary, now_us);
            }
        }
        self.climb(now_us);
        self.drive_releases();
        self.routes.lie_down(now_us);
        self.take_evidence();
        self.routes.end_look();
        self.keep_up(now_us);
        self.windows.tick(now_us, &self.shards);
        let overdue = self.saving.overdue(now_us);
        let why = self.saving.down().unwrap_or_default().to_owned();
        self.landed(overdue, Err(why));
    }

    /// A new process decides. What concerns this one alone goes on, for the requests that it still serves.
    pub(super) fn tick_frozen(&mut self) {
        self.keep_up(self.clock.now_us());
    }

    fn keep_up(&mut self, now_us: u64) {
        self.tend_drills(now_us);
        self.tend(now_us);
        self.memory.tick(now_us);
        self.tell_sample(now_us);
    }

    /// Feeds every guard.
    fn look(&mut self, now_us: u64) -> Seen {
        let Seen { mut unhealthy, mut noticed, mut outside, mut spent, mut alarms } = Seen::default();
        self.details.now_ms = self.clock.unix_ms();
        let routes = &mut self.routes;
        for route in routes.rota.awake() {
            let Some(split) = routes.list.get_mut(*route).and_then(|route| route.split.as_mut()) else {
                continue;
            };
            split.judge(now_us, &self.shards, &mut self.details);
            split.tell_of_lots();
            if split.alarms() {
                alarms.push(*route);
            }
            let (cord_pulled, reaction) = (split.state.record.cord.is_some(), split.reaction());
            for (at, canary) in split.canaries.iter_mut().enumerate() {
                for finding in canary.guard.take_noticed() {
                    noticed.push((*route, at, finding));
                }
                if needs_action(canary, reaction, cord_pulled) {
                    unhealthy.push((*route, at));
                }
                if canary.outside.is_due(reaction, cord_pulled) {
                    outside.push((*route, at));
                }
            }
            if split.spent().is_some() {
                spent.push(*route);
            }
            split.measure_back_off(now_us, &self.shards);
        }
        Seen { unhealthy, noticed, outside, spent, alarms }
    }

    fn act(&mut self, route: usize, canary: usize, now_us: u64) {
        let Some(split) = self.routes.split_mut(route) else { return };
        let reaction = split.reaction();
        let Some(live) = split.canaries.get_mut(canary) else { return };
        let Some(finding) = live.guard.finding() else { return };
        let cause = Cause::of(finding).recorded(&mut live.guard);
        live.recorded = true;
        match reaction {
            OnUnhealthy::Watch => self.watch(route, canary, &cause),
            // Another canary of the route was first.
            OnUnhealthy::Abort | OnUnhealthy::BackOff(_) if split.state.record.cord.is_some() => {}
            OnUnhealthy::Abort => self.abort(route, canary, &cause, now_us),
            OnUnhealthy::BackOff(plan) => self.cut(route, canary, &cause, &plan, now_us),
        }
    }

    fn cause(&mut self, route: usize, canary: usize, finding: &Finding) -> Cause {
        let cause = Cause::of(finding);
        let live = self.routes.split_mut(route).and_then(|split| split.canaries.get_mut(canary));
        match live {
            Some(live) => cause.recorded(&mut live.guard),
            None => cause,
        }
    }

    /// Ceiling to 0 and the cord pulled.
    pub(super) fn abort(&mut self, route: usize, canary: usize, cause: &Cause, now_us: u64) {
        let Some(split) = self.routes.split(route) else { return };
        let Cause { why, evidence } = &split.in_drill(canary, cause);
        let step = split.state.back_off(canary, why, evidence.clone(), self.clock.stamp());
        self.back_off(route, canary, step, now_us);
    }

    /// In force before anything else happens, stored after.
    pub(super) fn back_off(&mut self, route: usize, canary: usize, step: Step, now_us: u64) {
        let Some(split) = self.routes.split_mut(route) else { return };
        let Some(decision) = step.decision else { return };
        let slot = split.canaries[canary].watched.slot;
        let sentence = notify::sentence(&decision);
        // After a cut the canary goes on with less, so there is no last request to wait for.
        if step.state.record.cord.is_some() {
            split.back_off = Some(BackOff::Measuring {
                slot,
                deciding_failure_us: self.shards.totals(slot).last_failure_us,
                due_us: now_us.saturating_add(BACK_OFF_MEASURED_AFTER_US),
            });
        }
        warn!(route = %decision.route, variant = decision.canary.as_deref(), from = %decision.before,
            to = %decision.after, reason = %decision.why, "{sentence}");
        self.routes.touch(route);
        self.lower(vec![(route, step.state, decision)]);
    }

    /// Told to watch only: one decision for each finding, and nothing changes.
    pub(super) fn watch(&mut self, route: usize, canary: usize, cause: &Cause) {
        let Some(split) = self.routes.split(route) else { return };
        let why = &cause.why;
        let decision = split.state.watch(canary, why, cause.evidence.clone(), self.clock.stamp());
        let record = split.state.record.clone();
        warn!(route = %decision.route, variant = decision.canary.as_deref(), reason = %why,
            "canary is unhealthy, and its guard is told to watch only");
        self.note(&decision);
        self.saving.owe(Change { record, decision: Some(decision) });
    }
}

fn needs_action(canary: &CanaryLive, on_unhealthy: OnUnhealthy, cord_pulled: bool) -> bool {
    let open = match on_unhealthy {
        OnUnhealthy::Abort | OnUnhealthy::BackOff(_) => !cord_pulled,
        OnUnhealthy::Watch => !canary.recorded,
    };
    open && !canary.is_baseline && canary.guard.is_unhealthy()
}

impl SplitLive {
    fn measure_back_off(&mut self, now_us: u64, shards: &Shards) {
        let Some(BackOff::Measuring { slot, deciding_failure_us, due_us }) = self.back_off else { return };
        if now_us < due_us {
            return;
        }
        let last_start_us = shards.totals(slot).last_start_us;
        let took_us = last_start_us.saturating_sub(deciding_failure_us);
        self.back_off = Some(BackOff::Took { seconds: took_us as f64 / 1e6 });
    }
}
