//! The journey of a request, top to bottom.
//!
//! 1. *Is it a request?* What could be read in two ways is refused, 400.
//! 2. *Decide.* Routing looks at it once and answers with a small `Copy` decision: variant, endpoint, deadlines.
//!    From here on no snapshot is held, so a reload can never change a request in the middle.
//! 3. *Count.* A [`Record`] starts; dropping it, wherever that happens, is the request's one outcome.
//! 4. *Pass it up.* One hop's fields out, ours in; a pooled connection if one works, else a new one. A request
//!    that was not sent, or is safe to send twice, is sent again if the pooled connection turns out to be dead.
//! 5. *Pass it down.* The response streams; its body carries record and connection to the end.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use hyper::body::{Body, Incoming};

use super::body::{BodyState, RequestBody, ResponseBody, UploadSetup};
use super::connect::connect;
use super::connection::Downstream;
use super::deadline::Deadline;
use super::early::{self, Gate};
use super::error::{ProxyError, answer};
use super::pool::UpstreamConnection;
use super::record::Record;
use super::tunnel::Tunnel;
use super::{clock, headers};
use crate::metrics::shard::Refused;
use crate::routing::{Answer, Decision, View};

/// An upload that outlives the start of its answer may go on this long.
const UPLOAD_AFTER_ANSWER_MAX: Duration = Duration::from_secs(3_600);

pub(super) async fn handle(
    downstream: Rc<Downstream>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let busy = downstream.begin_request(request.version());
    let mut response = respond(&downstream, request).await;
    if downstream.worker.is_draining() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response = closing(response);
    }
    response.body_mut().hold(busy);
    Ok(response)
}

async fn respond(downstream: &Rc<Downstream>, request: Request<Incoming>) -> Response<ResponseBody> {
    let started = clock::now();
    let worker = &downstream.worker;
    let fault = headers::fault(request.method(), request.uri(), request.version(), request.headers());
    if let Some(fault) = fault {
        worker.shard.refuse(Refused::BadRequest);
        return closing(answer(StatusCode::BAD_REQUEST, fault));
    }
    match worker.decide(&view(downstream, &request)) {
        Answer::NoRoute => {
            worker.shard.refuse(Refused::NoRoute);
            answer(StatusCode::NOT_FOUND, "no route matches this request")
        }
        Answer::Deny => {
            worker.shard.refuse(Refused::Denied);
            answer(StatusCode::FORBIDDEN, "this route is closed")
        }
        Answer::Forward(decision) => {
            forward(downstream, request, Record::start(worker, decision, started)).await
        }
    }
}

fn view<'a>(downstream: &Downstream, request: &'a Request<Incoming>) -> View<'a> {
    View {
        host: headers::host(request.uri(), request.headers()),
        path: request.uri().path(),
        query: request.uri().query(),
        method: request.method(),
        headers: request.headers(),
        client: headers::client(downstream, request.headers()),
    }
}

/// Whatever happens in here, the record knows when it is dropped.
async fn forward(
    downstream: &Rc<Downstream>,
    request: Request<Incoming>,
    mut record: Record,
) -> Response<ResponseBody> {
    let outgoing = prepare(downstream, request, record.decision());
    let upgrade = outgoing.upgrade;
    let uploads = outgoing.body_state.clone();
    match exchange(downstream, outgoing, &record).await {
        Ok((response, connection)) => {
            record.head(response.status());
            match upgrade {
                Upgrade::Asked if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    switch(downstream, response, connection, record)
                }
                _ => pass_down(response, connection, record, uploads),
            }
        }
        Err(error) => {
            tracing::debug!(error = %error, source = ?std::error::Error::source(&error), "own answer");
            record.answer(error.outcome(), error.status());
            error.into_response()
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    No,
    /// To WebSocket, by the client, where the route allows it.
    Asked,
}

/// A request as the upstream will get it.
struct Outgoing {
    request: Request<RequestBody>,
    upgrade: Upgrade,
    /// `None`: there is no body.
    body_state: Option<Rc<Cell<BodyState>>>,
    /// `None`: an HTTP/1.0 client, which cannot be sent any.
    hints: Option<SyncSender<Box<[u8]>>>,
}

fn prepare(downstream: &Rc<Downstream>, request: Request<Incoming>, decision: &Decision) -> Outgoing {
    let worker = &downstream.worker;
    let (mut parts, incoming) = request.into_parts();
    let hints = (parts.version == Version::HTTP_11).then(|| downstream.hints.clone());
    let asks = decision.websocket && incoming.is_end_stream() && headers::asks_for_websocket(&parts);
    let upgrade = if asks { Upgrade::Asked } else { Upgrade::No };
    headers::prepare_request(&mut parts, downstream, || request_id(worker.random_u64(), worker.random_u64()));
    if upgrade == Upgrade::Asked {
        headers::put_websocket(&mut parts.headers);
    }
    if !incoming.is_end_stream() && incoming.size_hint().exact().is_none() {
        // It was chunked and stays so. Without the field hyper would take the body of a GET for none.
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let gate = headers::expects_continue(&parts.headers).then(Gate::default);
    let (body, body_state) = RequestBody::new(
        incoming,
        UploadSetup {
            timeout: downstream.listener.body_timeout,
            deadlines: &worker.deadlines,
            gate: gate.clone(),
            downstream,
        },
    );
    let mut request = Request::from_parts(parts, body);
    early::listen(&mut request, gate, hints.clone());
    Outgoing { request, upgrade, body_state, hints }
}

/// 32 hex digits.
fn request_id(high: u64, low: u64) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (index, byte) in text.iter_mut().enumerate() {
        let half = if index < 16 { high } else { low };
        *byte = DIGITS[(half >> (60 - 4 * (index % 16)) & 15) as usize];
    }
    HeaderValue::from_bytes(&text).expect("hex digits are valid in a header")
}

type Exchanged = (Response<Incoming>, UpstreamConnection);

/// Gets the response head. Tries a dead pooled connection's request again where that is safe; on a new
/// connection at most once.
async fn exchange(
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

/// The response on its way down, with everything that has to end when it ends.
fn pass_down(
    response: Response<Incoming>,
    mut connection: UpstreamConnection,
    record: Record,
    body_state: Option<Rc<Cell<BodyState>>>,
) -> Response<ResponseBody> {
    let (mut parts, incoming) = response.into_parts();
    headers::prepare_response(&mut parts.headers);
    // Ours, whatever the upstream speaks. With its 1.0 an answer would end where the connection ends, and one that
    // broke off would look whole.
    parts.version = Version::HTTP_11;
    let uploading = body_state.filter(|state| state.get() != BodyState::Ended);
    let connection = if uploading.is_some() {
        // The answer came before the request was through. Both go on, each at its own pace: the connection gets
        // a task of its own, so that a client which reads nothing until it has sent everything is not stuck.
        if let Some(driver) = connection.take_driver() {
            let bound = Deadline::after(&record.worker().connection_deadlines, UPLOAD_AFTER_ANSWER_MAX);
            tokio::task::spawn_local(bound.bound(driver));
        }
        None
    } else {
        Some(connection)
    };
    Response::from_parts(parts, ResponseBody::streaming(incoming, connection, record, uploading))
}

/// The upstream agreed to switch. Bytes move only once hyper has sent our 101.
fn switch(
    downstream: &Downstream,
    response: Response<Incoming>,
    upstream: UpstreamConnection,
    mut record: Record,
) -> Response<ResponseBody> {
    let (mut parts, _) = response.into_parts();
    if !headers::names_websocket(&parts.headers) {
        let error = ProxyError::UnaskedUpgrade;
        record.answer(error.outcome(), error.status());
        return error.into_response();
    }
    headers::prepare_response(&mut parts.headers);
    headers::put_websocket(&mut parts.headers);
    downstream.become_tunnel(Tunnel { upstream, record });
    Response::from_parts(parts, ResponseBody::empty())
}

fn closing(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
