//! One downstream connection: the socket, hyper's HTTP/1 state machine, and the deadlines around both.
//!
//! At any time the connection is in one [`Stage`], and each stage but `Busy` has a deadline: nobody holds a
//! connection by being slow. hyper's own head timeout is not used: it costs a timer a request, and cannot tell
//! an idle connection from a slow head.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Version};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::deadline::Deadline;
use super::tunnel::{self, Tunnel};
use super::worker::{BUFFER_BYTES_MAX, DRAIN_IDLE, Worker};
use super::{early, request};
use crate::config::Listener;
use crate::metrics::shard::Refused;

mod socket;

use socket::Socket;

/// A client that was refused may still be sending: that much is read and thrown away, so that the refusal is
/// not lost to a connection reset.
const LINGER_BYTES_MAX: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Between requests.
    Idle,
    /// Part of a request head is here.
    Head,
    /// A request is being served.
    Busy,
    /// The client does not read what we send.
    Blocked,
}

/// What the parts of one connection share: socket, requests, bodies.
pub(super) struct Downstream {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: Rc<Listener>,
    pub(super) peer: SocketAddr,
    pub(super) peer_trusted: bool,
    /// The peer's address as a header value, made once.
    pub(super) forwarded_for: HeaderValue,
    pub(super) hints: SyncSender<Box<[u8]>>,
    stage: Cell<Stage>,
    /// Requests, answers and uploads under way: a [`Busy`] each.
    serving: Cell<u32>,
    watch: RefCell<Deadline>,
    tunnel: RefCell<Option<Tunnel>>,
    /// An answer of unknown length to an HTTP/1.0 client ends where the connection ends.
    ends_by_close: Cell<bool>,
    /// The answer broke off where only a reset can tell the client so.
    reset: Cell<bool>,
}

impl Downstream {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        trusts(&self.listener, address)
    }

    /// After the answer, whose status must be 101, the connection becomes this tunnel.
    pub(super) fn become_tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    /// A request is here; the returned guard lives as long as its response body.
    pub(super) fn begin_request(self: &Rc<Self>, version: Version) -> Busy {
        self.ends_by_close.set(version == Version::HTTP_10);
        self.hold()
    }

    /// The connection stays busy for as long as the guard lives.
    pub(super) fn hold(self: &Rc<Self>) -> Busy {
        self.serving.set(self.serving.get() + 1);
        self.stage.set(Stage::Busy);
        Busy(Rc::clone(self))
    }

    fn enter(&self, stage: Stage) {
        let span = match stage {
            Stage::Idle => self.listener.keep_alive_timeout,
            Stage::Head => self.listener.header_timeout,
            Stage::Busy => return self.stage.set(stage),
            Stage::Blocked => self.listener.body_timeout,
        };
        self.stage.set(stage);
        self.watch.borrow_mut().restart(span);
    }

    fn timed_out(&self, context: &Context<'_>) -> bool {
        // Polled in every stage: it also is what the drain wakes.
        self.watch.borrow_mut().poll(context).is_ready() && self.stage.get() != Stage::Busy
    }
}

/// Held while a request is served, and by an upload that may outlive its answer. When the last one is dropped the
/// connection is idle.
pub(super) struct Busy(Rc<Downstream>);

impl Busy {
    /// The response body broke off. Chunked and sized answers then visibly lack their end; one that ends with
    /// the connection would look whole, so the connection is reset instead of closed.
    pub(super) fn broken_off(&self) {
        self.0.reset.set(self.0.ends_by_close.get());
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let left = self.0.serving.get() - 1;
        self.0.serving.set(left);
        if left == 0 {
            self.0.enter(Stage::Idle);
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(worker: Rc<Worker>, listener: Rc<Listener>, stream: TcpStream, peer: SocketAddr) {
    // Without it a small answer can wait for an acknowledgement. A socket that refuses is already broken.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (downstream, hints) = open(worker, listener, peer);
    let io =
        Socket { io: TokioIo::new(stream), downstream: Rc::clone(&downstream), hints, at_boundary: true };
    let journey = Rc::clone(&downstream);
    let service = service_fn(move |request| request::handle(Rc::clone(&journey), request));
    let mut connection = http1::Builder::new()
        .max_header_size(BUFFER_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(io, service);
    let mut draining = false;
    let ended = std::future::poll_fn(|context| {
        if downstream.worker.is_cut() || downstream.timed_out(context) {
            return Poll::Ready(false);
        }
        if downstream.worker.is_draining() && !draining {
            draining = true;
            // An idle connection may have a request on its way: it is answered, with `Connection: close`.
            if downstream.stage.get() == Stage::Idle {
                downstream.watch.borrow_mut().restart(DRAIN_IDLE);
            } else {
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
        Pin::new(&mut connection).poll(context).map(|result| {
            if result.is_err_and(|error| error.is_parse()) {
                // hyper has answered 400, 414 or 431; it never became a request of ours.
                downstream.worker.shard.refuse(Refused::BadRequest);
            }
            true
        })
    })
    .await;
    let parts = connection.into_parts();
    let stream = parts.io.io.into_inner();
    let tunnel = downstream.tunnel.borrow_mut().take();
    match tunnel {
        Some(tunnel) if ended => tunnel::run(&downstream.worker, stream, &parts.read_buf, tunnel).await,
        _ => close(&downstream, stream, ended).await,
    }
}

fn open(
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    peer: SocketAddr,
) -> (Rc<Downstream>, Receiver<Box<[u8]>>) {
    let (hints, receiver) = sync_channel(early::HINTS_MAX);
    let watch = Deadline::after(&worker.connection_deadlines, listener.header_timeout);
    let peer_trusted = trusts(&listener, peer.ip());
    let address = HeaderValue::from_str(&peer.ip().to_canonical().to_string());
    let downstream = Downstream {
        worker,
        listener,
        peer,
        peer_trusted,
        forwarded_for: address.expect("an IP address is a valid header value"),
        hints,
        stage: Cell::new(Stage::Idle),
        serving: Cell::new(0),
        watch: RefCell::new(watch),
        tunnel: RefCell::new(None),
        ends_by_close: Cell::new(false),
        reset: Cell::new(false),
    };
    (Rc::new(downstream), receiver)
}

/// An IPv4 peer of a listener for both families shows as `::ffff:10.0.0.1`, and is written as `10.0.0.0/8`.
fn trusts(listener: &Listener, address: IpAddr) -> bool {
    listener.trusted_proxies.iter().any(|network| network.contains(&address.to_canonical()))
}

/// Ends the socket so that the client can tell a whole answer from a cut one.
async fn close(downstream: &Downstream, mut stream: TcpStream, ended: bool) {
    let cut = !ended && matches!(downstream.stage.get(), Stage::Busy | Stage::Blocked);
    if downstream.reset.get() || (cut && downstream.ends_by_close.get()) {
        // Linger zero makes the close a reset. If it fails, the plain close is all there is.
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        return;
    }
    if !ended {
        if downstream.stage.get() == Stage::Head {
            downstream.worker.shard.refuse(Refused::SlowHead);
            let _ = stream
                .try_write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
        return;
    }
    // A close with unread bytes is a reset, which can overtake our last answer: read on for a moment.
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(LINGER_BYTES_MAX as u64);
        let drain = async { tokio::io::copy(&mut rest, &mut tokio::io::sink()).await };
        let _ = Deadline::after(&downstream.worker.connection_deadlines, LINGER).bound(drain).await;
    }
}
