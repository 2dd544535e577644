//! Commands that change a route, and what happens when their record is stored. The order of effect and record is
//! explained in [`super::controller`].

use std::sync::Arc;

use tracing::{info, warn};

use super::clock::Stamp;
use super::command::{PullCord, Refusal, Reply, SetWeight};
use super::controller::Controller;
use super::jobs::{Ask, Job, Raise, RouteRaise, Waiter, answer};
use super::saving::Landed;
use super::state::{Direction, RouteState, Step, classify};
use super::view::RouteView;
use crate::store::record::{Change, Decision};

impl Controller {
    /// A weight or a reset has come in. What lowers does not wait for its turn.
    pub(super) fn change(&mut self, ask: Ask) {
        match self.step(&ask) {
            Ok((route, Step { state, decision: Some(decision) }))
                if self.direction(route, &state) == Direction::Lowering =>
            {
                self.routes.touch(route);
                self.lower(vec![(route, state, decision)]);
                self.answer_when_stored(ask, route);
            }
            _ => self.enqueue(ask),
        }
    }

    /// A job's turn has come. It is looked at anew: those before it may have changed what it means.
    pub(super) fn run_job(&mut self, job: Job) {
        let (route, step) = match (&job.ask, self.step(&job.ask)) {
            (Ask::Reload(_), _) => {
                let Ask::Reload(reply) = job.ask else { return };
                return self.start_reload(reply);
            }
            (Ask::Upstream(..), _) => {
                let Ask::Upstream(request, reply) = job.ask else { return };
                return self.start_upstream(request, reply);
            }
            (Ask::LendStore(_), _) => {
                let Ask::LendStore(reply) = job.ask else { return };
                return self.lend_store(reply);
            }
            (_, Err(refusal)) => return job.ask.refuse(refusal),
            (_, Ok(step)) => step,
        };
        let touched = self.routes.list[route].touched;
        let Some(decision) = step.decision else {
            let view = self.view(route);
            return self.reply_with(job.ask, view);
        };
        if touched != job.touched {
            let refusal = self.overtaken(route);
            return job.ask.refuse(refusal);
        }
        if self.direction(route, &step.state) == Direction::Lowering {
            self.lower(vec![(route, step.state, decision)]);
            return self.answer_when_stored(job.ask, route);
        }
        if let Some(why) = self.saving.down() {
            let refusal = Refusal::StoreDown(why.to_owned());
            return job.ask.refuse(refusal);
        }
        let Some(reply) = job.ask.into_reply() else { return };
        let change = Change { record: step.state.record.clone(), decision: Some(decision.clone()) };
        let raise = RouteRaise { state: step.state, decision, touched, reply };
        self.saving.start_raise(vec![change], Raise::Route(Box::new(raise)), self.clock.now_us());
    }

    /// Takes hold at once, whatever else waits; and a raise that waits for its record is void after it, even if
    /// the cord was pulled before.
    pub(super) fn pull_cord(&mut self, request: &PullCord, reply: Reply<Vec<RouteView>>) {
        let routes = match &request.route {
            None => self.routes.judged.clone(),
            Some(name) => match self.find_split(name) {
                Ok(route) => vec![route],
                Err(refusal) => return answer(reply, Err(refusal)),
            },
        };
        let mut lowered = Vec::new();
        for route in &routes {
            self.routes.touch(*route);
            let Some(split) = self.routes.split(*route) else { continue };
            let step = split.state.pull_cord(&request.by, &request.why, self.clock.stamp());
            if let Some(decision) = step.decision {
                lowered.push((*route, step.state, decision));
            }
        }
        if lowered.is_empty() {
            let views = routes.iter().filter_map(|route| self.view(*route)).collect();
            return answer(reply, Ok(views));
        }
        self.lower(lowered);
        let names = routes.iter().map(|route| Arc::clone(&self.routes.list[*route].name)).collect();
        self.wait(Waiter::Routes(names, reply));
    }

    /// Publishes first, then owes the record to the store.
    pub(super) fn lower(&mut self, lowered: Vec<(usize, RouteState, Decision)>) {
        let owed: Vec<_> = lowered
            .iter()
            .map(|(_, state, decision)| Change {
                record: state.record.clone(),
                decision: Some(decision.clone()),
            })
            .collect();
        self.enter(lowered);
        for change in owed {
            if let Some(decision) = &change.decision {
                self.note(decision);
            }
            self.saving.owe(change);
        }
    }

    /// A save is back, or has taken too long: `result` says which.
    pub(super) fn landed(&mut self, landed: Option<Landed>, result: Result<(), String>) {
        match (landed, result) {
            (None, _) => {}
            (Some(Landed::Answer(waiters)), _) => {
                waiters.into_iter().for_each(|waiter| self.answer_waiter(waiter));
            }
            (Some(Landed::Raise(raise)), Err(why)) => {
                self.owe_present(&raise.routes());
                self.reload_works &= !matches!(raise, Raise::Reload(..));
                if let Raise::Upstream(raise) = &raise {
                    let upstream = Arc::clone(&raise.upstream);
                    self.owe_upstream(&upstream);
                }
                raise.refuse(Refusal::StoreDown(why));
            }
            (Some(Landed::Raise(Raise::Route(raise))), Ok(())) => self.raise(*raise),
            (Some(Landed::Raise(Raise::Reload(prepared, reply))), Ok(())) => {
                self.reload_stored(*prepared, reply);
            }
            (Some(Landed::Raise(Raise::Upstream(raise))), Ok(())) => self.upstream_stored(*raise),
        }
    }

    /// The record is stored; now the raise takes effect, if it still may.
    fn raise(&mut self, raise: RouteRaise) {
        let RouteRaise { state, decision, touched, reply } = raise;
        let Ok(route) = self.find_split(&state.record.route) else {
            return answer(reply, Err(Refusal::Gone));
        };
        if self.routes.list[route].touched != touched {
            if let Some(split) = self.routes.split(route) {
                let void = split.state.void(&decision, self.clock.stamp());
                warn!(route = %void.route, by = %void.by, reason = %void.why, "a raise was overtaken");
                self.saving.owe(Change { record: split.state.record.clone(), decision: Some(void) });
            }
            return answer(reply, Err(self.overtaken(route)));
        }
        self.enter(vec![(route, state, decision.clone())]);
        self.note(&decision);
        answer(reply, self.view(route).ok_or(Refusal::Gone));
    }

    /// What the command would do to the state in force now.
    fn step(&self, ask: &Ask) -> Result<(usize, Step), Refusal> {
        let stamp = self.clock.stamp();
        match ask {
            Ask::Weight(request, _) => {
                let route = self.find_split(&request.route)?;
                self.check_revision(route, request.if_revision)?;
                Ok((route, self.weight_step(route, request, stamp)?))
            }
            Ask::Start(request, _) => self.start_step(request),
            Ask::Steer(request, _) => {
                let route = self.find_split(&request.route)?;
                self.check_revision(route, request.if_revision)?;
                let state = &self.routes.split(route).ok_or(Refusal::Gone)?.state;
                Ok((route, state.steer_release(request, stamp)?))
            }
            Ask::RollBack(request, _) => {
                let route = self.find_split(&request.route)?;
                self.check_revision(route, request.if_revision)?;
                Ok((route, self.roll_back_step(route, &request.by, &request.why)?))
            }
            Ask::Plan(wanted, _) => self.plan_step(wanted),
            Ask::Reset(request, _) => {
                let route = self.find_split(&request.route)?;
                let split = self.routes.split(route).ok_or(Refusal::Gone)?;
                if split.state.record.cord.is_none() && split.has_alarm() {
                    return Ok((route, split.state.acknowledge(&request.by, &request.why, stamp)));
                }
                Ok((route, split.state.reset_cord(&request.by, &request.why, stamp)?))
            }
            Ask::StepUp(up, _) => {
                let route = self.find_split(&up.route)?;
                let split = self.routes.split(route).ok_or(Refusal::Gone)?;
                Ok((route, split.step_up(&up.canary, stamp).ok_or(Refusal::Gone)?))
            }
            Ask::Upstream(..) | Ask::Reload(_) | Ask::LendStore(_) => Err(Refusal::Gone),
        }
    }

    fn weight_step(&self, route: usize, request: &SetWeight, stamp: Stamp) -> Result<Step, Refusal> {
        let state = &self.routes.split(route).ok_or(Refusal::Gone)?.state;
        let step = state.set_weight(request, stamp)?;
        let canary = state.canary_index(request.canary.as_ref())?;
        let rises = request.weight > state.record.canaries[canary].aim;
        let lacks = || self.lacks_capacity(route, &state.record, canary, request.weight);
        match rises.then(lacks).flatten() {
            Some(because) => Err(Refusal::NoCapacity { route: Arc::clone(&request.route), because }),
            None => Ok(step),
        }
    }

    pub(super) fn check_revision(&self, route: usize, wanted: Option<u64>) -> Result<(), Refusal> {
        let state = &self.routes.split(route).ok_or(Refusal::Gone)?.state;
        match wanted.is_none_or(|revision| revision == state.revision) {
            true => Ok(()),
            false => Err(self.outdated(route)),
        }
    }

    fn direction(&self, route: usize, after: &RouteState) -> Direction {
        classify(self.routes.split(route).map(|split| &split.state.record), &after.record)
    }

    /// The place of a route that has variants.
    pub(super) fn find_split(&self, name: &Arc<str>) -> Result<usize, Refusal> {
        let unknown = || Refusal::UnknownRoute { route: Arc::clone(name), known: self.routes.names() };
        let route = self.routes.find(name).ok_or_else(unknown)?;
        match self.routes.split(route) {
            Some(_) => Ok(route),
            None => Err(Refusal::WhichCanary { route: Arc::clone(name), asked: None, known: Vec::new() }),
        }
    }

    fn outdated(&self, route: usize) -> Refusal {
        self.view(route).map_or(Refusal::Gone, |view| Refusal::Outdated(Box::new(view)))
    }

    fn overtaken(&self, route: usize) -> Refusal {
        let cord = self.routes.split(route).and_then(|split| split.state.record.cord.clone());
        match cord {
            Some(cord) => Refusal::CordPulled { route: Arc::clone(&self.routes.list[route].name), cord },
            None => self.outdated(route),
        }
    }

    pub(super) fn owe_present(&mut self, routes: &[Arc<str>]) {
        for route in routes {
            if let Some(record) = self.routes.remembered(route) {
                self.saving.owe(Change { record: record.clone(), decision: None });
            }
        }
    }

    fn answer_when_stored(&mut self, ask: Ask, route: usize) {
        if let Some(reply) = ask.into_reply() {
            self.wait(Waiter::Route(Arc::clone(&self.routes.list[route].name), reply));
        }
    }

    pub(super) fn wait(&mut self, waiter: Waiter) {
        if let Some(waiter) = self.saving.wait(waiter) {
            self.answer_waiter(waiter);
        }
    }

    fn answer_waiter(&self, waiter: Waiter) {
        let view = |name: &Arc<str>| self.view(self.routes.find(name)?);
        match waiter {
            Waiter::Route(name, reply) => answer(reply, view(&name).ok_or(Refusal::Gone)),
            Waiter::Routes(names, reply) => answer(reply, Ok(names.iter().filter_map(view).collect())),
            Waiter::Reload(report, reply) => answer(reply, Ok(report)),
        }
    }

    fn reply_with(&self, ask: Ask, view: Option<RouteView>) {
        if let Some(reply) = ask.into_reply() {
            answer(reply, view.ok_or(Refusal::Gone));
        }
    }

    /// Counts a decision that has taken effect, and tells the log.
    pub(super) fn note(&mut self, decision: &Decision) {
        self.counts.add(decision);
        self.events.decided(decision);
        self.messenger.tell(decision);
        info!(
            route = %decision.route,
            variant = decision.canary.as_deref().unwrap_or("all canaries"),
            action = decision.action.label(),
            from = %decision.before,
            to = %decision.after,
            by = %decision.by,
            reason = %decision.why,
            id = %decision.id,
            "state changed"
        );
    }
}
