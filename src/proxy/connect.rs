//! A new connection to an endpoint.

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::deadline::Deadline;
use super::error::ProxyError;
use super::pool::UpstreamConnection;
use super::worker::{BUFFER_BYTES_MAX, Worker};
use crate::routing::Decision;

/// What the kernel keeps unsent for an upstream. By default it takes megabytes and says nothing until a third of
/// them is gone, and for so long a slow upload would seem to stand still.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

pub(super) async fn connect(worker: &Worker, decision: &Decision) -> Result<UpstreamConnection, ProxyError> {
    let deadline = Deadline::after(&worker.deadlines, decision.timeouts.connect);
    let stream = deadline
        .bound(TcpStream::connect(decision.endpoint.address))
        .await
        .ok_or(ProxyError::ConnectTimeout)?
        .map_err(ProxyError::of_connect)?;
    // Without it a small request can wait for the acknowledgement of the one before.
    stream.set_nodelay(true).map_err(ProxyError::Connect)?;
    // Where a system does not know the option, `response_timeout` sees an upload move in larger steps.
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
    let (sender, driver) = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ProxyError::Reset(Some(error)))?;
    let endpoint = decision.endpoint.id;
    Ok(UpstreamConnection::new(sender, driver, endpoint, decision.timeouts.idle, &worker.shard))
}
