//! Questions whose answers take long: drawing `/metrics`, reading decisions, forecasts. They run beside the loop, so that
//! a scrape of 10 000 routes or a slow disk never holds up the immune system.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::command::{Refusal, Reply};
use super::controller::Controller;
use super::forecasts::FORECASTS_MAX;
use super::jobs::answer;
use crate::metrics::slots::{SlotName, Slots};
use crate::metrics::{SlotId, exposition};
use crate::notify::{Told, Untestable};
use crate::store::{Store, StoreError};

/// Readings of decisions at one time. Further ones are refused with [`Refusal::StoreDown`].
const READS_MAX: usize = 16;
/// Scrapes that wait for the text after the one that is being drawn. When full, the oldest is answered
/// [`Refusal::Gone`].
const SCRAPES_MAX: usize = 64;

pub(super) struct Queries {
    reads: Arc<Semaphore>,
    pub(super) forecasts: Arc<Semaphore>,
    /// Other numbers are tried on the record by one at a time.
    tries: Arc<Semaphore>,
    names: Arc<[(SlotId, SlotName)]>,
    drawing: Option<JoinHandle<()>>,
    scrapes: Vec<Reply<String>>,
}

impl Queries {
    pub(super) fn new(slots: &Slots) -> Self {
        Self {
            reads: Arc::new(Semaphore::new(READS_MAX)),
            forecasts: Arc::new(Semaphore::new(FORECASTS_MAX)),
            tries: Arc::new(Semaphore::new(1)),
            names: names(slots),
            drawing: None,
            scrapes: Vec::new(),
        }
    }

    pub(super) fn retarget(&mut self, slots: &Slots) {
        self.names = names(slots);
    }

    /// `None`: [`READS_MAX`] read already.
    pub(super) fn may_read(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.reads).try_acquire_owned().ok()
    }

    pub(super) fn may_try(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.tries).try_acquire_owned().ok()
    }

    /// Waits until the text that is being drawn has been sent; for ever if none is. May be dropped and called
    /// again.
    pub(super) async fn drawn(&mut self) {
        match &mut self.drawing {
            Some(drawing) => {
                // A panic while drawing drops the replies, and so answers them.
                let _ = drawing.await;
                self.drawing = None;
            }
            None => std::future::pending().await,
        }
    }
}

impl Controller {
    pub(super) fn draw_metrics(&mut self, reply: Reply<String>) {
        if self.queries.scrapes.len() >= SCRAPES_MAX {
            answer(self.queries.scrapes.remove(0), Err(Refusal::Gone));
        }
        self.queries.scrapes.push(reply);
        self.draw_next();
    }

    /// One text at a time, for all that asked before it was begun.
    pub(super) fn draw_next(&mut self) {
        if self.queries.drawing.is_some() || self.queries.scrapes.is_empty() {
            return;
        }
        let scrapes = std::mem::take(&mut self.queries.scrapes);
        let (names, shards, gauges) = (Arc::clone(&self.queries.names), self.shards.clone(), self.gauges());
        self.queries.drawing = Some(tokio::task::spawn_blocking(move || {
            let text = exposition::render(&names, &shards, &gauges);
            scrapes.into_iter().for_each(|reply| answer(reply, Ok(text.clone())));
        }));
    }

    /// Reads beside the loop, unless [`READS_MAX`] do already.
    pub(super) fn read_store<T: Send + 'static, F>(&self, reply: Reply<T>, read: impl FnOnce(Store) -> F)
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let Some(permit) = self.queries.may_read() else {
            let why = format!("{READS_MAX} readings wait for it already");
            return answer(reply, Err(Refusal::StoreDown(why)));
        };
        let read = read(self.saving.store().clone());
        let read = async move {
            let read = read.await;
            answer(reply, read.map_err(|error| Refusal::StoreDown(error.to_string())));
            drop(permit);
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "reading must not hold up the loop; READS_MAX bounds it"
        )]
        tokio::spawn(read);
    }
}

impl Controller {
    pub(super) fn test_notify(&self, name: &Arc<str>, reply: Reply<oneshot::Receiver<Told>>) {
        let tested = self.messenger.test(name).map_err(|why| match why {
            Untestable::Unknown { known } => Refusal::UnknownReceiver { name: Arc::clone(name), known },
            Untestable::Busy => Refusal::Busy("the thread that tells has much to do".to_owned()),
        });
        answer(reply, tested);
    }
}

fn names(slots: &Slots) -> Arc<[(SlotId, SlotName)]> {
    slots.iter().map(|(slot, name)| (slot, name.clone())).collect()
}
