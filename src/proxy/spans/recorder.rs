//! A worker's end: which requests have a span, and the queue that takes it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use http::HeaderMap;

use super::context::{Context, Sampler};
use super::exporter::Exporter;
use crate::config::{self, Scheme};
use crate::metrics::Shard;
use crate::metrics::totals::SpanCounters;
use crate::proxy::access_log::Line;
use crate::proxy::clock;

/// Spans that wait for the exporter, of all workers together. More are dropped. OpenTelemetry's default.
const QUEUE_SPANS_MAX: usize = 2_048;

#[derive(Clone)]
pub struct Spans {
    sampler: Sampler,
    queue: SyncSender<Box<Span>>,
}

/// A request that has ended.
pub(super) struct Span {
    pub(super) context: Context,
    pub(super) end_unix_us: i64,
    pub(super) line: Box<Line>,
}

/// Starts the thread that exports.
pub fn start(config: &config::Tracing, counters: Arc<SpanCounters>) -> io::Result<(Spans, Exporter)> {
    let (queue, spans) = sync_channel(QUEUE_SPANS_MAX);
    let sampler = Sampler::new(config.sample);
    Ok((Spans { sampler, queue }, Exporter::start(config, spans, counters)?))
}

impl Spans {
    /// Of a request that has just come. `None`: nobody keeps its span.
    pub(in crate::proxy) fn begin(
        &self,
        headers: &mut HeaderMap,
        scheme: Scheme,
        random: impl FnMut() -> u64,
    ) -> Option<Context> {
        self.sampler.begin(headers, scheme, random)
    }

    /// Of a request that has just ended.
    pub(in crate::proxy) fn send(&self, context: Context, line: Box<Line>, shard: &Shard) {
        let span = Span { context, end_unix_us: clock::unix_us(), line };
        if self.queue.try_send(Box::new(span)).is_err() {
            shard.spans_dropped.add(1);
        }
    }
}
