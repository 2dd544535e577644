//! The response's body in motion, on its way down. Nothing is collected.
//!
//! The upstream connection has no task of its own. While the response body streams, whoever polls the body
//! polls the connection too, so a byte needs no hop between tasks (a prototype of this cost 7% less CPU per
//! request). What that asks of the code: the connection lives in the body, and goes back to the pool when
//! the body has ended.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::Busy;
use super::deadline::Deadline;
use super::headers;
use super::pool::UpstreamConnection;
use super::record::Record;
use super::total::Total;
use super::upload::{BodyState, broken};
use crate::metrics::Outcome;

/// The response body, on its way to the client.
pub(super) struct ResponseBody {
    kind: Kind,
    /// Dropped with the body: the downstream connection is idle again.
    busy: Option<Busy>,
}

enum Kind {
    Empty,
    Text(Option<Bytes>),
    Streaming(Download),
}

struct Download {
    incoming: Incoming,
    /// `None` once it went back to the pool.
    connection: Option<UpstreamConnection>,
    record: Box<Record>,
    /// Of the request body, where it still runs.
    upload: Option<Rc<Cell<BodyState>>>,
    timeout: Duration,
    stalled: Deadline,
    total: Total,
}

/// What a response body takes with it, to its end.
pub(super) struct Tail {
    pub(super) connection: UpstreamConnection,
    pub(super) record: Box<Record>,
    /// Of the request body, where it still runs.
    pub(super) upload: Option<Rc<Cell<BodyState>>>,
    /// Between two reads.
    pub(super) timeout: Duration,
    pub(super) total: Total,
}

impl ResponseBody {
    pub(super) fn empty() -> Self {
        Self { kind: Kind::Empty, busy: None }
    }

    pub(super) fn text(text: String) -> Self {
        Self { kind: Kind::Text(Some(Bytes::from(text))), busy: None }
    }

    pub(super) fn streaming(incoming: Incoming, tail: Tail) -> Self {
        let Tail { connection, record, upload, timeout, total } = tail;
        let connection = Some(connection);
        let stalled = Deadline::after(&record.worker().deadlines, timeout);
        let download = Download { incoming, connection, record, upload, timeout, stalled, total };
        // hyper never polls a body that is over from the start, so its end is noticed here.
        if download.incoming.is_end_stream() {
            download.end();
            return Self::empty();
        }
        Self { kind: Kind::Streaming(download), busy: None }
    }

    /// Of an answer that no upstream gave.
    pub(super) fn is_our_own(&self) -> bool {
        matches!(self.kind, Kind::Text(_))
    }

    pub(super) fn into_text(self) -> Bytes {
        match self.kind {
            Kind::Text(Some(text)) => text,
            _ => Bytes::new(),
        }
    }

    /// Bytes of an answer of our own.
    pub(super) fn own_len(&self) -> usize {
        if let Kind::Text(Some(text)) = &self.kind { text.len() } else { 0 }
    }

    pub(super) fn hold(&mut self, busy: Busy) {
        self.busy = Some(busy);
    }
}

impl Download {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = self.frame(context);
        if self.total.poll(context).is_ready() && !matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            return Poll::Ready(Some(Err(self.out_of_time(frame.is_pending()))));
        }
        match frame {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.stalled.restart(self.timeout);
                frame.trailers_mut().map(headers::strip_trailers);
                if let Some(trailers) = frame.trailers_ref() {
                    self.record.trailers(trailers);
                }
                self.record.passed_down(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, source = ?std::error::Error::source(&error), "the answer broke off");
                Poll::Ready(Some(Err(self.broken_off())))
            }
            // hyper takes a reset without an error for the end; of HTTP/2 a real end is told by the stream.
            Poll::Ready(None) if self.is_stream() && !self.incoming.is_end_stream() => {
                Poll::Ready(Some(Err(self.broken_off())))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if self.stalled.poll(context).is_ready() => {
                Poll::Ready(Some(Err(self.broken_off())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// First what is there already, then the connection, then again: the connection may have brought more.
    fn frame(&mut self, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let incoming = &mut self.incoming;
        let Some(UpstreamConnection::Own(connection)) = &mut self.connection else {
            return Pin::new(incoming).poll_frame(context);
        };
        if !connection.is_driven_here() {
            return Pin::new(incoming).poll_frame(context);
        }
        // Only driving brings more, and that wakes: see `unwoken` in `send`.
        let mut unwoken = Context::from_waker(Waker::noop());
        let mut frame = connection.hushed(|| Pin::new(&mut *incoming).poll_frame(&mut unwoken));
        if frame.is_pending() {
            connection.drive(context);
            frame = connection.hushed(|| Pin::new(incoming).poll_frame(&mut unwoken));
        }
        frame
    }

    /// Of HTTP/2.
    fn is_stream(&self) -> bool {
        matches!(self.connection, Some(UpstreamConnection::Shared(_)))
    }

    /// The whole took too long. Where there is more to pass on, it is not the upstream that is waited for.
    fn out_of_time(&mut self, waits_for_upstream: bool) -> io::Error {
        let error = self.broken_off();
        if !waits_for_upstream {
            self.record.broken_off(Outcome::DownstreamGone);
        }
        error
    }

    fn broken_off(&mut self) -> io::Error {
        let spoiled = self.upload.as_ref().and_then(|upload| upload.get().spoiled());
        self.record.broken_off(spoiled.unwrap_or(Outcome::Truncated));
        self.connection = None;
        broken()
    }

    /// The last byte went by: the request is over, the connection is free.
    fn end(mut self) {
        let now = self.record.complete();
        if let Some(UpstreamConnection::Own(connection)) = self.connection.take() {
            self.record.worker().pools.put_back(connection, now);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let download = match &mut this.kind {
            Kind::Empty => return Poll::Ready(None),
            Kind::Text(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Kind::Streaming(download) => download,
        };
        let frame = download.poll(context);
        // hyper does not poll again after trailers or the last byte of a known length, so the end is noticed here.
        let ended = match &frame {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || download.incoming.is_end_stream(),
            Poll::Ready(Some(Err(_))) => {
                if let Some(busy) = &this.busy {
                    busy.broken_off();
                }
                false
            }
            Poll::Pending => {
                if let Some(busy) = &this.busy {
                    busy.await_upstream(download.timeout);
                }
                false
            }
        };
        if ended && let Kind::Streaming(download) = std::mem::replace(&mut this.kind, Kind::Empty) {
            download.end();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty | Kind::Text(None) => true,
            Kind::Text(Some(_)) => false,
            Kind::Streaming(download) => download.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty | Kind::Text(None) => SizeHint::with_exact(0),
            Kind::Text(Some(text)) => SizeHint::with_exact(text.len() as u64),
            Kind::Streaming(download) => download.incoming.size_hint(),
        }
    }
}
