//! From a request on its way up to the head of its answer: the connection, the sending, the second try of a request
//! that a dead pooled connection swallowed, and the attempts elsewhere that [`rescue`] asks for.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::body::{BodyState, RequestBody};
use super::connect::{Freshness, obtain};
use super::connection::Downstream;
use super::deadline::Deadline;
use super::early;
use super::error::ProxyError;
use super::pool::UpstreamConnection;
use super::record::Record;
use super::replay::{Head, Spare};
use super::rescue::{self, Next};
use super::websocket::{self, Asked};
use super::worker::Worker;
use super::{grpc, headers};
use crate::config::UpstreamProtocol;
use crate::metrics::Outcome;
use crate::routing::Decision;

/// Pooled connections that may turn out to be dead, or full, for one request. An upstream that refuses every stream
/// must not keep us busy.
const TRIES_MAX: u32 = 4;

/// A request as the upstream will get it.
pub(super) struct Outgoing {
    pub(super) request: Request<RequestBody>,
    pub(super) websocket: Option<Asked>,
    /// `None`: there is no body.
    pub(super) body_state: Option<Rc<Cell<BodyState>>>,
    pub(super) spare: Spare,
}

/// The answer's head, and what brings the rest.
pub(super) struct Exchanged {
    pub(super) response: Response<Incoming>,
    pub(super) connection: UpstreamConnection,
    /// The upstream agreed to become a WebSocket.
    pub(super) switched: Option<Asked>,
}

/// What a failed attempt leaves to try again with.
pub(super) enum Again {
    /// Nothing of the request was written.
    Unsent(Box<Request<RequestBody>>),
    Sent(Head),
}

/// One attempt at one endpoint.
struct Attempt {
    result: Result<(Response<Incoming>, UpstreamConnection), ProxyError>,
    /// `None`: that was it.
    again: Option<Again>,
}

/// What an attempt needs beside the request.
#[derive(Clone, Copy)]
struct Means<'a> {
    downstream: &'a Downstream,
    websocket: Option<&'a Asked>,
    body_state: Option<&'a Cell<BodyState>>,
    spare: &'a Spare,
}

/// Gets the response head, from where the decision says, or from where [`rescue`] says next.
pub(super) async fn exchange(
    downstream: &Downstream,
    outgoing: Outgoing,
    record: &mut Record,
) -> Result<Exchanged, ProxyError> {
    let Outgoing { mut request, websocket, body_state, spare } = outgoing;
    let mut retries = 0;
    loop {
        let means = Means {
            downstream,
            websocket: websocket.as_ref(),
            body_state: body_state.as_deref(),
            spare: &spare,
        };
        let Attempt { result, again } = if record.sit() {
            attempt(request, means, record).await
        } else {
            Attempt { result: Err(ProxyError::Overflow), again: Some(Again::Unsent(Box::new(request))) }
        };
        let next = match (outcome_of(&result, record.decision()), &again) {
            (Some(outcome), Some(again)) => {
                rescue::next(record, outcome, again, &spare, retries).map(|next| (next, outcome))
            }
            _ => None,
        };
        let (Some((next, outcome)), Some(again)) = (next, again) else {
            let (response, connection) = result?;
            let switched = websocket.filter(|asked| agrees(&response, &connection, asked));
            return Ok(Exchanged { response, connection, switched });
        };
        // With its connection: nothing of this answer may be read by anybody.
        drop(result);
        request = match again {
            Again::Unsent(unsent) => *unsent,
            Again::Sent(head) => spare.request(head).ok_or(ProxyError::Reset(None))?,
        };
        match next {
            Next::Rescue(fallback) => record.rescue(outcome, fallback),
            Next::Retry(pause) => {
                retries += 1;
                record.retry(outcome);
                tokio::time::sleep(pause).await;
            }
        }
        if record.decision().protocol == UpstreamProtocol::Http2 {
            spare.expects_nothing(&mut request);
        }
    }
}

/// How the attempt failed; `None`: it did not.
fn outcome_of(
    result: &Result<(Response<Incoming>, UpstreamConnection), ProxyError>,
    decision: &Decision,
) -> Option<Outcome> {
    match result {
        Ok((response, _)) => {
            let fallback = decision.fallback?;
            fallback.rescue.statuses.contains(response.status()).then_some(Outcome::ServerError)
        }
        Err(error) => Some(error.outcome()),
    }
}

/// Sends to the endpoint that the decision names. A dead pooled connection's request is sent again where that is
/// safe, at most once on a new connection; that is nobody's failure, and is not counted.
async fn attempt(mut request: Request<RequestBody>, means: Means<'_>, record: &Record) -> Attempt {
    let Means { downstream, websocket, body_state, spare } = means;
    let (worker, decision) = (&downstream.worker, record.decision());
    // What becomes a tunnel keeps its connection.
    let mut freshness = if websocket.is_some() { Freshness::New } else { Freshness::Any };
    let mut call = call_deadline(worker, &request);
    for _ in 0..TRIES_MAX {
        let mut connection = match obtain(downstream, decision, freshness, record.started()).await {
            Ok(connection) => connection,
            Err(error) => {
                return Attempt { result: Err(error), again: Some(Again::Unsent(Box::new(request))) };
            }
        };
        let reused = connection.is_reused();
        let copy = wants_copy(&request, &connection, spare, decision).then(|| Head::of(&request));
        let span = decision.timeouts.response;
        let wait = Wait { downstream, body_state, span, call: call.as_mut() };
        let failed = match send(wait, &mut connection, request, decision).await {
            Ok(response) => {
                let result = checked(response, connection, websocket);
                return Attempt { result, again: copy.map(Again::Sent) };
            }
            Err(failed) => failed,
        };
        let shared = matches!(connection, UpstreamConnection::Shared(_));
        drop(connection);
        // Only a connection that was there can have been dead before we came; then a new one must do.
        freshness = Freshness::New;
        request = match (failed, copy) {
            (Failed::Unsent(unsent), _) if reused => *unsent,
            (Failed::Broken(error), Some(copy)) if may_go_again(&error, &copy, reused, spare) => {
                match spare.request(copy) {
                    Some(request) => request,
                    None => return Attempt { result: Err(ProxyError::Reset(Some(error))), again: None },
                }
            }
            // One that was written for HTTP/2 can be read by nothing else: its copy is as it was.
            (Failed::Unsent(unsent), None) if !shared && !is_spoiled(body_state) => {
                return Attempt { result: Err(ProxyError::Reset(None)), again: Some(Again::Unsent(unsent)) };
            }
            (failed, copy) => {
                let error = failed.into_error(body_state.map(Cell::get));
                return Attempt { result: Err(error), again: copy.map(Again::Sent) };
            }
        };
    }
    Attempt { result: Err(ProxyError::Reset(None)), again: None }
}

/// Of a gRPC call that has one.
fn call_deadline(worker: &Worker, request: &Request<RequestBody>) -> Option<Deadline> {
    let headers = request.headers();
    let span = if headers::is_grpc(headers) { grpc::timeout(headers) } else { None };
    span.map(|span| Deadline::after(&worker.deadlines, span))
}

fn is_spoiled(body_state: Option<&Cell<BodyState>>) -> bool {
    body_state.is_some_and(|state| state.get().spoiled().is_some())
}

/// A copy costs an allocation or two, so there is one only where somebody may come to use it. A pooled connection may
/// be dead; one of HTTP/2 may also say of a single request that it was not looked at.
fn wants_copy(
    request: &Request<RequestBody>,
    connection: &UpstreamConnection,
    spare: &Spare,
    decision: &Decision,
) -> bool {
    let refusable = matches!(connection, UpstreamConnection::Shared(_));
    let resent = connection.is_reused() || decision.retry.is_some_and(|retry| retry.on.reset);
    let rescued = |method| decision.fallback.is_some_and(|fallback| fallback.rescue.methods.contains(method));
    let (method, is_idempotent) = (request.method(), request.method().is_idempotent());
    spare.is_whole() && (refusable || (resent && is_idempotent) || rescued(method))
}

/// What was not looked at may be sent again, whatever it is. Else it must be idempotent (RFC 9110, 9.2.2), and the
/// connection one that may have been dead before we came.
fn may_go_again(error: &hyper::Error, copy: &Head, reused: bool, spare: &Spare) -> bool {
    spare.is_whole()
        && (is_unprocessed(error) || reused && copy.method.is_idempotent() && is_closed_early(error))
}

/// An answer that says what we asked for, or that switches to it.
fn checked(
    response: Response<Incoming>,
    connection: UpstreamConnection,
    websocket: Option<&Asked>,
) -> Result<(Response<Incoming>, UpstreamConnection), ProxyError> {
    if headers::has_foreign_coding(response.headers()) {
        return Err(ProxyError::ForeignCoding);
    }
    if headers::has_odd_length(&response) {
        return Err(ProxyError::Framing);
    }
    let agreed = websocket.is_some_and(|asked| agrees(&response, &connection, asked));
    if response.status() == StatusCode::SWITCHING_PROTOCOLS && !agreed {
        return Err(ProxyError::UnaskedUpgrade);
    }
    Ok((response, connection))
}

fn agrees(response: &Response<Incoming>, connection: &UpstreamConnection, asked: &Asked) -> bool {
    match connection {
        UpstreamConnection::Shared(_) => response.status().is_success(),
        UpstreamConnection::Own(_) => asked.is_agreed(response.status(), response.headers()),
    }
}

/// Why there is no response head.
enum Failed {
    /// Nothing of the request was written.
    Unsent(Box<Request<RequestBody>>),
    Broken(hyper::Error),
    /// The upstream's protocol has no words for it.
    Unsendable,
    /// One informational answer after another.
    Flood,
    TimedOut,
    /// The client's own deadline came first.
    CallDeadline,
}

impl Failed {
    /// A request body that broke off or stalled is the client's doing, whatever the upstream said to it.
    fn into_error(self, body: Option<BodyState>) -> ProxyError {
        match (self, body) {
            (_, Some(BodyState::Left)) => ProxyError::RequestCut,
            (_, Some(BodyState::Malformed)) => ProxyError::RequestBody,
            (_, Some(BodyState::Stalled)) => ProxyError::RequestBodyTimeout,
            (_, Some(BodyState::TooLarge)) => ProxyError::RequestTooLarge,
            (Self::TimedOut, _) => ProxyError::ResponseTimeout,
            (Self::CallDeadline, _) => ProxyError::CallDeadline,
            (Self::Flood, _) => ProxyError::Flood,
            (Self::Unsendable, _) => ProxyError::Unsendable,
            (Self::Unsent(_), _) => ProxyError::Reset(None),
            (Self::Broken(error), _) if error.is_parse() => ProxyError::Protocol(error),
            (Self::Broken(error), _) => ProxyError::Reset(Some(error)),
        }
    }
}

/// Sends on this connection and waits for the response head.
async fn send(
    wait: Wait<'_>,
    connection: &mut UpstreamConnection,
    mut request: Request<RequestBody>,
    decision: &Decision,
) -> Result<Response<Incoming>, Failed> {
    match connection {
        UpstreamConnection::Own(own) => {
            let head = own.sender.try_send_request(request);
            // The connection is polled in this very task.
            wait.head(head, |context| early::counting(|| own.drive(context))).await
        }
        UpstreamConnection::Shared(stream) => {
            // Not if it comes back unsent from another connection.
            let is_written = request.version() == Version::HTTP_2;
            let asks = request.headers().contains_key(header::UPGRADE) || request.method() == Method::CONNECT;
            let scheme = if decision.endpoint.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
            if !is_written && !headers::write_for_http2(&mut request, scheme) {
                return Err(Failed::Unsendable);
            }
            if asks {
                if !stream.takes_connect(&wait.downstream.worker.deadlines, decision.timeouts.connect).await {
                    return Err(Failed::Unsendable);
                }
                websocket::write_as_connect(&mut request);
            }
            let head = stream.sender().try_send_request(request);
            let head = wait.head(head, |_| 0).await;
            if head.as_ref().is_err_and(tells_of_connection) {
                // Perhaps nobody is there any more: nobody else is to wait for that.
                stream.retire();
            }
            head
        }
    }
}

/// More than this one request failed.
fn tells_of_connection(failed: &Failed) -> bool {
    match failed {
        Failed::TimedOut => true,
        Failed::Broken(error) => of_http2(error).is_none_or(|error| !error.is_reset()),
        _ => false,
    }
}

type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// How long to wait for a head.
struct Wait<'a> {
    downstream: &'a Downstream,
    body_state: Option<&'a Cell<BodyState>>,
    span: Duration,
    call: Option<&'a mut Deadline>,
}

impl Wait<'_> {
    /// `drive` moves the connection, and says how many informational answers came meanwhile.
    async fn head(
        mut self,
        head: impl Future<Output = Sent>,
        mut drive: impl FnMut(&mut Context<'_>) -> u32,
    ) -> Result<Response<Incoming>, Failed> {
        let mut head = pin!(head);
        let mut deadline = Deadline::after(&self.downstream.worker.deadlines, self.span);
        let mut answers_ahead = 0;
        poll_fn(|context| {
            answers_ahead += drive(context);
            if answers_ahead > early::ANSWERS_AHEAD_MAX {
                return Poll::Ready(Err(Failed::Flood));
            }
            if self.body_state.is_some_and(is_moving) {
                deadline.restart(self.span);
            }
            match head.as_mut().poll(context) {
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                    Some(unsent) => Failed::Unsent(Box::new(unsent)),
                    None => Failed::Broken(error.into_error()),
                })),
                Poll::Pending if deadline.poll(context).is_ready() => Poll::Ready(Err(Failed::TimedOut)),
                Poll::Pending => {
                    self.downstream.await_upstream(self.span);
                    let call = self.call.as_mut().map_or(Poll::Pending, |call| call.poll(context));
                    call.map(|()| Err(Failed::CallDeadline))
                }
            }
        })
        .await
    }
}

/// While the client owes us bytes, or the upstream takes those that came, the upstream is not late: its time runs
/// from the end of the request. The body has a deadline of its own.
fn is_moving(state: &Cell<BodyState>) -> bool {
    match state.get() {
        BodyState::Waiting => true,
        BodyState::Moving => {
            // Until the next piece is asked for: an upstream that reads no more is late.
            state.set(BodyState::Written);
            true
        }
        _ => false,
    }
}

/// The connection ended before any answer: what a pooled connection does that the upstream had given up.
fn is_closed_early(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || is_io(error)
}

fn is_io(error: &hyper::Error) -> bool {
    let plain = std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
    (plain || of_http2(error).is_some_and(h2::Error::is_io)) && !error.is_user()
}

fn of_http2(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// The upstream says that it has not looked at the request: REFUSED_STREAM, or a GOAWAY that ends below its stream
/// (RFC 9113, 8.7).
fn is_unprocessed(error: &hyper::Error) -> bool {
    of_http2(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away() || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}
