//! After a 101: bytes both ways until either side is done, or nobody has said anything for an hour.

use std::cell::Cell;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::deadline::Deadline;
use super::pool::{Driver, UpstreamConnection};
use super::record::Record;
use super::worker::Worker;

const IDLE: Duration = Duration::from_secs(3_600);
const BUFFER_BYTES: usize = 16 * 1024;

/// An upstream connection that said 101, and the record of the request that asked for it.
pub(super) struct Tunnel {
    pub(super) upstream: UpstreamConnection,
    pub(super) record: Record,
}

/// `early` is what the client sent behind its request; nothing of it has moved before the 101.
pub(super) async fn run(worker: &Worker, mut downstream: TcpStream, early: &[u8], tunnel: Tunnel) {
    let Tunnel { upstream, mut record } = tunnel;
    // Switching is the answer: the request succeeded, and counts now, however long the tunnel lives.
    record.complete();
    record.count();
    let Some((mut upstream, head)) = take_socket(upstream).await else { return };
    let moved = Cell::new(false);
    // An error on either side ends both; the end of one side's bytes does not.
    let both = async {
        upstream.write_all(early).await?;
        downstream.write_all(&head).await?;
        let (from_client, to_client) = downstream.split();
        let (from_upstream, to_upstream) = upstream.split();
        tokio::try_join!(pump(from_client, to_upstream, &moved), pump(from_upstream, to_client, &moved))
    };
    let mut both = std::pin::pin!(both);
    let mut idle = Deadline::after(&worker.connection_deadlines, IDLE);
    std::future::poll_fn(|context| {
        if both.as_mut().poll(context).is_ready() || worker.is_cut() {
            return Poll::Ready(());
        }
        if moved.replace(false) {
            idle.restart(IDLE);
        }
        idle.poll(context)
    })
    .await;
}

/// The bare socket, and what was read from it behind the 101.
async fn take_socket(mut upstream: UpstreamConnection) -> Option<(TcpStream, Vec<u8>)> {
    // With the switch hyper's part is over, and its state machine ends.
    std::future::poll_fn(|context| {
        upstream.drive(context);
        if upstream.has_ended() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let driver: Box<Driver> = upstream.take_driver()?;
    let parts = driver.into_parts();
    Some((parts.io.into_inner(), parts.read_buf.to_vec()))
}

/// One direction. The end of one side's bytes is passed on as such; the other direction may go on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &Cell<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        moved.set(true);
    }
}
