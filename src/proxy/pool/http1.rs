//! A connection that speaks HTTP/1 to an endpoint: one request at a time has it for its own.
//!
//! It has no task: whoever waits for the request or reads its body polls it. Nobody reads from it while it is idle.
//! So it is polled once when it is taken, which shows whether the upstream closed it meanwhile, and once a sweep.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::super::clock;
use super::super::stream::Stream;
use super::super::upload::RequestBody;
use crate::metrics::Shard;
use crate::routing::EndpointId;

pub(in crate::proxy) type Driver = Connection<TokioIo<Stream>, RequestBody>;

/// The handle that sends, and the state machine that must be polled.
pub(in crate::proxy) struct OwnConnection {
    pub(in crate::proxy) sender: SendRequest<RequestBody>,
    /// `None` once it was handed out.
    driver: Option<Box<Driver>>,
    /// The state machine is done. It may still hold the socket, as after a switch of protocols.
    ended: bool,
    pub(super) endpoint: EndpointId,
    idle_timeout: Duration,
    /// It served a request before: if it fails now, the upstream may just have closed an idle connection.
    pub(in crate::proxy) reused: bool,
    pub(super) idle_since: Instant,
    shard: Arc<Shard>,
}

impl OwnConnection {
    pub(in crate::proxy) fn new(
        sender: SendRequest<RequestBody>,
        driver: Driver,
        endpoint: EndpointId,
        idle_timeout: Duration,
        shard: &Arc<Shard>,
    ) -> Self {
        shard.upstream_opened.add(1);
        Self {
            sender,
            driver: Some(Box::new(driver)),
            ended: false,
            endpoint,
            idle_timeout,
            reused: false,
            idle_since: clock::now(),
            shard: Arc::clone(shard),
        }
    }

    /// Lets the connection read and write. Its errors come out where the request or the body is waited for.
    pub(in crate::proxy) fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && !self.ended
        {
            self.ended = Pin::new(driver).poll(context).is_ready();
        }
    }

    pub(in crate::proxy) fn has_ended(&self) -> bool {
        self.ended || self.driver.is_none()
    }

    /// Hands the state machine out, to be driven elsewhere.
    pub(in crate::proxy) fn take_driver(&mut self) -> Option<Box<Driver>> {
        self.driver.take()
    }

    /// It serves one request and no other.
    pub(super) fn is_for_one(&self) -> bool {
        self.idle_timeout.is_zero()
    }

    pub(super) fn is_usable(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        if now.saturating_duration_since(self.idle_since) > self.idle_timeout {
            return false;
        }
        self.drive(context);
        !self.has_ended() && self.sender.is_ready()
    }
}

impl Drop for OwnConnection {
    fn drop(&mut self) {
        self.shard.upstream_closed.add(1);
    }
}
