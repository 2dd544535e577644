//! From a request on its way up to the head of its answer: the connection, the sending, the second try of a request
//! that a dead pooled connection swallowed, and the attempts elsewhere that [`rescue`] asks for.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::{Method, StatusCode, Version};

use super::connect::{Freshness, obtain};
use super::connection::Downstream;
use super::deadline::Deadline;
use super::early::Ahead;
use super::error::ProxyError;
use super::failure::{Broken, Failed};
use super::headers::Content;
use super::message::{Request, Response};
use super::pool::UpstreamConnection;
use super::recall::Recall;
use super::record::Record;
use super::replay::{Head, Spare};
use super::rescue::{self, Next};
use super::send::{Wait, send};
use super::turn::after_the_others;
use super::upload::{BodyState, RequestBody};
use super::upstream_body::UpstreamBody;
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
    pub(super) request: Request<RequestBody>,
    pub(super) websocket: Option<Asked>,
    /// `None`: there is no body.
    pub(super) body_state: Option<Rc<Cell<BodyState>>>,
    pub(super) spare: Spare,
}

pub(super) struct Exchanged {
    pub(super) response: Response<UpstreamBody>,
    /// The upstream agreed to become a WebSocket.
    pub(super) switched: Option<Asked>,
}

/// What a failed attempt leaves to try again with.
pub(super) enum Again {
    /// Nothing of the request was written.
    Unsent(Request<RequestBody>),
    Sent(Head),
}

/// One attempt at one endpoint.
struct Attempt {
    result: Result<Response<UpstreamBody>, ProxyError>,
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
            // Where it is, not moved: it is large.
            pin!(attempt(request, means, record)).await
        } else {
            Attempt { result: Err(ProxyError::Overflow), again: Some(Again::Unsent(request)) }
        };
        let next = match (outcome_of(&result, record.decision()), &again) {
            (Some(outcome), Some(again)) => {
                rescue::next(record, outcome, again, &spare, retries).map(|next| (next, outcome))
            }
            _ => None,
        };
        let (next, outcome, again) = match (next, again) {
            (Some((next, outcome)), Some(again)) => (next, outcome, again),
            (_, again) => {
                if let Some(Again::Sent(head)) = again {
                    downstream.worker.stock.keep_request(head.into_parts());
                }
                let response = result?;
                let switched = websocket.filter(|asked| agrees(&response, asked));
                return Ok(Exchanged { response, switched });
            }
        };
        let answered = result.as_ref().ok().map(Response::status);
        // With its connection: nothing of this answer may be read by anybody.
        drop(result);
        request = match again {
            Again::Unsent(unsent) => unsent,
            Again::Sent(head) => spare.request(head).ok_or(ProxyError::Reset(None))?,
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
fn outcome_of(result: &Result<Response<UpstreamBody>, ProxyError>, decision: &Decision) -> Option<Outcome> {
    match result {
        Ok(response) => {
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
    let mut call = call_deadline(worker, &request, record.content());
    let recall = Recall::of(worker, decision, spare);
    // Before the connection is looked at: what was good then may be dead later.
    after_the_others().await;
    for _ in 0..TRIES_MAX {
        let recallable = recall.as_ref().filter(|_| request.version() != Version::HTTP_2);
        let connection = match pin!(connect(downstream, record, freshness, recallable)).await {
            Ok(connection) => connection,
            Err(error) => {
                // One that was written for HTTP/2 before it came back can be read by nothing else.
                let unsent = (request.version() != Version::HTTP_2).then_some(Again::Unsent(request));
                return Attempt { result: Err(error), again: unsent };
            }
        };
        let reused = connection.is_reused();
        // HTTP/2 takes the request away and may say of a single one that it was not looked at. HTTP/1 leaves its head.
        let shared = matches!(connection, UpstreamConnection::Shared(_));
        let copy = (shared && spare.is_whole()).then(|| Head::of(&request));
        let span = decision.timeouts.response;
        let recall = recall.as_ref().filter(|_| may_be_rescued(request.method(), decision));
        let wait = Wait { downstream, record, body_state, span, call: call.as_mut(), recall };
        let sent = pin!(send(wait, connection, &mut request, (Ahead::of(spare, decision), decision))).await;
        let failed = match sent {
            Ok(response) => {
                let head = if shared { copy } else { Some(Head::left(request)) };
                return Attempt { result: checked(response, websocket), again: head.map(Again::Sent) };
            }
            Err(failed) => failed,
        };
        // Only a connection that was there can have been dead before we came; then a new one must do.
        freshness = Freshness::New;
        if matches!(failed, Failed::Unsent) {
            if reused {
                continue;
            }
            // One that was written for HTTP/2 can be read by nothing else: its copy is as it was.
            let again = match copy {
                Some(copy) => Some(Again::Sent(copy)),
                None => (!shared && !is_spoiled(body_state)).then_some(Again::Unsent(request)),
            };
            return Attempt { result: Err(failed.into_error(body_state.map(Cell::get))), again };
        }
        let head = if shared { copy } else { Some(Head::left(request)) };
        request = match (failed, head) {
            (Failed::Broken(broken), Some(head)) if may_go_again(&broken, &head, reused, spare) => {
                match spare.request(head) {
                    Some(request) => request,
                    None => return Attempt { result: Err(ProxyError::Reset(Some(broken))), again: None },
                }
            }
            (failed, head) => {
                let error = failed.into_error(body_state.map(Cell::get));
                return Attempt { result: Err(error), again: head.map(Again::Sent) };
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

fn may_be_rescued(method: &Method, decision: &Decision) -> bool {
    decision.fallback.is_some_and(|fallback| fallback.rescue.methods.contains(method))
}

/// What was not looked at may be sent again, whatever it is. Else it must be idempotent (RFC 9110, 9.2.2), and the
/// connection one that may have been dead before we came.
fn may_go_again(broken: &Broken, head: &Head, reused: bool, spare: &Spare) -> bool {
    spare.is_whole()
        && (broken.is_unprocessed() || reused && head.method().is_idempotent() && broken.is_closed_early())
}

/// An answer that says what we asked for, or that switches to it.
fn checked(
    response: Response<UpstreamBody>,
    websocket: Option<&Asked>,
) -> Result<Response<UpstreamBody>, ProxyError> {
    // Of HTTP/1 the reader has looked.
    if response.body().is_shared() && headers::has_odd_length(&response) {
        return Err(ProxyError::Framing);
    }
    let agreed = websocket.is_some_and(|asked| agrees(&response, asked));
    if response.status() == StatusCode::SWITCHING_PROTOCOLS && !agreed {
        return Err(ProxyError::UnaskedUpgrade);
    }
    Ok(response)
}

fn agrees(response: &Response<UpstreamBody>, asked: &Asked) -> bool {
    match response.body() {
        // hyper gives the stream away for exactly this one.
        UpstreamBody::Shared(..) => response.status() == StatusCode::OK,
        UpstreamBody::Own(_) => asked.is_agreed(response.status(), response.headers()),
    }
}
