//! Handshakes: with clients within the listener's deadline, with upstreams within that of the connection.
//!
//! What to shake hands with is taken anew for each one, so fresh certificates hold from the next handshake on. Which
//! certificate a client was shown, and who it is, stays true for the whole connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use http::{HeaderMap, HeaderValue};
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, server};

use super::deadline::Deadline;
use super::error::ProxyError;
use super::stream::Stream;
use super::worker::Worker;
use crate::config::{Listener, UpstreamProtocol};
use crate::metrics::shard::Handshake;
use crate::tls::{ALPN_H2, Client, Server, identity};

/// What a handshake has settled for the whole connection.
pub(super) struct Session {
    server: Arc<Server>,
    /// The name that the client asked for.
    sni: Option<Box<str>>,
    /// Who the client is, if it proved it and the listener passes it on.
    identity: Option<HeaderValue>,
    pub(super) http2: bool,
}

impl Session {
    fn new(server: Arc<Server>, stream: &server::TlsStream<TcpStream>) -> Self {
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let identity = server.identity_header.as_ref().and(certificate).and_then(identity);
        Self {
            sni: connection.server_name().map(Into::into),
            identity,
            http2: connection.alpn_protocol() == Some(ALPN_H2),
            server,
        }
    }

    /// Whether a request for this host, which may have a port, belongs on this connection. If not: 421.
    pub(super) fn may_ask(&self, host: &str) -> bool {
        self.server.may_ask(self.sni.as_deref(), without_port(host))
    }
}

/// `None`: there was no handshake, and what there was has been counted.
pub(super) async fn accept(
    worker: &Worker,
    listener: &Listener,
    stream: TcpStream,
) -> Option<(Stream, Session)> {
    let server = Arc::clone(worker.tls().server(&listener.name)?);
    let mut deadline = Deadline::after(&worker.connection_deadlines, server.handshake_timeout);
    let mut shaking = TlsAcceptor::from(Arc::clone(&server.config)).accept(stream);
    let shaken = poll_fn(|context| match Pin::new(&mut shaking).poll(context) {
        Poll::Ready(shaken) => Poll::Ready(Some(shaken)),
        Poll::Pending if worker.is_cut() => Poll::Ready(None),
        Poll::Pending => deadline.poll(context).map(|()| None),
    })
    .await;
    let (result, stream) = match shaken {
        None => (Handshake::Timeout, None),
        Some(Err(error)) => {
            tracing::debug!(listener = %listener.name, %error, "no TLS handshake");
            (Handshake::Failed, None)
        }
        Some(Ok(stream)) => match stream.get_ref().1.handshake_kind() {
            Some(HandshakeKind::Resumed) => (Handshake::Resumed, Some(stream)),
            _ => (Handshake::Full, Some(stream)),
        },
    };
    worker.shard.handshakes[result as usize].add(1);
    let stream = stream?;
    let session = Session::new(server, &stream);
    Some((Stream::Tls(Box::new(stream.into())), session))
}

/// The caller holds the deadline.
pub(super) async fn connect(
    client: &Client,
    name: ServerName<'static>,
    protocol: UpstreamProtocol,
    socket: TcpStream,
) -> Result<Stream, ProxyError> {
    let config = match protocol {
        UpstreamProtocol::Http1 => &client.http1,
        UpstreamProtocol::Http2 => &client.http2,
    };
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name, socket).await.map_err(ProxyError::Handshake)?;
    let agreed = stream.get_ref().1.alpn_protocol();
    if protocol == UpstreamProtocol::Http2 && agreed != Some(ALPN_H2) {
        return Err(ProxyError::Handshake(io::Error::other("it does not speak HTTP/2 (ALPN)")));
    }
    Ok(Stream::Tls(Box::new(stream.into())))
}

/// Puts in who the client has proved to be here, and takes out what it says of that.
pub(super) fn put_identity(worker: &Worker, session: Option<&Session>, headers: &mut HeaderMap) {
    take_identity(worker, headers);
    let proved =
        session.and_then(|session| session.server.identity_header.as_ref().zip(session.identity.as_ref()));
    if let Some((name, value)) = proved {
        headers.insert(name, value.clone());
    }
}

/// Takes out what clients say about who they are, on every listener. `_` is taken for `-`, as servers do that turn
/// header names into variables.
pub(super) fn take_identity(worker: &Worker, fields: &mut HeaderMap) {
    let tls = worker.tls();
    let ours = tls.identity_headers();
    if ours.is_empty() {
        return;
    }
    let is_ours = |name: &str| {
        let alike = |(a, b): (u8, u8)| a == b || (a == b'_' && b == b'-');
        ours.iter()
            .any(|one| one.as_str().len() == name.len() && name.bytes().zip(one.as_str().bytes()).all(alike))
    };
    let said: Vec<_> = fields.keys().filter(|name| is_ours(name.as_str())).cloned().collect();
    for name in said {
        fields.remove(name);
    }
}

/// Also without the dot that may end a full name.
fn without_port(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_without_what_is_not_its_name() {
        for (host, name) in [
            ("a.example", "a.example"),
            ("a.example:8443", "a.example"),
            ("a.example.:8443", "a.example"),
            ("[::1]:8443", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(without_port(host), name, "{host}");
        }
    }
}
