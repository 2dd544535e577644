//! A new file: read beside the loop, built whole, merged with the live state, and only then put in force.
//!
//! All or nothing: a file with problems, a table that is too large, a record that cannot be stored before it would
//! raise a weight: each leaves everything as it was. The same order holds as for commands: a reload that raises
//! any canary is stored first, else it is published first.
//!
//! What cannot change in a running process (workers, admin, store, listeners) is not refused; the report says that
//! it needs a restart, and the rest applies.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tracing::{info, warn};

use super::announced::{Announcements, Lapsed};
use super::clock::Clock;
use super::command::{Refusal, ReloadReport, Reply};
use super::controller::Controller;
use super::jobs::{Ask, Job, Raise, Waiter, answer};
use super::merge::{Merged, Surroundings, merge};
use super::routes::Routes;
use super::state::{Direction, RouteState, classify};
use super::upstreams::{Answers, Counting, first_answers};
use crate::config::{self, Color, Config, Problems, Service};
use crate::metrics::slots::Slots;
use crate::routing::{EndpointIds, Table, TableError};
use crate::store::record::{Change, Decision, RouteRecord};
use crate::tls;

/// Sentences in one report. The others are counted.
const NOTES_MAX: usize = 100;

/// A file on a mount that hangs is given up after this, or no raise and no reset could ever follow.
const READ_MAX: Duration = Duration::from_secs(20);

/// A file that is being read.
pub(super) struct Loading {
    read: JoinHandle<Result<ReadFile, Refusal>>,
    until: Instant,
    reply: Reply<ReloadReport>,
}

/// A configuration without problems, and what it names.
pub(super) struct ReadFile {
    pub(super) config: Config,
    pub(super) tls: tls::Loaded,
    /// What its DNS names stand for, as far as nobody knew it.
    pub(super) answers: Answers,
    /// What can be used, and should be looked at.
    pub(super) warnings: Vec<String>,
}

pub(super) struct FileEvent {
    pub(super) read: Result<ReadFile, Refusal>,
    pub(super) reply: Reply<ReloadReport>,
}

/// A whole new state, touching nothing of the old.
pub(super) struct Prepared {
    pub(super) config: Config,
    /// The same, with live roles and endpoints.
    pub(super) in_force: Config,
    pub(super) announced: Announcements,
    /// Announcements that the file has overruled.
    pub(super) lapsed: Vec<Lapsed>,
    pub(super) table: Arc<Table>,
    /// In the order of the file.
    pub(super) states: Vec<Option<RouteState>>,
    /// What is to be stored: only routes that differ.
    pub(super) changes: Vec<Change>,
    pub(super) decisions: Vec<Decision>,
    pub(super) notes: Vec<String>,
    tls: Option<tls::Loaded>,
    direction: Direction,
    /// [`Routes::touches`] when it was prepared.
    touches: u64,
}

/// What preparing looks at. A preparation that is thrown away leaves slots that nobody uses, and forgets the ids of
/// endpoints that the new file does not name; should they come back, workers dial them anew.
pub(super) struct Preparing<'a> {
    pub(super) routes: &'a Routes,
    pub(super) slots: &'a mut Slots,
    pub(super) endpoints: &'a mut EndpointIds,
    pub(super) clock: &'a Clock,
    pub(super) announced: &'a Announcements,
}

pub(super) fn prepare(config: Config, with: Preparing<'_>) -> Result<Prepared, TableError> {
    let upstreams: HashSet<&str> = config.upstreams.iter().map(|upstream| &*upstream.name).collect();
    let around =
        Surroundings { upstream_exists: &|name| upstreams.contains(name), stamp: &|| with.clock.stamp() };
    let mut states = Vec::with_capacity(config.routes.len());
    let (mut changes, mut decisions, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut direction = Direction::Lowering;
    for route in &config.routes {
        let before = with.routes.remembered(&route.name);
        let in_force = with.routes.state(&route.name);
        let Some(merged) = merge(before, route, &around) else {
            states.push(None);
            continue;
        };
        if classify(in_force.map(|state| &state.record), &merged.record) == Direction::Raising {
            direction = Direction::Raising;
        }
        if before != Some(&merged.record) {
            changes.extend(changes_of(&merged));
        }
        let revision = match in_force {
            Some(state) if state.record == merged.record => state.revision,
            Some(state) => state.revision + 1,
            None => first_revision(with.clock),
        };
        states.push(Some(RouteState { record: merged.record, revision }));
        decisions.extend(merged.decisions);
        notes.extend(merged.notes);
    }
    let (announced, lapsed) = with.announced.merge(&config, with.routes, &|| with.clock.stamp());
    notes.extend(lapsed.iter().map(|one| format!("upstream \"{}\": {}", one.upstream, one.decision.why)));
    let mut in_force = with_live_roles(&config, &states);
    announced.apply(&mut in_force.upstreams);
    let table = Arc::new(Table::build(&in_force, with.slots, with.endpoints)?);
    let touches = with.routes.touches();
    Ok(Prepared {
        config,
        in_force,
        announced,
        lapsed,
        table,
        states,
        changes,
        decisions,
        notes,
        tls: None,
        direction,
        touches,
    })
}

/// One change for each decision; one without, if only what the file says is new.
fn changes_of(merged: &Merged) -> Vec<Change> {
    let change = |decision| Change { record: merged.record.clone(), decision };
    match merged.decisions.as_slice() {
        [] => vec![change(None)],
        decisions => decisions.iter().map(|decision| change(Some(decision.clone()))).collect(),
    }
}

/// Revisions are not stored. They start at the time, so that an `ETag` from before a restart is not met again.
fn first_revision(clock: &Clock) -> u64 {
    clock.unix_ms().unsigned_abs()
}

pub(super) fn with_live_roles(config: &Config, states: &[Option<RouteState>]) -> Config {
    let mut patched = config.clone();
    for (route, state) in patched.routes.iter_mut().zip(states) {
        let (Service::Split { stable, canaries }, Some(state)) = (&mut route.service, state) else {
            continue;
        };
        *stable = Arc::clone(&state.record.stable.upstream);
        route.release = state.record.release.as_ref().map(|release| Arc::clone(&release.id));
        for (canary, live) in canaries.iter_mut().zip(&state.record.canaries) {
            canary.upstream = Arc::clone(&live.role.upstream);
        }
    }
    patched
}

impl Loading {
    /// Waits for the file that is being read; for ever if there is none. May be dropped and called again.
    pub(super) async fn done(loading: &mut Option<Self>) -> FileEvent {
        let read = match loading {
            Some(loading) => tokio::time::timeout_at(loading.until, &mut loading.read).await,
            None => std::future::pending().await,
        };
        let read = match read {
            Err(_) => {
                let drawn = format!("reading the file took longer than {} s", READ_MAX.as_secs());
                Err(Refusal::BadConfig { drawn, count: 1 })
            }
            Ok(Ok(read)) => read,
            Ok(Err(broken)) => Err(unread(&broken)),
        };
        match loading.take() {
            Some(Self { reply, .. }) => FileEvent { read, reply },
            None => std::future::pending().await,
        }
    }
}

/// Blocks on the disk.
fn read_file(path: &Path, before: &tls::Loaded, now_s: i64) -> Result<ReadFile, Problems> {
    let mut loaded = None;
    let (config, warnings) = config::load_with(path, |config| {
        let (found, findings) = tls::load(config, Some(before), now_s);
        loaded = found;
        findings
    })?;
    let warnings = warnings.iter().flat_map(|list| list.lines()).map(|warning| warning.to_string()).collect();
    Ok(ReadFile { config, tls: loaded.unwrap_or_default(), answers: Answers::new(), warnings })
}

impl Controller {
    pub(super) fn start_reload(&mut self, reply: Reply<ReloadReport>) {
        let Some(path) = self.config_path.clone() else {
            let report = self.report(vec!["there is no configuration file to read again".into()]);
            return answer(reply, Ok(ReloadReport { changed: false, ..report }));
        };
        let (tls, now_s) = (Arc::clone(self.tls.loaded()), self.clock.unix_ms() / 1_000);
        let load = tokio::task::spawn_blocking(move || read_file(&path, &tls, now_s));
        let (known, announced) = (self.upstreams.known_hosts(), self.announced.clone());
        let read = async move {
            let read = load.await.map_err(|broken| unread(&broken))?;
            let mut read = read.map_err(|problems| refusal(&problems))?;
            read.answers = first_answers(&read.config, &known).await;
            let mut live = read.config.clone();
            announced.apply(&mut live.upstreams);
            read.answers.extend(first_answers(&live, &known).await);
            Ok(read)
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "reading and resolving must not hold up the loop; one at a time"
        )]
        let read = tokio::spawn(read);
        self.loading = Some(Loading { read, until: Instant::now() + READ_MAX, reply });
    }

    pub(super) fn file_read(&mut self, event: FileEvent) {
        match event.read {
            Ok(mut read) => {
                self.upstreams.learn(std::mem::take(&mut read.answers));
                self.apply_file(read, event.reply);
            }
            Err(refusal) => self.refuse_reload(refusal, event.reply),
        }
    }

    pub(super) fn apply_file(&mut self, read: ReadFile, reply: Reply<ReloadReport>) {
        if read.config == self.config {
            self.reload_works = true;
            self.tls.replace(read.tls);
            // A comment may have changed.
            self.config.source = read.config.source.clone();
            self.loaded_at_ms = self.clock.unix_ms();
            self.messenger.follow(&read.config);
            let report = self.report(read.warnings);
            return answer(reply, Ok(ReloadReport { changed: false, ..report }));
        }
        let prepared = match self.prepare(read) {
            Ok(prepared) => prepared,
            Err(refusal) => return self.refuse_reload(refusal, reply),
        };
        if prepared.direction == Direction::Lowering {
            return self.apply_then_store(prepared, reply);
        }
        if let Some(why) = self.saving.down() {
            return self.refuse_reload(Refusal::StoreDown(why.to_owned()), reply);
        }
        self.store_then_apply(prepared, reply);
    }

    /// What a raising reload waited for. Whatever lowered a route meanwhile counts: the merge is made again, and if
    /// its outcome gives no canary more than was stored, it is in order to publish first.
    pub(super) fn reload_stored(&mut self, stored: Prepared, reply: Reply<ReloadReport>) {
        if stored.touches == self.routes.touches() {
            let report = self.apply(stored);
            return answer(reply, Ok(report));
        }
        let tls = stored.tls.unwrap_or_default();
        let read = ReadFile { config: stored.config, tls, answers: Answers::new(), warnings: Vec::new() };
        let mut again = match self.prepare(read) {
            Ok(again) => again,
            Err(refusal) => {
                self.owe_present(&names_of(&stored.changes));
                return self.refuse_reload(refusal, reply);
            }
        };
        // The decisions are stored already; the records may differ from those stored.
        again.decisions = stored.decisions;
        again.changes = again.states.iter().flatten().map(|state| unexplained(&state.record)).collect();
        let rises = again.states.iter().zip(&stored.states).any(|(again, stored)| {
            let stored = stored.as_ref().map(|state| &state.record);
            again.as_ref().is_some_and(|again| classify(stored, &again.record) == Direction::Raising)
        });
        if rises {
            return self.store_then_apply(again, reply);
        }
        self.apply_then_store(again, reply);
    }

    fn apply_then_store(&mut self, mut prepared: Prepared, reply: Reply<ReloadReport>) {
        let changes = std::mem::take(&mut prepared.changes);
        let report = self.apply(prepared);
        if changes.is_empty() {
            return answer(reply, Ok(report));
        }
        changes.into_iter().for_each(|change| self.saving.owe(change));
        self.wait(Waiter::Reload(report, reply));
    }

    fn store_then_apply(&mut self, prepared: Prepared, reply: Reply<ReloadReport>) {
        if prepared.changes.is_empty() {
            let report = self.apply(prepared);
            return answer(reply, Ok(report));
        }
        if !self.saving.is_idle() {
            // Something was lowered while the file was read or stored, and its record must land before ours.
            return self.jobs.push_front(Job { ask: Ask::Reload(reply), touched: 0 });
        }
        let changes = prepared.changes.clone();
        self.saving.start_raise(changes, Raise::Reload(Box::new(prepared), reply), self.clock.now_us());
    }

    fn prepare(&mut self, read: ReadFile) -> Result<Prepared, Refusal> {
        let Self { routes, slots, endpoints, clock, announced, .. } = self;
        let mut prepared = prepare(read.config, Preparing { routes, slots, endpoints, clock, announced })
            .map_err(|error| Refusal::BadConfig { drawn: error.to_string(), count: 1 })?;
        prepared.notes.extend(read.warnings);
        prepared.tls = Some(read.tls);
        Ok(prepared)
    }

    fn apply(&mut self, mut prepared: Prepared) -> ReloadReport {
        let mut notes = std::mem::take(&mut prepared.notes);
        notes.extend(self.boot.notes(&prepared.config));
        self.put_in_force(prepared);
        self.loaded_at_ms = self.clock.unix_ms();
        self.reload_works = true;
        let report = self.report(notes);
        info!(generation = report.generation, notes = report.notes.len(), "configuration reloaded");
        report
    }

    /// Puts everything new in force.
    pub(super) fn put_in_force(&mut self, prepared: Prepared) {
        let Prepared { config, in_force, announced, lapsed, table, states, decisions, tls, .. } = prepared;
        // Before the table: a worker that is sent to a new upstream must find what to shake hands with.
        if let Some(tls) = tls {
            self.tls.replace(tls);
        }
        self.cut_evidence();
        self.routes.replace(&config, states, &mut self.slots, &self.shards);
        self.routes.take_budgets(&table);
        self.routes.take_users(&table, &self.shards);
        let now_us = self.clock.now_us();
        let counting = Counting { ids: &mut self.endpoints, shards: &self.shards, now_us };
        let usable = self.upstreams.replace(&in_force, counting);
        self.publisher.replace(table, self.routes.shares(), usable);
        self.windows.retarget(&self.routes.slots_by_importance(), &self.shards);
        self.queries.retarget(&self.slots);
        self.messenger.follow(&config);
        decisions.iter().for_each(|decision| self.note(decision));
        self.memory.limit(config.limits.memory_bytes_max);
        self.drain.send_replace(config.drain);
        self.access.send_replace(Arc::clone(&config.admin.access));
        self.config = config;
        self.announced = announced;
        self.owe_lapsed(lapsed);
    }

    fn refuse_reload(&mut self, refusal: Refusal, reply: Reply<ReloadReport>) {
        self.reload_works = false;
        warn!(?refusal, "configuration not reloaded; everything stays as it was");
        answer(reply, Err(refusal));
    }

    fn report(&self, mut notes: Vec<String>) -> ReloadReport {
        if let Some(more) = notes.len().checked_sub(NOTES_MAX).filter(|more| *more > 0) {
            notes.truncate(NOTES_MAX);
            notes.push(format!("and {more} more"));
        }
        ReloadReport { generation: self.publisher.generation(), changed: true, notes }
    }
}

pub(super) fn names_of(changes: &[Change]) -> Vec<Arc<str>> {
    changes.iter().map(|change| Arc::clone(&change.record.route)).collect()
}

fn refusal(problems: &Problems) -> Refusal {
    let count = problems.list.len() + problems.more;
    Refusal::BadConfig { count, drawn: problems.drawn(Color::Plain) }
}

fn unread(broken: &JoinError) -> Refusal {
    Refusal::BadConfig { drawn: format!("reading the file failed: {broken}"), count: 1 }
}

fn unexplained(record: &RouteRecord) -> Change {
    Change { record: record.clone(), decision: None }
}
