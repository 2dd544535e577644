//! The socket under hyper's HTTP/1: notices where the connection stands, and slips early hints in.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::Receiver;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Downstream, Stage};

/// The socket under hyper: notices where the connection stands, and slips early hints in.
pub(super) struct Socket {
    pub(super) io: TokioIo<TcpStream>,
    pub(super) downstream: Rc<Downstream>,
    pub(super) hints: Receiver<Box<[u8]>>,
    /// Nothing of a message is half written.
    pub(super) at_boundary: bool,
}

impl Socket {
    /// Hints are small and the socket's buffer is empty at a boundary; a hint that does not fit is dropped whole
    /// or, if it was taken in part, breaks the connection.
    fn write_hints(&mut self) -> io::Result<()> {
        while let Ok(hint) = self.hints.try_recv() {
            if !self.at_boundary {
                // The answer before this one is still going out. Kept, the hint could land behind its own head.
                continue;
            }
            match self.io.inner().try_write(&hint) {
                Ok(written) if written == hint.len() => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            }
        }
        Ok(())
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
            (Poll::Ready(_), Stage::Idle) => self.downstream.enter(Stage::Idle),
            _ => {}
        }
        result
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_read(context, buffer);
        if result.is_ready() && self.downstream.stage.get() == Stage::Idle {
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
        self.write_hints()?;
        let result = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.at_boundary = true;
        self.write_hints()?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // `close` ends the socket: it knows whether the end is a good one.
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_hints()?;
        let result = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.written(result)
    }
}
