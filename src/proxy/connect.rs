//! A connection to an endpoint: one that is there, or a new one.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::connection::Downstream;
use super::deadline::Deadline;
use super::error::ProxyError;
use super::failure::Broken;
use super::pool::{Join, OwnConnection, SharedConnection, SharedStream, UpstreamConnection};
use super::proxy_protocol;
use super::stream::Stream;
use super::tls;
use super::worker::Worker;
use crate::config::UpstreamProtocol;
use crate::routing::{Decision, EndpointId};

/// What the kernel keeps unsent for an upstream. By default it takes megabytes and says nothing until a third of
/// them is gone, and for so long a slow upload would seem to stand still.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// Which connections will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// One that is there is as good as a new one.
    Any,
    /// The one before was dead, or the request will keep it: a new one, or one that others use at this moment.
    New,
}

/// Opening is rare and its state large: it has an allocation of its own, so that the state of every request, which is moved
/// more than once, stays small.
pub(super) async fn obtain(
    downstream: &Downstream,
    decision: &Decision,
    freshness: Freshness,
    now: Instant,
) -> Result<UpstreamConnection, ProxyError> {
    let worker = &downstream.worker;
    match decision.protocol {
        UpstreamProtocol::Http1 => {
            if let Some(version) = decision.proxy_protocol {
                let header = proxy_protocol::header(version, downstream.addresses());
                return Box::pin(open_for_one(worker, decision, &header)).await.map(UpstreamConnection::Own);
            }
            if freshness == Freshness::Any {
                let endpoint = decision.endpoint.id;
                if let Some(idle) = worker.pools.take(endpoint, now) {
                    return Ok(UpstreamConnection::Own(idle));
                }
            }
            Box::pin(open_own(worker, decision)).await.map(UpstreamConnection::Own)
        }
        UpstreamProtocol::Http2 => join_shared(worker, decision).await.map(UpstreamConnection::Shared),
    }
}

async fn open_own(worker: &Worker, decision: &Decision) -> Result<Box<OwnConnection>, ProxyError> {
    let stream = connect(worker, decision, &[]).await?;
    Ok(own(worker, decision, stream, decision.timeouts.idle))
}

/// A connection that begins with the name of its client, so that no other may use it.
async fn open_for_one(
    worker: &Worker,
    decision: &Decision,
    header: &[u8],
) -> Result<Box<OwnConnection>, ProxyError> {
    let stream = connect(worker, decision, header).await?;
    Ok(own(worker, decision, stream, Duration::ZERO))
}

fn own(worker: &Worker, decision: &Decision, stream: Stream, idle_timeout: Duration) -> Box<OwnConnection> {
    Box::new(OwnConnection::new(stream, decision.endpoint.id, idle_timeout, &worker.shard))
}

/// Many requests may come before the first connection is there: one opens it, the others wait for it.
async fn join_shared(worker: &Worker, decision: &Decision) -> Result<SharedStream, ProxyError> {
    let endpoint = decision.endpoint.id;
    loop {
        match worker.pools.join(endpoint) {
            Join::Stream(stream) => return Ok(stream),
            Join::Wait(opened) => {
                let deadline = Deadline::after(&worker.deadlines, decision.timeouts.connect);
                deadline.bound(opened.notified()).await.ok_or(ProxyError::ConnectTimeout)?;
            }
            Join::Open => {
                let mut opening = Opening { worker, endpoint, opened: None };
                let connection = Box::pin(open_shared(worker, decision)).await?;
                let mine = SharedStream::on(&connection);
                opening.opened = Some(connection);
                return Ok(mine);
            }
        }
    }
}

async fn open_shared(worker: &Worker, decision: &Decision) -> Result<Rc<SharedConnection>, ProxyError> {
    let stream = connect(worker, decision, &[]).await?;
    let opened = SharedConnection::open(stream, decision.timeouts.idle, &worker.shard).await;
    opened.map_err(|error| ProxyError::Reset(Some(Broken::Http2(error))))
}

/// Tells those who wait, also if the request that opens for them is dropped in the middle.
struct Opening<'a> {
    worker: &'a Worker,
    endpoint: EndpointId,
    opened: Option<Rc<SharedConnection>>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.worker.pools.opened(self.endpoint, self.opened.take());
    }
}

/// `header` comes before everything else, also before TLS.
async fn connect(worker: &Worker, decision: &Decision, header: &[u8]) -> Result<Stream, ProxyError> {
    let deadline = Deadline::after(&worker.deadlines, decision.timeouts.connect);
    deadline.bound(reach(worker, decision, header)).await.ok_or(ProxyError::ConnectTimeout)?
}

async fn reach(worker: &Worker, decision: &Decision, header: &[u8]) -> Result<Stream, ProxyError> {
    let mut socket =
        worker.reserve.connect(decision.endpoint.address).await.map_err(ProxyError::of_connect)?;
    // Without it a small request can wait for the acknowledgement of the one before.
    socket.set_nodelay(true).map_err(ProxyError::Connect)?;
    // Where a system does not know the option, `response_timeout` sees an upload move in larger steps.
    let _ = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
    socket.write_all(header).await.map_err(ProxyError::Connect)?;
    let Some(tls) = decision.endpoint.tls else { return Ok(Stream::Plain(socket)) };
    let client = worker.tls_client(tls, decision.endpoint.address.ip());
    let (client, name) = client.ok_or(ProxyError::Gone)?;
    tls::connect(&client, name, decision.protocol, socket).await
}
