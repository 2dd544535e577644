//! A connection that speaks HTTP/1: one request after another, rests between them, and what may come of the last.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::deadline::Deadline;
use super::super::stream::Stream;
use super::super::tunnel;
use super::super::worker::{BUFFER_BYTES_MAX, DRAIN_IDLE};
use super::request;
use super::{Downstream, REQUEST_TIMEOUT, Socket, Stage};
use crate::config::RequestLimits;
use crate::metrics::shard::Refused;

/// A client that was refused may still be sending: that much is read and thrown away, so that the refusal is
/// not lost to a connection reset.
const LINGER_BYTES_MAX: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// How a stretch of requests ended.
enum Stretch {
    /// Nothing has come for a while, and nothing is under way.
    Rests(Box<Socket>),
    /// That was it.
    Over(End),
}

/// What is left of a connection whose last request is through.
struct End {
    stream: Stream,
    /// Read from it, and not used.
    unread: Vec<u8>,
    /// Neither a deadline nor the end of the process cut it.
    orderly: bool,
}

pub(super) async fn serve(downstream: Rc<Downstream>, mut io: Box<Socket>) {
    // Stretches and the end in boxes, which are not there while the connection rests.
    let end = loop {
        match Box::pin(speak(&downstream, io)).await {
            Stretch::Over(end) => break end,
            Stretch::Rests(resting) if rest(&downstream, &resting).await => io = resting,
            Stretch::Rests(resting) => {
                let (stream, unread) = resting.into_parts(&[]);
                break End { stream, unread, orderly: false };
            }
        }
    };
    Box::pin(finish(&downstream, end)).await;
}

/// The last request may have made a tunnel of it.
async fn finish(downstream: &Downstream, End { stream, unread, orderly }: End) {
    let tunnel = downstream.tunnel.borrow_mut().take();
    match tunnel {
        Some(tunnel) if orderly => {
            tunnel::run(&downstream.worker, stream, &unread, tunnel).await;
        }
        _ => close(downstream, stream, orderly).await,
    }
}

/// One request after another, until the connection rests or ends.
async fn speak(downstream: &Rc<Downstream>, io: Box<Socket>) -> Stretch {
    let journey = Rc::clone(downstream);
    let service = service_fn(move |request| request::handle(Rc::clone(&journey), request));
    let mut connection = builder(&downstream.listener.limits).serve_connection(io, service);
    let mut draining = false;
    let orderly = poll_fn(|context| {
        if downstream.worker.is_cut() || downstream.timed_out(context) {
            return Poll::Ready(false);
        }
        if downstream.worker.is_draining() && !draining {
            draining = true;
            // An idle connection may have a request on its way: it is answered, with `Connection: close`.
            if downstream.stage.get() == Stage::Idle {
                downstream.watch.borrow_mut().restart(DRAIN_IDLE);
            } else {
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
        Pin::new(&mut connection).poll(context).map(|result| {
            if let Some(error) = result.err().filter(hyper::Error::is_parse) {
                // hyper has answered 400, 414 or 431; it never became a request of ours.
                let status = if error.is_parse_too_large() { 431 } else { 400 };
                downstream.worker.refuse_unread(downstream.peer.ip(), status, Refused::BadRequest);
            }
            true
        })
    })
    .await;
    let mut parts = connection.into_parts();
    if !orderly && !draining && !downstream.worker.is_cut() && downstream.may_rest() {
        parts.io.put_back(&parts.read_buf);
        return Stretch::Rests(parts.io);
    }
    let (stream, unread) = parts.io.into_parts(&parts.read_buf);
    Stretch::Over(End { stream, unread, orderly })
}

/// Between two requests that are far apart nothing is held but the socket: hyper's buffers and the state of a request are
/// 30 KiB, and most connections rest. False: nothing came in time.
async fn rest(downstream: &Downstream, io: &Socket) -> bool {
    let mut draining = false;
    downstream.begin_rest();
    poll_fn(|context| {
        if downstream.worker.is_draining() && !std::mem::replace(&mut draining, true) {
            downstream.watch.borrow_mut().restart(DRAIN_IDLE);
        }
        if downstream.worker.is_cut() || downstream.timed_out(context) {
            return Poll::Ready(false);
        }
        // An error is told by the read that follows.
        io.socket().poll_read_ready(context).map(|_| true)
    })
    .await
}

/// What hyper checks by itself: 431 for a head beyond either limit.
fn builder(limits: &RequestLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(BUFFER_BYTES_MAX.max(limits.header_bytes_max));
    if limits.headers_max != RequestLimits::default().headers_max {
        // The default is hyper's own, for which it needs no allocation.
        builder.max_headers(limits.headers_max);
    }
    builder
}

/// Ends the socket so that the client can tell a whole answer from a cut one.
async fn close(downstream: &Downstream, mut stream: Stream, orderly: bool) {
    let cut = !orderly && matches!(downstream.stage.get(), Stage::Busy | Stage::Blocked);
    if downstream.reset.get() || (cut && downstream.ends_by_close.get()) {
        return stream.reset();
    }
    if downstream.session.is_some() && (cut || downstream.broken_off.get()) {
        // TLS has an end of its own, `close_notify`, and is not said to have come to it.
        return;
    }
    let last = async {
        if !orderly {
            if downstream.stage.get() == Stage::Head {
                downstream.worker.refuse_unread(downstream.peer.ip(), 408, Refused::SlowHead);
                // A client that cannot be told is not told.
                let _ = stream.write_all(REQUEST_TIMEOUT).await;
            }
            return;
        }
        // A close with unread bytes is a reset, which can overtake our last answer: read on for a moment.
        if stream.shutdown().await.is_ok() {
            let mut rest = stream.take(LINGER_BYTES_MAX as u64);
            let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
        }
    };
    // Either it is through, or the time is: the socket ends both ways.
    let _ = Deadline::after(&downstream.worker.connection_deadlines, LINGER).bound(last).await;
}
