//! A request on its way to the upstream. A piece of its body is asked for when the one before is written, so an upstream
//! that reads slowly slows the client, and nothing piles up here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::super::headers::has_token;
use super::super::splice::is_stand_in;
use super::super::stream::Stream;
use super::super::upload::RequestBody;
use super::Error;

/// A head that was larger leaves no buffer behind.
const KEPT_BYTES_MAX: usize = 2 * 1024;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const LAST_CHUNK_BEHIND_DATA: &[u8] = b"\r\n0\r\n\r\n";

pub(super) struct Outbox {
    /// The head; or what stands before a piece. Bytes up to `written` are gone.
    front: Vec<u8>,
    written: usize,
    piece: Bytes,
    /// Behind the piece.
    back: &'static [u8],
    body: RequestBody,
    sizing: Sizing,
    /// Trailers that the head has announced. Others are left out (RFC 9110, 6.5.1).
    announced: Vec<HeaderValue>,
    stage: Stage,
    /// Neither a byte has been written nor a piece taken.
    untouched: bool,
}

#[derive(Clone, Copy)]
enum Sizing {
    /// So many bytes are to come.
    Length(u64),
    Chunked,
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

impl Default for Outbox {
    fn default() -> Self {
        Self {
            front: Vec::new(),
            written: 0,
            piece: Bytes::new(),
            back: b"",
            body: RequestBody::Empty,
            sizing: Sizing::Length(0),
            announced: Vec::new(),
            stage: Stage::Through,
            untouched: false,
        }
    }
}

impl Outbox {
    pub(super) fn begin(&mut self, request: &Request<RequestBody>, body: RequestBody) {
        let is_empty = body.is_end_stream();
        self.sizing = if is_empty { Sizing::Length(0) } else { Sizing::of(request.headers(), &body) };
        self.stage = if is_empty { Stage::Last } else { Stage::Body };
        self.untouched = true;
        self.announced.clear();
        if !is_empty {
            self.announced.extend(request.headers().get_all(header::TRAILER).iter().cloned());
        }
        self.body = body;
        self.front.clear();
        self.written = 0;
        write_head(&mut self.front, request, self.sizing);
    }

    pub(super) fn take_unsent(&mut self) -> Option<RequestBody> {
        self.untouched.then(|| std::mem::replace(&mut self.body, RequestBody::Empty))
    }

    /// What is left to write, if that waits for the client.
    pub(super) fn take_rest(&mut self) -> Option<Self> {
        match self.stage {
            Stage::Body => Some(std::mem::take(self)),
            Stage::Failed(_) => {
                // Nobody takes it any more.
                self.body = RequestBody::Empty;
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
        self.body = RequestBody::Empty;
        if self.front.capacity() > KEPT_BYTES_MAX {
            self.front = Vec::new();
        }
    }

    /// Ready when all is written, or the upstream takes no more. An error is one of the body: the client's doing.
    pub(super) fn poll(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut starved = false;
        loop {
            if matches!(self.stage, Stage::Body) && self.piece.is_empty() && self.back.is_empty() && !starved
            {
                // With the head, if it is here already: that saves a write.
                let taken = self.take(stream, context);
                if let Poll::Ready(Err(error)) = taken {
                    self.stage = Stage::Failed(None);
                    return Poll::Ready(Err(error));
                }
                starved = taken.is_pending();
            }
            let written = match self.stage {
                Stage::Through | Stage::Failed(_) => return Poll::Ready(Ok(())),
                Stage::Body | Stage::Last if self.has_bytes() => ready!(self.write(stream, context)),
                Stage::Body if starved => {
                    // Inside TLS a record may wait to be written.
                    let _ = Pin::new(stream).poll_flush(context);
                    return Poll::Pending;
                }
                Stage::Body => Ok(()),
                Stage::Last => {
                    let flushed = ready!(Pin::new(&mut *stream).poll_flush(context));
                    self.stage = Stage::Through;
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

    fn write(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if is_stand_in(&self.piece) {
            return self.drain(stream, context);
        }
        let front = &self.front[self.written..];
        let written = if self.piece.is_empty() && self.back.is_empty() {
            Pin::new(stream).poll_write(context, front)
        } else {
            let slices = [IoSlice::new(front), IoSlice::new(&self.piece), IoSlice::new(self.back)];
            Pin::new(stream).poll_write_vectored(context, &slices)
        };
        let written = ready!(written)?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.untouched = false;
        let of_front = written.min(front.len());
        let of_piece = (written - of_front).min(self.piece.len());
        self.written += of_front;
        self.piece.advance(of_piece);
        self.back = &self.back[written - of_front - of_piece..];
        Poll::Ready(Ok(()))
    }

    /// The piece is in the pipe of the body. It is never the first one, so nothing is left to go before it.
    fn drain(&mut self, stream: &Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (Some(pipe), Stream::Plain(socket)) = (self.body.pipe(), stream) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        };
        let drained = ready!(pipe.poll_drain(socket, self.piece.len(), context))?;
        self.piece.advance(drained);
        Poll::Ready(if drained > 0 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) })
    }

    /// The next piece of the body, made ready to be written.
    fn take(&mut self, stream: &Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let (Stream::Plain(_), Sizing::Length(_)) = (stream, self.sizing) {
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
            Sizing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or_else(wrong_length)?;
                if *left == 0 {
                    self.stage = Stage::Last;
                } else if ended {
                    return Err(wrong_length());
                }
            }
            Sizing::Chunked => {
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
        }
        self.piece = data;
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> io::Result<()> {
        self.stage = Stage::Last;
        match (self.sizing, trailers) {
            (Sizing::Length(0), _) => {}
            (Sizing::Length(_), _) => return Err(wrong_length()),
            (Sizing::Chunked, None) => self.back = LAST_CHUNK,
            (Sizing::Chunked, Some(trailers)) => {
                self.front.extend_from_slice(b"0\r\n");
                let is_announced =
                    |name: &HeaderName| self.announced.iter().any(|names| has_token(names, name.as_str()));
                for (name, value) in trailers.iter().filter(|(name, _)| is_announced(name)) {
                    write_field(&mut self.front, name, value);
                }
                self.front.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

impl Sizing {
    /// As the fields of the request say; where they say nothing, as the body does.
    fn of(headers: &HeaderMap, body: &RequestBody) -> Self {
        if headers.contains_key(header::TRANSFER_ENCODING) {
            return Self::Chunked;
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse().ok());
        length.or_else(|| body.size_hint().exact()).map_or(Self::Chunked, Self::Length)
    }
}

fn write_head(into: &mut Vec<u8>, request: &Request<RequestBody>, sizing: Sizing) {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    into.extend_from_slice(request.method().as_str().as_bytes());
    into.push(b' ');
    into.extend_from_slice(target.as_bytes());
    into.extend_from_slice(b" HTTP/1.1\r\n");
    let mut says_length = false;
    for (name, value) in request.headers() {
        match *name {
            // How the body is framed is settled, and said once.
            header::TRANSFER_ENCODING => {}
            header::CONTENT_LENGTH => says_length = true,
            _ => write_field(into, name, value),
        }
    }
    match sizing {
        Sizing::Chunked => into.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // A request without a body need not say so, but may.
        Sizing::Length(0) if !says_length => {}
        Sizing::Length(length) => write_field(into, &header::CONTENT_LENGTH, &HeaderValue::from(length)),
    }
    into.extend_from_slice(b"\r\n");
}

fn write_field(into: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    into.extend_from_slice(name.as_str().as_bytes());
    into.extend_from_slice(b": ");
    into.extend_from_slice(value.as_bytes());
    into.extend_from_slice(b"\r\n");
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
