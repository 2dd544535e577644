//! Upstream connections of one worker: idle ones to take, shared ones to join, and how many requests each endpoint has.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use crate::metrics::Shard;
use crate::routing::EndpointId;

mod http1;
mod http2;

pub(super) use http1::OwnConnection;
pub(super) use http2::{SharedConnection, SharedStream};

/// Idle connections kept for one endpoint by one worker. Beyond it the one that comes back is closed.
const IDLE_MAX: usize = 512;
/// Shared connections to one endpoint by one worker. When all are full, requests wait on them for a stream.
const SHARED_MAX: usize = 16;

/// What carries one request to an endpoint and its answer back.
pub(super) enum UpstreamConnection {
    /// HTTP/1: a connection of its own.
    Own(Box<OwnConnection>),
    /// HTTP/2: a stream beside others.
    Shared(SharedStream),
}

impl UpstreamConnection {
    /// It served a request before: if it fails now, the upstream may just have closed an idle connection.
    pub(super) fn is_reused(&self) -> bool {
        match self {
            Self::Own(connection) => connection.reused,
            Self::Shared(stream) => stream.is_reused(),
        }
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
    #[expect(clippy::vec_box, reason = "they come and go as boxes: a move is a pointer")]
    idle: Vec<Box<OwnConnection>>,
    shared: Vec<Rc<SharedConnection>>,
    /// While one is being opened: who needs it waits here.
    opening: Option<Rc<Notify>>,
}

/// Counts a connection for as long as it lives.
struct Open(Arc<Shard>);

impl Open {
    fn new(shard: &Arc<Shard>) -> Self {
        shard.upstream_opened.add(1);
        Self(Arc::clone(shard))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.upstream_closed.add(1);
    }
}

/// How a request gets its stream.
pub(super) enum Join {
    Stream(SharedStream),
    /// Another request is opening a connection already.
    Wait(Rc<Notify>),
    /// Open one, and say so by [`Pools::opened`], whatever comes of it.
    Open,
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
    pub(super) fn take(&self, endpoint: EndpointId, now: Instant) -> Option<Box<OwnConnection>> {
        let mut endpoints = self.endpoints.borrow_mut();
        let pool = endpoints.get_mut(&endpoint)?;
        while let Some(mut connection) = pool.idle.pop() {
            if connection.is_usable(now) {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn put_back(&self, mut connection: Box<OwnConnection>, now: Instant) {
        if !connection.may_go_on() {
            return;
        }
        let mut endpoints = self.endpoints.borrow_mut();
        let pool = endpoints.entry(connection.endpoint).or_default();
        if pool.idle.len() < IDLE_MAX {
            connection.rest(now);
            pool.idle.push(connection);
        }
    }

    /// A stream on the shared connection with the fewest, or what to do to get one.
    pub(super) fn join(&self, endpoint: EndpointId) -> Join {
        let mut endpoints = self.endpoints.borrow_mut();
        let pool = endpoints.entry(endpoint).or_default();
        pool.shared.retain(|connection| !connection.is_closed());
        let emptiest = pool.shared.iter().min_by_key(|connection| connection.streams());
        match (emptiest, &pool.opening) {
            (Some(connection), opening)
                if connection.has_room() || opening.is_some() || pool.shared.len() >= SHARED_MAX =>
            {
                Join::Stream(SharedStream::on(connection))
            }
            (None, Some(opening)) => Join::Wait(Rc::clone(opening)),
            (_, _) => {
                pool.opening = Some(Rc::default());
                Join::Open
            }
        }
    }

    /// The opening that [`Join::Open`] asked for is over, with a connection or without.
    pub(super) fn opened(&self, endpoint: EndpointId, connection: Option<Rc<SharedConnection>>) {
        let mut endpoints = self.endpoints.borrow_mut();
        let pool = endpoints.entry(endpoint).or_default();
        pool.shared.extend(connection);
        if let Some(waiting) = pool.opening.take() {
            waiting.notify_waiters();
        }
    }

    /// Closes what was idle too long or was closed from the other side, and forgets endpoints without any. The others give
    /// their buffers back.
    pub(super) fn sweep(&self, now: Instant) {
        self.endpoints.borrow_mut().retain(|_, pool| {
            pool.idle.retain_mut(|connection| {
                connection.client.give_back();
                connection.is_usable(now)
            });
            pool.shared.retain(|connection| !connection.is_closed() && !connection.is_idle_since_long(now));
            pool.in_flight > 0 || !pool.idle.is_empty() || !pool.shared.is_empty()
        });
    }
}
