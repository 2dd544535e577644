//! Accepts connections for the admin router, few and not for ever: over TCP, with TLS if there is a certificate, and
//! over a Unix socket.
//!
//! `axum::serve` would take any number of connections and wait for a request head without end. One stuck
//! dashboard must not keep Prometheus out, so everything here has a bound.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::peer::Peer;
use super::seats::{Seat, Seats};
use crate::tls::{self, Material, Server};

/// From the first byte wanted to the end of a request head; so also how long a connection may be unused
/// where nobody needs its seat.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection older than this ends after its present request.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);
/// How long a request in flight may go on once its connection should end.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes buffered for a connection: the largest request head. A larger one is answered 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Out of file descriptors, most likely: trying again at once would only burn the core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Listeners {
    pub tcp: TcpListener,
    pub unix: Option<UnixListener>,
}

/// What was accepted, before it has proved anything.
enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listeners {
    async fn accept(&self) -> io::Result<Stream> {
        tokio::select! {
            accepted = self.tcp.accept() => accepted.map(|(stream, address)| Stream::Tcp(stream, address)),
            accepted = accept_unix(self.unix.as_ref()) => accepted.map(Stream::Unix),
        }
    }
}

async fn accept_unix(listener: Option<&UnixListener>) -> io::Result<UnixStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

pub(super) async fn run(
    listeners: Listeners,
    material: watch::Receiver<Arc<Material>>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut seats = Seats::default();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next_with_id() => {
                seats.leave(ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            accepted = listeners.accept() => match accepted {
                Ok(stream) => {
                    let seat = seats.seat();
                    // What a handshake needs is taken anew for each, so fresh certificates hold from the next one on.
                    let tls = material.borrow().admin().cloned();
                    let connection = Connection { seat: seat.clone(), router: router.clone(), stopped: stopped.clone() };
                    seats.take(connections.spawn(connection.serve(stream, tls)), seat);
                }
                Err(error) => {
                    warn!(%error, "admin listener cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listeners);
    stop.send_replace(());
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_done).await.is_err() {
        debug!("admin connections cut after their grace");
    }
}

/// Tells an answer without an end that its connection should end.
#[derive(Clone, Debug)]
pub(super) struct Leaving(watch::Receiver<bool>);

impl Leaving {
    pub(super) async fn wait(&mut self) {
        // That the connection is gone is a reason to end as well.
        let _ = self.0.wait_for(|leaves| *leaves).await;
    }
}

struct Connection {
    seat: Seat,
    router: Router,
    stopped: watch::Receiver<()>,
}

impl Connection {
    async fn serve(self, stream: Stream, tls: Option<Arc<Server>>) {
        match (stream, tls) {
            (Stream::Unix(stream), _) => match stream.peer_cred() {
                Ok(user) => self.answer(stream, Peer::Unix { uid: user.uid() }).await,
                Err(error) => debug!(%error, "nobody knows who opened the admin socket"),
            },
            (Stream::Tcp(stream, address), None) => {
                self.answer(stream, Peer::Tcp { address, secure: false, certificate: None }).await;
            }
            (Stream::Tcp(stream, address), Some(tls)) => {
                let shaking = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
                match tokio::time::timeout(tls.handshake_timeout, shaking).await {
                    Ok(Ok(stream)) => {
                        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                        let certificate = shown.map(|shown| tls::names(shown).into());
                        self.answer(stream, Peer::Tcp { address, secure: true, certificate }).await;
                    }
                    Ok(Err(error)) => debug!(%address, %error, "no TLS handshake on the admin listener"),
                    Err(_) => debug!(%address, "the TLS handshake on the admin listener took too long"),
                }
            }
        }
    }

    async fn answer(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let Self { seat, router, mut stopped } = self;
        let router = TowerToHyperService::new(router);
        let (leave, leaving) = watch::channel(false);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            request.extensions_mut().insert(Leaving(leaving.clone()));
            let answering = seat.answer();
            let answer = router.call(request);
            async move {
                let answer = answer.await;
                drop(answering);
                answer
            }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    debug!(%error, "admin connection ended");
                }
                return;
            }
            // An error means that the server is gone, which is a reason to stop all the same.
            _ = stopped.changed() => {}
            () = tokio::time::sleep(CONNECTION_AGE_MAX) => {}
        }
        leave.send_replace(true);
        serving.as_mut().graceful_shutdown();
        if tokio::time::timeout(GRACE, serving).await.is_err() {
            debug!("admin connection cut after its grace");
        }
    }
}
