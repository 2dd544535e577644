//! The first bytes of a connection: which protocol is spoken?
//!
//! On a cleartext listener a client may speak HTTP/2 with prior knowledge (RFC 9113, 3.3): it then begins with a preface
//! that is no HTTP/1 request. Inside TLS the handshake has settled it (ALPN). What was read to find out goes to the
//! protocol as its first bytes.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Poll, ready};

use bytes::BytesMut;
use tokio::net::TcpStream;

use super::super::deadline::Deadline;
use super::super::stream::Stream;
use super::super::tls::{self, Session};
use super::super::worker::{DRAIN_IDLE, Worker};
use super::REQUEST_TIMEOUT;
use crate::config::Listener;
use crate::metrics::shard::Refused;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// As much as a read for a head asks for, so that finding out costs no other.
const FIRST_BYTES: usize = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A connection that has begun.
pub(super) struct Greeted {
    pub(super) stream: Stream,
    pub(super) protocol: Protocol,
    /// Read already; the protocol has not seen it.
    pub(super) first: BytesMut,
    /// `None`: cleartext.
    pub(super) session: Option<Session>,
}

/// `None`: the client said nothing in time, or left.
pub(super) async fn greet(
    worker: &Worker,
    listener: &Listener,
    socket: TcpStream,
    peer: SocketAddr,
) -> Option<Greeted> {
    if listener.tls.is_some() {
        // In a box: a connection holds its largest state for as long as it lives.
        let (stream, session) = Box::pin(tls::accept(worker, listener, socket)).await?;
        let protocol = if session.http2 { Protocol::Http2 } else { Protocol::Http1 };
        return Some(Greeted { stream, protocol, first: BytesMut::new(), session: Some(session) });
    }
    let mut deadline = Deadline::after(&worker.connection_deadlines, listener.header_timeout);
    let mut first = BytesMut::new();
    let mut draining = false;
    let protocol = poll_fn(|context| {
        if worker.is_draining() && !std::mem::replace(&mut draining, true) {
            // It may have a request on its way: there is time for that one.
            deadline.restart(DRAIN_IDLE);
        }
        if worker.is_cut() || deadline.poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        loop {
            ready!(socket.poll_read_ready(context))?;
            // Nothing is held for a connection that says nothing.
            first.reserve(FIRST_BYTES);
            match socket.try_read_buf(&mut first) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Poll::Ready(Err(error)),
            }
            if let Some(protocol) = told_by(&first) {
                return Poll::Ready(Ok(protocol));
            }
        }
    });
    let protocol = protocol.await;
    match protocol {
        Ok(protocol) => Some(Greeted { stream: Stream::Plain(socket), protocol, first, session: None }),
        Err(error) => {
            if error.kind() == io::ErrorKind::TimedOut && !first.is_empty() {
                worker.refuse_unread(peer.ip(), 408, Refused::SlowHead);
                let _ = socket.try_write(REQUEST_TIMEOUT);
            }
            None
        }
    }
}

/// `None`: so far it could be either.
fn told_by(bytes: &[u8]) -> Option<Protocol> {
    if bytes.starts_with(PREFACE) {
        Some(Protocol::Http2)
    } else if PREFACE.starts_with(bytes) {
        None
    } else {
        Some(Protocol::Http1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_preface_is_http_2() {
        assert_eq!(told_by(PREFACE), Some(Protocol::Http2));
        assert_eq!(told_by(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0"), Some(Protocol::Http2));
        for end in 0..PREFACE.len() {
            assert_eq!(told_by(&PREFACE[..end]), None);
        }
        assert_eq!(told_by(b"PROPFIND"), Some(Protocol::Http1));
        assert_eq!(told_by(b"GET"), Some(Protocol::Http1));
        assert_eq!(told_by(b"PRI * HTTP/2.0\r\n\r\nGET"), Some(Protocol::Http1));
    }
}
