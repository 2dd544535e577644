//! Accepts connections for the admin router, few and not for ever.
//!
//! `axum::serve` would take any number of connections and wait for a request head without end. One stuck
//! dashboard must not keep Prometheus out, so everything here has a bound.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// Connections at a time. When full, new ones wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 256;
/// From the first byte wanted to the end of a request head; so also how long a connection may be unused.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection older than this ends after its present request.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);
/// How long a request in flight may go on once its connection should end.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes buffered for a connection: the largest request head. A larger one is answered 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Out of file descriptors, most likely: trying again at once would only burn the core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let room = connections.len() < CONNECTIONS_MAX;
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), stopped.clone()));
                }
                Err(error) => {
                    warn!(%error, "admin listener cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    stop.send_replace(());
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_done).await.is_err() {
        debug!("admin connections cut after their grace");
    }
}

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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
    serving.as_mut().graceful_shutdown();
    if tokio::time::timeout(GRACE, serving).await.is_err() {
        debug!("admin connection cut after its grace");
    }
}
