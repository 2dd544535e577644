//! Accepts connections for the admin router, few and not for ever.
//!
//! `axum::serve` would take any number of connections and wait for a request head without end. One stuck
//! dashboard must not keep Prometheus out, so everything here has a bound.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::seats::{Seat, Seats};

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

pub(super) async fn run(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
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
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let seat = seats.seat();
                    let served = connection(stream, seat.clone(), router.clone(), stopped.clone());
                    seats.take(connections.spawn(served), seat);
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

/// Tells an answer without an end that its connection should end.
#[derive(Clone, Debug)]
pub(super) struct Leaving(watch::Receiver<bool>);

impl Leaving {
    pub(super) async fn wait(&mut self) {
        // That the connection is gone is a reason to end as well.
        let _ = self.0.wait_for(|leaves| *leaves).await;
    }
}

async fn connection(stream: TcpStream, seat: Seat, router: Router, mut stopped: watch::Receiver<()>) {
    let router = TowerToHyperService::new(router);
    let (leave, leaving) = watch::channel(false);
    let service = service_fn(move |mut request: Request<Incoming>| {
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
