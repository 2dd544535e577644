//! The thread that sends spans to the collector.
//!
//! It looks into the queue instead of being woken by it: a wake costs the worker a lock and a system call. A batch
//! goes out when it is full or its first span has waited for [`EVERY`]. While the collector takes none, the batch is
//! tried again, each time after a longer pause, and what does not fit the queue meanwhile is dropped and counted.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::collector::{Collector, Failed};
use super::message;
use super::recorder::Span;
use super::wire::PartialSuccess;
use crate::config;
use crate::metrics::totals::SpanCounters;
use crate::proxy::{clock, ending};

const BATCH_SPANS_MAX: usize = 512;
const EVERY: Duration = Duration::from_secs(1);
/// How often to look while there is nothing to do.
const PAUSE: Duration = Duration::from_millis(50);
/// Of one batch. Then it is dropped: after a minute, those that wait behind it are of more use.
const TRIES_MAX: u32 = 6;
/// Before the second try. It doubles from try to try.
const RETRY: Duration = Duration::from_secs(1);
/// Between two complaints.
const COMPLAIN: Duration = Duration::from_secs(60);
/// At the end, what is left has this long to get out.
const LAST: Duration = Duration::from_secs(2);

/// The thread, as others see it.
pub struct Exporter {
    /// Dropped to say that it is over.
    ending: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Exporter {
    pub(super) fn start(
        config: &config::Tracing,
        queue: Receiver<Box<Span>>,
        counters: Arc<SpanCounters>,
    ) -> io::Result<Self> {
        let (ending, end) = oneshot::channel();
        let sending = Sending {
            queue,
            batch: Vec::with_capacity(BATCH_SPANS_MAX),
            service_name: config.service_name.clone(),
            collector: Collector::new(config.collector.clone()),
            counters,
            complain_at: None,
        };
        let thread = thread::Builder::new().name("spans".into()).spawn(move || sending.run(end))?;
        Ok(Self { ending, thread })
    }

    /// To be called once the workers are gone: what is in the queue has a last chance.
    pub fn finish(self) {
        drop(self.ending);
        ending::wait_for(self.thread, "the export of spans");
    }
}

struct Sending {
    queue: Receiver<Box<Span>>,
    /// Not sent yet, or not taken yet.
    batch: Vec<Span>,
    service_name: Box<str>,
    collector: Collector,
    counters: Arc<SpanCounters>,
    complain_at: Option<Instant>,
}

impl Sending {
    fn run(self, end: oneshot::Receiver<()>) {
        // It cannot cross threads, so it is made here.
        let runtime = runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
        match runtime {
            Ok(runtime) => runtime.block_on(self.until(end)),
            Err(error) => tracing::error!(%error, "spans cannot be exported"),
        }
    }

    async fn until(mut self, mut end: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                _ = &mut end => break,
                () = self.gather() => {}
            }
            let mut export = pin!(self.export());
            tokio::select! {
                () = &mut export => continue,
                _ = &mut end => {}
            }
            // Begun anew, it would be there twice.
            let _ = timeout(LAST, export).await;
            break;
        }
        // An error is a collector that takes too long.
        let _ = timeout(LAST, self.rest()).await;
        let lost = self.batch.len() + self.queue.try_iter().count();
        if lost > 0 {
            self.counters.dropped.add(lost as u64);
            tracing::warn!(lost, "the collector did not take the last spans");
        }
    }

    /// Until a batch is to go out.
    async fn gather(&mut self) {
        let mut due = None;
        loop {
            self.take();
            if self.batch.len() == BATCH_SPANS_MAX {
                return;
            }
            if !self.batch.is_empty() && clock::now() >= *due.get_or_insert(clock::now() + EVERY) {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    fn take(&mut self) {
        let room = BATCH_SPANS_MAX - self.batch.len();
        self.batch.extend(self.queue.try_iter().map(|span| *span).take(room));
    }

    async fn export(&mut self) {
        let body = self.body();
        let mut pause = RETRY;
        for tried in 1..=TRIES_MAX {
            let failed = match self.collector.post(body.clone()).await {
                Ok(answer) => return self.taken(&answer),
                Err(failed) => failed,
            };
            // The first failure may be no more than a kept connection that the collector gave up.
            if tried > 1 || matches!(failed, Failed::Refused(_)) {
                self.complain(&failed);
            }
            match failed {
                Failed::Refused(_) => break,
                _ if tried == TRIES_MAX => break,
                Failed::Busy(_, Some(wanted)) => sleep(wanted).await,
                // Not all proxies at the same moment.
                _ => sleep(pause.mul_f64(0.5 + fastrand::f64())).await,
            }
            pause *= 2;
        }
        self.counters.dropped.add(self.batch.len() as u64);
        self.batch.clear();
    }

    fn body(&self) -> Bytes {
        message::encode(&self.service_name, &self.batch).into()
    }

    fn taken(&mut self, answer: &PartialSuccess) {
        let rejected = u64::try_from(answer.rejected_spans).unwrap_or(0).min(self.batch.len() as u64);
        self.counters.exported.add(self.batch.len() as u64 - rejected);
        self.counters.dropped.add(rejected);
        self.batch.clear();
        if rejected > 0 && self.may_complain() {
            tracing::warn!(rejected, says = answer.error_message, "the collector rejects spans");
        }
    }

    fn complain(&mut self, failed: &Failed) {
        if self.may_complain() {
            tracing::warn!(error = %failed, dropped = self.counters.dropped.get(), "spans cannot be exported");
        }
    }

    fn may_complain(&mut self) -> bool {
        let now = clock::now();
        let may = self.complain_at.is_none_or(|at| now >= at);
        if may {
            self.complain_at = Some(now + COMPLAIN);
        }
        may
    }

    /// Everything that is left, each batch once.
    async fn rest(&mut self) {
        loop {
            self.take();
            if self.batch.is_empty() {
                return;
            }
            match self.collector.post(self.body()).await {
                Ok(answer) => self.taken(&answer),
                Err(_) => return,
            }
        }
    }
}
