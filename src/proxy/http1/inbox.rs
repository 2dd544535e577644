//! What an upstream has sent and nobody has taken yet. One buffer: heads and pieces of bodies are given away as parts of
//! it, uncopied, and it is used again when they are gone.

use bytes::{Bytes, BytesMut};
use http::Method;
use http_body::{Frame, SizeHint};

use super::Error;
use super::head::{self, Framing, Head};

/// A read asks for so much at first. One that is filled lets the next ask for twice as much.
const READ_BYTES_MIN: usize = 8 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
/// A head that is longer is an error.
const HEAD_BYTES_MAX: usize = 64 * 1024;

const VERSION: &[u8] = b"HTTP/1.";

pub(super) struct Inbox {
    buffer: BytesMut,
    /// Of a head that is not all here: no empty line ends before.
    searched: usize,
    read_bytes: usize,
    framing: Framing,
    /// The body has ended with the connection.
    closed: bool,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            read_bytes: READ_BYTES_MIN,
            framing: Framing::Length(0),
            closed: false,
        }
    }
}

impl Inbox {
    /// Where the next read goes.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < self.read_bytes / 2 {
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
    pub(super) fn take_head(&mut self, method: &Method) -> Result<Option<Head>, Error> {
        let begin = self.buffer.len().min(VERSION.len());
        if self.buffer[..begin] != VERSION[..begin] {
            return Err(Error::Malformed("it does not speak HTTP/1"));
        }
        let end = head::end(&self.buffer, self.searched);
        if end.unwrap_or(self.buffer.len()) > HEAD_BYTES_MAX {
            return Err(Error::Malformed("its head is too long"));
        }
        let Some(end) = end else {
            // A newline among the last two may yet begin the end.
            self.searched = self.buffer.len().saturating_sub(2);
            return Ok(None);
        };
        self.searched = 0;
        head::parse(&self.buffer.split_to(end).freeze(), method).map(Some)
    }

    /// The body that follows the head.
    pub(super) fn expect(&mut self, framing: Framing) {
        if let Framing::Length(length) = framing
            && let Ok(length) = usize::try_from(length)
        {
            let missing = length.saturating_sub(self.buffer.len());
            self.read_bytes = missing.clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        }
        self.framing = framing;
    }

    /// The next piece of the body that is here.
    pub(super) fn take_frame(&mut self) -> Result<Option<Frame<Bytes>>, Error> {
        let here = self.buffer.len();
        let piece = match &mut self.framing {
            Framing::Chunked(chunked) => return chunked.take(&mut self.buffer),
            Framing::Length(left) => {
                let piece = usize::try_from(*left).unwrap_or(here).min(here);
                *left -= piece as u64;
                piece
            }
            Framing::Connection => here,
        };
        Ok((piece > 0).then(|| Frame::data(self.buffer.split_to(piece).freeze())))
    }

    /// Bytes of the body that nobody has read yet, if so many are known to come.
    pub(super) fn unread(&self) -> u64 {
        match self.framing {
            Framing::Length(left) if self.buffer.is_empty() => left,
            _ => 0,
        }
    }

    /// So many of them went by without coming here.
    pub(super) fn passed_by(&mut self, bytes: usize) {
        if let Framing::Length(left) = &mut self.framing {
            *left = left.saturating_sub(bytes as u64);
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunked) => chunked.has_ended(),
            Framing::Connection => self.closed && self.buffer.is_empty(),
        }
    }

    pub(super) fn ends_with_connection(&self) -> bool {
        matches!(self.framing, Framing::Connection)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.framing {
            Framing::Length(left) => SizeHint::with_exact(*left),
            Framing::Chunked(_) | Framing::Connection => SizeHint::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The answer is at its end, and nothing has come behind it.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended() && self.buffer.is_empty() && !self.closed
    }

    pub(super) fn rest(&mut self) {
        self.buffer = BytesMut::new();
        self.read_bytes = READ_BYTES_MIN;
    }

    pub(super) fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }
}
