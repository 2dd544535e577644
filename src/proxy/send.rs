//! One request on one connection: sent, and waited for until the head of its answer is here.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Scheme;
use http::{Method, Version, header};

use super::connection::Downstream;
use super::deadline::Deadline;
use super::early::Ahead;
use super::failure::{Broken, Failed};
use super::headers;
use super::message::{Request, Response};
use super::pool::{SharedStream, UpstreamConnection};
use super::recall::Recall;
use super::record::Record;
use super::upload::{BodyState, RequestBody};
use super::upstream_body::UpstreamBody;
use super::websocket;
use crate::routing::Decision;

/// Sends on this connection and waits for the response head. What carries the answer is in its body. Where it fails, the
/// head of the request is still there, if the connection is one of HTTP/1; and all of it where it was not sent.
pub(super) async fn send(
    wait: Wait<'_>,
    connection: UpstreamConnection,
    request: &mut Request<RequestBody>,
    (ahead, decision): (Ahead<'_>, &Decision),
) -> Result<Response<UpstreamBody>, Failed> {
    match connection {
        UpstreamConnection::Own(mut own) => {
            own.client.begin(request);
            let stock = &wait.downstream.worker.stock;
            let head = wait
                .head(|context| own.client.poll_head(&ahead, stock, context).map_err(Broken::Http1))
                .await;
            if let Err(Failed::Broken(broken)) = &head
                && broken.is_closed_early()
                && let Some(unsent) = own.client.take_unsent()
            {
                *request.body_mut() = unsent;
                return Err(Failed::Unsent);
            }
            head.map(|head| head.map(|()| UpstreamBody::Own(own)))
        }
        UpstreamConnection::Shared(stream) => send_on_shared(wait, stream, request, decision).await,
    }
}

async fn send_on_shared(
    wait: Wait<'_>,
    stream: SharedStream,
    request: &mut Request<RequestBody>,
    decision: &Decision,
) -> Result<Response<UpstreamBody>, Failed> {
    // Not if it comes back unsent from another connection.
    let is_written = request.version() == Version::HTTP_2;
    let asks = request.headers().contains_key(header::UPGRADE) || request.method() == Method::CONNECT;
    let scheme = if decision.endpoint.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    if !is_written && !headers::write_for_http2(request, scheme) {
        return Err(Failed::Unsendable);
    }
    if asks {
        if !stream.takes_connect(&wait.downstream.worker.deadlines, decision.timeouts.connect).await {
            return Err(Failed::Unsendable);
        }
        websocket::write_as_connect(request);
    }
    let message = std::mem::replace(request, Request::new(RequestBody::Empty));
    let mut sent = pin!(stream.sender().try_send_request(message.into()));
    let mut unsent = None;
    let head = wait.head(|context| {
        sent.as_mut().poll(context).map_err(|mut error| {
            unsent = error.take_message();
            Broken::Http2(error.into_error())
        })
    });
    let head = head.await;
    if let Some(unsent) = unsent {
        *request = unsent.into();
        return Err(Failed::Unsent);
    }
    // Perhaps nobody is there any more: nobody else is to wait for that.
    match &head {
        Ok(_) => stream.answered(),
        Err(Failed::CallDeadline | Failed::Recalled) => stream.unanswered(),
        Err(Failed::TimedOut) => stream.retire(),
        Err(Failed::Broken(broken)) if broken.tells_of_connection() => stream.retire(),
        Err(_) => {}
    }
    head.map(|head| Response::from(head).map(|incoming| UpstreamBody::Shared(incoming, stream)))
}

/// How long to wait for a head, and whom to tell on the way that it is late.
pub(super) struct Wait<'a> {
    pub(super) downstream: &'a Downstream,
    pub(super) record: &'a Record,
    pub(super) body_state: Option<&'a Cell<BodyState>>,
    pub(super) span: Duration,
    pub(super) call: Option<&'a mut Deadline>,
    /// `None`: this request, now that it is sent, cannot be called back.
    pub(super) recall: Option<&'a Recall<'a>>,
}

impl Wait<'_> {
    /// The deadline has passed, and it was the verdict's: told, and armed for the rest.
    fn is_only_late(&self, patience: &mut Patience, deadline: &mut Deadline, context: &Context<'_>) -> bool {
        let rest = patience.rest();
        if let Some(rest) = rest {
            self.record.late();
            deadline.restart(rest);
        }
        rest.is_some() && deadline.poll(context).is_pending()
    }

    async fn head<T>(
        mut self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Broken>>,
    ) -> Result<T, Failed> {
        let mut patience = Patience::new(self.record.verdict_timeout(), self.span);
        let mut deadline = Deadline::after(&self.downstream.worker.deadlines, patience.next());
        poll_fn(|context| {
            if let Poll::Ready(head) = poll(context) {
                return Poll::Ready(head.map_err(Failed::Broken));
            }
            if self.body_state.is_some_and(is_moving) {
                deadline.restart(patience.next());
            }
            if deadline.poll(context).is_ready() && !self.is_only_late(&mut patience, &mut deadline, context)
            {
                return Poll::Ready(Err(Failed::TimedOut));
            }
            if self.recall.is_some_and(Recall::is_due_after_sending) {
                return Poll::Ready(Err(Failed::Recalled));
            }
            self.downstream.await_upstream(self.span);
            let call = self.call.as_mut().map_or(Poll::Pending, |call| call.poll(context));
            call.map(|()| Err(Failed::CallDeadline))
        })
        .await
    }
}

/// What is left to wait for. One deadline serves both, armed for whichever comes next, so that an ordinary request pays
/// for one.
struct Patience {
    /// `None`: the request was late already, or will not be before its time is up, or nobody cares.
    verdict: Option<Duration>,
    response: Duration,
}

impl Patience {
    fn new(verdict: Option<Duration>, response: Duration) -> Self {
        Self { verdict: verdict.filter(|verdict| *verdict < response), response }
    }

    /// From the end of the request.
    fn next(&self) -> Duration {
        self.verdict.unwrap_or(self.response)
    }

    /// The deadline has passed: how much longer, if that was the verdict's.
    fn rest(&mut self) -> Option<Duration> {
        self.verdict.take().map(|verdict| self.response - verdict)
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
