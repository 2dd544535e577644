//! What must survive a restart: the live state of each route, the record of decisions, and what they were made on.
//!
//! A [`Store`] is a handle to one thread that owns one SQLite file. A save is answered only after it is on the
//! disk (write-ahead log, synced at every commit), so what was answered survives `kill -9` and a power cut.
//! Callers know a handful of functions and no SQL: with a second kind of store, [`Store`] becomes an enum behind them.
//!
//! The store decides nothing and merges nothing: it keeps what it is given, and refuses what it cannot keep or
//! read back exactly. It knows routes that the configuration has forgotten, so a cord outlives its route's
//! absence from the file.

mod announced;
mod chain;
mod decisions;
mod error;
mod evidence;
mod file;
mod held;
pub mod record;
mod releases;
mod rows;
mod sqlite;
#[cfg(test)]
mod tests;
mod thread;

pub use error::{BusyCause, StoreError};
pub use thread::STORE_QUEUE_MAX;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};

use tokio::sync::oneshot;

use crate::config::{self, EvidenceKept};
use crate::release::Release;
use held::Held;
use record::{
    Announced, Change, Checked, Decision, DecisionFilter, Evidence, EvidenceFilter, EvidencePage, Head,
    Recorded, RouteRecord, Wanted,
};
use sqlite::Database;
use thread::{Reply, Request};

/// A handle; cheap to clone, may be sent anywhere.
#[derive(Clone, Debug)]
pub struct Store {
    queue: SyncSender<Request>,
    place: Arc<str>,
}

/// What was in the store when it was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// In the order of their names.
    pub routes: Vec<RouteRecord>,
    /// In the order of their upstreams.
    pub announced: Vec<Announced>,
}

impl Store {
    /// Creates the file if it is missing, brings its schema up to date, reads all routes and checks the whole
    /// file. Blocks, the longer the more decisions there are: call it before the runtime starts.
    pub fn open(place: &config::Store) -> Result<(Self, Loaded), StoreError> {
        Self::start(Database::open(place, sqlite::BUSY_TIMEOUT)?, place)
    }

    /// Looks at every row of the record of a file that may be in use, and changes nothing. Blocks.
    pub fn check_file(path: &Path, wanted: Option<&Head>) -> Result<Checked, StoreError> {
        let database = Database::open_to_read(path)?;
        let mut checked = database.check_chain(None, wanted)?;
        while !checked.is_done {
            checked = database.check_chain(Some(checked), wanted)?;
        }
        Ok(checked)
    }

    fn start(
        (database, routes): (Database, Vec<RouteRecord>),
        file: &config::Store,
    ) -> Result<(Self, Loaded), StoreError> {
        let place = Arc::clone(database.place());
        let announced = database.announced()?;
        let held = Held::new(database, file.clone());
        Ok((Self { queue: thread::start(held)?, place }, Loaded { routes, announced }))
    }

    /// All changes or none, in one transaction and in their order. Each replaces the whole state of its route and
    /// appends its decision; a decision whose id is in the record already is not appended again, so a save whose
    /// answer was lost may be repeated. A caller that stops waiting has not taken the save back.
    pub async fn save(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.ask(|reply| Request::Save(changes, reply)).await
    }

    /// As many as are asked for, or all that there are. Their order is that of saving, whatever the clock said.
    pub async fn decisions(&self, mut filter: DecisionFilter) -> Result<Vec<Recorded>, StoreError> {
        let limit = filter.limit.clamp(1, DecisionFilter::LIMIT_MAX);
        let mut list = Vec::new();
        loop {
            filter.limit = limit - u32::try_from(list.len()).unwrap_or(limit);
            let asked = filter.clone();
            let page = self.ask(|reply| Request::Decisions(asked, reply)).await?;
            list.extend(page.list);
            match page.next.filter(|_| list.len() < limit as usize) {
                Some(next) => filter.part = next,
                None => return Ok(list),
            }
        }
    }

    /// Of each the newest decision that there is.
    pub async fn newest_of(&self, wanted: Vec<Wanted>) -> Result<Vec<Option<Recorded>>, StoreError> {
        self.ask(|reply| Request::NewestOf(wanted, reply)).await
    }

    /// Looks at every row of the record, a stretch at a time. `wanted` is a row that must be there as it is.
    pub async fn check(&self, wanted: Option<Head>) -> Result<Checked, StoreError> {
        let mut checked = None;
        loop {
            let (from, wanted) = (checked.take(), wanted.clone());
            let next = self.ask(|reply| Request::Check(from, wanted, reply)).await?;
            if next.is_done {
                return Ok(next);
            }
            checked = Some(next);
        }
    }

    /// The newest row.
    pub async fn head(&self) -> Result<Head, StoreError> {
        self.ask(Request::Head).await
    }

    /// The oldest decisions go as far as they are from before `before_ms`, a bounded number of them. Queued at once.
    pub fn prune(&self, before_ms: i64) -> impl Future<Output = Result<u64, StoreError>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        self.answer(self.enqueue(Request::Prune(before_ms, reply)), answer)
    }

    /// Of an upstream, the endpoints that were set at run time (`None`: the file's hold again), and the decision.
    /// Queued at once.
    pub fn announce(
        &self,
        upstream: Arc<str>,
        announced: Option<Announced>,
        decision: Option<Decision>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        self.answer(self.enqueue(Request::Announce(upstream, announced, decision, reply)), answer)
    }

    /// All of it or nothing; then the oldest evidence goes, as far as it is older or more than what is `kept`. It is
    /// queued at once, before anything that is asked later. What is in the record already is not appended again.
    pub fn append(
        &self,
        list: Vec<Arc<Evidence>>,
        kept: EvidenceKept,
        now_ms: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        self.answer(self.enqueue(Request::Append(list, kept, now_ms, reply)), answer)
    }

    pub async fn evidence(&self, filter: EvidenceFilter) -> Result<EvidencePage, StoreError> {
        self.ask(|reply| Request::Evidence(filter, reply)).await
    }

    /// Of each canary the newest piece, if it ended no earlier than `since_ms`.
    pub async fn newest_evidence(&self, since_ms: i64) -> Result<Vec<Evidence>, StoreError> {
        self.ask(|reply| Request::NewestEvidence(since_ms, reply)).await
    }

    /// Of a route the last ones, newest first.
    pub async fn releases(&self, route: Arc<str>) -> Result<Vec<Release>, StoreError> {
        self.ask(|reply| Request::Releases(route, reply)).await
    }

    /// Closes the file, with its log written back, so that another process can open it; all that was asked before
    /// is done first. Until [`Store::take_back`] everything is refused with [`StoreError::Lent`].
    pub async fn lend(&self) -> Result<(), StoreError> {
        self.ask(Request::Lend).await
    }

    /// The other process is gone. If the file cannot be opened now, each later request tries again.
    pub async fn take_back(&self) -> Result<(), StoreError> {
        self.ask(Request::TakeBack).await
    }

    /// Waits until all that was asked before is done and the file is closed, with its log written back. Blocks.
    /// Other handles get [`StoreError::Gone`] from then on. A handle that is only dropped does not wait; when
    /// the last one goes, the thread ends in the same orderly way.
    pub fn close(self) -> Result<(), StoreError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.queue.send(Request::Close(reply)).map_err(|_| self.gone())?;
        answer.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(request(reply))?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// The answer to what was queued before it is waited for.
    fn answer<T: Send>(
        &self,
        queued: Result<(), StoreError>,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + use<T> {
        let gone = self.gone();
        async move {
            queued?;
            answer.await.unwrap_or(Err(gone))
        }
    }

    fn enqueue(&self, request: Request) -> Result<(), StoreError> {
        self.queue.try_send(request).map_err(|refused| match refused {
            TrySendError::Full(_) => {
                StoreError::Busy { place: Arc::clone(&self.place), cause: BusyCause::QueueFull }
            }
            TrySendError::Disconnected(_) => self.gone(),
        })
    }

    fn gone(&self) -> StoreError {
        StoreError::Gone { place: Arc::clone(&self.place) }
    }
}
