//! Upstream connections of one worker: idle ones to take, and how many requests each endpoint has.
//!
//! A pooled connection has no task of its own: nobody reads from it while it is idle. So it is polled once when
//! it is taken, which shows whether the upstream closed it meanwhile, and once a sweep.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::RequestBody;
use super::clock;
use crate::metrics::Shard;
use crate::routing::EndpointId;

/// Idle connections kept for one endpoint by one worker. Beyond it the one that comes back is closed.
const IDLE_MAX: usize = 512;

pub(super) type Driver = Connection<TokioIo<TcpStream>, RequestBody>;

/// One connection to an endpoint: the handle that sends, and the state machine that must be polled.
pub(super) struct UpstreamConnection {
    pub(super) sender: SendRequest<RequestBody>,
    /// `None` once it was handed out.
    driver: Option<Box<Driver>>,
    /// The state machine is done. It may still hold the socket, as after a switch of protocols.
    ended: bool,
    endpoint: EndpointId,
    idle_timeout: Duration,
    /// It served a request before: if it fails now, the upstream may just have closed an idle connection.
    pub(super) reused: bool,
    idle_since: Instant,
    shard: Arc<Shard>,
}

impl UpstreamConnection {
    pub(super) fn new(
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
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && !self.ended
        {
            self.ended = Pin::new(driver).poll(context).is_ready();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended || self.driver.is_none()
    }

    /// Hands the state machine out, to be driven elsewhere.
    pub(super) fn take_driver(&mut self) -> Option<Box<Driver>> {
        self.driver.take()
    }

    fn is_usable(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        if now.saturating_duration_since(self.idle_since) > self.idle_timeout {
            return false;
        }
        self.drive(context);
        !self.has_ended() && self.sender.is_ready()
    }
}

impl Drop for UpstreamConnection {
    fn drop(&mut self) {
        self.shard.upstream_closed.add(1);
    }
}

/// All endpoints that this worker has spoken to lately.
#[derive(Default)]
pub(super) struct Pools {
    endpoints: RefCell<HashMap<EndpointId, Pool, BuildHasherDefault<IdHasher>>>,
}

/// Ids are our own consecutive numbers: nobody can choose them to collide, so a multiplication is hash enough for the
/// four look-ups of a request.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[derive(Default)]
struct Pool {
    in_flight: u32,
    /// Taken from the back: the connection used last is the least likely to have been closed.
    idle: Vec<UpstreamConnection>,
}

impl Pools {
    pub(super) fn enter(&self, endpoint: EndpointId) {
        self.endpoints.borrow_mut().entry(endpoint).or_default().in_flight += 1;
    }

    pub(super) fn leave(&self, endpoint: EndpointId) {
        if let Some(pool) = self.endpoints.borrow_mut().get_mut(&endpoint) {
            pool.in_flight = pool.in_flight.saturating_sub(1);
        }
    }

    pub(super) fn in_flight(&self, endpoint: EndpointId) -> u32 {
        self.endpoints.borrow().get(&endpoint).map_or(0, |pool| pool.in_flight)
    }

    /// An idle connection that still works, if there is one. Those found dead on the way are closed.
    pub(super) fn take(
        &self,
        endpoint: EndpointId,
        now: Instant,
        context: &mut Context<'_>,
    ) -> Option<UpstreamConnection> {
        let mut endpoints = self.endpoints.borrow_mut();
        let pool = endpoints.get_mut(&endpoint)?;
        while let Some(mut connection) = pool.idle.pop() {
            if connection.is_usable(now, context) {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn put_back(&self, mut connection: UpstreamConnection, now: Instant) {
        if connection.has_ended() {
            return;
        }
        let mut endpoints = self.endpoints.borrow_mut();
        let pool = endpoints.entry(connection.endpoint).or_default();
        if pool.idle.len() < IDLE_MAX {
            connection.reused = true;
            connection.idle_since = now;
            pool.idle.push(connection);
        }
    }

    /// Closes what was idle too long or was closed from the other side, and forgets endpoints without any.
    pub(super) fn sweep(&self, now: Instant) {
        let mut context = Context::from_waker(Waker::noop());
        self.endpoints.borrow_mut().retain(|_, pool| {
            pool.idle.retain_mut(|connection| connection.is_usable(now, &mut context));
            pool.in_flight > 0 || !pool.idle.is_empty()
        });
    }
}
