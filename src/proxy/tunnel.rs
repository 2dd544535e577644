//! After the yes to a WebSocket: bytes both ways until either side is done, or nobody has said anything for long.

use std::cell::Cell;
use std::io;
use std::task::Poll;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::deadline::Deadline;
use super::pool::{OwnConnection, SharedStream};
use super::record::Record;
use super::upstream_body::UpstreamBody;
use super::worker::Worker;

const BUFFER_BYTES: usize = 16 * 1024;

/// The upstream that said yes, and the record of the request that asked it.
pub(super) struct Tunnel {
    pub(super) upstream: Upstream,
    pub(super) record: Box<Record>,
}

pub(super) enum Upstream {
    Own(Box<OwnConnection>),
    Shared(SharedStream, OnUpgrade),
}

impl Upstream {
    /// Behind an answer that says yes.
    pub(super) fn of(body: UpstreamBody, upgrade: OnUpgrade) -> Self {
        match body {
            UpstreamBody::Own(own) => Self::Own(own),
            UpstreamBody::Shared(_, stream) => Self::Shared(stream, upgrade),
        }
    }
}

/// `early` is what the client sent behind its request; nothing of it has moved before the upstream's yes.
pub(super) async fn run(
    worker: &Worker,
    downstream: impl AsyncRead + AsyncWrite,
    early: &[u8],
    tunnel: Tunnel,
) {
    let Tunnel { upstream, mut record } = tunnel;
    // Switching is the answer: the request succeeded, and counts now, however long the tunnel lives.
    record.complete();
    record.count();
    let mut ends = Ends { worker, record };
    match upstream {
        Upstream::Own(own) => {
            if let Some((upstream, head)) = own.into_parts() {
                ends.join(downstream, upstream, early, &head).await;
            }
        }
        Upstream::Shared(stream, upgrade) => {
            if let Ok(upstream) = upgrade.await {
                ends.join(downstream, TokioIo::new(upstream), early, &[]).await;
            }
            drop(stream);
        }
    }
}

struct Ends<'a> {
    worker: &'a Worker,
    record: Box<Record>,
}

impl Ends<'_> {
    /// `up` and `down` are bytes that were read already, on their way in that direction.
    async fn join(
        &mut self,
        downstream: impl AsyncRead + AsyncWrite,
        upstream: impl AsyncRead + AsyncWrite,
        up: &[u8],
        down: &[u8],
    ) {
        let (moved, bytes_up, bytes_down) =
            (Cell::new(false), Cell::new(up.len() as u64), Cell::new(down.len() as u64));
        let (from_client, mut to_client) = tokio::io::split(downstream);
        let (from_upstream, mut to_upstream) = tokio::io::split(upstream);
        // An error on either side ends both; the end of one side's bytes does not.
        let both = async {
            to_upstream.write_all(up).await?;
            to_client.write_all(down).await?;
            tokio::try_join!(
                pump(from_client, to_upstream, &moved, &bytes_up),
                pump(from_upstream, to_client, &moved, &bytes_down)
            )
        };
        let mut both = std::pin::pin!(both);
        let span = self.record.decision().timeouts.stream;
        let mut idle = Deadline::after(&self.worker.connection_deadlines, span);
        std::future::poll_fn(|context| {
            if both.as_mut().poll(context).is_ready() || self.worker.is_cut() {
                return Poll::Ready(());
            }
            if moved.replace(false) {
                idle.restart(span);
            }
            idle.poll(context)
        })
        .await;
        self.record.tunnelled(bytes_up.get(), bytes_down.get());
    }
}

/// One direction. The end of one side's bytes is passed on as such; the other direction may go on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &Cell<bool>,
    bytes: &Cell<u64>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
        moved.set(true);
        bytes.set(bytes.get() + read as u64);
    }
}
