//! The socket under hyper: notices where the connection stands, and slips early hints in.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use super::super::splice;
use super::super::stream::Stream;
use super::{Downstream, Protocol, Stage};

pub(super) struct Socket {
    io: TokioIo<Stream>,
    /// Read before hyper came; it comes first.
    first: Bytes,
    downstream: Rc<Downstream>,
    /// Nothing of a message is half written.
    at_boundary: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream, first: Bytes, downstream: Rc<Downstream>) -> Self {
        Self { io: TokioIo::new(stream), first, downstream, at_boundary: true }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        self.io.inner().socket()
    }

    /// As it was, before hyper read so much.
    pub(super) fn put_back(&mut self, read_by_hyper: &[u8]) {
        if !read_by_hyper.is_empty() {
            self.first = [read_by_hyper, &self.first].concat().into();
        }
    }

    /// The stream, and what was read from it but not used: first what hyper has of it, then what it never took.
    pub(super) fn into_parts(self, read_by_hyper: &[u8]) -> (Stream, Vec<u8>) {
        (self.io.into_inner(), [read_by_hyper, &self.first].concat())
    }

    /// Hints are small and the socket's buffer is empty at a boundary; a hint that does not fit is dropped whole
    /// or, if it was taken in part, breaks the connection.
    fn write_hints(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while let Some(hint) = self.downstream.hints.next() {
            if !self.at_boundary {
                // The answer before this one is still going out. Kept, the hint could land behind its own head.
                continue;
            }
            match Pin::new(self.io.inner_mut()).poll_write(context, &hint) {
                Poll::Ready(Ok(written)) if written == hint.len() => {}
                Poll::Pending => {}
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(_)) => return Err(io::ErrorKind::WriteZero.into()),
            }
        }
        Ok(())
    }

    fn read(&mut self, context: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match &mut *self.downstream.pipe_up.borrow_mut() {
            Some(pipe) if pipe.is_expecting() => {
                pipe.poll_read(self.io.inner().socket(), context, &mut buffer)
            }
            _ => Pin::new(&mut self.io).poll_read(context, buffer),
        }
    }

    /// As many as come before the first that is in the pipe; or that one.
    fn write_slices(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut pipe = self.downstream.pipe_down.borrow_mut();
        let Some(full) = pipe.as_mut() else {
            return Pin::new(&mut self.io).poll_write_vectored(context, slices);
        };
        match splice::ordinary(slices) {
            0 if !slices.is_empty() => {
                let drained = full.poll_drain(self.io.inner().socket(), slices[0].len(), context);
                drop(pipe);
                self.downstream.spare_pipe();
                drained
            }
            ordinary => Pin::new(&mut self.io).poll_write_vectored(context, &slices[..ordinary]),
        }
    }

    fn written(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.at_boundary = false;
        match (&result, self.downstream.stage.get()) {
            (Poll::Pending, stage) if stage != Stage::Blocked => self.downstream.enter(Stage::Blocked),
            (Poll::Ready(_), Stage::Blocked) if self.downstream.serving.get() > 0 => {
                self.downstream.enter(Stage::Busy);
            }
            // hyper may hold the tail of an answer whose body is long gone: then nobody is served any more.
            (Poll::Ready(_), Stage::Blocked) => self.downstream.enter(Stage::Idle),
            // Of HTTP/2 also answers to pings are written, and they do not make it less idle.
            (Poll::Ready(_), Stage::Idle) if self.downstream.protocol == Protocol::Http1 => {
                self.downstream.enter(Stage::Idle);
            }
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
        let result = if self.first.is_empty() {
            self.read(context, buffer)
        } else {
            let fits = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..fits]);
            self.first.advance(fits);
            if self.first.is_empty() {
                // An empty rest would hold on to all of it.
                self.first = Bytes::new();
            }
            Poll::Ready(Ok(()))
        };
        let is_idle = self.downstream.stage.get() == Stage::Idle;
        if result.is_ready() && is_idle && self.downstream.protocol == Protocol::Http1 {
            self.downstream.enter(Stage::Head);
        }
        result
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_hints(context)?;
        let result = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.at_boundary = true;
        // hyper has written all that it had. What is left would be in the place of something that it has copied.
        if self.downstream.pipe_down.borrow().as_ref().is_some_and(|pipe| !pipe.is_empty()) {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        self.write_hints(context)?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.downstream.protocol {
            // `close` ends the socket: it knows whether the end is a good one.
            Protocol::Http1 => Poll::Ready(Ok(())),
            // Each stream has told its own.
            Protocol::Http2 => Pin::new(&mut self.io).poll_shutdown(context),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_hints(context)?;
        let result = self.write_slices(context, slices);
        self.written(result)
    }
}
