//! Large bodies go from socket to socket inside the kernel, through a pipe: nobody copies a byte of them.
//!
//! hyper stands between the body and the client's socket, so it must have something to count. For each stretch that lies in
//! a pipe it is given as many bytes of [`STAND_IN`], and the other side of it knows them:
//!
//! - *Down*: by their address. The body hands hyper a piece, which passes it to the socket below like any other, and there
//!   what is in the pipe goes out in its place, and in its turn. That holds because hyper copies no piece that it writes to a
//!   socket which takes several at once. Should it ever begin to, then bytes are left in the pipe when all is written, and
//!   the connection is broken instead of kept (see `poll_flush` of the socket).
//! - *Up*: by their turn. Whoever can empty a pipe says how much of the body is to come ([`Pipe::expect`]), and the next read
//!   from the client may go there instead; hyper gets zeros. It reads a body only when it has given away all that it read of
//!   it, so the piece that comes next is exactly that one, and nothing behind the body is taken (see `Upload::let_pass`).
//!
//! Only where both sides are plain TCP and HTTP/1, and the length of the body is known. Half a pipe of it is the least
//! that is worth the calls.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use hyper::rt::ReadBufCursor;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::reserve::Reserve;

/// What a pipe holds, if nobody asks for more.
const PIPE_BYTES: usize = 64 * 1024;
pub(super) const WORTHWHILE_BYTES: u64 = PIPE_BYTES as u64 / 2;
/// Empty ones that a worker keeps.
const KEPT_MAX: usize = 64;
/// Of a worker, in use or not. Clients that send or take slowly could otherwise have two descriptors more each; and beyond
/// some thousand of a user the kernel makes them small.
const OPEN_MAX: usize = 256;

static STAND_IN: [u8; PIPE_BYTES] = [0; PIPE_BYTES];
/// As much of it stays in the nearest cache while it is copied over and over.
const COPIED_BYTES: usize = 4 * 1024;

/// A piece of a body that is in the pipe.
pub(super) fn stand_in(length: usize) -> Bytes {
    Bytes::from_static(&STAND_IN[..length])
}

/// Nothing is left of one that has gone out, wherever it points.
pub(super) fn is_stand_in(piece: &[u8]) -> bool {
    !piece.is_empty() && STAND_IN.as_ptr_range().contains(&piece.as_ptr())
}

/// How many of these come before the first piece that is in the pipe.
pub(super) fn ordinary(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().take_while(|slice| !is_stand_in(slice)).count()
}

pub(super) struct Pipe {
    into: OwnedFd,
    out: OwnedFd,
    /// Bytes in it.
    waiting: usize,
    /// Bytes of a body that are still to come from the client, and may come through here.
    expected: u64,
    /// Who would fill it.
    filler: Option<Waker>,
    _open: Open,
}

/// Counts a pipe for as long as it lives.
struct Open(Rc<Cell<usize>>);

impl Open {
    fn new(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Pipe {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Ready once it is empty: that wakes. Before, nobody can tell whether it has room.
    pub(super) fn poll_empty(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.is_empty() {
            return Poll::Ready(());
        }
        self.filler = Some(context.waker().clone());
        Poll::Pending
    }

    /// So much of a body comes next, and nobody has read any of that. 0: what comes next is to be read.
    pub(super) fn expect(&mut self, bytes: u64) {
        self.expected = bytes;
    }

    pub(super) fn is_expecting(&self) -> bool {
        self.expected > 0
    }

    /// In the place of a read, while bytes are [expected](Self::expect).
    pub(super) fn poll_read(
        &mut self,
        from: &TcpStream,
        context: &mut Context<'_>,
        buffer: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let most = self.expected.min(buffer.remaining() as u64);
        let mut moved = ready!(self.poll_fill(from, most, context))?;
        self.expected = 0;
        while moved > 0 {
            let copied = moved.min(COPIED_BYTES);
            buffer.put_slice(&STAND_IN[..copied]);
            moved -= copied;
        }
        Poll::Ready(Ok(()))
    }

    /// A piece of the client's body, as hyper gives it: what stands in for it here, if it went through here.
    pub(super) fn recognise(&mut self, piece: Bytes) -> io::Result<Bytes> {
        self.expected = 0;
        match self.waiting {
            0 => Ok(piece),
            waiting if waiting == piece.len() => Ok(stand_in(waiting)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Fills it while it is empty. 0: the other side has ended.
    pub(super) fn poll_fill(
        &mut self,
        from: &TcpStream,
        most: u64,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let most = usize::try_from(most).unwrap_or(PIPE_BYTES).min(PIPE_BYTES);
        let into = &self.into;
        loop {
            ready!(from.poll_read_ready(context))?;
            let moved = || Ok(splice(from, None, into, None, most, SpliceFlags::NONBLOCK)?);
            match from.try_io(Interest::READABLE, moved) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                filled => {
                    self.waiting = *filled.as_ref().unwrap_or(&0);
                    return Poll::Ready(filled);
                }
            }
        }
    }

    /// In the place of a piece of this length.
    pub(super) fn poll_drain(
        &mut self,
        to: &TcpStream,
        most: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let most = most.min(self.waiting);
        if most == 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let out = &self.out;
        loop {
            ready!(to.poll_write_ready(context))?;
            match to
                .try_io(Interest::WRITABLE, || Ok(splice(out, None, to, None, most, SpliceFlags::NONBLOCK)?))
            {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                drained => {
                    self.waiting -= *drained.as_ref().unwrap_or(&0);
                    if self.is_empty()
                        && let Some(filler) = self.filler.take()
                    {
                        filler.wake();
                    }
                    return Poll::Ready(drained);
                }
            }
        }
    }
}

/// The pipes of a worker.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "they come and go as boxes: a move is a pointer")]
pub(super) struct Pipes {
    empty: RefCell<Vec<Box<Pipe>>>,
    open: Rc<Cell<usize>>,
}

impl Pipes {
    /// `None`: descriptors are short, or there are many, and a body can be copied.
    pub(super) fn take(&self, reserve: Reserve) -> Option<Box<Pipe>> {
        if let Some(pipe) = self.empty.borrow_mut().pop() {
            return Some(pipe);
        }
        if self.open.get() >= OPEN_MAX {
            return None;
        }
        let (out, into) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        let pipe = Pipe { into, out, waiting: 0, expected: 0, filler: None, _open: Open::new(&self.open) };
        (reserve.spares(pipe.into.as_raw_fd())).then(|| Box::new(pipe))
    }

    pub(super) fn put_back(&self, mut pipe: Box<Pipe>) {
        let mut kept = self.empty.borrow_mut();
        if pipe.is_empty() && kept.len() < KEPT_MAX {
            (pipe.expected, pipe.filler) = (0, None);
            kept.push(pipe);
        }
    }
}
