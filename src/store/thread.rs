//! The store's own thread: takes requests one after another, so that nobody else ever waits for a disk.
//!
//! One thread, because SQLite has one writer anyway, and because the order of requests is then the order of the
//! record. It ends when asked to close or when the last handle is gone, after all that was queued before.
//! It refuses to queue without end: when [`STORE_QUEUE_MAX`] requests wait, the next caller is told at once.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::StoreError;
use super::held::Held;
use super::record::{
    Announced, Change, Checked, Decision, DecisionFilter, DecisionPage, Evidence, EvidenceFilter,
    EvidencePage, Head, Recorded, Wanted,
};
use super::releases::RELEASES_MAX;
use crate::config::EvidenceKept;
use crate::release::Release;

/// Requests waiting for the disk. When full, callers get [`super::BusyCause::QueueFull`] instead of a place.
pub const STORE_QUEUE_MAX: usize = 256;

pub(super) enum Request {
    Save(Vec<Change>, Reply<()>),
    /// Of an upstream, its announced endpoints; `None`: the file's again.
    Announce(Arc<str>, Option<Announced>, Option<Decision>, Reply<()>),
    Decisions(DecisionFilter, Reply<DecisionPage>),
    NewestOf(Vec<Wanted>, Reply<Vec<Option<Recorded>>>),
    Check(Option<Checked>, Option<Head>, Reply<Checked>),
    Head(Reply<Head>),
    /// Decisions from before this time.
    Prune(i64, Reply<u64>),
    /// Evidence, how much of it is kept, and the date.
    Append(Vec<Arc<Evidence>>, EvidenceKept, i64, Reply<()>),
    Evidence(EvidenceFilter, Reply<EvidencePage>),
    NewestEvidence(i64, Reply<Vec<Evidence>>),
    Releases(Arc<str>, Reply<Vec<Release>>),
    Lend(Reply<()>),
    TakeBack(Reply<()>),
    /// Not a tokio channel: who closes may stand outside any runtime, or inside one, and must not panic there.
    Close(SyncSender<Result<(), StoreError>>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) fn start(held: Held) -> Result<SyncSender<Request>, StoreError> {
    let place = Arc::clone(held.place());
    let (queue, requests) = mpsc::sync_channel(STORE_QUEUE_MAX);
    thread::Builder::new()
        .name("andon-store".into())
        .spawn(move || serve(held, &requests))
        .map_err(|error| StoreError::Io { place, found: format!("no thread for it: {error}").into() })?;
    Ok(queue)
}

fn serve(mut held: Held, requests: &Receiver<Request>) {
    while let Ok(request) = requests.recv() {
        match request {
            // A caller that no longer waits is no failure: what it asked for was done.
            Request::Save(changes, reply) => {
                let saved = held.open().and_then(|database| database.save(&changes));
                drop(reply.send(saved.map(|head| tell(held.place(), head))));
            }
            Request::Decisions(filter, reply) => {
                drop(reply.send(held.open().and_then(|database| database.decisions(&filter))));
            }
            Request::Announce(upstream, announced, decision, reply) => {
                let done = held
                    .open()
                    .and_then(|database| database.announce(&upstream, announced.as_ref(), decision.as_ref()));
                drop(reply.send(done.map(|head| tell(held.place(), head))));
            }
            Request::NewestOf(wanted, reply) => {
                drop(reply.send(held.open().and_then(|database| database.newest_of(&wanted))));
            }
            Request::Check(from, wanted, reply) => {
                let checked = held.open().and_then(|database| database.check_chain(from, wanted.as_ref()));
                drop(reply.send(checked));
            }
            Request::Head(reply) => drop(reply.send(held.open().and_then(|database| database.head()))),
            Request::Prune(before_ms, reply) => {
                drop(reply.send(held.open().and_then(|database| database.prune(before_ms))));
            }
            Request::Append(list, kept, now_ms, reply) => {
                drop(reply.send(held.open().and_then(|database| database.append(&list, kept, now_ms))));
            }
            Request::Evidence(filter, reply) => {
                drop(reply.send(held.open().and_then(|database| database.evidence(&filter))));
            }
            Request::NewestEvidence(since_ms, reply) => {
                drop(reply.send(held.open().and_then(|database| database.newest_evidence(since_ms))));
            }
            Request::Releases(route, reply) => {
                drop(reply.send(held.open().and_then(|database| database.releases(&route, RELEASES_MAX))));
            }
            Request::Lend(reply) => drop(reply.send(held.lend())),
            Request::TakeBack(reply) => drop(reply.send(held.take_back())),
            Request::Close(reply) => {
                drop(reply.send(held.close()));
                return;
            }
        }
    }
    let place = Arc::clone(held.place());
    if let Err(error) = held.close() {
        warn!(%place, %error, "store not closed cleanly; nothing is lost, the next start recovers it");
    }
}

/// So that the log, which may be kept elsewhere, can vouch for the record.
fn tell(place: &str, head: Option<Head>) {
    if let Some(Head { seq, hash }) = head {
        info!(%place, seq, %hash, "recorded");
    }
}
