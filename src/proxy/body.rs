//! The response's body in motion, on its way down. Nothing is collected.
//!
//! The upstream connection has no task of its own. While the response body streams, whoever polls the body
//! polls the connection too, so a byte needs no hop between tasks (a prototype of this cost 7% less CPU per
//! request). What that asks of the code: the connection lives in the body ([`UpstreamBody`]), and goes back to
//! the pool when the body has ended.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::connection::Busy;
use super::deadline::Deadline;
use super::failure::Broken;
use super::headers;
use super::http1::Source;
use super::record::Record;
use super::splice::{Pipe, stand_in};
use super::total::Total;
use super::upload::{BodyState, broken};
use super::upstream_body::UpstreamBody;
use crate::metrics::Outcome;

/// The response body, on its way to the client.
pub(super) struct ResponseBody {
    kind: Kind,
    /// Dropped with the body: the downstream connection is idle again.
    busy: Option<Busy>,
    /// What pieces may go through, uncopied. The one that was given away last is in there, or nothing.
    pipe: Option<Box<Pipe>>,
    /// The next piece may.
    lets_pass: bool,
}

enum Kind {
    Empty,
    Text(Option<Bytes>),
    /// In a box, so that whoever hands the body on does not move all of it.
    Streaming(Box<Download>),
}

struct Download {
    /// `None` once it broke off: nothing more of it may be read by anybody.
    incoming: Option<UpstreamBody>,
    record: Box<Record>,
    /// Of the request body, where it still runs.
    upload: Option<Rc<Cell<BodyState>>>,
    timeout: Duration,
    stalled: Deadline,
    total: Total,
}

/// What a response body takes with it, to its end.
pub(super) struct Tail {
    pub(super) record: Box<Record>,
    /// Of the request body, where it still runs.
    pub(super) upload: Option<Rc<Cell<BodyState>>>,
    /// Between two reads.
    pub(super) timeout: Duration,
    pub(super) total: Total,
}

impl ResponseBody {
    pub(super) fn empty() -> Self {
        Self::of(Kind::Empty)
    }

    pub(super) fn text(text: String) -> Self {
        Self::of(Kind::Text(Some(Bytes::from(text))))
    }

    pub(super) fn streaming(incoming: UpstreamBody, tail: Tail) -> Self {
        let Tail { record, upload, timeout, total } = tail;
        let stalled = Deadline::after(&record.worker().deadlines, timeout);
        let incoming = Some(incoming);
        let mut download = Box::new(Download { incoming, record, upload, timeout, stalled, total });
        // Nobody polls a body that is over from the start, so its end is noticed here.
        if download.is_end_stream() {
            download.end();
            return Self::empty();
        }
        Self::of(Kind::Streaming(download))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, busy: None, pipe: None, lets_pass: false }
    }

    /// Of an answer that no upstream gave.
    pub(super) fn is_our_own(&self) -> bool {
        matches!(self.kind, Kind::Text(_))
    }

    pub(super) fn into_text(mut self) -> Bytes {
        match &mut self.kind {
            Kind::Text(text) => text.take().unwrap_or_default(),
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
    fn poll(
        &mut self,
        pipe: Option<&mut Option<Box<Pipe>>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = match (pipe, incoming) {
            (Some(pipe), UpstreamBody::Own(own)) if own.client.may_splice() => {
                if pipe.is_none() {
                    *pipe = self.record.worker().pipe();
                }
                match pipe {
                    Some(pipe) => {
                        let moved = own.client.poll_splice(pipe, context).map_err(Broken::Http1);
                        moved.map_ok(|length| Frame::data(stand_in(length))).map(Some)
                    }
                    None => own.client.poll_frame(context).map_err(Broken::Http1),
                }
            }
            (_, incoming) => Pin::new(incoming).poll_frame(context),
        };
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
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if self.stalled.poll(context).is_ready() => {
                Poll::Ready(Some(Err(self.broken_off())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_some_and(Body::is_end_stream)
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
        self.incoming = None;
        broken()
    }

    /// The last byte went by: the request is over, the connection is free.
    fn end(&mut self) {
        let now = self.record.complete();
        if let Some(UpstreamBody::Own(connection)) = self.incoming.take() {
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
        let pipe = std::mem::take(&mut this.lets_pass).then_some(&mut this.pipe);
        let frame = download.poll(pipe, context);
        // Nobody polls again after trailers or the last byte of a known length, so the end is noticed here.
        let ended = match &frame {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || download.is_end_stream(),
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
        if ended && let Kind::Streaming(mut download) = std::mem::replace(&mut this.kind, Kind::Empty) {
            download.end();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty | Kind::Text(None) => true,
            Kind::Text(Some(_)) => false,
            Kind::Streaming(download) => download.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty | Kind::Text(None) => SizeHint::with_exact(0),
            Kind::Text(Some(text)) => SizeHint::with_exact(text.len() as u64),
            Kind::Streaming(download) => {
                download.incoming.as_ref().map_or_else(SizeHint::default, Body::size_hint)
            }
        }
    }
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl Source for ResponseBody {
    fn let_pass(&mut self) {
        self.lets_pass = true;
    }

    fn pipe(&mut self) -> Option<&mut Pipe> {
        self.pipe.as_deref_mut()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let (Some(pipe), Some(busy)) = (self.pipe.take(), &self.busy) {
            busy.worker().pipes.put_back(pipe);
        }
    }
}
