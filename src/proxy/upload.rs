//! The request's body in motion, on its way up. Nothing is collected.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::connection::{Busy, Downstream};
use super::deadline::{Deadline, Deadlines};
use super::downstream_body::{DownstreamBody, Spoiled};
use super::early::Gate;
use super::http1::Source;
use super::replay::{Keeper, Playback, SpareBody};
use super::splice::{Pipe, stand_in};
use super::{headers, tls};
use crate::metrics::Outcome;

/// An upstream that expects `100-continue` but never says it gets the body after this long.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// Pieces without a byte, one after another, that a client may send: they cost it nothing, and on HTTP/2 would go on to an
/// upstream connection that others share.
const EMPTY_PIECES_MAX: u32 = 100;

/// What became of a request body, seen from the journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyState {
    /// The next byte must come from the client.
    Waiting,
    /// A piece came since the journey last looked.
    Moving,
    /// It looked, and that piece is still being written to the upstream.
    Written,
    /// Passed on to the end: the upstream connection can be used again.
    Ended,
    /// The client went away.
    Left,
    Malformed,
    Stalled,
    /// It grew beyond `body_bytes_max`.
    TooLarge,
}

impl BodyState {
    /// How the request ends if the client spoiled it, whatever the upstream said to that.
    pub(super) fn spoiled(self) -> Option<Outcome> {
        match self {
            Self::Left => Some(Outcome::DownstreamGone),
            Self::Malformed | Self::Stalled | Self::TooLarge => Some(Outcome::DownstreamBad),
            Self::Waiting | Self::Moving | Self::Written | Self::Ended => None,
        }
    }

    fn of_error(error: &Spoiled) -> Self {
        if error.is_malformed() { Self::Malformed } else { Self::Left }
    }
}

/// How the stream of a body that broke off is reset, if it is one of HTTP/2. The other side's own code is not passed
/// through: it may be NO_ERROR or REFUSED_STREAM, and would tell that all is well, or that nothing has happened yet.
pub(super) fn broken() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// The request body, on its way to the upstream.
#[derive(Default)]
pub(super) enum RequestBody {
    #[default]
    Empty,
    Streaming(Box<Upload>),
    /// The same, and it could be sent again.
    Kept(Playback),
    /// A copy. `None` once it was given away, or where there is none.
    Whole(Option<Bytes>),
}

pub(super) struct Upload {
    incoming: DownstreamBody,
    state: Rc<Cell<BodyState>>,
    gate: Option<(Gate, Deadline)>,
    /// Bytes that may still come. A body of known length was weighed at the head.
    allowance: u64,
    timeout: Duration,
    stalled: Deadline,
    /// Bytes that the client sent, where somebody wants to know.
    count: Option<Rc<Cell<u64>>>,
    /// What pieces may go through, uncopied. The one that was given away last is in there, or nothing.
    pipe: Option<Box<Pipe>>,
    /// The next piece may.
    lets_pass: bool,
    /// The connection is not idle while an upload runs, even if its answer is through.
    busy: Busy,
}

/// What an upload needs to know of its connection.
pub(super) struct UploadSetup<'a> {
    /// Between two reads.
    pub(super) timeout: Duration,
    pub(super) deadlines: &'a Rc<Deadlines>,
    pub(super) gate: Option<Gate>,
    pub(super) count: Option<Rc<Cell<u64>>>,
    pub(super) downstream: &'a Rc<Downstream>,
}

impl RequestBody {
    /// The state can be watched; there is none of an empty body.
    pub(super) fn new(
        incoming: DownstreamBody,
        setup: UploadSetup<'_>,
    ) -> (Self, Option<Rc<Cell<BodyState>>>) {
        let UploadSetup { timeout, deadlines, gate, count, downstream } = setup;
        if incoming.is_end_stream() {
            return (Self::Empty, None);
        }
        let state = Rc::new(Cell::new(BodyState::Waiting));
        let gate = gate.map(|gate| (gate, Deadline::after(deadlines, CONTINUE_WAIT)));
        let stalled = Deadline::after(deadlines, timeout);
        let busy = downstream.hold();
        let allowance = downstream.listener.limits.body_bytes_max.unwrap_or(u64::MAX);
        let upload = Upload {
            incoming,
            state: Rc::clone(&state),
            gate,
            allowance,
            timeout,
            stalled,
            count,
            pipe: None,
            lets_pass: false,
            busy,
        };
        (Self::Streaming(Box::new(upload)), Some(state))
    }

    /// Has a copy kept of what goes up, up to so many bytes; `None`: none is wanted. A body that is known to be longer
    /// is not copied at all.
    pub(super) fn keep(self, bytes_max: Option<u32>) -> (Self, SpareBody) {
        match (self, bytes_max) {
            (Self::Streaming(upload), Some(max)) if upload.size_hint().lower() <= u64::from(max) => {
                let (keeper, playback) = Keeper::new(upload, max as usize);
                (Self::Kept(playback), SpareBody::Kept(keeper))
            }
            (Self::Empty, _) => (Self::Empty, SpareBody::Empty),
            (body, _) => (body, SpareBody::Gone),
        }
    }
}

impl Upload {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some((gate, wait)) = &mut self.gate {
            if !gate.is_open() && wait.poll(context).is_pending() {
                return Poll::Pending;
            }
            self.gate = None;
            self.stalled.restart(self.timeout);
        }
        let mut empty = 0;
        let polled = loop {
            match self.poll_piece(context) {
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(Bytes::is_empty) => empty += 1,
                polled => break polled,
            }
            if empty > EMPTY_PIECES_MAX {
                self.state.set(BodyState::Malformed);
                return Poll::Ready(Some(Err(broken())));
            }
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) if self.is_too_large(&frame) => {
                self.state.set(BodyState::TooLarge);
                Poll::Ready(Some(Err(io::ErrorKind::FileTooLarge.into())))
            }
            Poll::Ready(Some(Ok(mut frame))) => {
                self.stalled.restart(self.timeout);
                if let (Some(count), Some(data)) = (&self.count, frame.data_ref()) {
                    count.set(count.get() + data.len() as u64);
                }
                if let Some(trailers) = frame.trailers_mut() {
                    headers::strip_trailers(trailers);
                    tls::take_identity(self.busy.worker(), trailers);
                }
                // Nobody asks for anything behind trailers.
                let ended = frame.is_trailers() || self.incoming.is_end_stream();
                self.state.set(if ended { BodyState::Ended } else { BodyState::Moving });
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.state.set(BodyState::of_error(&error));
                Poll::Ready(Some(Err(broken())))
            }
            // hyper takes a reset without an error for the end; of HTTP/2 a real end is told by the stream.
            Poll::Ready(None) if self.busy.is_http2() && !self.incoming.is_end_stream() => {
                self.state.set(BodyState::Left);
                Poll::Ready(Some(Err(broken())))
            }
            Poll::Ready(None) => {
                self.state.set(BodyState::Ended);
                Poll::Ready(None)
            }
            Poll::Pending if self.stalled.poll(context).is_ready() => {
                self.state.set(BodyState::Stalled);
                Poll::Ready(Some(Err(broken())))
            }
            Poll::Pending => {
                self.state.set(BodyState::Waiting);
                Poll::Pending
            }
        }
    }
}

impl Upload {
    fn is_too_large(&mut self, frame: &Frame<Bytes>) -> bool {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.allowance.checked_sub(length) {
            Some(left) => self.allowance = left,
            None => return true,
        }
        false
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Spoiled>>> {
        if std::mem::take(&mut self.lets_pass) && self.incoming.may_splice() {
            if self.pipe.is_none() {
                self.pipe = self.busy.worker().pipe();
            }
            if let Some(pipe) = &mut self.pipe {
                let moved = self.incoming.poll_splice(pipe, context);
                return moved.map_ok(|length| Frame::data(stand_in(length))).map(Some);
            }
        }
        Pin::new(&mut self.incoming).poll_frame(context)
    }

    /// Nobody asks the client for more, so from here on nobody waits for it.
    pub(super) fn is_left_alone(&self) {
        if self.state.get() == BodyState::Waiting {
            self.state.set(BodyState::Moving);
        }
    }

    pub(super) fn set_state(&self, state: BodyState) {
        self.state.set(state);
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// The client's last byte was passed on.
    pub(super) fn has_ended(&self) -> bool {
        self.state.get() == BodyState::Ended
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.is_left_alone();
        if let Some(pipe) = self.pipe.take() {
            self.busy.worker().pipes.put_back(pipe);
        }
    }
}

impl Source for RequestBody {
    fn let_pass(&mut self) {
        if let Self::Streaming(upload) = self {
            upload.lets_pass = true;
        }
    }

    fn pipe(&mut self) -> Option<&mut Pipe> {
        match self {
            Self::Streaming(upload) => upload.pipe.as_deref_mut(),
            _ => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Streaming(upload) => upload.poll(context),
            Self::Kept(playback) => playback.poll(context),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(upload) => upload.is_end_stream(),
            Self::Kept(playback) => playback.is_end_stream(),
            Self::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming(upload) => upload.size_hint(),
            Self::Kept(playback) => playback.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
