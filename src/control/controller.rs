//! The controller: one owner of all live state, and one loop that changes it.
//!
//! The loop takes one event at a time, a tick, a command, a save that is back, a file that was read, and handles
//! it without waiting for anything. Whatever takes long (storing, reading a file, drawing `/metrics`) runs beside
//! the loop and comes back as an event. So the immune system looks every 100 ms and can back off whatever the
//! store does, and a test can play any order of events without a clock.
//!
//! # The order of effect and record
//!
//! - *What lowers is published first, then stored.* It is handled the moment it arrives, also when other changes
//!   wait. If it cannot be stored it stays in force, is marked as unsaved, and is tried again (see
//!   [`super::saving`]). Its caller is answered when the save is back, either way.
//! - *What raises is stored first, then published.* It waits for its turn as a [`Job`]: changes that raise go one
//!   after another, each prepared from the state that the one before left, and only when nothing is owed to the
//!   store. While its save is under way nothing has changed for traffic. When the save is back, the raise takes
//!   effect only if nothing has *touched* the route since the command came in: a back-off, a pulled cord (also a
//!   second pull of a cord whose reset is being stored), a lowered weight. Otherwise it is void: the caller is
//!   refused, the present record is stored over it, and the decision that went with it is followed by one that
//!   says that it was not carried out.
//! - If the save of a raise fails, or takes longer than callers are let wait, the raise is refused and the present
//!   record is owed, because a failed save may have landed all the same.
//!
//! So at any moment, and after a crash at any moment, no canary has more traffic than the record says, except for
//! what the store was never able to take.
//!
//! It refuses to do anything from inside a request, and to raise a weight above what a person or file asked for.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tracing::{error, info};

use super::announced::Announcements;
use super::boot::Boot;
use super::clock::Clock;
use super::command::{Command, Refusal};
use super::events::Events;
use super::evidence::EvidenceQueue;
use super::gauges::DecisionCounts;
use super::jobs::{Ask, JOBS_MAX, Job, answer};
use super::memory::Memory;
use super::outside::Inquiry;
use super::publish::Publisher;
use super::queries::Queries;
use super::record::Pruning;
use super::reload::{FileEvent, Loading, Prepared, Preparing, prepare};
use super::routes::Routes;
use super::saving::{SAVE_WAIT_US_MAX, Saving};
use super::upstreams::{Counting, Upstreams, first_answers};
use super::watched::Details;
use super::windows::Windows;
use crate::config::{self, Access, Config};
use crate::metrics::slots::Slots;
use crate::metrics::{Load, Shards};
use crate::notify::{Inquirer, Messenger, Report};
use crate::routing::{EndpointIds, Live};
use crate::store::{Loaded, Store};
use crate::tls::Keeper;
use crate::upstream::{Lookout, News};

/// How often the immune system looks.
pub const TICK: Duration = Duration::from_millis(100);
/// How often the files of certificates are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Everything that the controller needs; [`crate::app`] puts it together.
pub struct Start {
    pub config: Config,
    /// `None`: there is no file to read again.
    pub config_path: Option<PathBuf>,
    pub store: Store,
    pub loaded: Loaded,
    pub live: Live,
    pub shards: Shards,
    pub load: Arc<Load>,
    pub tls: Keeper,
    pub clock: Clock,
    pub lookout: Lookout,
    pub messenger: Messenger,
    pub inquirer: Inquirer,
    pub drain: watch::Sender<config::Drain>,
    pub access: watch::Sender<Arc<Access>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Config(String),
    #[error("the live state cannot be stored, so nothing is served yet: {0}")]
    Store(String),
}

pub struct Controller {
    pub(super) clock: Clock,
    /// As the file says, without live decisions.
    pub(super) config: Config,
    pub(super) boot: Boot,
    pub(super) config_path: Option<PathBuf>,
    pub(super) reload_works: bool,
    pub(super) loaded_at_ms: i64,
    /// Endpoints that were set at run time.
    pub(super) announced: Announcements,
    pub(super) slots: Slots,
    pub(super) endpoints: EndpointIds,
    pub(super) upstreams: Upstreams,
    pub(super) routes: Routes,
    pub(super) publisher: Publisher,
    pub(super) saving: Saving,
    pub(super) evidence: EvidenceQueue,
    /// At most [`JOBS_MAX`].
    pub(super) jobs: VecDeque<Job>,
    pub(super) loading: Option<Loading>,
    pub(super) shards: Shards,
    pub(super) memory: Memory,
    pub(super) tls: Keeper,
    pub(super) windows: Windows,
    /// Room for the reading of a tick.
    pub(super) details: Details,
    pub(super) counts: DecisionCounts,
    pub(super) events: Events,
    pub(super) pruning: Pruning,
    pub(super) messenger: Messenger,
    pub(super) inquiry: Inquiry,
    pub(super) queries: Queries,
    /// Tells the wiring what the file says of the drain.
    pub(super) drain: watch::Sender<config::Drain>,
    /// Tells the admin listener who may use it.
    pub(super) access: watch::Sender<Arc<Access>>,
    /// A new process decides from here on.
    pub(super) frozen: bool,
}

/// The first file with what is stored, and that stored.
async fn first(config: Config, store: &Store, preparing: Preparing<'_>) -> Result<Prepared, StartError> {
    let mut prepared = prepare(config, preparing).map_err(|error| StartError::Config(error.to_string()))?;
    let changes = std::mem::take(&mut prepared.changes);
    if !changes.is_empty() {
        let saved = store.save(changes).await;
        saved.map_err(|error| StartError::Store(error.to_string()))?;
    }
    Ok(prepared)
}

/// What the loop may be woken by.
pub(super) enum Event {
    Tick,
    Command(Command),
    /// The save under way is back.
    Saved(Result<(), String>),
    /// The evidence under way is stored, or could not be.
    Appended(Result<(), String>),
    /// The file has been read.
    File(Box<FileEvent>),
    /// The text of `/metrics` has been drawn and sent.
    Drawn,
    /// Of an endpoint.
    News(News),
    /// What others say of a canary.
    Reported(Report),
    /// It is time to look at the files of certificates.
    Look,
    /// A look is done, and what it found is in force.
    Looked,
}

impl Controller {
    /// Merges the file with the stored state, stores what is new, and publishes the first snapshot. Listeners
    /// should open after it.
    pub async fn new(start: Start) -> Result<Self, StartError> {
        let (store, shards, clock) = (start.store, start.shards, start.clock);
        let mut slots = Slots::default();
        let mut endpoints = EndpointIds::default();
        let mut routes = Routes::from_store(start.loaded.routes);
        let memory = Memory::new(start.config.limits.memory_bytes_max, start.load);
        let boot = Boot::of(&start.config);
        let preparing = Preparing {
            routes: &routes,
            slots: &mut slots,
            endpoints: &mut endpoints,
            clock: &clock,
            announced: &Announcements::from_store(start.loaded.announced),
        };
        let prepared = first(start.config, &store, preparing).await?;
        routes.replace(&prepared.config, prepared.states, &mut slots, &shards);
        routes.take_budgets(&prepared.table);
        routes.take_users(&prepared.table, &shards);
        let mut upstreams = Upstreams::new(start.lookout);
        upstreams.learn(first_answers(&prepared.in_force, &Default::default()).await);
        let counting = Counting { ids: &mut endpoints, shards: &shards, now_us: clock.now_us() };
        let usable = upstreams.replace(&prepared.in_force, counting);
        let mut windows = Windows::default();
        windows.retarget(&routes.slots_by_importance(), &shards);
        let mut messenger = start.messenger;
        messenger.follow(&prepared.config);
        let mut counts = DecisionCounts::default();
        for decision in &prepared.decisions {
            counts.add(decision);
            messenger.tell(decision);
        }
        let evidence = EvidenceQueue::new(store.clone());
        let loaded_at_ms = clock.unix_ms();
        let events = Events::new(loaded_at_ms);
        let mut controller = Self {
            publisher: Publisher::new(start.live, prepared.table, routes.shares(), usable),
            queries: Queries::new(&slots),
            clock,
            config: prepared.config,
            boot,
            config_path: start.config_path,
            reload_works: true,
            loaded_at_ms,
            announced: prepared.announced,
            slots,
            endpoints,
            upstreams,
            routes,
            saving: Saving::new(store),
            evidence,
            jobs: VecDeque::new(),
            loading: None,
            shards,
            memory,
            tls: start.tls,
            windows,
            details: Details::default(),
            counts,
            events,
            messenger,
            inquiry: Inquiry::new(start.inquirer),
            pruning: Pruning::default(),
            drain: start.drain,
            access: start.access,
            frozen: false,
        };
        controller.owe_lapsed(prepared.lapsed);
        controller.resume_guards().await;
        Ok(controller)
    }

    /// Runs until every [`super::command::Handle`] is gone; then gives the store a last moment to take what it is
    /// owed.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                biased;
                _ = tick.tick() => Event::Tick,
                result = self.saving.landed() => Event::Saved(result),
                result = self.evidence.landed() => Event::Appended(result),
                event = Loading::done(&mut self.loading) => Event::File(Box::new(event)),
                () = self.queries.drawn() => Event::Drawn,
                news = self.upstreams.news() => Event::News(news),
                report = self.inquiry.inquirer.report() => Event::Reported(report),
                () = self.tls.looked() => Event::Looked,
                _ = look.tick() => Event::Look,
                command = commands.recv() => match command {
                    Some(command) => Event::Command(command),
                    None => break,
                },
            };
            self.on(event);
        }
        self.flush().await;
    }

    /// The one place where anything happens.
    pub(super) fn on(&mut self, event: Event) {
        match event {
            Event::Tick if self.frozen => self.tick_frozen(),
            Event::Tick => self.tick(),
            Event::Command(command) => self.take(command),
            Event::Saved(result) => {
                // Whether they are saved is part of what is shown of them. While the store is down that is told once.
                if result.is_ok() || self.saving.down().is_none() {
                    self.events.changed(self.saving.routes_in_flight());
                }
                let landed = self.saving.land(&result, self.clock.now_us());
                self.landed(landed, result);
            }
            Event::Appended(result) => self.evidence.land(result, self.clock.now_us()),
            Event::File(event) => self.file_read(*event),
            Event::Drawn => self.draw_next(),
            Event::News(news) => self.hear(news),
            Event::Reported(report) => self.hear_outside(report),
            Event::Look => {
                self.tls.look();
                self.prune_record();
            }
            Event::Looked => {}
        }
        self.go_on();
        self.store_evidence();
        self.tell_states();
    }

    fn take(&mut self, command: Command) {
        let Some(command) = self.let_through(command) else { return };
        self.catch_up_for(&command);
        match command {
            Command::Routes(reply) => self.show_routes(reply),
            Command::Route(route, reply) => self.show_route(&route, reply),
            Command::Upstreams(reply) => self.show_upstreams(reply),
            Command::SetWeight(request, reply) => self.change(Ask::Weight(request, reply)),
            Command::PullCord(request, reply) => self.pull_cord(&request, reply),
            Command::ResetCord(request, reply) => self.change(Ask::Reset(request, reply)),
            Command::StartRelease(request, reply) => self.change(Ask::Start(request, reply)),
            Command::SteerRelease(request, reply) => self.change(Ask::Steer(request, reply)),
            Command::RollBack(request, reply) => self.change(Ask::RollBack(request, reply)),
            Command::Releases(route, reply) => self.read_releases(&route, reply),
            Command::Drill(request, reply) => self.start_drill(request, reply),
            Command::EndDrill(route, reply) => self.end_drill(&route, reply),
            Command::Decisions(filter, reply) => self.read_decisions(filter, reply),
            Command::CheckRecord(wanted, reply) => self.check_record(wanted, reply),
            Command::RecordHead(reply) => self.show_head(reply),
            Command::Subscribe(from, reply) => self.subscribe(from, reply),
            Command::Drift(reply) => self.show_drift(reply),
            Command::Config(reply) => self.show_config(reply),
            Command::SetUpstream(request, reply) => self.enqueue(Ask::Upstream(request, reply)),
            Command::Explain(decision, reply) => self.explain(*decision, reply),
            Command::WhatIf(wanted, reply) => self.what_if(*wanted, reply),
            Command::Reload(reply) => self.enqueue(Ask::Reload(reply)),
            Command::Metrics(reply) => self.draw_metrics(reply),
            Command::Forecast(ask, reply) => self.forecast(ask, reply),
            Command::HandOver(step, reply) => self.hand_over(step, reply),
            Command::TestNotify(name, reply) => self.test_notify(&name, reply),
            Command::Ping(reply) => answer(reply, Ok(())),
        }
    }

    pub(super) fn enqueue(&mut self, ask: Ask) {
        if self.jobs.len() >= JOBS_MAX {
            return ask.refuse(Refusal::StoreDown(format!("{JOBS_MAX} changes wait already")));
        }
        let route = ask.route().and_then(|route| self.routes.find(route));
        let touched = route.map_or(0, |route| self.routes.list[route].touched);
        self.jobs.push_back(Job { ask, touched });
    }

    /// Starts whatever can start now: the save of what is owed, else the next job. While the store is down the
    /// jobs go on, so that those that raise are refused and nobody waits for nothing.
    fn go_on(&mut self) {
        loop {
            self.saving.start_owed(self.clock.now_us());
            let may_run = self.saving.down().is_some() || self.saving.is_idle();
            if self.loading.is_some() || !may_run {
                return;
            }
            let Some(job) = self.jobs.pop_front() else { return };
            self.run_job(job);
        }
    }

    async fn flush(&mut self) {
        self.saving.start_owed(u64::MAX);
        let limit = Duration::from_micros(SAVE_WAIT_US_MAX);
        while !self.saving.is_idle() {
            let Ok(result) = tokio::time::timeout(limit, self.saving.landed()).await else { break };
            self.saving.land(&result, self.clock.now_us());
            if result.is_err() {
                break;
            }
            self.saving.start_owed(u64::MAX);
        }
        self.flush_evidence().await;
        match self.saving.decisions_owed() {
            0 => info!("the controller has ended"),
            lost => error!(lost, "the controller has ended, and the store never took the last decisions"),
        }
    }
}

#[cfg(test)]
mod tests;
