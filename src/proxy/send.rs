//! One request on one connection: sent, and waited for until the head of its answer is here.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::uri::Scheme;
use http::{Method, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::task::unconstrained;

use super::connection::Downstream;
use super::deadline::Deadline;
use super::early;
use super::error::ProxyError;
use super::headers;
use super::pool::UpstreamConnection;
use super::recall::Recall;
use super::record::Record;
use super::upload::{BodyState, RequestBody};
use super::websocket;
use crate::routing::Decision;

/// Why there is no response head.
pub(super) enum Failed {
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
    /// The canary was closed meanwhile.
    Recalled,
}

impl Failed {
    /// A request body that broke off or stalled is the client's doing, whatever the upstream said to it.
    pub(super) fn into_error(self, body: Option<BodyState>) -> ProxyError {
        match (self, body) {
            (_, Some(BodyState::Left)) => ProxyError::RequestCut,
            (_, Some(BodyState::Malformed)) => ProxyError::RequestBody,
            (_, Some(BodyState::Stalled)) => ProxyError::RequestBodyTimeout,
            (_, Some(BodyState::TooLarge)) => ProxyError::RequestTooLarge,
            (Self::TimedOut, _) => ProxyError::ResponseTimeout,
            (Self::CallDeadline, _) => ProxyError::CallDeadline,
            (Self::Recalled, _) => ProxyError::Recalled,
            (Self::Flood, _) => ProxyError::Flood,
            (Self::Unsendable, _) => ProxyError::Unsendable,
            (Self::Unsent(_), _) => ProxyError::Reset(None),
            (Self::Broken(error), _) if error.is_parse() => ProxyError::Protocol(error),
            (Self::Broken(error), _) => ProxyError::Reset(Some(error)),
        }
    }
}

/// Sends on this connection and waits for the response head.
pub(super) async fn send(
    wait: Wait<'_>,
    connection: &mut UpstreamConnection,
    mut request: Box<Request<RequestBody>>,
    decision: &Decision,
) -> Result<Response<Incoming>, Failed> {
    match connection {
        UpstreamConnection::Own(own) => {
            let head = unwoken(own.sender.try_send_request(*request));
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
            let head = stream.sender().try_send_request(*request);
            let head = wait.head(head, |_| 0).await;
            // Perhaps nobody is there any more: nobody else is to wait for that.
            match &head {
                Ok(_) => stream.answered(),
                Err(Failed::CallDeadline | Failed::Recalled) => stream.unanswered(),
                Err(failed) if tells_of_connection(failed) => stream.retire(),
                Err(_) => {}
            }
            head
        }
    }
}

/// What only this very task brings about, by driving a connection right before it looks. A waker would have the task
/// polled once more, for what it knows already.
async fn unwoken<F: Future>(future: F) -> F::Output {
    // Without a waker nobody hears that the task has used up its turn.
    let mut future = pin!(unconstrained(future));
    poll_fn(|_| future.as_mut().poll(&mut Context::from_waker(Waker::noop()))).await
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

    /// `drive` moves the connection, and says how many informational answers came meanwhile.
    async fn head(
        mut self,
        head: impl Future<Output = Sent>,
        mut drive: impl FnMut(&mut Context<'_>) -> u32,
    ) -> Result<Response<Incoming>, Failed> {
        let mut head = pin!(head);
        let mut patience = Patience::new(self.record.verdict_timeout(), self.span);
        let mut deadline = Deadline::after(&self.downstream.worker.deadlines, patience.next());
        let mut answers_ahead = 0;
        poll_fn(|context| {
            answers_ahead += drive(context);
            if answers_ahead > early::ANSWERS_AHEAD_MAX {
                return Poll::Ready(Err(Failed::Flood));
            }
            if self.body_state.is_some_and(is_moving) {
                deadline.restart(patience.next());
            }
            match head.as_mut().poll(context) {
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                    Some(unsent) => Failed::Unsent(Box::new(unsent)),
                    None => Failed::Broken(error.into_error()),
                })),
                Poll::Pending
                    if deadline.poll(context).is_ready()
                        && !self.is_only_late(&mut patience, &mut deadline, context) =>
                {
                    Poll::Ready(Err(Failed::TimedOut))
                }
                Poll::Pending if self.recall.is_some_and(Recall::is_due_after_sending) => {
                    Poll::Ready(Err(Failed::Recalled))
                }
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

/// The connection ended before any answer: what a pooled connection does that the upstream had given up.
pub(super) fn is_closed_early(error: &hyper::Error) -> bool {
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
pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
    of_http2(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away() || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}
