//! Follows the plans of releases: looks at each that is under way, ten times a second, and makes the move that is due.
//!
//! A move that raises goes the way of every raise: stored first, in force after, void if anything lowered the route meanwhile,
//! and then the next look finds it due again. Moves have time: one at a time, and only when nothing else is to be done. A
//! release that swaps roles, or brings other people, is a new table, built of the file with what is live in it, and published
//! with the weights as one.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::error;

use super::command::{Refusal, Reply, StartRelease};
use super::controller::Controller;
use super::jobs::{Ask, PlanMove, answer};
use super::ladder::is_cut;
use super::reload::with_live_roles;
use super::routes::SplitLive;
use super::state::{RouteState, Step, effective};
use super::view::{ReleaseView, VerdictKind};
use crate::config::{Plan, Weight};
use crate::immune::{Missing, Verdict};
use crate::release::{Facts, Move, Release, calendar};
use crate::routing::Table;
use crate::store::record::{Change, Decision, RouteRecord};

impl Controller {
    pub(super) fn drive_releases(&mut self) {
        let mut at = 0;
        // A move may wake another route, never take one away.
        while let Some(route) = self.routes.rota.awake().get(at).copied() {
            at += 1;
            let is_quiet = self.saving.is_idle() && self.jobs.is_empty() && self.loading.is_none();
            if !is_quiet || self.saving.down().is_some() {
                return;
            }
            self.drive(route);
        }
    }

    fn drive(&mut self, route: usize) {
        let Some(split) = self.routes.split(route) else { return };
        let Some(release) = split.state.release() else { return };
        let Some(next) = release.next(&self.facts(route, split, release)) else { return };
        if let Move::Go(_) = next {
            return self.go_on_with(route, &next);
        }
        let id = Arc::clone(&release.id);
        let name = Arc::clone(&split.state.record.route);
        let (reply, _nobody) = oneshot::channel();
        self.change(Ask::Plan(Box::new(PlanMove { route: name, release: id, next }), reply));
    }

    /// Only the phase changes: nothing that users or the record of decisions would hear of.
    fn go_on_with(&mut self, route: usize, next: &Move) {
        let stamp = self.clock.stamp();
        let Some(split) = self.routes.split_mut(route) else { return };
        let Some(step) = split.state.move_release(next, stamp) else { return };
        split.state = step.state;
        // A step that mirrors begins or ends.
        let (shares, record) = (split.shares(), split.state.record.clone());
        self.publisher.update(vec![(route, shares)]);
        self.saving.owe(Change { record, decision: None });
    }

    /// What is true of a release now.
    pub(super) fn facts(&self, route: usize, split: &SplitLive, release: &Release) -> Facts {
        let now_ms = self.clock.unix_ms();
        let mut facts = Facts { now_ms, ..Facts::default() };
        let Some(at) = split.state.canary_of(release) else { return facts };
        let (record, live) = (&split.state.record, &split.canaries[at]);
        let canary = &record.canaries[at];
        let now_us = self.clock.now_us();
        let (kind, sentence) = live.judged(now_us);
        facts.aim = canary.aim;
        facts.effective = effective(record, canary);
        facts.unseen = match release.mirror() {
            Some(_) => !self.has_copied_since(split, release.since_ms),
            None => matches!(live.guard.verdict(), Verdict::Undecided(Missing::CanaryRequests)),
        };
        facts.healthy = kind == VerdictKind::Healthy;
        facts.missing = sentence;
        facts.blocked = if is_cut(canary.ceiling) {
            Some(format!("the immune system holds the canary at {} of {}", facts.effective, canary.aim))
        } else if live.guard.holds() || kind == VerdictKind::Unhealthy {
            Some(facts.missing.clone())
        } else if let Some(objection) = live.outside.objection(now_us) {
            Some(objection)
        } else {
            release.wanted(facts.aim).and_then(|wanted| self.lacks_capacity(route, record, at, wanted))
        };
        let name = &self.routes.list[route].name;
        facts.closed = calendar::closed(name, release.plan.hours.as_ref(), &self.config.freezes, now_ms);
        facts
    }

    /// Why the canary has too few endpoints for such a share. `None`: it has enough.
    pub(super) fn lacks_capacity(
        &self,
        route: usize,
        record: &RouteRecord,
        canary: usize,
        share: Weight,
    ) -> Option<String> {
        let capacity = self.config.routes.get(route)?.capacity?;
        let upstream = &record.canaries[canary].role.upstream;
        let (mine, theirs) = (self.usable(upstream), self.usable(&record.stable.upstream));
        let part = u128::from(share.ppm()) * u128::from(capacity.ppm()) * theirs as u128;
        let needed = part.div_ceil(1_000_000_000_000);
        (needed > mine as u128).then(|| {
            let endpoints = if mine == 1 { "endpoint" } else { "endpoints" };
            format!(
                "upstream \"{upstream}\" has {mine} usable {endpoints}, and {share} of the route takes {needed}: {capacity} of \
                 that share of stable's {theirs} (key capacity of the route)"
            )
        })
    }

    fn usable(&self, upstream: &str) -> usize {
        let live = self.upstreams.list.iter().find(|live| *live.group.name == *upstream);
        live.map_or(0, |live| live.group.members().iter().filter(|member| member.used).count())
    }

    /// What the plan's next move would do to the state in force now.
    pub(super) fn plan_step(&self, wanted: &PlanMove) -> Result<(usize, Step), Refusal> {
        let route = self.find_split(&wanted.route)?;
        let state = &self.routes.split(route).ok_or(Refusal::Gone)?.state;
        let same =
            state.release().is_some_and(|release| release.id == wanted.release && release.held.is_none());
        let step = state.move_release(&wanted.next, self.clock.stamp()).filter(|_| same);
        Ok((route, step.ok_or(Refusal::Gone)?))
    }

    pub(super) fn start_step(&self, request: &StartRelease) -> Result<(usize, Step), Refusal> {
        let route = self.find_split(&request.route)?;
        let state = &self.routes.split(route).ok_or(Refusal::Gone)?.state;
        self.check_revision(route, request.if_revision)?;
        let plan = self.plan(&request.plan)?;
        if let Some(upstream) = &request.upstream {
            self.check_upstream(upstream)?;
        }
        Ok((route, state.start_release(request, plan, self.clock.stamp())?))
    }

    pub(super) fn roll_back_step(
        &self,
        route: usize,
        by: &Arc<str>,
        why: &Arc<str>,
    ) -> Result<Step, Refusal> {
        let state = &self.routes.split(route).ok_or(Refusal::Gone)?.state;
        if let Some(previous) = state.record.previous_stable.as_ref().filter(|_| state.release().is_none()) {
            self.check_upstream(previous)?;
        }
        state.roll_back(by, why, self.clock.stamp())
    }

    fn plan(&self, name: &Arc<str>) -> Result<&Plan, Refusal> {
        let plans = &self.config.plans;
        plans.iter().find(|plan| plan.name == *name).ok_or_else(|| Refusal::UnknownPlan {
            asked: Arc::clone(name),
            known: plans.iter().map(|plan| Arc::clone(&plan.name)).collect(),
        })
    }

    fn check_upstream(&self, name: &Arc<str>) -> Result<(), Refusal> {
        let upstreams = &self.config.upstreams;
        if upstreams.iter().any(|upstream| upstream.name == *name) {
            return Ok(());
        }
        let known = upstreams.iter().map(|upstream| Arc::clone(&upstream.name)).collect();
        Err(Refusal::NoUpstream { asked: Arc::clone(name), known })
    }

    /// Puts a new state of a route in force, and publishes it.
    pub(super) fn enter(&mut self, changes: Vec<(usize, RouteState, Decision)>) {
        let mut shares = Vec::new();
        let mut retabled = false;
        for (route, state, decision) in changes {
            if self.is_another_table(route, &state) {
                retabled |= self.recast(route, state);
            } else if let Some(split) = self.routes.split_mut(route) {
                split.follow(&decision, state);
                shares.push((route, split.shares()));
            }
        }
        if !retabled || !self.retable() {
            self.publisher.update(shares);
        }
    }

    /// Who plays which part, and whose people are drawn, stand in the table.
    fn is_another_table(&self, route: usize, after: &RouteState) -> bool {
        let part = |record: &RouteRecord| {
            let canaries: Vec<_> =
                record.canaries.iter().map(|canary| Arc::clone(&canary.role.upstream)).collect();
            let release = record.release.as_ref().map(|release| Arc::clone(&release.id));
            (Arc::clone(&record.stable.upstream), canaries, release)
        };
        self.routes.split(route).is_some_and(|split| part(&split.state.record) != part(&after.record))
    }

    /// The guard of a canary that is played by another upstream starts anew.
    fn recast(&mut self, route: usize, state: RouteState) -> bool {
        self.cut_evidence();
        let Some(file) = self.config.routes.get(route) else { return false };
        self.routes.recast(route, file, state, &mut self.slots, &self.shards);
        true
    }

    /// A table of the file with what is live in it. False: none could be built, and the one in force stays.
    fn retable(&mut self) -> bool {
        let states: Vec<_> = self
            .routes
            .list
            .iter()
            .map(|route| route.split.as_ref().map(|split| split.state.clone()))
            .collect();
        let mut config = with_live_roles(&self.config, &states);
        self.announced.apply(&mut config.upstreams);
        match Table::build(&config, &mut self.slots, &mut self.endpoints) {
            Ok(table) => {
                let table = Arc::new(table);
                self.routes.take_budgets(&table);
                self.routes.take_users(&table, &self.shards);
                self.publisher.retable(table, self.routes.shares());
                true
            }
            Err(problem) => {
                error!(%problem, "no table could be built of what is live; the one in force stays");
                false
            }
        }
    }

    pub(super) fn release_view(&self, route: usize, split: &SplitLive) -> Option<ReleaseView> {
        let release = split.state.record.release.clone()?;
        let waiting = release.waits_for(&self.facts(route, split, &release));
        Some(ReleaseView { release, waiting: Some(waiting) })
    }

    /// Those that have ended, too. Read beside the loop.
    pub(super) fn read_releases(&self, name: &Arc<str>, reply: Reply<Vec<ReleaseView>>) {
        let route = match self.find_split(name) {
            Ok(route) => route,
            Err(refusal) => return answer(reply, Err(refusal)),
        };
        let current = self.routes.split(route).and_then(|split| self.release_view(route, split));
        let store = self.saving.store().clone();
        let name = Arc::clone(name);
        let Some(permit) = self.queries.may_read() else {
            return answer(reply, Err(Refusal::Busy("too many readings wait for the store".to_owned())));
        };
        let read = async move {
            let stored = store.releases(name).await.map_err(|error| Refusal::StoreDown(error.to_string()));
            answer(reply, stored.map(|stored| with_current(current, stored)));
            drop(permit);
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "reading must not hold up the loop; the permit bounds it"
        )]
        tokio::spawn(read);
    }
}

/// The state in force is newer than what is stored.
fn with_current(current: Option<ReleaseView>, stored: Vec<Release>) -> Vec<ReleaseView> {
    let id = current.as_ref().map(|view| Arc::clone(&view.release.id));
    let others = stored.into_iter().filter(|release| Some(&release.id) != id.as_ref());
    let others = others.map(|release| ReleaseView { waiting: None, release });
    current.into_iter().chain(others).collect()
}
