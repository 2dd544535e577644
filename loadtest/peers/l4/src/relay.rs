//! Two streams, joined. What is read is written at once from the worker's one buffer, so a connection without traffic holds no
//! memory of ours. Only what the other side does not take yet is copied aside, and then nothing more is read until it is gone.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

const BUFFER_BYTES: usize = 256 * 1024;

/// Of a worker; borrowed for the time of one read and one write, never across an await.
#[derive(Clone)]
pub struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Default for Buffer {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(vec![0; BUFFER_BYTES])))
    }
}

/// Until both sides have said that they send no more, or until one breaks.
pub async fn both_ways(mut client: TcpStream, mut upstream: TcpStream, buffer: Buffer) -> io::Result<()> {
    let (client_in, client_out) = client.split();
    let (upstream_in, upstream_out) = upstream.split();
    tokio::try_join!(one_way(client_in, upstream_out, &buffer), one_way(upstream_in, client_out, &buffer))?;
    Ok(())
}

async fn one_way(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, buffer: &Buffer) -> io::Result<()> {
    let mut held = Held::default();
    while poll_fn(|cx| held.pass_on(cx, &mut from, &mut to, buffer)).await? {}
    to.shutdown().await
}

/// What the receiver did not take at once.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    written: usize,
}

impl Held {
    /// Passes one message on; false at the end of the stream. `poll_read` knows that a read which did not fill the buffer
    /// emptied the socket, and spares the second `read` that `try_read` would need to find out.
    fn pass_on(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
        buffer: &Buffer,
    ) -> Poll<io::Result<bool>> {
        ready!(self.write(cx, to))?;
        let mut buffer = buffer.0.borrow_mut();
        let mut read = ReadBuf::new(&mut buffer);
        ready!(Pin::new(from).poll_read(cx, &mut read))?;
        let message = read.filled();
        if message.is_empty() {
            return Poll::Ready(Ok(false));
        }
        let written = match Pin::new(to).poll_write(cx, message) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        self.bytes.extend_from_slice(&message[written..]);
        Poll::Ready(Ok(true))
    }

    fn write(&mut self, cx: &mut Context<'_>, to: &mut WriteHalf<'_>) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            self.written += ready!(Pin::new(&mut *to).poll_write(cx, &self.bytes[self.written..]))?;
        }
        // The memory is given back: a connection that was slow once may then rest for hours.
        *self = Self::default();
        Poll::Ready(Ok(()))
    }
}
