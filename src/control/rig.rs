//! A controller on a clock that stands still, with a store whose saves come back when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::clock::Clock;
use super::command::{Command, PullCord, Refusal, ResetCord, SetWeight};
use super::controller::{Controller, Event, Start, TICK};
use super::reload::ReadFile;
use super::testing::{route, weight};
use super::view::{CanaryView, RouteView};
use crate::config::{self, Admin, Config, OnUnhealthy, Route, Upstream, Weight, Workers};
use crate::metrics::judged::Evidence;
use crate::metrics::shard::Finish;
use crate::metrics::users::User;
use crate::metrics::{Outcome, Shards, SlotId};
use crate::notify::{Inquirer, Messenger, Question, Report};
use crate::routing::{EndpointIds, Live, Snapshot, Table};
use crate::store::record::{Change, RouteRecord};
use crate::store::{Loaded, Store};
use crate::tls;
use crate::upstream::Lookout;

pub(super) const START_MS: i64 = 1_700_000_000_000;

pub(super) type Answer<T> = oneshot::Receiver<Result<T, Refusal>>;

pub(super) fn config(routes: Vec<Route>) -> Config {
    let upstreams = ["v1", "v2", "v3"];
    Config {
        workers: Workers { count: 1 },
        admin: Admin::on(([127, 0, 0, 1], 0).into()),
        store: config::Store::Memory,
        evidence: Default::default(),
        decisions_age: crate::config::DECISIONS_AGE_DEFAULT,
        source: Default::default(),
        access_log: None,
        tracing: None,
        dns: Default::default(),
        limits: Default::default(),
        drain: config::Drain::default(),
        listeners: Vec::new(),
        upstreams: upstreams.into_iter().zip(9_001..).map(|(name, port)| upstream(name, port)).collect(),
        routes,
        plans: Vec::new(),
        freezes: Vec::new(),
        notify: Vec::new(),
        prometheus: None,
    }
}

fn upstream(name: &str, port: u16) -> Upstream {
    Upstream::new(name.into(), vec![([127, 0, 0, 1], port).into()])
}

/// One route `shop` with one canary on `v2`.
pub(super) fn shop(share: &str) -> Config {
    config(vec![route("shop", &[("canary", "v2", share)])])
}

pub(super) fn watching(mut config: Config) -> Config {
    for route in &mut config.routes {
        route.guard.on_unhealthy = OnUnhealthy::Watch;
    }
    config
}

pub(super) struct Rig {
    pub(super) controller: Controller,
    now_us: Arc<AtomicU64>,
    shards: Shards,
    /// What is asked of others.
    questions: watch::Receiver<Vec<Arc<Question>>>,
}

impl Rig {
    pub(super) async fn new(config: Config) -> Self {
        Self::with_records(config, Vec::new()).await
    }

    pub(super) async fn with_records(config: Config, routes: Vec<RouteRecord>) -> Self {
        let now_us = Arc::new(AtomicU64::new(0));
        let shards = Shards::new(1);
        let (store, _) = Store::open(&config::Store::Memory).unwrap();
        let nothing = Config { routes: Vec::new(), ..config.clone() };
        let table = Table::build(&nothing, &mut Default::default(), &mut EndpointIds::default()).unwrap();
        let (inquirer, questions, _) = Inquirer::unattended();
        let start = Start {
            config,
            config_path: None,
            store,
            loaded: Loaded { routes, announced: Vec::new() },
            live: Live::new(Snapshot::new(0, Arc::new(table), &[])),
            shards: shards.clone(),
            load: Arc::default(),
            tls: tls::Keeper::new(Default::default()).0,
            clock: Clock::manual(Arc::clone(&now_us), START_MS),
            lookout: Lookout::unattended().0,
            messenger: Messenger::silent(),
            inquirer,
            drain: watch::Sender::default(),
            access: watch::Sender::default(),
        };
        let controller = Controller::new(start).await.unwrap();
        Self { controller, now_us, shards, questions }
    }

    /// What others are asked now.
    pub(super) fn questions(&self) -> Vec<Arc<Question>> {
        self.questions.borrow().clone()
    }

    pub(super) fn report(&mut self, id: u64, canary: Result<f64, &str>) {
        let canary = canary.map_err(Arc::from);
        self.controller.on(Event::Reported(Report { id, at_ms: START_MS, canary, stable: None }));
    }

    /// The store takes the save that is under way.
    pub(super) fn stored(&mut self) {
        assert!(!self.controller.saving.is_idle(), "no save is under way");
        self.controller.on(Event::Saved(Ok(())));
    }

    pub(super) fn not_stored(&mut self) {
        assert!(!self.controller.saving.is_idle(), "no save is under way");
        self.controller.on(Event::Saved(Err("disk full".into())));
    }

    pub(super) fn tick(&mut self) {
        self.pass(TICK);
        self.controller.on(Event::Tick);
    }

    pub(super) fn pass(&self, time: Duration) {
        self.now_us.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// Three seconds in which every canary request fails and stable answers.
    pub(super) fn canary_breaks(&mut self) {
        for _ in 0..30 {
            self.canary_fails_for_a_tick();
        }
    }

    pub(super) fn canary_fails_for_a_tick(&mut self) {
        self.serve("canary", 2, Outcome::ServerError);
        self.serve("stable", 40, Outcome::Success);
        self.tick();
    }

    /// A few good requests each, so that guards have seen both.
    pub(super) fn all_is_well(&mut self) {
        for _ in 0..10 {
            self.serve("canary", 2, Outcome::Success);
            self.serve("stable", 40, Outcome::Success);
            self.tick();
        }
    }

    pub(super) fn serve(&self, variant: &str, requests: u64, outcome: Outcome) {
        self.count(variant, None, requests, outcome);
    }

    pub(super) fn draw_lots(&self, variant: &str, lots: u64) {
        let slot = self.controller.slots.find("shop", variant).unwrap();
        self.shards.worker(0).slot(slot).lots.add(lots);
    }

    /// Clients of so many requests by lot go before they are answered.
    pub(super) fn leave(&self, variant: &str, requests: u64) {
        self.serve(variant, requests, Outcome::DownstreamGone);
        let slot = self.controller.slots.find("shop", variant).unwrap();
        self.shards.worker(0).slot(slot).unjudged.add(requests);
    }

    /// Of stable, in the slice that tests the immune system.
    pub(super) fn serve_phantom(&mut self, requests: u64, outcome: Outcome) {
        let phantom = self.controller.slots.phantom(&"shop".into());
        self.count("stable", phantom, requests, outcome);
    }

    fn count(&self, variant: &str, phantom: Option<SlotId>, requests: u64, outcome: Outcome) {
        let slot = self.controller.slots.find("shop", variant).unwrap();
        let now_us = self.now_us.load(Ordering::Relaxed);
        let shard = self.shards.worker(0);
        for _ in 0..requests {
            shard.slot(slot).start(now_us);
            let evidence = Evidence::of(outcome, Some(5));
            let finish = Finish { outcome, code: 200, duration_us: 5, evidence, now_us };
            shard.slot(slot).finish(&finish);
            shard.count_phantom(phantom, evidence);
        }
    }

    /// A request of somebody fails. False: they have left the evidence.
    pub(super) fn counts_failure_of(&self, variant: &str, user: u64) -> bool {
        self.counts(variant, user, Evidence::Failure)
    }

    /// A request of somebody is answered. False: one was counted just before.
    pub(super) fn counts_success_of(&self, variant: &str, user: u64) -> bool {
        self.counts(variant, user, Evidence::Success { head_us: None })
    }

    fn counts(&self, variant: &str, user: u64, evidence: Evidence) -> bool {
        let slot = self.controller.slots.find("shop", variant).unwrap();
        let shard = self.shards.worker(0);
        let slot = shard.slot(slot);
        slot.judged.admit(Some(User::of_hash(user)), evidence, 1).is_some()
    }

    pub(super) fn set_weight(&mut self, share: &str) -> Answer<RouteView> {
        self.set_weight_of("shop", None, share, None)
    }

    pub(super) fn set_weight_of(
        &mut self,
        route: &str,
        canary: Option<&str>,
        share: &str,
        if_revision: Option<u64>,
    ) -> Answer<RouteView> {
        let request = SetWeight {
            route: route.into(),
            canary: canary.map(Into::into),
            weight: weight(share),
            if_revision,
            by: "alice".into(),
            why: "looks good".into(),
        };
        self.ask(|reply| Command::SetWeight(request, reply))
    }

    pub(super) fn pull_cord(&mut self, route: Option<&str>) -> Answer<Vec<RouteView>> {
        let request = PullCord { route: route.map(Into::into), by: "bob".into(), why: "looks bad".into() };
        self.ask(|reply| Command::PullCord(request, reply))
    }

    pub(super) fn reset_cord(&mut self) -> Answer<RouteView> {
        let request = ResetCord { route: "shop".into(), by: "carol".into(), why: "fixed".into() };
        self.ask(|reply| Command::ResetCord(request, reply))
    }

    /// As if the file had been read and said this.
    pub(super) fn reload(&mut self, config: Config) -> Answer<super::command::ReloadReport> {
        let (reply, answer) = oneshot::channel();
        let read = ReadFile { config, tls: Default::default(), answers: Vec::new(), warnings: Vec::new() };
        self.controller.apply_file(read, reply);
        answer
    }

    pub(super) fn ask<T>(
        &mut self,
        command: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Command,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        self.controller.on(Event::Command(command(reply)));
        answer
    }

    pub(super) fn view(&self) -> RouteView {
        self.controller.view(self.controller.routes.find("shop").unwrap()).unwrap()
    }

    pub(super) fn canary(&self) -> CanaryView {
        self.view().canaries.remove(0)
    }

    /// What workers are told of the first canary of the first route.
    pub(super) fn published(&self) -> Weight {
        self.controller.publisher.shares()[0][0].effective
    }

    /// What workers hear of canaries that are closed.
    pub(super) fn closings(&self) -> watch::Receiver<u64> {
        self.controller.publisher.live().closings()
    }

    /// What would be stored next.
    pub(super) fn owed(&self) -> Vec<Change> {
        self.controller.saving.owed_changes()
    }
}

pub(super) fn answered<T>(answer: &mut Answer<T>) -> Result<T, Refusal> {
    answer.try_recv().expect("answered by now")
}

pub(super) fn waits<T>(answer: &mut Answer<T>) -> bool {
    matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty))
}
