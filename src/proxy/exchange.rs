//! From a request on its way up to the head of its answer: the connection, the sending, and the second try of a
//! request that a dead pooled connection swallowed.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::body::{BodyState, RequestBody};
use super::connect::{Freshness, obtain};
use super::connection::Downstream;
use super::deadline::Deadline;
use super::early;
use super::error::ProxyError;
use super::headers;
use super::pool::UpstreamConnection;
use super::record::Record;
use super::websocket::{self, Asked};
use crate::routing::Decision;

/// A request as the upstream will get it.
pub(super) struct Outgoing {
    pub(super) request: Request<RequestBody>,
    pub(super) websocket: Option<Asked>,
    /// `None`: there is no body.
    pub(super) body_state: Option<Rc<Cell<BodyState>>>,
    /// `None`: an HTTP/1.0 client, which cannot be sent any.
    pub(super) hints: Option<SyncSender<Box<[u8]>>>,
}

/// The answer's head, and what brings the rest.
pub(super) struct Exchanged {
    pub(super) response: Response<Incoming>,
    pub(super) connection: UpstreamConnection,
    /// The upstream agreed to become a WebSocket.
    pub(super) switched: Option<Asked>,
}

/// Gets the response head. Tries a dead pooled connection's request again where that is safe; on a new
/// connection at most once.
pub(super) async fn exchange(
    downstream: &Downstream,
    outgoing: Outgoing,
    record: &Record,
) -> Result<Exchanged, ProxyError> {
    let Outgoing { mut request, websocket, body_state, hints } = outgoing;
    let (worker, decision) = (&downstream.worker, record.decision());
    // What becomes a tunnel keeps its connection.
    let mut freshness = if websocket.is_some() { Freshness::New } else { Freshness::Any };
    loop {
        let mut connection = obtain(worker, decision, freshness, record.started()).await?;
        let copy = if connection.is_reused() { Replay::of(&request) } else { None };
        let sent = send(downstream, &mut connection, request, body_state.as_deref(), decision).await;
        let failed = match sent {
            Ok(response) => return checked(response, connection, websocket),
            Err(failed) => failed,
        };
        // Only a connection that was there can have been dead before we came; then a new one must do.
        freshness = Freshness::New;
        request = match (failed, copy) {
            (Failed::Unsent(unsent), _) if connection.is_reused() => *unsent,
            (Failed::Broken(error), Some(copy)) if is_closed_early(&error) => {
                copy.into_request(hints.clone())
            }
            (failed, _) => return Err(failed.into_error(body_state.as_deref().map(Cell::get))),
        };
    }
}

/// An answer that says what we asked for, or that switches to it.
fn checked(
    response: Response<Incoming>,
    connection: UpstreamConnection,
    websocket: Option<Asked>,
) -> Result<Exchanged, ProxyError> {
    if headers::has_foreign_coding(response.headers()) {
        return Err(ProxyError::ForeignCoding);
    }
    let switched = match (&connection, websocket) {
        (UpstreamConnection::Shared(_), Some(asked)) if response.status().is_success() => Some(asked),
        (UpstreamConnection::Own(_), Some(asked))
            if asked.is_agreed(response.status(), response.headers()) =>
        {
            Some(asked)
        }
        _ if response.status() == StatusCode::SWITCHING_PROTOCOLS => return Err(ProxyError::UnaskedUpgrade),
        _ => None,
    };
    Ok(Exchanged { response, connection, switched })
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
            (Self::Unsendable, _) => ProxyError::Unsendable,
            (Self::Unsent(_), _) => ProxyError::Reset(None),
            (Self::Broken(error), _) if error.is_parse() => ProxyError::Protocol(error),
            (Self::Broken(error), _) => ProxyError::Reset(Some(error)),
        }
    }
}

/// Sends on this connection and waits for the response head.
async fn send(
    downstream: &Downstream,
    connection: &mut UpstreamConnection,
    mut request: Request<RequestBody>,
    body_state: Option<&Cell<BodyState>>,
    decision: &Decision,
) -> Result<Response<Incoming>, Failed> {
    let wait = Wait { downstream, body_state, span: decision.timeouts.response };
    match connection {
        UpstreamConnection::Own(own) => {
            let head = own.sender.try_send_request(request);
            // The connection is polled in this very task.
            wait.head(head, |context| early::counting(|| own.drive(context))).await
        }
        UpstreamConnection::Shared(stream) => {
            let asks = request.headers().contains_key(header::UPGRADE);
            if !headers::write_for_http2(&mut request, Scheme::HTTP) {
                return Err(Failed::Unsendable);
            }
            if asks {
                if !stream.takes_connect(&downstream.worker.deadlines, decision.timeouts.connect).await {
                    return Err(Failed::Unsendable);
                }
                websocket::write_as_connect(&mut request);
            }
            let head = stream.sender().try_send_request(request);
            let head = wait.head(head, |_| 0).await;
            if matches!(head, Err(Failed::TimedOut)) {
                // Perhaps nobody is there any more: nobody else is to wait for that.
                stream.retire();
            }
            head
        }
    }
}

type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// How long to wait for a head.
struct Wait<'a> {
    downstream: &'a Downstream,
    body_state: Option<&'a Cell<BodyState>>,
    span: Duration,
}

impl Wait<'_> {
    /// `drive` moves the connection, and says how many informational answers came meanwhile.
    async fn head(
        self,
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
                Poll::Pending => deadline.poll(context).map(|()| Err(Failed::TimedOut)),
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
