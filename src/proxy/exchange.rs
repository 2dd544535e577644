//! From a request on its way up to the head of its answer: the connection, the sending, and the second try of a
//! request that a dead pooled connection swallowed.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;

use super::body::{BodyState, RequestBody};
use super::connect::connect;
use super::connection::Downstream;
use super::deadline::Deadline;
use super::early;
use super::error::ProxyError;
use super::headers;
use super::pool::UpstreamConnection;
use super::record::Record;
use crate::routing::Decision;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Upgrade {
    No,
    /// To WebSocket, by the client, where the route allows it.
    Asked,
}

/// A request as the upstream will get it.
pub(super) struct Outgoing {
    pub(super) request: Request<RequestBody>,
    pub(super) upgrade: Upgrade,
    /// `None`: there is no body.
    pub(super) body_state: Option<Rc<Cell<BodyState>>>,
    /// `None`: an HTTP/1.0 client, which cannot be sent any.
    pub(super) hints: Option<SyncSender<Box<[u8]>>>,
}

pub(super) type Exchanged = (Response<Incoming>, UpstreamConnection);

/// Gets the response head. Tries a dead pooled connection's request again where that is safe; on a new
/// connection at most once.
pub(super) async fn exchange(
    downstream: &Downstream,
    outgoing: Outgoing,
    record: &Record,
) -> Result<Exchanged, ProxyError> {
    let Outgoing { mut request, upgrade, body_state, hints } = outgoing;
    let (worker, decision) = (&downstream.worker, record.decision());
    let mut pooled = upgrade == Upgrade::No;
    loop {
        let taken = if pooled {
            let take = |context: &mut Context<'_>| {
                worker.pools.take(decision.endpoint.id, record.started(), context)
            };
            poll_fn(|context| Poll::Ready(take(context))).await
        } else {
            None
        };
        let mut connection = match taken {
            Some(connection) => connection,
            None => connect(worker, decision).await?,
        };
        let copy = if connection.reused { Replay::of(&request) } else { None };
        let failed = match send(downstream, &mut connection, request, body_state.as_deref(), decision).await {
            Ok(response)
                if response.status() == StatusCode::SWITCHING_PROTOCOLS && upgrade == Upgrade::No =>
            {
                return Err(ProxyError::UnaskedUpgrade);
            }
            Ok(response) if headers::has_foreign_coding(response.headers()) => {
                return Err(ProxyError::ForeignCoding);
            }
            Ok(response) => return Ok((response, connection)),
            Err(failed) => failed,
        };
        // Only a pooled connection can have been dead before we came; then a new one must do.
        pooled = false;
        request = match (failed, copy) {
            (Failed::Unsent(unsent), _) if connection.reused => *unsent,
            (Failed::Broken(error), Some(copy)) if is_closed_early(&error) => {
                copy.into_request(hints.clone())
            }
            (failed, _) => return Err(failed.into_error(body_state.as_deref().map(Cell::get))),
        };
    }
}

/// Why there is no response head.
enum Failed {
    /// Nothing of the request was written.
    Unsent(Box<Request<RequestBody>>),
    Broken(hyper::Error),
    /// One informational answer after another.
    Flood,
    TimedOut,
}

impl Failed {
    /// A request body that broke off or stalled is the client's doing, whatever the upstream said to it.
    fn into_error(self, body: Option<BodyState>) -> ProxyError {
        match (self, body) {
            (_, Some(BodyState::Left)) => ProxyError::RequestCut,
            (_, Some(BodyState::Malformed)) => ProxyError::RequestBody,
            (_, Some(BodyState::Stalled)) => ProxyError::RequestBodyTimeout,
            (Self::TimedOut, _) => ProxyError::ResponseTimeout,
            (Self::Flood, _) => ProxyError::Flood,
            (Self::Unsent(_), _) => ProxyError::Reset(None),
            (Self::Broken(error), _) if error.is_parse() => ProxyError::Protocol(error),
            (Self::Broken(error), _) => ProxyError::Reset(Some(error)),
        }
    }
}

/// Sends on this connection and waits for the response head, polling the connection in this very task.
async fn send(
    downstream: &Downstream,
    connection: &mut UpstreamConnection,
    request: Request<RequestBody>,
    body_state: Option<&Cell<BodyState>>,
    decision: &Decision,
) -> Result<Response<Incoming>, Failed> {
    let mut head = pin!(connection.sender.try_send_request(request));
    let mut deadline = Deadline::after(&downstream.worker.deadlines, decision.timeouts.response);
    let mut answers_ahead = 0;
    let head = poll_fn(|context| {
        let informational = early::counting(|| connection.drive(context));
        answers_ahead += informational;
        if answers_ahead > early::ANSWERS_AHEAD_MAX {
            return Poll::Ready(Err(Failed::Flood));
        }
        if body_state.is_some_and(is_moving) {
            deadline.restart(decision.timeouts.response);
        }
        match head.as_mut().poll(context) {
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
            Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                Some(unsent) => Failed::Unsent(Box::new(unsent)),
                None => Failed::Broken(error.into_error()),
            })),
            Poll::Pending => deadline.poll(context).map(|()| Err(Failed::TimedOut)),
        }
    });
    head.await
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
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>()) && !error.is_user()
}

/// The head of a request that may be sent twice: idempotent (RFC 9110, 9.2.2) and without a body.
struct Replay {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Replay {
    fn of(request: &Request<RequestBody>) -> Option<Self> {
        (request.method().is_idempotent() && request.body().is_empty()).then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }

    fn into_request(self, hints: Option<SyncSender<Box<[u8]>>>) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::Empty);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        early::listen(&mut request, None, hints);
        request
    }
}
