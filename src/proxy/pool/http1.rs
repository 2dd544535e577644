//! A connection that speaks HTTP/1 to an endpoint: one request at a time has it for its own.
//!
//! It has no task: whoever waits for the request or reads its body polls it. Nobody reads from it while it is idle.
//! So it is polled once when it is taken, which shows whether the upstream closed it meanwhile, and once a sweep.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::unconstrained;

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
    driver: Option<Driver>,
    bell: Arc<Bell>,
    /// Of the bell.
    waker: Waker,
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
        let bell = Arc::new(Bell { hushed: AtomicBool::new(false), waiting: AtomicWaker::new() });
        Self {
            sender,
            driver: Some(driver),
            waker: Arc::clone(&bell).into(),
            bell,
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
            self.bell.waiting.register(context.waker());
            self.ended = Pin::new(driver).poll(&mut Context::from_waker(&self.waker)).is_ready();
        }
    }

    /// Takes what driving has brought. That makes room, of which the state machine would hear by a wake, and whoever takes
    /// drives it anyway before waiting.
    pub(in crate::proxy) fn hushed<T>(&self, take: impl FnOnce() -> T) -> T {
        self.bell.hushed.store(true, Ordering::Relaxed);
        let taken = take();
        self.bell.hushed.store(false, Ordering::Relaxed);
        taken
    }

    pub(in crate::proxy) fn has_ended(&self) -> bool {
        self.ended || self.driver.is_none()
    }

    /// Nothing comes of it unless [`drive`](Self::drive) is called.
    pub(in crate::proxy) fn is_driven_here(&self) -> bool {
        self.driver.is_some()
    }

    /// Hands the state machine out, to be driven elsewhere.
    pub(in crate::proxy) fn take_driver(&mut self) -> Option<Driver> {
        self.driver.take()
    }

    /// It serves one request and no other.
    pub(super) fn is_for_one(&self) -> bool {
        self.idle_timeout.is_zero()
    }

    /// Leaves no waker: whoever takes it drives it at once.
    pub(super) fn is_usable(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.idle_since) > self.idle_timeout {
            return false;
        }
        // Whatever the task has left of its turn: a dead one that nobody may read from would pass for a good one.
        let drive = poll_fn(|context| {
            self.drive(context);
            Poll::Ready(())
        });
        let _ = pin!(unconstrained(drive)).poll(&mut Context::from_waker(Waker::noop()));
        !self.has_ended() && self.sender.is_ready()
    }
}

/// Wakes whoever drives the connection, but for what that very task does.
struct Bell {
    hushed: AtomicBool,
    waiting: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.hushed.load(Ordering::Relaxed) {
            self.waiting.wake();
        }
    }
}

impl Drop for OwnConnection {
    fn drop(&mut self) {
        self.shard.upstream_closed.add(1);
    }
}
