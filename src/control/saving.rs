//! What is still to be stored, and the one save that is under way.
//!
//! The store may be slow, locked or dead; the controller may not. So a save is a future that the controller's
//! loop polls beside its tick, never one that it waits for. There is at most one, so saves land in the order in
//! which they were made.
//!
//! *Owed* are changes that are already in force: the latest record of each route (bounded by the routes) and their
//! decisions (bounded by [`UNSAVED_DECISIONS_MAX`]; the oldest are dropped then, with an error in the log). They are
//! tried again, after 100 ms at first and 5 s at last, until they are stored. A *raise* is a change that must be
//! stored before it takes effect; it is started only when nothing is owed, because a record stored after it would
//! otherwise undo it.
//!
//! A save that has not come back after [`SAVE_WAIT_US_MAX`] counts as failed for those who wait for it, but it is
//! not started again: it may still land. A raise that failed or was given up may be in the store all the same, so
//! the controller then owes the routes' present records, which land after it and set the record right.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tracing::{error, info};

use super::jobs::{Raise, Waiter};
use crate::store::Store;
use crate::store::record::{Announced, Change, Decision, RouteRecord};

/// Decisions in force but not stored. Beyond it the oldest is lost, and the log says so.
pub(super) const UNSAVED_DECISIONS_MAX: usize = 10_000;
/// Callers that wait for a save. Beyond it they are answered at once, with the change marked as unsaved.
pub(super) const WAITERS_MAX: usize = 1_024;
/// How long a caller waits for a save.
pub(super) const SAVE_WAIT_US_MAX: u64 = 5_000_000;
const RETRY_US_MIN: u64 = 100_000;
const RETRY_US_MAX: u64 = 5_000_000;

pub(super) struct Saving {
    store: Store,
    owed: Owed,
    /// Of upstreams; bounded by them, since each is stored before the next raise of any.
    owed_upstreams: VecDeque<OwedUpstream>,
    flight: Option<Flight>,
    /// Why the last save failed; `None` while the store works.
    down: Option<String>,
    retry_us: u64,
    retry_at_us: u64,
}

#[derive(Default)]
struct Owed {
    records: HashMap<Arc<str>, RouteRecord>,
    /// Oldest first; the record of each one's route is in `records`.
    decisions: VecDeque<Decision>,
    waiters: Vec<Waiter>,
}

/// What is to be stored of an upstream; the decision, unless that is stored already.
#[derive(Clone)]
pub(super) struct OwedUpstream {
    pub(super) upstream: Arc<str>,
    /// `None`: its endpoints are the file's.
    pub(super) announced: Option<Announced>,
    pub(super) decision: Option<Decision>,
}

struct Flight {
    save: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
    cargo: Cargo,
    since_us: u64,
}

enum Cargo {
    Owed(Owed),
    Upstream(OwedUpstream),
    Raise(Raise),
    /// A raise whose caller was refused; it may land all the same.
    GivenUp,
}

/// What the controller has to do when a save is back, or has taken too long.
pub(super) enum Landed {
    Answer(Vec<Waiter>),
    Raise(Raise),
}

impl Saving {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            owed: Owed::default(),
            owed_upstreams: VecDeque::new(),
            flight: None,
            down: None,
            retry_us: RETRY_US_MIN,
            retry_at_us: 0,
        }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn down(&self) -> Option<&str> {
        self.down.as_deref()
    }

    /// Nothing is under way and nothing is owed.
    pub(super) fn is_idle(&self) -> bool {
        self.flight.is_none() && self.owed.records.is_empty() && self.owed_upstreams.is_empty()
    }

    /// Something in force for this route is not stored.
    pub(super) fn is_unsaved(&self, route: &str) -> bool {
        let in_flight = match &self.flight {
            Some(Flight { cargo: Cargo::Owed(owed), .. }) => owed.records.contains_key(route),
            _ => false,
        };
        in_flight || self.owed.records.contains_key(route)
    }

    /// Whose records are being stored after they took effect.
    pub(super) fn routes_in_flight(&self) -> Vec<Arc<str>> {
        match &self.flight {
            Some(Flight { cargo: Cargo::Owed(owed), .. }) => owed.records.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Takes a change that is in force.
    pub(super) fn owe(&mut self, change: Change) {
        self.owed.records.insert(Arc::clone(&change.record.route), change.record);
        if let Some(decision) = change.decision {
            self.owed.decisions.push_back(decision);
            self.owed.bound();
        }
    }

    /// The waiter comes back at once if there is no point in waiting: the store is known to be down.
    pub(super) fn wait(&mut self, waiter: Waiter) -> Option<Waiter> {
        if self.down.is_some() || self.owed.waiters.len() >= WAITERS_MAX {
            return Some(waiter);
        }
        self.owed.waiters.push(waiter);
        None
    }

    /// Starts to store what is owed, unless a save is under way or the last failure is too fresh.
    pub(super) fn start_owed(&mut self, now_us: u64) {
        let too_early = self.down.is_some() && now_us < self.retry_at_us;
        if self.flight.is_some() || too_early {
            return;
        }
        if !self.owed.records.is_empty() {
            let owed = std::mem::take(&mut self.owed);
            return self.start(owed.changes(), Cargo::Owed(owed), now_us);
        }
        if let Some(owed) = self.owed_upstreams.pop_front() {
            self.start_upstream(&owed.clone(), Cargo::Upstream(owed), now_us);
        }
    }

    /// Only when [`Saving::is_idle`].
    pub(super) fn start_raise(&mut self, changes: Vec<Change>, raise: Raise, now_us: u64) {
        debug_assert!(self.is_idle(), "a raise is stored after everything that is owed");
        self.start(changes, Cargo::Raise(raise), now_us);
    }

    pub(super) fn owe_upstream(&mut self, owed: OwedUpstream) {
        self.owed_upstreams.push_back(owed);
    }

    /// Only when [`Saving::is_idle`].
    pub(super) fn start_upstream_raise(&mut self, owed: &OwedUpstream, raise: Raise, now_us: u64) {
        debug_assert!(self.is_idle(), "a raise is stored after everything that is owed");
        self.start_upstream(owed, Cargo::Raise(raise), now_us);
    }

    fn start_upstream(&mut self, owed: &OwedUpstream, cargo: Cargo, now_us: u64) {
        let OwedUpstream { upstream, announced, decision } = owed.clone();
        let save = self.store.announce(upstream, announced, decision);
        let save = async move { save.await.map_err(|error| error.to_string()) };
        self.flight = Some(Flight { save: Box::pin(save), cargo, since_us: now_us });
    }

    fn start(&mut self, changes: Vec<Change>, cargo: Cargo, now_us: u64) {
        let store = self.store.clone();
        let save = async move { store.save(changes).await.map_err(|error| error.to_string()) };
        self.flight = Some(Flight { save: Box::pin(save), cargo, since_us: now_us });
    }

    /// Waits for the save that is under way; for ever if there is none. May be dropped and called again.
    pub(super) async fn landed(&mut self) -> Result<(), String> {
        match &mut self.flight {
            Some(flight) => (&mut flight.save).await,
            None => std::future::pending().await,
        }
    }

    /// To be called once with each result of [`Saving::landed`].
    pub(super) fn land(&mut self, result: &Result<(), String>, now_us: u64) -> Option<Landed> {
        let flight = self.flight.take()?;
        match result {
            Ok(()) => self.works(),
            Err(why) => self.fails(why, now_us),
        }
        match flight.cargo {
            Cargo::Owed(mut owed) => {
                let mut waiters = std::mem::take(&mut owed.waiters);
                if result.is_err() {
                    // Nobody waits while the store is down.
                    waiters.append(&mut self.owed.waiters);
                    self.owed.put_back(owed);
                }
                Some(Landed::Answer(waiters))
            }
            Cargo::Upstream(owed) => {
                if result.is_err() {
                    self.owed_upstreams.push_front(owed);
                }
                None
            }
            Cargo::Raise(raise) => Some(Landed::Raise(raise)),
            Cargo::GivenUp => None,
        }
    }

    /// Gives up waiting for a save that takes too long: its callers are answered, the save itself goes on.
    pub(super) fn overdue(&mut self, now_us: u64) -> Option<Landed> {
        let flight = self.flight.as_mut()?;
        // While the store is down nobody waits, so there is nobody to answer.
        if self.down.is_some() || now_us < flight.since_us.saturating_add(SAVE_WAIT_US_MAX) {
            return None;
        }
        let landed = match std::mem::replace(&mut flight.cargo, Cargo::GivenUp) {
            Cargo::Owed(mut owed) => {
                let mut waiters = std::mem::take(&mut owed.waiters);
                waiters.append(&mut self.owed.waiters);
                flight.cargo = Cargo::Owed(owed);
                Some(Landed::Answer(waiters))
            }
            Cargo::Upstream(owed) => {
                flight.cargo = Cargo::Upstream(owed);
                None
            }
            Cargo::Raise(raise) => Some(Landed::Raise(raise)),
            Cargo::GivenUp => None,
        };
        self.fails(&format!("no answer for {} s", SAVE_WAIT_US_MAX / 1_000_000), now_us);
        landed
    }

    /// A new process is about to open the store: nothing is started any more, what raises is refused.
    pub(super) fn lend(&mut self) {
        self.down = Some("it is lent to the new process that is taking over".to_owned());
        self.retry_at_us = u64::MAX;
    }

    /// Ours again.
    pub(super) fn take_back(&mut self) {
        self.works();
        self.retry_at_us = 0;
    }

    #[cfg(test)]
    pub(super) fn is_under_way(&self) -> bool {
        self.flight.is_some()
    }

    #[cfg(test)]
    pub(super) fn owed_changes(&self) -> Vec<Change> {
        match &self.flight {
            Some(Flight { cargo: Cargo::Owed(owed), .. }) => owed.changes(),
            _ => self.owed.changes(),
        }
    }

    /// How many decisions would be lost if the process ended now.
    pub(super) fn decisions_owed(&self) -> usize {
        let in_flight = match &self.flight {
            Some(Flight { cargo: Cargo::Owed(owed), .. }) => owed.decisions.len(),
            _ => 0,
        };
        in_flight + self.owed.decisions.len()
    }

    fn works(&mut self) {
        if self.down.take().is_some() {
            info!("the store works again");
        }
        self.retry_us = RETRY_US_MIN;
    }

    fn fails(&mut self, why: &str, now_us: u64) {
        if self.down.is_none() {
            error!(reason = why, "the store is down; what lowers stays in force, what raises is refused");
        } else {
            self.retry_us = (self.retry_us * 2).min(RETRY_US_MAX);
        }
        self.retry_at_us = now_us.saturating_add(self.retry_us);
        self.down = Some(why.to_owned());
    }
}

impl Owed {
    fn changes(&self) -> Vec<Change> {
        let mut decided = HashSet::new();
        let mut changes = Vec::new();
        for decision in &self.decisions {
            let Some(record) = self.records.get(&decision.route) else { continue };
            decided.insert(&decision.route);
            changes.push(Change { record: record.clone(), decision: Some(decision.clone()) });
        }
        let undecided = self.records.iter().filter(|(route, _)| !decided.contains(route));
        changes.extend(undecided.map(|(_, record)| Change { record: record.clone(), decision: None }));
        changes
    }

    /// After a failed save: what came meanwhile is newer.
    fn put_back(&mut self, older: Self) {
        for (route, record) in older.records {
            self.records.entry(route).or_insert(record);
        }
        for decision in older.decisions.into_iter().rev() {
            self.decisions.push_front(decision);
        }
        self.bound();
    }

    fn bound(&mut self) {
        while self.decisions.len() > UNSAVED_DECISIONS_MAX {
            if let Some(lost) = self.decisions.pop_front() {
                error!(route = %lost.route, action = lost.action.label(), id = %lost.id,
                    "too many decisions wait for the store; the oldest is lost");
            }
        }
    }
}
