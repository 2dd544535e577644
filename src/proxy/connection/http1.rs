//! A connection that speaks HTTP/1: one request after another, rests between them, and what may come of the last.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::accept::Open;
use super::super::body::ResponseBody;
use super::super::clock;
use super::super::deadline::Deadline;
use super::super::downstream_body::DownstreamBody;
use super::super::error::answer;
use super::super::http1::{Answering, Asker, Outlet, RequestHead, Unread, Wire};
use super::super::message::{Request, Response};
use super::super::splice::Pipe;
use super::super::stream::Stream;
use super::super::tunnel;
use super::super::turn::after_the_others;
use super::super::worker::{DRAIN_IDLE, Worker};
use super::lobby::Guest;
use super::request;
use super::{Downstream, REQUEST_TIMEOUT, Stage};
use crate::metrics::shard::Refused;

/// A client that was refused may still be sending: that much is read and thrown away, so that the refusal is
/// not lost to a connection reset.
const LINGER_BYTES_MAX: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// How a stretch of requests ended.
enum Stretch {
    /// Nothing has come for a while, and nothing is under way.
    Rests(Stream),
    /// That was it.
    Over(End),
}

/// What is left of a connection whose last request is through.
struct End {
    stream: Stream,
    /// Read from it, and not used.
    unread: Bytes,
    /// Neither a deadline nor the end of the process cut it.
    orderly: bool,
}

/// `first` was read from it before.
pub(super) async fn serve(downstream: Rc<Downstream>, mut stream: Stream, mut first: BytesMut, open: Open) {
    // Stretches and the end in boxes, which are not there while the connection rests.
    let end = loop {
        match Box::pin(speak(&downstream, stream, first)).await {
            None => return,
            Some(Stretch::Over(end)) => break end,
            Some(Stretch::Rests(Stream::Plain(socket))) if downstream.worker.lobby.is_open() => {
                return go_to_rest(&downstream, socket, open);
            }
            Some(Stretch::Rests(resting)) if rest(&downstream, &resting).await => stream = resting,
            Some(Stretch::Rests(stream)) => break End { stream, unread: Bytes::new(), orderly: false },
        }
        first = BytesMut::new();
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
async fn speak(downstream: &Rc<Downstream>, stream: Stream, first: BytesMut) -> Option<Stretch> {
    let wire = Wire::new(stream, first);
    let orderly = {
        let mut requests = pin!(serve_requests(downstream, &wire));
        let mut draining = false;
        poll_fn(|context| {
            if downstream.worker.is_cut() || downstream.timed_out(context) {
                return Poll::Ready(false);
            }
            if downstream.worker.is_draining() && !std::mem::replace(&mut draining, true) {
                // An idle connection may have a request on its way: it is answered, with `Connection: close`.
                if downstream.stage.get() == Stage::Idle {
                    downstream.watch.borrow_mut().restart(DRAIN_IDLE);
                }
            }
            requests.as_mut().poll(context).map(|()| true)
        })
        .await
    };
    let may_rest = !orderly && !downstream.worker.is_draining() && downstream.may_rest();
    let (stream, unread) = wire.take()?;
    Some(if may_rest && unread.is_empty() {
        Stretch::Rests(stream)
    } else {
        Stretch::Over(End { stream, unread, orderly })
    })
}

/// Until one was the last: because either side says so, or the client has left.
async fn serve_requests(downstream: &Rc<Downstream>, wire: &Rc<Wire>) {
    let mut answering = Answering::new();
    loop {
        let head = match next_head(downstream, wire).await {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err(fault) => return refuse(downstream, wire, &mut answering, fault).await,
        };
        let (request, asker) = with_body(wire, head);
        // Where it is, not moved: it is large.
        let Some(response) = pin!(answer_to(downstream, wire, request)).await else { return };
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let goes_on = begin(downstream, wire, &mut answering, response, &asker);
        let sent = send(downstream, wire, &mut answering).await;
        if !sent || !goes_on || switches || downstream.worker.is_draining() {
            return;
        }
        if !poll_fn(|context| wire.poll_over(context)).await {
            return;
        }
    }
}

/// `None`: there is none; the client has left.
async fn next_head(downstream: &Downstream, wire: &Wire) -> Result<Option<RequestHead>, Unread> {
    poll_fn(|context| {
        let head = wire.poll_head(&downstream.listener.limits, &downstream.worker.stock, context);
        if downstream.stage.get() == Stage::Idle && !wire.is_empty() {
            downstream.enter(Stage::Head);
        }
        head
    })
    .await
}

fn with_body(wire: &Rc<Wire>, head: RequestHead) -> (Request<DownstreamBody>, Asker) {
    let body = wire.body(&head).map_or(DownstreamBody::Empty, DownstreamBody::Own);
    (head.request.map(|()| body), head.asker)
}

/// `None`: the client did not wait for it.
async fn answer_to(
    downstream: &Rc<Downstream>,
    wire: &Wire,
    request: Request<DownstreamBody>,
) -> Option<Response<ResponseBody>> {
    let mut answer = pin!(request::handle(Rc::clone(downstream), request));
    poll_fn(|context| {
        let answer = answer.as_mut().poll(context).map(Some);
        while let Some(hint) = downstream.hints.next() {
            wire.say_ahead(&hint);
        }
        if answer.is_ready() {
            return answer;
        }
        if wire.poll_ahead(context).is_err() {
            return Poll::Ready(None);
        }
        wire.poll_left(context).map(|()| None)
    })
    .await
}

/// False: the connection ends behind it.
fn begin(
    downstream: &Downstream,
    wire: &Wire,
    answering: &mut Answering<ResponseBody>,
    response: Response<ResponseBody>,
    asker: &Asker,
) -> bool {
    let Worker { stock, date, .. } = &*downstream.worker;
    answering.begin(wire, response, asker, stock, date.now().as_bytes())
}

/// False: it did not get through.
async fn send(downstream: &Downstream, wire: &Wire, answering: &mut Answering<ResponseBody>) -> bool {
    after_the_others().await;
    let mut exit = Exit { downstream, wire };
    poll_fn(|context| match answering.poll(&mut exit, context) {
        Poll::Ready(sent) => Poll::Ready(sent.is_ok()),
        Poll::Pending => wire.poll_left(context).map(|()| false),
    })
    .await
}

/// It never became a request of ours.
async fn refuse(
    downstream: &Downstream,
    wire: &Wire,
    answering: &mut Answering<ResponseBody>,
    fault: Unread,
) {
    downstream.worker.refuse_unread(downstream.peer.ip(), fault.status().as_u16(), Refused::BadRequest);
    let response = answer(fault.status(), &fault.to_string());
    begin(downstream, wire, answering, response, &Asker::unknown());
    send(downstream, wire, answering).await;
}

/// The way out to the client, which is watched: one that does not take what we send blocks it.
struct Exit<'a> {
    downstream: &'a Downstream,
    wire: &'a Wire,
}

impl Exit<'_> {
    fn watched<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let is_blocked = self.downstream.stage.get() == Stage::Blocked;
        match &written {
            Poll::Pending if !is_blocked => self.downstream.enter(Stage::Blocked),
            Poll::Ready(_) if is_blocked => self.downstream.enter(Stage::Busy),
            _ => {}
        }
        written
    }
}

impl Outlet for Exit<'_> {
    fn poll_write(&mut self, slices: &[IoSlice<'_>], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.watched(self.wire.poll_write(slices, context))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched(self.wire.poll_flush(context))
    }

    fn is_plain(&self) -> bool {
        self.wire.is_plain()
    }

    fn poll_drain(
        &mut self,
        pipe: &mut Pipe,
        most: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.watched(self.wire.poll_drain(pipe, most, context))
    }
}

/// Between two requests that are far apart nothing is held but the socket and what is known of the client: most
/// connections rest.
fn go_to_rest(downstream: &Downstream, socket: TcpStream, open: Open) {
    let span = downstream.begin_rest();
    // An error closes it, which an idle connection must expect.
    let Ok(socket) = socket.into_std() else { return };
    let _ = downstream.worker.lobby.rest(Guest {
        socket,
        listener: Rc::clone(&downstream.listener),
        addresses: downstream.addresses(),
        requests: downstream.requests.get(),
        until: clock::now() + span,
        open,
    });
}

/// The same in the task of the connection. False: nothing came in time.
async fn rest(downstream: &Downstream, stream: &Stream) -> bool {
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
        stream.socket().poll_read_ready(context).map(|_| true)
    })
    .await
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
