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
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::{Body, Incoming};

use super::body::{BodyState, RequestBody, ResponseBody, UploadSetup};
use super::connection::Downstream;
use super::deadline::Deadline;
use super::early::{self, Gate};
use super::error::{ProxyError, answer};
use super::exchange::{Outgoing, Upgrade, exchange};
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
