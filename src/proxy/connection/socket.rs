//! The socket under hyper, which speaks HTTP/2: notices a client that does not read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;

use super::super::stream::Stream;
use super::{Downstream, Stage};

pub(super) struct Socket {
    io: TokioIo<Stream>,
    /// Read before hyper came; it comes first.
    first: Bytes,
    downstream: Rc<Downstream>,
}

impl Socket {
    pub(super) fn new(stream: Stream, first: Bytes, downstream: Rc<Downstream>) -> Self {
        Self { io: TokioIo::new(stream), first, downstream }
    }

    fn written(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match (&result, self.downstream.stage.get()) {
            (Poll::Pending, stage) if stage != Stage::Blocked => self.downstream.enter(Stage::Blocked),
            (Poll::Ready(_), Stage::Blocked) if self.downstream.serving.get() > 0 => {
                self.downstream.enter(Stage::Busy);
            }
            // hyper may hold the tail of an answer whose body is long gone: then nobody is served any more.
            (Poll::Ready(_), Stage::Blocked) => self.downstream.enter(Stage::Idle),
            _ => {}
        }
        result
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let fits = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..fits]);
        self.first.advance(fits);
        if self.first.is_empty() {
            // An empty rest would hold on to all of it.
            self.first = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Each stream has told its own end.
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.written(result)
    }
}
