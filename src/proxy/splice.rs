//! Large bodies go from socket to socket inside the kernel, through a pipe: nobody copies a byte of them.
//!
//! hyper writes the answer, so it must have something to write. For each stretch that lies in the pipe the body hands it a
//! piece of [`STAND_IN`]; hyper counts it and passes it to the socket below like any other, and there it is known by its
//! address: what is in the pipe goes out in its place, and in its turn. That holds because hyper copies no piece that it
//! writes to a socket which takes several at once. Should it ever begin to, then bytes are left in the pipe when all is
//! written, and the connection is broken instead of kept (see `poll_flush` of the socket).
//!
//! Only where both sides are plain TCP and HTTP/1, and the length of the body is known. Half a pipe of it is the least
//! that is worth the calls.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::{Context, Poll, Waker, ready};

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

static STAND_IN: [u8; PIPE_BYTES] = [0; PIPE_BYTES];

/// A piece of a body that is in the pipe.
pub(super) fn stand_in(length: usize) -> Bytes {
    Bytes::from_static(&STAND_IN[..length])
}

/// How many of these come before the first piece that is in the pipe.
pub(super) fn ordinary(slices: &[IoSlice<'_>]) -> usize {
    let stand_in = STAND_IN.as_ptr_range();
    slices.iter().take_while(|slice| !stand_in.contains(&slice.as_ptr())).count()
}

pub(super) struct Pipe {
    into: OwnedFd,
    out: OwnedFd,
    /// Bytes in it.
    waiting: usize,
    /// Who would fill it.
    filler: Option<Waker>,
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

    /// Fills it while it is empty. 0: the other side has ended.
    pub(super) fn poll_fill(
        &mut self,
        from: &TcpStream,
        most: u64,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
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

/// The empty pipes of a worker.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "they come and go as boxes: a move is a pointer")]
pub(super) struct Pipes(RefCell<Vec<Box<Pipe>>>);

impl Pipes {
    /// `None`: descriptors are short, and a body can be copied.
    pub(super) fn take(&self, reserve: Reserve) -> Option<Box<Pipe>> {
        if let Some(pipe) = self.0.borrow_mut().pop() {
            return Some(pipe);
        }
        let (out, into) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        let pipe = Pipe { into, out, waiting: 0, filler: None };
        (reserve.spares(pipe.into.as_raw_fd())).then(|| Box::new(pipe))
    }

    pub(super) fn put_back(&self, mut pipe: Box<Pipe>) {
        let mut kept = self.0.borrow_mut();
        if pipe.is_empty() && kept.len() < KEPT_MAX {
            pipe.filler = None;
            kept.push(pipe);
        }
    }
}
