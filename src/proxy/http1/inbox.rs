//! What the other side has sent and nobody has taken yet. One buffer: heads and pieces of bodies are given away as parts of
//! it, uncopied, and it is used again when they are gone.

use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use http_body::{Frame, SizeHint};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::super::splice::Pipe;
use super::super::stream::Stream;
use super::Error;
use super::answer_head::{self, Head};
use super::chunked::Chunked;
use super::head::{self, Framing};
use super::request_head::{self, RequestHead, Unread};
use super::stock::Stock;
use crate::config::RequestLimits;

/// A read asks for so much at first. One that is filled lets the next ask for twice as much.
const READ_BYTES_MIN: usize = 8 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
/// The head of an answer that is longer is an error.
const HEAD_BYTES_MAX: usize = 64 * 1024;

const VERSION: &[u8] = b"HTTP/1.";

pub(super) struct Inbox {
    buffer: BytesMut,
    /// Of a head that is not all here: no empty line ends before.
    searched: usize,
    /// Of a head that is not all here: as much of it as was there when somebody tried to read it.
    looked_at: usize,
    read_bytes: usize,
    rest: Rest,
    /// The body has ended with the connection.
    closed: bool,
}

/// What is to come of the body.
enum Rest {
    Length(u64),
    Chunked(Chunked),
    /// Whatever comes before the connection ends.
    Connection,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            looked_at: 0,
            read_bytes: READ_BYTES_MIN,
            rest: Rest::Length(0),
            closed: false,
        }
    }
}

impl Inbox {
    /// What was read before.
    pub(super) fn holding(buffer: BytesMut) -> Self {
        Self { buffer, ..Self::default() }
    }

    /// 0: it is the end.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        self.room();
        self.poll_fill(stream, context)
    }

    /// The same, for bytes that nobody waits for: what is left of the buffer will do.
    pub(super) fn poll_read_ahead(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        if self.buffer.capacity() == self.buffer.len() {
            self.room();
        }
        self.poll_fill(stream, context)
    }

    fn poll_fill(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        let room = self.buffer.capacity() - self.buffer.len();
        let read = ready!(pin!(stream.read_buf(&mut self.buffer)).poll(context)).map_err(Error::Broken)?;
        self.came(read, room);
        Poll::Ready(Ok(read))
    }

    /// The next stretch of the body goes into an empty pipe, and never comes here.
    pub(super) fn poll_splice(
        &mut self,
        socket: &TcpStream,
        pipe: &mut Pipe,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        let moved = ready!(pipe.poll_fill(socket, self.unread(), context)).map_err(Error::Broken)?;
        if let Rest::Length(left) = &mut self.rest {
            *left = left.saturating_sub(moved as u64);
        }
        Poll::Ready(if moved > 0 { Ok(moved) } else { Err(Error::Closed) })
    }

    /// Where the next read goes: between two messages to the front of the buffer, which the processor has at hand.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        let is_new = self.buffer.is_empty() && self.buffer.try_reclaim(self.read_bytes);
        if !is_new && self.buffer.capacity() - self.buffer.len() < self.read_bytes / 2 {
            self.buffer.reserve(self.read_bytes);
        }
        &mut self.buffer
    }

    /// So many bytes have come where there was room for so many.
    pub(super) fn came(&mut self, read: usize, room: usize) {
        if read == 0 {
            self.closed = true;
        } else if read == room {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
    }

    /// The head of an answer to a request of this method, once all of it is here.
    pub(super) fn take_answer(&mut self, method: &Method, stock: &Stock) -> Result<Option<Head>, Error> {
        let begin = self.buffer.len().min(VERSION.len());
        if self.buffer[..begin] != VERSION[..begin] {
            return Err(Error::Malformed("it does not speak HTTP/1"));
        }
        let here = self.buffer.len();
        let head =
            if self.is_worth_a_look() { answer_head::take(&mut self.buffer, method, stock)? } else { None };
        let length = if head.is_some() { here - self.buffer.len() } else { here };
        if length > HEAD_BYTES_MAX {
            return Err(Error::Malformed("its head is too long"));
        }
        if head.is_some() {
            (self.searched, self.looked_at) = (0, 0);
        }
        Ok(head)
    }

    /// The head of the next request, once all of it is here.
    pub(super) fn take_request(
        &mut self,
        limits: &RequestLimits,
        stock: &Stock,
    ) -> Result<Option<RequestHead>, Unread> {
        // Left by a client that sent one line more than it said (RFC 9112, 2.2).
        while self.looked_at == 0
            && let Some(line) = empty_line(&self.buffer)
        {
            self.buffer.advance(line);
        }
        if !self.is_worth_a_look() {
            return if self.buffer.len() > limits.header_bytes_max {
                Err(Unread::TooLarge)
            } else {
                Ok(None)
            };
        }
        let head = request_head::take(&mut self.buffer, limits, stock)?;
        if head.is_some() {
            (self.searched, self.looked_at) = (0, 0);
        }
        Ok(head)
    }

    /// Whether a head that was not all here when it was looked at last may be so now, or shows that it is none: where an
    /// empty line has come, or twice as much as there was. Else who sends it a byte at a time would have us read it as
    /// often.
    fn is_worth_a_look(&mut self) -> bool {
        let here = self.buffer.len();
        if here == 0 {
            return false;
        }
        let is_longer = here > 2 * self.looked_at;
        let is_worth_it = is_longer || head::end(&self.buffer, self.searched).is_some();
        // A newline among the last two may yet begin the end.
        self.searched = here.saturating_sub(2);
        if is_worth_it {
            self.looked_at = here;
        }
        is_worth_it
    }

    /// The body that follows the head.
    pub(super) fn expect(&mut self, framing: Framing) {
        if let Framing::Length(length) = framing
            && let Ok(length) = usize::try_from(length)
        {
            let missing = length.saturating_sub(self.buffer.len());
            self.read_bytes = missing.clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        }
        self.rest = match framing {
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::Chunked(Chunked::default()),
            Framing::Connection => Rest::Connection,
        };
    }

    /// The next piece of the body that is here.
    pub(super) fn take_frame(&mut self) -> Result<Option<Frame<Bytes>>, Error> {
        let here = self.buffer.len();
        let piece = match &mut self.rest {
            Rest::Chunked(chunked) => return chunked.take(&mut self.buffer),
            Rest::Length(left) => {
                let piece = usize::try_from(*left).unwrap_or(here).min(here);
                *left -= piece as u64;
                piece
            }
            Rest::Connection => here,
        };
        Ok((piece > 0).then(|| Frame::data(self.buffer.split_to(piece).freeze())))
    }

    /// Bytes of the body that nobody has read yet, if so many are known to come.
    pub(super) fn unread(&self) -> u64 {
        match self.rest {
            Rest::Length(left) if self.buffer.is_empty() => left,
            _ => 0,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        match &self.rest {
            Rest::Length(left) => *left == 0,
            Rest::Chunked(chunked) => chunked.has_ended(),
            Rest::Connection => self.closed && self.buffer.is_empty(),
        }
    }

    pub(super) fn ends_with_connection(&self) -> bool {
        matches!(self.rest, Rest::Connection)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.rest {
            Rest::Length(left) => SizeHint::with_exact(*left),
            Rest::Chunked(_) | Rest::Connection => SizeHint::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The answer is at its end, and nothing has come behind it.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended() && self.buffer.is_empty() && !self.closed
    }

    /// Between two messages. A buffer that has grown is given back.
    pub(super) fn rest(&mut self) {
        if self.read_bytes > READ_BYTES_MIN {
            self.give_back();
        }
    }

    pub(super) fn give_back(&mut self) {
        self.buffer = BytesMut::new();
        self.read_bytes = READ_BYTES_MIN;
    }

    pub(super) fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }
}

/// The length of the one that this begins with.
fn empty_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}
