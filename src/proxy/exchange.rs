//! From a request on its way up to the head of its answer: the connection, the sending, the second try of a request
//! that a dead pooled connection swallowed, and the attempts elsewhere that [`rescue`] asks for.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::connect::{Freshness, obtain};
use super::connection::Downstream;
use super::deadline::Deadline;
use super::error::ProxyError;
use super::headers::Content;
use super::pool::UpstreamConnection;
use super::recall::Recall;
use super::record::Record;
use super::replay::{Head, Spare};
use super::rescue::{self, Next};
use super::send::{Failed, Wait, is_closed_early, is_unprocessed, send};
use super::upload::{BodyState, RequestBody};
use super::websocket::Asked;
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
    /// In a box: it is handed on more often than it is looked at.
    pub(super) request: Box<Request<RequestBody>>,
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
    if websocket.is_none()
        && let Some(fallback) = rescue::in_drill(record, &request, &spare)
    {
        record.rescue(Outcome::Drill, None, fallback);
        if record.decision().protocol == UpstreamProtocol::Http2 {
            spare.expects_nothing(&mut request);
        }
    }
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
            Attempt { result: Err(ProxyError::Overflow), again: Some(Again::Unsent(request)) }
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
        let answered = result.as_ref().ok().map(|(response, _)| response.status());
        // With its connection: nothing of this answer may be read by anybody.
        drop(result);
        request = match again {
            Again::Unsent(unsent) => unsent,
            Again::Sent(head) => Box::new(spare.request(head).ok_or(ProxyError::Reset(None))?),
        };
        match next {
            Next::Rescue(fallback) => record.rescue(outcome, answered, fallback),
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
async fn attempt(mut request: Box<Request<RequestBody>>, means: Means<'_>, record: &Record) -> Attempt {
    let Means { downstream, websocket, body_state, spare } = means;
    let (worker, decision) = (&downstream.worker, record.decision());
    // What becomes a tunnel keeps its connection.
    let mut freshness = if websocket.is_some() { Freshness::New } else { Freshness::Any };
    let mut call = call_deadline(worker, &request, record.content());
    let recall = Recall::of(worker, decision, spare);
    for _ in 0..TRIES_MAX {
        let recallable = recall.as_ref().filter(|_| request.version() != Version::HTTP_2);
        let mut connection = match connect(downstream, record, freshness, recallable).await {
            Ok(connection) => connection,
            Err(error) => {
                // One that was written for HTTP/2 before it came back can be read by nothing else.
                let unsent = (request.version() != Version::HTTP_2).then_some(Again::Unsent(request));
                return Attempt { result: Err(error), again: unsent };
            }
        };
        let reused = connection.is_reused();
        let copy = wants_copy(&request, &connection, spare, decision).then(|| Head::of(&request));
        let span = decision.timeouts.response;
        let recall = recall.as_ref().filter(|_| may_be_rescued(request.method(), decision));
        let wait = Wait { downstream, record, body_state, span, call: call.as_mut(), recall };
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
            (Failed::Unsent(unsent), _) if reused => unsent,
            (Failed::Broken(error), Some(copy)) if may_go_again(&error, &copy, reused, spare) => {
                match spare.request(copy) {
                    Some(request) => Box::new(request),
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

/// A connection to send on, unless the request is called back before there is one.
async fn connect(
    downstream: &Downstream,
    record: &Record,
    freshness: Freshness,
    recall: Option<&Recall<'_>>,
) -> Result<UpstreamConnection, ProxyError> {
    let mut connection = pin!(obtain(downstream, record.decision(), freshness, record.started()));
    poll_fn(|context| match connection.as_mut().poll(context) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        _ if recall.is_some_and(Recall::is_due) => Poll::Ready(Err(ProxyError::Recalled)),
        connection => connection,
    })
    .await
}

/// Of a gRPC call that has one.
fn call_deadline(worker: &Worker, request: &Request<RequestBody>, content: Content) -> Option<Deadline> {
    let span = if content == Content::Grpc { grpc::timeout(request.headers()) } else { None };
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
    let (method, is_idempotent) = (request.method(), request.method().is_idempotent());
    spare.is_whole() && (refusable || (resent && is_idempotent) || may_be_rescued(method, decision))
}

fn may_be_rescued(method: &Method, decision: &Decision) -> bool {
    decision.fallback.is_some_and(|fallback| fallback.rescue.methods.contains(method))
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
        // hyper gives the stream away for exactly this one.
        UpstreamConnection::Shared(_) => response.status() == StatusCode::OK,
        UpstreamConnection::Own(_) => asked.is_agreed(response.status(), response.headers()),
    }
}
