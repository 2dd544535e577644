//! The journey of a request, top to bottom.
//!
//! 1. *Is it a request?* What could be read in two ways is refused, 400. Its path is made normal.
//! 2. *Decide.* Routing looks at it once and answers with a small `Copy` decision: variant, endpoint, deadlines.
//!    From here on no snapshot is held, so a reload can never change a request in the middle.
//! 3. *Count.* A [`Record`] starts; dropping it, wherever that happens, is the request's one outcome.
//! 4. *Pass it up.* One hop's fields out, ours in; a pooled connection if one works, else a new one. A request
//!    that was not sent, or is safe to send twice, is sent again if the pooled connection turns out to be dead. What
//!    fails for good may be tried elsewhere, and a canary's failure answered by stable: see `rescue`.
//! 5. *Pass it down.* The response streams; its body carries record and connection to the end.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode, Uri, Version, header};
use http_body::Body;
use hyper_util::rt::TokioIo;

use super::access_log::{End, Line, Route};
use super::body::{ResponseBody, Tail};
use super::connection::Downstream;
use super::deadline::Deadline;
use super::downstream_body::DownstreamBody;
use super::early::Gate;
use super::error::answer;
use super::exchange::{Exchanged, Outgoing, exchange};
use super::headers::Content;
use super::message::{Request, Response};
use super::mirror::Copy;
use super::policy::Active;
use super::record::Record;
use super::replay::Spare;
use super::request_id::request_id;
use super::total::Total;
use super::tunnel::{self, Tunnel};
use super::upload::{BodyState, RequestBody, UploadSetup};
use super::upstream_body::UpstreamBody;
use super::websocket::{self, Asked};
use super::worker::Worker;
use super::{clock, fault, forwarded, grpc, headers, no_endpoint, spans, target, tls, trace};
use crate::config::UpstreamProtocol;
use crate::metrics::load::Pressure;
use crate::metrics::shard::Refused;
use crate::routing::{Answer, Decided, Meant, View};

/// An upload that outlives the start of its answer may go on this long.
const UPLOAD_AFTER_ANSWER_MAX: Duration = Duration::from_secs(3_600);

pub(super) async fn handle(
    downstream: Rc<Downstream>,
    request: Request<DownstreamBody>,
) -> Response<ResponseBody> {
    let busy = downstream.begin_request(request.version());
    let content = Content::of(request.headers());
    let mut response = match downstream.worker.admission.pressure() {
        Pressure::Full => overloaded(&downstream),
        Pressure::None | Pressure::High => {
            // Here and below: where it is, not moved. What a request needs until it is answered is a few KiB.
            pin!(respond(&downstream, request, content)).await
        }
    };
    if content == Content::Grpc && response.body().is_our_own() {
        response = grpc::answer(response);
    }
    let last = downstream.worker.is_winding_down() || downstream.is_used_up();
    if last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response = closing(response);
    }
    if downstream.listener.via {
        forwarded::add_via(response.headers_mut(), Version::HTTP_11);
    }
    response.body_mut().hold(busy);
    response
}

fn overloaded(downstream: &Downstream) -> Response<ResponseBody> {
    downstream.worker.refuse_unread(downstream.peer.ip(), 503, Refused::Overload);
    let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, "too busy; try again soon");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

async fn respond(
    downstream: &Rc<Downstream>,
    mut request: Request<DownstreamBody>,
    content: Content,
) -> Response<ResponseBody> {
    let started = clock::now();
    let worker = &downstream.worker;
    if request.version() == Version::HTTP_2 {
        headers::join_cookies(request.headers_mut());
    }
    let websocket = websocket::asked(&mut request, || worker.random_bytes());
    let checked = fault::check(&request, &downstream.listener);
    let checked = checked.and_then(|()| Ok(target::make_normal(request.uri_mut())?));
    let span = span(downstream, &mut request);
    let view = view(downstream, &request);
    let mut line =
        (worker.access_log.is_some() || span.is_some()).then(|| Line::of(&request, view.client, span));
    let (mut policy, mut meant, mut copy) = (None, None, None);
    let refuse = |reason, line, response| refused(worker, started, reason, line, response);
    if let Err(fault) = checked {
        let response = answer(fault.status(), &fault.to_string());
        return refuse(Refused::BadRequest, line, closing(response));
    }
    if let Some(session) = &downstream.session
        && !session.may_ask(view.host)
    {
        let response = answer(StatusCode::MISDIRECTED_REQUEST, "this connection was opened to another host");
        return refuse(Refused::Misdirected, line, response);
    }
    let Decided { answer: answered, holds } = worker.decide(&view, |snapshot, answer, mirrored| {
        if let Some(line) = &mut line {
            line.route = Route::of(snapshot, answer);
        }
        policy = Active::of(snapshot, answer, &view);
        meant = Meant::of(snapshot, answer, &view);
        copy = mirrored.map(|mirrored| Copy::new(mirrored, line.as_deref(), snapshot));
    });
    let response = match answered {
        Answer::NoRoute => {
            let response = answer(StatusCode::NOT_FOUND, "no route matches this request");
            refuse(Refused::NoRoute, line, response)
        }
        Answer::Deny(_) => {
            refuse(Refused::Denied, line, answer(StatusCode::FORBIDDEN, "this route is closed"))
        }
        Answer::NoEndpoint(found) => no_endpoint::refuse(worker, &found, started, line),
        Answer::Forward(decision) => {
            let websocket = match websocket {
                Some(Asked { connect: Some(_), .. }) if !decision.websocket => {
                    let response = answer(StatusCode::FORBIDDEN, "this route passes no WebSocket on");
                    return changed(policy.as_deref(), refuse(Refused::Denied, line, response));
                }
                // One that came by `Upgrade` is a plain request as well, and goes on as such.
                websocket => websocket.filter(|_| decision.websocket),
            };
            let record = Record::start(worker, (decision, holds), (content, meant), started, line);
            let changes = Changes { policy: policy.as_deref_mut(), copy };
            pin!(forward(downstream, request, websocket, record, changes)).await
        }
        Answer::Redirect(_) => refuse(Refused::Redirected, line, redirect(policy.as_deref(), request.uri())),
    };
    changed(policy.as_deref(), response)
}

/// The answer as the route wants it, whoever gave it.
fn changed(policy: Option<&Active>, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    if let Some(policy) = policy {
        policy.change_response(response.headers_mut());
    }
    response
}

fn redirect(policy: Option<&Active>, uri: &Uri) -> Response<ResponseBody> {
    let Some((status, location)) = policy.and_then(|policy| policy.location(uri)) else {
        return answer(StatusCode::BAD_REQUEST, "a Host is needed");
    };
    let mut response = answer(status, "it is elsewhere");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// The request reached no variant, and ends here.
fn refused(
    worker: &Worker,
    started: Instant,
    reason: Refused,
    line: Option<Box<Line>>,
    response: Response<ResponseBody>,
) -> Response<ResponseBody> {
    worker.shard.refuse(reason);
    if let Some(mut line) = line {
        line.status = response.status().as_u16();
        line.bytes_down = response.body().own_len() as u64;
        line.total_us = clock::micros(started, clock::now());
        line.end = End::Refused(reason.label());
        worker.report(line);
    }
    response
}

/// `None`: nobody keeps one. What goes upstream hears of it, in `traceparent`.
fn span(downstream: &Downstream, request: &mut Request<DownstreamBody>) -> Option<spans::Context> {
    let worker = &downstream.worker;
    let spans = worker.spans.as_ref()?;
    let scheme = headers::scheme(downstream, request.headers());
    spans.begin(request.headers_mut(), scheme, || worker.random_u64())
}

fn view<'a>(downstream: &Downstream, request: &'a Request<DownstreamBody>) -> View<'a> {
    View {
        host: headers::host(request.uri(), request.headers()),
        path: request.uri().path(),
        query: request.uri().query(),
        method: request.method(),
        headers: request.headers(),
        client: forwarded::client(downstream, request.headers()),
        scheme: headers::scheme(downstream, request.headers()),
    }
}

/// What the route asks for beside forwarding.
struct Changes<'a> {
    policy: Option<&'a mut Active>,
    /// For somebody else.
    copy: Option<Box<Copy>>,
}

/// Whatever happens in here, the record knows when it is dropped.
async fn forward(
    downstream: &Rc<Downstream>,
    request: Request<DownstreamBody>,
    websocket: Option<Asked>,
    mut record: Box<Record>,
    mut changes: Changes<'_>,
) -> Response<ResponseBody> {
    let is_endless = websocket.is_some() || record.content().is_message_stream();
    let span = record.decision().timeouts.request.filter(|_| !is_endless);
    let mut total = Total::new(&downstream.worker.deadlines, span);
    changes.copy.take_if(|_| is_endless);
    let outgoing = prepare(downstream, request, websocket, &mut record, &mut changes);
    let uploads = outgoing.body_state.clone();
    let exchanged = {
        let exchange = pin!(exchange(downstream, outgoing, &mut record));
        total.bound(uploads.as_deref(), exchange).await
    };
    match exchanged {
        Ok(Exchanged { response, switched }) => {
            let content = record.head(&response);
            if let Some(copy) = changes.copy {
                copy.send(downstream, response.status());
            }
            match switched {
                Some(asked) => switch(downstream, response, asked, record),
                None => pass_down(downstream, response, Passing { record, content, uploads, total }),
            }
        }
        Err(error) => {
            tracing::debug!(error = %error, source = ?std::error::Error::source(&error), "own answer");
            record.answer(error.outcome(), error.status());
            let response = error.into_response();
            record.passed_down(response.body().own_len());
            response
        }
    }
}

fn prepare(
    downstream: &Rc<Downstream>,
    request: Request<DownstreamBody>,
    websocket: Option<Asked>,
    record: &mut Record,
    changes: &mut Changes<'_>,
) -> Outgoing {
    let worker = &downstream.worker;
    let (protocol, stream_timeout) = (record.decision().protocol, record.decision().timeouts.stream);
    let (mut parts, incoming) = request.into_parts();
    let hints = (parts.version == Version::HTTP_11).then(|| downstream.hints.clone());
    headers::prepare_request(&mut parts, downstream, || request_id(worker.random_u64(), worker.random_u64()));
    tls::put_identity(worker, downstream.session.as_ref(), &mut parts.headers);
    if downstream.listener.trace && trace::id_of(&parts.headers).is_none() {
        trace::begin(&mut parts.headers, || worker.random_u64());
    }
    record.identify(&parts.headers);
    if let Some(policy) = &mut changes.policy {
        policy.change_request(&mut parts);
    }
    if websocket.is_some() {
        websocket::put_upgrade(&mut parts.headers);
    }
    if !incoming.is_end_stream() && incoming.size_hint().exact().is_none() {
        // It was chunked and stays so.
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let gate = match protocol {
        UpstreamProtocol::Http1 => headers::expects_continue(&parts.headers).then(Gate::default),
        // We ask the client for its body as soon as the upstream wants it, which is what the field is for.
        UpstreamProtocol::Http2 => {
            parts.headers.remove(header::EXPECT);
            None
        }
    };
    let (body, body_state) = RequestBody::new(
        incoming,
        UploadSetup {
            timeout: match record.content().is_message_stream() {
                true => stream_timeout,
                false => downstream.listener.body_timeout,
            },
            deadlines: &worker.deadlines,
            gate: gate.clone(),
            count: record.uploaded(),
            downstream,
        },
    );
    let rescue = record.decision().fallback.map(|fallback| fallback.rescue);
    let rescue = rescue.filter(|rescue| rescue.methods.contains(&parts.method));
    let kept = rescue.map(|rescue| rescue.body_bytes_max);
    let (body, spare) = body.keep(kept.max(changes.copy.as_ref().map(|copy| copy.body_bytes_max())));
    let request = Request::from_parts(parts, body);
    if let Some(copy) = &mut changes.copy {
        copy.take(&request, &spare);
    }
    Outgoing { request, websocket, body_state, spare: Spare { body: spare, gate, hints } }
}

/// What goes on behind the head of the answer.
struct Passing {
    record: Box<Record>,
    /// Of the answer.
    content: Content,
    uploads: Option<Rc<Cell<BodyState>>>,
    total: Total,
}

/// The response on its way down, with everything that has to end when it ends.
fn pass_down(
    downstream: &Downstream,
    response: Response<UpstreamBody>,
    passing: Passing,
) -> Response<ResponseBody> {
    let Passing { record, content, uploads, mut total } = passing;
    let (mut parts, mut incoming) = response.into_parts();
    headers::prepare_response(&mut parts.headers);
    // Ours, whatever the upstream speaks. With its 1.0 an answer would end where the connection ends, and one that
    // broke off would look whole.
    parts.version = Version::HTTP_11;
    let timeouts = record.decision().timeouts;
    let span = if content.is_message_stream() {
        downstream.expect_rests(timeouts.stream);
        total.lift();
        timeouts.stream
    } else {
        timeouts.body
    };
    let uploading = uploads.filter(|state| state.get() != BodyState::Ended);
    if let UpstreamBody::Own(own) = &mut incoming
        && let Some(rest) = own.client.part()
    {
        // The answer came before the request was through. Both go on, each at its own pace.
        let bound = Deadline::after(&record.worker().connection_deadlines, UPLOAD_AFTER_ANSWER_MAX);
        tokio::task::spawn_local(bound.bound(rest));
    }
    let tail = Tail { record, upload: uploading, timeout: span, total };
    Response::from_parts(parts, ResponseBody::streaming(incoming, tail))
}

/// The upstream agreed to switch. Bytes move only once our yes is sent.
fn switch(
    downstream: &Rc<Downstream>,
    mut response: Response<UpstreamBody>,
    mut asked: Asked,
    record: Box<Record>,
) -> Response<ResponseBody> {
    downstream.expect_rests(record.decision().timeouts.stream);
    let upgrade = response.upgrade();
    let (mut parts, incoming) = response.into_parts();
    let upstream = tunnel::Upstream::of(incoming, upgrade);
    headers::prepare_response(&mut parts.headers);
    asked.write_agreed(&mut parts);
    let tunnel = Tunnel { upstream, record };
    match asked.connect.take() {
        None => downstream.become_tunnel(tunnel),
        Some(stream) => {
            let (worker, busy) = (Rc::clone(&downstream.worker), downstream.hold());
            tokio::task::spawn_local(async move {
                let _busy = busy;
                if let Ok(stream) = stream.await {
                    tunnel::run(&worker, TokioIo::new(stream), &[], tunnel).await;
                }
            });
        }
    }
    Response::from_parts(parts, ResponseBody::empty())
}

fn closing(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
