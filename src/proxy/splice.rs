//! Large bodies go from socket to socket inside the kernel, through a pipe: nobody copies a byte of them.
//!
//! Whoever passes a body on counts its bytes. For each stretch that lies in a pipe it is given as many bytes of
//! [`STAND_IN`], and whoever writes knows them by their address: what is in the pipe goes out in their place.
//!
//! Only where both sides are plain TCP and HTTP/1, and the length of the body is known. Half a pipe of it is the least
//! that is worth the calls.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
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

/// A piece of a body that is in the pipe.
pub(super) fn stand_in(length: usize) -> Bytes {
    Bytes::from_static(&STAND_IN[..length])
}

/// Nothing is left of one that has gone out, wherever it points.
pub(super) fn is_stand_in(piece: &[u8]) -> bool {
    !piece.is_empty() && STAND_IN.as_ptr_range().contains(&piece.as_ptr())
}

pub(super) struct Pipe {
    into: OwnedFd,
    out: OwnedFd,
    /// Bytes in it.
    waiting: usize,
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
    fn is_empty(&self) -> bool {
        self.waiting == 0
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
        let pipe = Pipe { into, out, waiting: 0, _open: Open::new(&self.open) };
        (reserve.spares(pipe.into.as_raw_fd())).then(|| Box::new(pipe))
    }

    pub(super) fn put_back(&self, pipe: Box<Pipe>) {
        let mut kept = self.empty.borrow_mut();
        if pipe.is_empty() && kept.len() < KEPT_MAX {
            kept.push(pipe);
        }
    }
}
