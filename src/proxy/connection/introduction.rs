//! Who the client of a connection is: the peer of its socket, or whom a PROXY protocol header names.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use tokio::net::TcpStream;

use super::super::deadline::Deadline;
use super::super::proxy_protocol::{self, Addresses};
use super::super::worker::{DRAIN_IDLE, Worker};
use crate::config::Listener;
use crate::metrics::shard::Refused;

/// `None`: the connection is not to be served. What it would say next cannot be trusted, so it is closed unanswered.
pub(super) async fn introduce(
    worker: &Worker,
    listener: &Listener,
    socket: &mut TcpStream,
    peer: SocketAddr,
) -> Option<Addresses> {
    let own = Addresses { source: peer, destination: socket.local_addr().ok()? };
    if !listener.proxy_protocol {
        return Some(own);
    }
    if !listener.trusted_proxies.is_empty() && !super::trusts(listener, peer.ip()) {
        worker.refuse_unread(peer.ip(), 400, Refused::BadRequest);
        return None;
    }
    let mut header = pin!(proxy_protocol::read(socket));
    let mut deadline = Deadline::after(&worker.connection_deadlines, listener.header_timeout);
    let mut draining = false;
    let read = poll_fn(|context| match header.as_mut().poll(context) {
        Poll::Ready(read) => Poll::Ready(Some(read)),
        Poll::Pending if worker.is_cut() => Poll::Ready(None),
        Poll::Pending => {
            if worker.is_draining() && !std::mem::replace(&mut draining, true) {
                // It may be on its way, with a request behind it.
                deadline.restart(DRAIN_IDLE);
            }
            deadline.poll(context).map(|()| None)
        }
    });
    match read.await {
        Some(Ok(named)) => Some(named.unwrap_or(own)),
        Some(Err(_)) => {
            worker.refuse_unread(peer.ip(), 400, Refused::BadRequest);
            None
        }
        None => {
            worker.refuse_unread(peer.ip(), 408, Refused::SlowHead);
            None
        }
    }
}
