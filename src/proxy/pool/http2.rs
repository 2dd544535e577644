//! A connection that speaks HTTP/2 to an endpoint, shared by many requests. It has a task of its own.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;

use super::super::clock;
use super::super::deadline::{Deadline, Deadlines};
use super::super::stream::Stream;
use super::super::upload::RequestBody;
use super::super::worker::{BUFFER_BYTES_MAX, HEADER_LIST_BYTES_MAX};
use super::Open;
use crate::metrics::Shard;

/// Requests on one connection, if the upstream allows as many. The next one opens another connection.
const STREAMS_MAX: usize = 100;
/// After so many calls that nobody answered in their time no further one joins the connection.
const UNANSWERED_MAX: u32 = 3;
/// What one stream may send ahead of its reader.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// h2 takes half of it as the budget for small DATA frames: with a usual window a stream of small messages to a slow
/// reader would end the connection for everybody. Memory is bounded by streams times their windows.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// The settings are in one of these.
const FIRST_READS: u32 = 4;

pub(in crate::proxy) struct SharedConnection {
    sender: RefCell<SendRequest<RequestBody>>,
    streams: Cell<usize>,
    /// What the upstream allows at this moment.
    streams_max: Cell<usize>,
    /// Whether it takes extended CONNECT (RFC 8441). Known once its settings are here.
    takes_connect: Cell<bool>,
    settled: Notify,
    /// It did not answer in time: no new request joins it.
    retired: Cell<bool>,
    /// Calls in a row whose own deadline came before an answer.
    unanswered: Cell<u32>,
    reused: Cell<bool>,
    idle_timeout: Duration,
    idle_since: Cell<Instant>,
}

impl SharedConnection {
    /// Begins to speak, and gives the connection its task.
    pub(in crate::proxy) async fn open(
        stream: Stream,
        idle_timeout: Duration,
        shard: &Arc<Shard>,
    ) -> hyper::Result<Rc<Self>> {
        let watcher = Rc::new(Cell::new(None));
        let io = Watched { io: TokioIo::new(stream), reads: 0, watcher: Rc::clone(&watcher) };
        let (sender, mut driver) = Builder::new(Local)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_LIST_BYTES_MAX)
            .max_send_buf_size(BUFFER_BYTES_MAX)
            .handshake::<_, RequestBody>(io)
            .await?;
        let connection = Rc::new(Self {
            sender: RefCell::new(sender),
            streams: Cell::new(0),
            streams_max: Cell::new(STREAMS_MAX),
            takes_connect: Cell::new(false),
            settled: Notify::new(),
            retired: Cell::new(false),
            unanswered: Cell::new(0),
            reused: Cell::new(false),
            idle_timeout,
            idle_since: Cell::new(clock::now()),
        });
        let seen = Rc::downgrade(&connection);
        let open = Open::new(shard);
        tokio::task::spawn_local(async move {
            let _open = open;
            let ended = poll_fn(|context| {
                watcher.set(Some(context.waker().clone()));
                let polled = Pin::new(&mut driver).poll(context);
                if let Some(connection) = seen.upgrade() {
                    connection.streams_max.set(driver.current_max_send_streams().clamp(1, STREAMS_MAX));
                    if driver.is_extended_connect_protocol_enabled()
                        && !connection.takes_connect.replace(true)
                    {
                        connection.settled.notify_waiters();
                    }
                }
                polled
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, source = ?std::error::Error::source(&error), "upstream connection ended");
            }
        });
        Ok(connection)
    }

    /// Or as good as closed.
    pub(super) fn is_closed(&self) -> bool {
        self.retired.get() || self.sender.borrow().is_closed()
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    pub(super) fn has_room(&self) -> bool {
        self.streams.get() < self.streams_max.get()
    }

    pub(super) fn is_idle_since_long(&self, now: Instant) -> bool {
        self.streams.get() == 0 && now.saturating_duration_since(self.idle_since.get()) > self.idle_timeout
    }
}

/// One request's place on a shared connection.
pub(in crate::proxy) struct SharedStream {
    connection: Rc<SharedConnection>,
    reused: bool,
}

impl SharedStream {
    pub(in crate::proxy) fn on(connection: &Rc<SharedConnection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self { reused: connection.reused.replace(true), connection: Rc::clone(connection) }
    }

    pub(in crate::proxy) fn sender(&self) -> std::cell::RefMut<'_, SendRequest<RequestBody>> {
        self.connection.sender.borrow_mut()
    }

    /// An upstream that does says so in its settings, which may still be on their way.
    pub(in crate::proxy) async fn takes_connect(&self, deadlines: &Rc<Deadlines>, wait: Duration) -> bool {
        self.connection.takes_connect.get()
            || Deadline::after(deadlines, wait).bound(self.connection.settled.notified()).await.is_some()
    }

    pub(in crate::proxy) fn answered(&self) {
        self.connection.unanswered.set(0);
    }

    /// The client gave up. One may ask for too much; so many one after another mean that nobody is there.
    pub(in crate::proxy) fn unanswered(&self) {
        let unanswered = self.connection.unanswered.get() + 1;
        self.connection.unanswered.set(unanswered);
        if unanswered >= UNANSWERED_MAX {
            self.retire();
        }
    }

    /// No further request joins this connection; those on it go on.
    pub(in crate::proxy) fn retire(&self) {
        self.connection.retired.set(true);
    }

    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }
}

impl Drop for SharedStream {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get() - 1);
        self.connection.idle_since.set(clock::now());
    }
}

/// Wakes who looks at the settings when they may have come. They are the first that the upstream says, and hyper
/// tells nobody of them; later ones are seen with the next request.
struct Watched {
    io: TokioIo<Stream>,
    reads: u32,
    watcher: Rc<Cell<Option<Waker>>>,
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if polled.is_ready() && self.reads < FIRST_READS {
            self.reads += 1;
            // It runs once the bytes have been looked at: both are tasks of this thread.
            if let Some(watcher) = self.watcher.take() {
                watcher.wake();
            }
        }
        polled
    }
}

impl Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }
}

/// Tasks stay on the worker's thread.
#[derive(Clone)]
struct Local;

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}
