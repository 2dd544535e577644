//! A connection that speaks HTTP/2: many requests at once, each in a task of its own.
//!
//! What one connection may cost is bounded: streams, windows, header lists, what waits to be written. hyper and h2 count
//! frames that only cost us work (pings, settings, empty frames, resets before we looked) and end the connection;
//! what they cannot see is counted here: requests that are taken back as fast as they come (CVE-2023-44487).

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;

use super::super::deadline::Deadline;
use super::super::downstream_body::DownstreamBody;
use super::super::message::Request;
use super::super::stream::Stream;
use super::super::worker::{BUFFER_BYTES_MAX, HEADER_LIST_BYTES_MAX};
use super::request;
use super::socket::Socket;
use super::{Downstream, Stage};
use crate::metrics::shard::Refused;

const STREAMS_MAX: u32 = 100;
/// What one stream may send ahead of its reader.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// h2 takes half of it as the budget for small DATA frames. With a usual window a gRPC client that sends a few hundred
/// small messages would lose its connection. Memory is bounded by streams times their windows.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Resets that we caused by a malformed stream: after so many the connection ends (CVE-2025-8671).
const RESETS_BY_US_MAX: usize = 256;
/// Of so many requests taken back unanswered, more than half of all ends the connection.
const TAKEN_BACK_MIN: u32 = 500;
/// To take leave of an idle client.
const GOODBYE: Duration = Duration::from_secs(1);

/// `first` was read from it before.
pub(super) async fn serve(downstream: Rc<Downstream>, stream: Stream, first: BytesMut) {
    let io = Box::new(Socket::new(stream, first.freeze(), Rc::clone(&downstream)));
    let worker = Rc::clone(&downstream.worker);
    let haste = Rc::new(Haste::default());
    let (journey, counted) = (Rc::clone(&downstream), Rc::clone(&haste));
    let service = service_fn(move |request| {
        let unanswered = Unanswered::new(&counted);
        let request = Request::from(request).map(DownstreamBody::Shared);
        let answer = request::handle(Rc::clone(&journey), request);
        async move {
            let answer = answer.await;
            unanswered.answered();
            Ok::<_, Infallible>(answer.into())
        }
    });
    let mut connection = http2::Builder::new(Streams(Rc::clone(&downstream)))
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_send_buf_size(BUFFER_BYTES_MAX)
        .max_local_error_reset_streams(RESETS_BY_US_MAX)
        .enable_connect_protocol()
        .serve_connection(io, service);
    let mut leaving = false;
    poll_fn(|context| {
        if worker.is_cut() || haste.is_abuse() {
            return Poll::Ready(());
        }
        if (worker.is_winding_down() || downstream.is_used_up()) && !leaving {
            leaving = true;
            Pin::new(&mut connection).graceful_shutdown();
            if downstream.stage.get() == Stage::Idle {
                // A client that sleeps does not answer.
                downstream.watch.borrow_mut().restart(GOODBYE);
            }
        }
        if downstream.timed_out(context) {
            if leaving || downstream.stage.get() != Stage::Idle {
                return Poll::Ready(());
            }
            leaving = true;
            Pin::new(&mut connection).graceful_shutdown();
            downstream.watch.borrow_mut().restart(GOODBYE);
        }
        Pin::new(&mut connection).poll(context).map(|result| {
            if result.is_err_and(|error| is_refused(&error)) {
                worker.refuse_unread(downstream.peer.ip(), 400, Refused::BadRequest);
            }
        })
    })
    .await;
}

/// We ended it for what the client sent.
fn is_refused(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.is_go_away() && cause.is_library())
}

/// How often this client asks and takes it back.
#[derive(Default)]
struct Haste {
    asked: Cell<u32>,
    taken_back: Cell<u32>,
}

impl Haste {
    fn is_abuse(&self) -> bool {
        let taken_back = self.taken_back.get();
        taken_back >= TAKEN_BACK_MIN && taken_back > self.asked.get() / 2
    }
}

/// A request without an answer so far. Dropped like this, it was taken back.
struct Unanswered(Option<Rc<Haste>>);

impl Unanswered {
    fn new(haste: &Rc<Haste>) -> Self {
        haste.asked.set(haste.asked.get().saturating_add(1));
        Self(Some(Rc::clone(haste)))
    }

    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(haste) = self.0.take() {
            haste.taken_back.set(haste.taken_back.get().saturating_add(1));
        }
    }
}

/// Gives each stream a task on this very thread, which ends when the client has let it wait for too long: also one
/// whose window stays shut. Waiting for the upstream is no fault of the client's, and has deadlines of its own.
#[derive(Clone)]
struct Streams(Rc<Downstream>);

impl<F: Future + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let downstream = Rc::clone(&self.0);
        let mut stream = Box::pin(stream);
        // The tunnel that a stream becomes is a task of its own, begun while the stream is polled: it is as patient.
        let mut span = downstream.stream_idle.get();
        let mut idle = Deadline::after(&downstream.worker.connection_deadlines, span);
        tokio::task::spawn_local(poll_fn(move |context: &mut Context<'_>| {
            downstream.stream_idle.set(span);
            downstream.upstream_wait.set(Duration::ZERO);
            let polled = stream.as_mut().poll(context);
            span = downstream.stream_idle.replace(downstream.listener.stream_idle_timeout);
            if polled.is_ready() || idle.poll(context).is_ready() {
                return Poll::Ready(());
            }
            idle.restart(span.max(downstream.upstream_wait.get()));
            Poll::Pending
        }));
    }
}
