//! A connection that speaks HTTP/1 to an endpoint: one request at a time has it for its own.
//!
//! It has no task: whoever waits for the answer or reads its body polls it. Nobody reads from it while it is idle.
//! So it is looked at when it is taken, which shows whether the upstream closed it meanwhile, and once a sweep.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::clock;
use super::super::http1::Client;
use super::super::stream::Stream;
use super::Open;
use crate::metrics::Shard;
use crate::routing::EndpointId;

pub(in crate::proxy) struct OwnConnection {
    pub(in crate::proxy) client: Client,
    pub(super) endpoint: EndpointId,
    /// Zero: it serves one request and no other.
    idle_timeout: Duration,
    /// It served a request before: if it fails now, the upstream may just have closed an idle connection.
    pub(super) reused: bool,
    idle_since: Instant,
    _open: Open,
}

impl OwnConnection {
    pub(in crate::proxy) fn new(
        stream: Stream,
        endpoint: EndpointId,
        idle_timeout: Duration,
        shard: &Arc<Shard>,
    ) -> Self {
        Self {
            client: Client::new(stream),
            endpoint,
            idle_timeout,
            reused: false,
            idle_since: clock::now(),
            _open: Open::new(shard),
        }
    }

    /// The bare stream, and what was read from it behind the head of the answer.
    pub(in crate::proxy) fn into_parts(self) -> Option<(Stream, Bytes)> {
        self.client.into_parts()
    }

    /// Another request may have it.
    pub(super) fn may_go_on(&self) -> bool {
        !self.idle_timeout.is_zero() && self.client.may_go_on()
    }

    pub(super) fn rest(&mut self, now: Instant) {
        self.reused = true;
        self.idle_since = now;
        self.client.rest();
    }

    pub(super) fn is_usable(&mut self, now: Instant) -> bool {
        now.saturating_duration_since(self.idle_since) <= self.idle_timeout && self.client.is_quiet()
    }
}
