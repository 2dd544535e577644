//! A message on its way out. A piece of its body is asked for when the one before is written, so who reads slowly slows
//! down the source, and nothing piles up here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::super::headers::has_token;
use super::super::splice::{Pipe, is_stand_in};
use super::super::stream::Stream;
use super::Error;
use super::head::{Framing, write_field};

/// A head that was larger leaves no buffer behind.
const KEPT_BYTES_MAX: usize = 2 * 1024;
/// A piece that is no larger goes behind the head, into one buffer: that is cheaper than to tell the kernel of two.
const COPIED_BYTES_MAX: usize = 1024;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const LAST_CHUNK_BEHIND_DATA: &[u8] = b"\r\n0\r\n\r\n";

/// A body that goes out.
pub(in crate::proxy) trait Source:
    Body<Data = Bytes, Error = io::Error> + Default + Unpin
{
    /// The next piece may be one that [stands in](super::super::splice) for what is in the [pipe](Self::pipe).
    fn let_pass(&mut self);

    fn pipe(&mut self) -> Option<&mut Pipe>;
}

/// Where it goes.
pub(in crate::proxy) trait Outlet {
    fn poll_write(&mut self, slices: &[IoSlice<'_>], context: &mut Context<'_>) -> Poll<io::Result<usize>>;

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// It takes what is in a pipe.
    fn is_plain(&self) -> bool;

    /// At most so much of it.
    fn poll_drain(
        &mut self,
        pipe: &mut Pipe,
        most: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>>;
}

impl Outlet for Stream {
    fn poll_write(&mut self, slices: &[IoSlice<'_>], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match slices {
            [slice] => Pin::new(self).poll_write(context, slice),
            slices => Pin::new(self).poll_write_vectored(context, slices),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(self), context)
    }

    fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    fn poll_drain(
        &mut self,
        pipe: &mut Pipe,
        most: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        pipe.poll_drain(self.socket(), most, context)
    }
}

pub(super) struct Outbox<B> {
    /// The head; or what stands before a piece. Bytes up to `written` are gone.
    front: Vec<u8>,
    written: usize,
    piece: Bytes,
    /// Behind the piece.
    back: &'static [u8],
    body: B,
    sizing: Framing,
    /// Trailers that the head has announced. Others are left out (RFC 9110, 6.5.1).
    announced: Vec<HeaderValue>,
    stage: Stage,
    /// Neither a byte has been written nor a piece taken.
    untouched: bool,
}

enum Stage {
    /// The body may bring more.
    Body,
    /// The end is here.
    Last,
    Through,
    /// The upstream takes no more. It may have answered all the same. The error until somebody asks.
    Failed(Option<io::Error>),
}

impl<B: Source> Default for Outbox<B> {
    fn default() -> Self {
        Self {
            front: Vec::new(),
            written: 0,
            piece: Bytes::new(),
            back: b"",
            body: B::default(),
            sizing: Framing::Length(0),
            announced: Vec::new(),
            stage: Stage::Through,
            untouched: false,
        }
    }
}

impl<B: Source> Outbox<B> {
    /// Where the head is to be written. Trailers that `announcing` names may go out; `None`: none may. Without a sizing the
    /// body is held and not sent.
    pub(super) fn begin(
        &mut self,
        body: B,
        sizing: Option<Framing>,
        announcing: Option<&HeaderMap>,
    ) -> &mut Vec<u8> {
        self.stage = if sizing.is_some() { Stage::Body } else { Stage::Last };
        self.untouched = true;
        self.announced.clear();
        if let (Some(Framing::Chunked), Some(headers)) = (sizing, announcing) {
            self.announced.extend(headers.get_all(header::TRAILER).iter().cloned());
        }
        self.sizing = sizing.unwrap_or(Framing::Length(0));
        self.body = body;
        self.front.clear();
        self.written = 0;
        &mut self.front
    }

    pub(super) fn take_unsent(&mut self) -> Option<B> {
        self.untouched.then(|| std::mem::take(&mut self.body))
    }

    /// What is left to write, if that waits for the client.
    pub(super) fn take_rest(&mut self) -> Option<Self> {
        match self.stage {
            Stage::Body => Some(std::mem::take(self)),
            Stage::Failed(_) => {
                // Nobody takes it any more.
                self.body = B::default();
                None
            }
            Stage::Last | Stage::Through => None,
        }
    }

    pub(super) fn is_through(&self) -> bool {
        matches!(self.stage, Stage::Through)
    }

    /// Why the upstream takes no more, once.
    pub(super) fn failure(&mut self) -> Option<Error> {
        let Stage::Failed(error) = &mut self.stage else { return None };
        error.take().map(Error::Broken)
    }

    pub(super) fn rest(&mut self) {
        self.body = B::default();
        if self.front.capacity() > KEPT_BYTES_MAX {
            self.front = Vec::new();
        }
    }

    /// Ready when all is written, or the other side takes no more. An error is one of the body: its source's doing.
    pub(super) fn poll(
        &mut self,
        outlet: &mut impl Outlet,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut starved = false;
        loop {
            if matches!(self.stage, Stage::Body) && (self.untouched || !self.has_bytes()) && !starved {
                // The first with the head, if it is here already: that saves a write.
                let taken = self.take(outlet, context);
                if let Poll::Ready(Err(error)) = taken {
                    self.stage = Stage::Failed(None);
                    return Poll::Ready(Err(error));
                }
                starved = taken.is_pending();
            }
            let written = match self.stage {
                Stage::Through | Stage::Failed(_) => return Poll::Ready(Ok(())),
                Stage::Body | Stage::Last if self.has_bytes() => ready!(self.write(outlet, context)),
                Stage::Body if starved => {
                    // Inside TLS a record may wait to be written.
                    let _ = outlet.poll_flush(context);
                    return Poll::Pending;
                }
                Stage::Body => Ok(()),
                Stage::Last => {
                    let flushed = ready!(outlet.poll_flush(context));
                    self.stage = Stage::Through;
                    self.body = B::default();
                    flushed
                }
            };
            if let Err(error) = written {
                self.stage = Stage::Failed(Some(error));
            }
        }
    }

    fn has_bytes(&self) -> bool {
        self.written < self.front.len() || !self.piece.is_empty() || !self.back.is_empty()
    }

    fn write(&mut self, outlet: &mut impl Outlet, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let front = &self.front[self.written..];
        let is_in_pipe = is_stand_in(&self.piece);
        if is_in_pipe && front.is_empty() {
            return self.drain(outlet, context);
        }
        let slices = [IoSlice::new(front), IoSlice::new(&self.piece), IoSlice::new(self.back)];
        let used = match (front.is_empty(), self.piece.is_empty() || is_in_pipe, self.back.is_empty()) {
            (_, true, true) => &slices[..1],
            (true, false, true) => &slices[1..2],
            (true, true, false) => &slices[2..],
            _ => &slices,
        };
        let written = ready!(outlet.poll_write(used, context))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.untouched = false;
        let of_front = written.min(front.len());
        let of_piece = (written - of_front).min(self.piece.len());
        self.written += of_front;
        self.piece.advance(of_piece);
        if self.piece.is_empty() {
            // An empty part would still hold the buffer that it was one of.
            self.piece = Bytes::new();
        }
        self.back = &self.back[written - of_front - of_piece..];
        Poll::Ready(Ok(()))
    }

    /// The piece is in the pipe of the body.
    fn drain(&mut self, outlet: &mut impl Outlet, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(pipe) = self.body.pipe() else {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        };
        let drained = ready!(outlet.poll_drain(pipe, self.piece.len(), context))?;
        self.piece.advance(drained);
        Poll::Ready(if drained > 0 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) })
    }

    /// The next piece of the body, made ready to be written.
    fn take(&mut self, outlet: &impl Outlet, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if outlet.is_plain() && matches!(self.sizing, Framing::Length(_)) {
            self.body.let_pass();
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)).transpose()? else {
            return Poll::Ready(self.end(None));
        };
        self.untouched = false;
        match frame.into_data() {
            // An empty chunk would be the last.
            Ok(data) if data.is_empty() => Poll::Ready(Ok(())),
            Ok(data) => Poll::Ready(self.put(data)),
            Err(frame) => Poll::Ready(self.end(frame.into_trailers().ok().as_ref())),
        }
    }

    fn put(&mut self, data: Bytes) -> io::Result<()> {
        let ended = self.body.is_end_stream();
        match &mut self.sizing {
            Framing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or_else(wrong_length)?;
                if *left == 0 {
                    self.stage = Stage::Last;
                } else if ended {
                    return Err(wrong_length());
                }
            }
            Framing::Chunked => {
                if self.written == self.front.len() {
                    self.front.clear();
                    self.written = 0;
                }
                write_hex(&mut self.front, data.len());
                self.front.extend_from_slice(b"\r\n");
                self.back = if ended { LAST_CHUNK_BEHIND_DATA } else { b"\r\n" };
                if ended {
                    self.stage = Stage::Last;
                }
            }
            Framing::Connection if ended => self.stage = Stage::Last,
            Framing::Connection => {}
        }
        let is_alone = self.written == self.front.len();
        if data.len() <= COPIED_BYTES_MAX && !is_alone && !is_stand_in(&data) {
            self.front.extend_from_slice(&data);
            self.front.extend_from_slice(std::mem::take(&mut self.back));
        } else {
            self.piece = data;
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> io::Result<()> {
        self.stage = Stage::Last;
        match (self.sizing, trailers) {
            (Framing::Length(0) | Framing::Connection, _) => {}
            (Framing::Length(_), _) => return Err(wrong_length()),
            (Framing::Chunked, None) => self.back = LAST_CHUNK,
            (Framing::Chunked, Some(trailers)) => {
                self.front.extend_from_slice(b"0\r\n");
                let is_announced =
                    |name: &HeaderName| self.announced.iter().any(|names| has_token(names, name.as_str()));
                for (name, value) in trailers.iter().filter(|(name, _)| is_announced(name)) {
                    write_field(&mut self.front, name, value.as_bytes());
                }
                self.front.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

fn write_hex(into: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        into.push(b"0123456789ABCDEF"[(number >> (4 * digit)) & 15]);
    }
}

/// The body is not as long as the head says.
fn wrong_length() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
