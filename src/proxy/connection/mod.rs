//! One downstream connection: the socket, who speaks on it, and the deadlines around both.
//!
//! [`greeting`] finds out what is spoken; [`http1`] and [`http2`] serve it. At any time the connection is in one
//! [`Stage`], and each stage but `Busy` has a deadline: nobody holds a connection by being slow.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use bytes::BytesMut;
use http::uri::Scheme;
use http::{HeaderValue, Version};
use tokio::net::TcpStream;

use super::accept::Open;
use super::deadline::Deadline;
use super::early::Hints;
use super::proxy_protocol::Addresses;
use super::request;
use super::stream::Stream;
use super::tls::Session;
use super::tunnel::Tunnel;
use super::worker::Worker;
use crate::config::Listener;

mod greeting;
mod http1;
mod http2;
mod introduction;
pub(super) mod lobby;
mod socket;

use greeting::{Greeted, Protocol, greet};
use introduction::introduce;

/// To a client whose head did not come in time.
const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// An HTTP/1 connection that is idle for so long rests: it gives its buffers back.
const REST_AFTER: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Between requests.
    Idle,
    /// Part of a request head is here (HTTP/1).
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
    /// What the client connected to.
    local: SocketAddr,
    pub(super) peer_trusted: bool,
    /// What the handshake has settled. `None`: cleartext.
    pub(super) session: Option<Session>,
    protocol: Protocol,
    pub(super) scheme: Scheme,
    /// The peer's address as a header value, made once.
    pub(super) forwarded_for: HeaderValue,
    pub(super) hints: Hints,
    stage: Cell<Stage>,
    /// Requests so far.
    requests: Cell<u64>,
    /// As many of them when it rested last.
    rested: Cell<u64>,
    /// Requests, answers and uploads under way: a [`Busy`] each.
    serving: Cell<u32>,
    watch: RefCell<Deadline>,
    /// How long the stream that is being polled may rest, for as long as it lives (HTTP/2).
    stream_idle: Cell<Duration>,
    /// The same, until it is polled again.
    upstream_wait: Cell<Duration>,
    tunnel: RefCell<Option<Tunnel>>,
    /// An answer of unknown length to an HTTP/1.0 client ends where the connection ends.
    ends_by_close: Cell<bool>,
    /// The answer broke off where only a reset can tell the client so.
    reset: Cell<bool>,
    /// An answer broke off.
    broken_off: Cell<bool>,
}

impl Downstream {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        trusts(&self.listener, address)
    }

    /// Both ends of the client's connection.
    pub(super) fn addresses(&self) -> Addresses {
        Addresses { source: self.peer, destination: self.local }
    }

    /// After the answer, whose status must be 101, the connection becomes this tunnel.
    pub(super) fn become_tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    /// A request is here; the returned guard lives as long as its response body.
    pub(super) fn begin_request(self: &Rc<Self>, version: Version) -> Busy {
        self.ends_by_close.set(version == Version::HTTP_10);
        self.requests.set(self.requests.get() + 1);
        self.hold()
    }

    /// The connection has brought as many requests as one may.
    pub(super) fn is_used_up(&self) -> bool {
        self.requests.get() >= self.listener.limits.requests_per_connection_max
    }

    /// The connection stays busy for as long as the guard lives.
    pub(super) fn hold(self: &Rc<Self>) -> Busy {
        self.serving.set(self.serving.get() + 1);
        self.stage.set(Stage::Busy);
        Busy(Rc::clone(self))
    }

    /// The exchange that is being polled is one that may rest for long: a stream of messages, a tunnel.
    pub(super) fn expect_rests(&self, span: Duration) {
        self.stream_idle.set(self.stream_idle.get().max(span));
    }

    /// The exchange that is being polled waits for the upstream, which has a deadline of its own.
    pub(super) fn await_upstream(&self, span: Duration) {
        self.upstream_wait.set(span);
    }

    fn enter(&self, stage: Stage) {
        let span = match stage {
            Stage::Idle if self.protocol == Protocol::Http1 => {
                self.listener.keep_alive_timeout.min(REST_AFTER)
            }
            Stage::Idle => self.listener.keep_alive_timeout,
            Stage::Head => self.listener.header_timeout,
            Stage::Busy => return self.stage.set(stage),
            Stage::Blocked => self.listener.body_timeout,
        };
        self.stage.set(stage);
        self.watch.borrow_mut().restart(span);
    }

    /// It has been idle for as long as [`enter`](Self::enter) has set, and may be for longer. Once after each request:
    /// bytes that make none, as half a record of TLS, do not buy another rest.
    fn may_rest(&self) -> bool {
        let has_served = self.requests.get() > self.rested.get();
        self.stage.get() == Stage::Idle && has_served && self.listener.keep_alive_timeout > REST_AFTER
    }

    /// From here on the rest of the time that a connection may be idle, which is returned.
    fn begin_rest(&self) -> Duration {
        self.rested.set(self.requests.get());
        self.worker.rested.notify_one();
        let span = self.listener.keep_alive_timeout.saturating_sub(REST_AFTER);
        self.watch.borrow_mut().restart(span);
        span
    }

    /// As many requests before it rested.
    fn has_brought(&self, requests: u64) {
        self.requests.set(requests);
        self.rested.set(requests);
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
    pub(super) fn worker(&self) -> &Worker {
        &self.0.worker
    }

    pub(super) fn is_http2(&self) -> bool {
        self.0.protocol == Protocol::Http2
    }

    /// The response body waits for the upstream.
    pub(super) fn await_upstream(&self, span: Duration) {
        self.0.await_upstream(span);
    }

    /// The response body broke off. Chunked and sized answers then visibly lack their end; one that ends with
    /// the connection would look whole, so the connection is reset instead of closed.
    pub(super) fn broken_off(&self) {
        self.0.reset.set(self.0.ends_by_close.get());
        self.0.broken_off.set(true);
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

/// A connection that was let in.
pub(super) struct Arrival {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: Rc<Listener>,
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
}

/// Serves one connection to its end. A task is as large as its largest state for as long as it lives, so what each
/// stretch of this life needs stands in a box of its own, and between requests little is left.
pub(super) async fn serve(arrival: Box<Arrival>, open: Open) {
    let Some((downstream, stream, first)) = Box::pin(begin(arrival)).await else { return };
    match downstream.protocol {
        Protocol::Http1 => http1::serve(downstream, stream, first, open).await,
        Protocol::Http2 => Box::pin(http2::serve(downstream, stream, first)).await,
    }
}

/// Up to the first bytes of the first request. `None`: it does not come so far.
async fn begin(arrival: Box<Arrival>) -> Option<(Rc<Downstream>, Stream, BytesMut)> {
    let Arrival { worker, listener, mut socket, peer } = *arrival;
    // Without it a small answer can wait for an acknowledgement. A socket that refuses is already broken.
    socket.set_nodelay(true).ok()?;
    let addresses = introduce(&worker, &listener, &mut socket, peer).await?;
    let greeted = greet(&worker, &listener, socket, addresses.source).await?;
    let Greeted { stream, protocol, first, session } = greeted;
    let downstream = open(worker, listener, addresses, (protocol, session));
    Some((downstream, stream, first))
}

/// For the benches: one in cleartext on which nothing has come yet.
pub(super) fn quiet(worker: Rc<Worker>, listener: Rc<Listener>, peer: SocketAddr) -> Rc<Downstream> {
    let addresses = Addresses { source: peer, destination: peer };
    open(worker, listener, addresses, (Protocol::Http1, None))
}

fn open(
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    addresses: Addresses,
    (protocol, session): (Protocol, Option<Session>),
) -> Rc<Downstream> {
    let Addresses { source: peer, destination: local } = addresses;
    let watch = Deadline::after(&worker.connection_deadlines, listener.header_timeout);
    let peer_trusted = trusts(&listener, peer.ip());
    let stream_idle = listener.stream_idle_timeout;
    let address = HeaderValue::from_str(&peer.ip().to_canonical().to_string());
    Rc::new(Downstream {
        worker,
        listener,
        peer,
        local,
        peer_trusted,
        protocol,
        scheme: if session.is_some() { Scheme::HTTPS } else { Scheme::HTTP },
        session,
        forwarded_for: address.expect("an IP address is a valid header value"),
        hints: Hints::default(),
        stage: Cell::new(Stage::Idle),
        requests: Cell::new(0),
        rested: Cell::new(0),
        serving: Cell::new(0),
        watch: RefCell::new(watch),
        stream_idle: Cell::new(stream_idle),
        upstream_wait: Cell::new(Duration::ZERO),
        tunnel: RefCell::new(None),
        ends_by_close: Cell::new(false),
        reset: Cell::new(false),
        broken_off: Cell::new(false),
    })
}

/// An IPv4 peer of a listener for both families shows as `::ffff:10.0.0.1`, and is written as `10.0.0.0/8`.
fn trusts(listener: &Listener, address: IpAddr) -> bool {
    listener.trusted_proxies.iter().any(|network| network.contains(&address.to_canonical()))
}
