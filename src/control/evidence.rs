//! On its way to the store: what guards were given ([`super::recorder`]).
//!
//! Nothing waits for it. A store that is slow, down or lent finds it in a queue with two bounds; beyond them the oldest is
//! dropped, and counted (`andon_evidence_dropped_total`): a record with a gap is better than a control plane that grows. It
//! is sent after the decisions that were made on it, so that no crash leaves a record of a back-off that was never stored.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::controller::Controller;
use super::recorder::Cut;
use super::rest::NAP_MS;
use super::state::effective;
use crate::config::{EvidenceKept, OnUnhealthy};
use crate::immune::journal::Segment;
use crate::store::Store;
use crate::store::record::Evidence;

/// Segments that wait for the store; about a quarter of an hour of a thousand busy canaries would be more.
const WAITING_MAX: usize = 4_096;
const WAITING_BYTES_MAX: usize = 32 << 20;
/// Segments in one transaction.
const BATCH_MAX: usize = 64;
const RETRY_US: u64 = 1_000_000;
/// How often old evidence goes where no new comes.
const PRUNE_US: u64 = 600_000_000;
/// At the end, for the last of it.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// A canary goes on from what an earlier process knew of it, if that is no older: ten minutes, and the nap in which a route at
/// rest leaves no sign.
const RESUMED_AGE_MS_MAX: i64 = 600_000 + NAP_MS;

pub(super) struct EvidenceQueue {
    store: Store,
    waiting: VecDeque<Arc<Evidence>>,
    bytes: usize,
    flight: Option<Flight>,
    dropped: u64,
    is_down: bool,
    retry_at_us: u64,
    prune_at_us: u64,
}

struct Flight {
    append: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
    cargo: Vec<Arc<Evidence>>,
}

/// What the store is asked to keep, and when.
#[derive(Clone, Copy)]
pub(super) struct Keeping {
    pub(super) kept: EvidenceKept,
    pub(super) now_ms: i64,
    pub(super) now_us: u64,
}

impl EvidenceQueue {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            waiting: VecDeque::new(),
            bytes: 0,
            flight: None,
            dropped: 0,
            is_down: false,
            retry_at_us: 0,
            prune_at_us: 0,
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Evidence> {
        let flight = self.flight.iter().flat_map(|flight| &flight.cargo);
        flight.chain(&self.waiting).map(|one| &**one)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.flight.is_none() && self.waiting.is_empty()
    }

    pub(super) fn put(&mut self, evidence: Evidence) {
        self.bytes += evidence.blob.len();
        self.waiting.push_back(Arc::new(evidence));
        self.bound();
    }

    fn bound(&mut self) {
        while self.waiting.len() > WAITING_MAX || self.bytes > WAITING_BYTES_MAX {
            let Some(oldest) = self.waiting.pop_front() else { return };
            self.bytes -= oldest.blob.len();
            self.dropped += 1;
        }
    }

    /// Sends what waits, unless something is under way. It is queued at the store when it is first waited for, after
    /// the save of decisions that the loop waits for before.
    pub(super) fn start(&mut self, keeping: Keeping) {
        let is_time = keeping.now_us >= self.retry_at_us;
        let is_any = !self.waiting.is_empty() || keeping.now_us >= self.prune_at_us;
        if self.flight.is_some() || !is_time || !is_any {
            return;
        }
        let cargo = self.load(keeping);
        let (store, list) = (self.store.clone(), cargo.clone());
        let append = async move {
            let appended = store.append(list, keeping.kept, keeping.now_ms).await;
            appended.map_err(|error| error.to_string())
        };
        self.flight = Some(Flight { append: Box::pin(append), cargo });
    }

    /// As [`Self::start`], but queued at the store when this returns.
    pub(super) fn start_at_once(&mut self, keeping: Keeping) {
        if self.flight.is_some() || self.waiting.is_empty() {
            return;
        }
        let cargo = self.load(keeping);
        let queued = self.store.append(cargo.clone(), keeping.kept, keeping.now_ms);
        let append = async move { queued.await.map_err(|error| error.to_string()) };
        self.flight = Some(Flight { append: Box::pin(append), cargo });
    }

    fn load(&mut self, keeping: Keeping) -> Vec<Arc<Evidence>> {
        self.prune_at_us = keeping.now_us.saturating_add(PRUNE_US);
        let cargo: Vec<_> = self.waiting.drain(..self.waiting.len().min(BATCH_MAX)).collect();
        self.bytes -= cargo.iter().map(|one| one.blob.len()).sum::<usize>();
        cargo
    }

    /// Waits for what is under way; for ever if nothing is. May be dropped and called again.
    pub(super) async fn landed(&mut self) -> Result<(), String> {
        match &mut self.flight {
            Some(flight) => (&mut flight.append).await,
            None => std::future::pending().await,
        }
    }

    /// To be called once with each result of [`Self::landed`].
    pub(super) fn land(&mut self, result: Result<(), String>, now_us: u64) {
        let Some(flight) = self.flight.take() else { return };
        match result {
            Ok(()) if self.is_down => {
                self.is_down = false;
                info!("the store takes evidence again");
            }
            Ok(()) => {}
            Err(why) => {
                if !self.is_down {
                    warn!(reason = why, "the store takes no evidence; the oldest will be dropped");
                }
                self.is_down = true;
                self.retry_at_us = now_us.saturating_add(RETRY_US);
                for one in flight.cargo.into_iter().rev() {
                    self.bytes += one.blob.len();
                    self.waiting.push_front(one);
                }
                self.bound();
            }
        }
    }
}

impl Controller {
    fn keeping(&self) -> Keeping {
        Keeping { kept: self.config.evidence, now_ms: self.clock.unix_ms(), now_us: self.clock.now_us() }
    }

    /// Takes what was cut since the last look.
    pub(super) fn take_evidence(&mut self) {
        for route in self.routes.rota.awake() {
            let Some(route) = self.routes.list.get_mut(*route) else { continue };
            let Some(split) = &mut route.split else { continue };
            for (live, record) in split.canaries.iter_mut().zip(&split.state.record.canaries) {
                self.evidence.dropped += live.guard.take_dropped();
                for cut in live.guard.take_cuts() {
                    let Cut { upstream, began_ms, ended_ms, frames, fresh, blob } = cut;
                    let (route, canary) = (Arc::clone(&route.name), Arc::clone(&record.name));
                    let evidence =
                        Evidence { route, canary, upstream, began_ms, ended_ms, frames, fresh, blob };
                    self.evidence.put(evidence);
                }
            }
        }
    }

    /// Everything up to now: before canaries may vanish, before another process goes on, at the end.
    pub(super) fn cut_evidence(&mut self) {
        // Those that rest have nothing to cut.
        for route in &mut self.routes.list {
            let Some(split) = &mut route.split else { continue };
            split.canaries.iter_mut().for_each(|live| live.guard.cut());
        }
        self.take_evidence();
    }

    pub(super) fn store_evidence(&mut self) {
        if self.saving.down().is_none() {
            let keeping = self.keeping();
            self.evidence.start(keeping);
        }
    }

    /// Queued at the store before anything else is.
    pub(super) fn store_evidence_at_once(&mut self) {
        self.cut_evidence();
        let keeping = self.keeping();
        self.evidence.start_at_once(keeping);
    }

    /// At the end. A process that is followed by another has left its evidence to it already.
    pub(super) async fn flush_evidence(&mut self) {
        if self.frozen {
            return;
        }
        self.cut_evidence();
        let flush = async {
            while !self.evidence.is_idle() {
                let keeping = self.keeping();
                self.evidence.start(keeping);
                let result = self.evidence.landed().await;
                let failed = result.is_err();
                self.evidence.land(result, 0);
                if failed {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(FLUSH_MAX, flush).await;
        if !self.evidence.is_idle() {
            warn!(lost = self.evidence.waiting.len(), "the store never took the last evidence");
        }
    }

    /// A canary goes on from what an earlier process has left in the record, if that is fresh, of the same upstream and judged
    /// by the same numbers. All else starts anew.
    pub(super) async fn resume_guards(&mut self) {
        let since_ms = self.clock.unix_ms().saturating_sub(RESUMED_AGE_MS_MAX);
        let newest = match self.evidence.store.newest_evidence(since_ms).await {
            Ok(newest) => newest,
            Err(error) => {
                return warn!(%error, "evidence cannot be read; every canary is judged anew");
            }
        };
        for evidence in newest {
            self.resume(&evidence);
        }
    }

    fn resume(&mut self, evidence: &Evidence) {
        let Evidence { route, canary, upstream, blob, .. } = evidence;
        let Some(split) = self.routes.find(route).and_then(|at| self.routes.split_mut(at)) else { return };
        let record = &split.state.record;
        let Some(at) = record.canaries.iter().position(|known| known.name == *canary) else { return };
        if record.canaries[at].role.upstream != *upstream {
            return;
        }
        let guard = match Segment::decode(blob) {
            Ok(segment) => segment.replay(|_, _| {}),
            Err(why) => {
                return warn!(%route, %canary, %why, "evidence cannot be read; the canary is judged anew");
            }
        };
        let live = &mut split.canaries[at];
        if guard.judge() != live.guard.judge() {
            return;
        }
        live.guard.resume(guard);
        let is_unhealthy = live.guard.is_unhealthy();
        if is_unhealthy && split.on_unhealthy == OnUnhealthy::Watch {
            live.recorded = true;
        } else if is_unhealthy && record.cord.is_none() && !effective(record, &record.canaries[at]).is_zero()
        {
            // Somebody reset the cord, and the process ended before the record said so.
            live.guard.restart();
        }
        info!(%route, %canary, odds = live.guard.odds(), "the guard goes on from the record");
    }
}
