//! WebSocket where one side or both speak HTTP/2: extended CONNECT (RFC 8441) on one hop, `Upgrade` on the other.

use std::time::Duration;

use http::Request;
use hyper::ext::Protocol;

use crate::http2::H2;
use crate::support::andon::lone;
use crate::support::frames::{END_HEADERS, HEADERS, block};
use crate::support::h2::{Client, Payload, Tunnel, Upstream, request, response};
use crate::support::{Andon, End, Frames, Manual, Server, Site, Wire, get_with, wait};

const UPGRADE: &str = "upgrade = [\"websocket\"]\n";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn asks() -> String {
    let key = format!("Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n");
    get_with("/socket", &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{key}"))
}

fn connect(protocol: &'static str) -> Request<Payload> {
    let fields = [("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")];
    let mut request = request("CONNECT", "/socket", &fields, Payload::Empty);
    request.extensions_mut().insert(Protocol::from_static(protocol));
    request
}

/// Answers a handshake on HTTP/1 as a server must: the key may be andon's own.
fn agree(peer: &mut Wire) {
    let head = peer.head();
    assert!(head.first.starts_with("GET /socket HTTP/1.1"), "{head:?}");
    assert_eq!((head.field("upgrade"), head.field("sec-websocket-version")), (Some("websocket"), Some("13")));
    let accept = accept_of(head.field("sec-websocket-key").expect("a key"));
    peer.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Protocol: chat\r\n\r\n"
    ));
}

fn accept_of(key: &str) -> String {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    data_encoding::BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// A client on HTTP/2 before an upstream on HTTP/1.
fn two_to_one() -> (Andon, Client, Tunnel, Wire) {
    let upstream = Manual::start();
    let andon =
        Site::with_listener("keep_alive_timeout = \"300ms\"", &(lone(upstream.address, "") + UPGRADE))
            .start();
    let client = Client::connect(andon.address);
    let asked = client.begin(connect("websocket"));
    let mut peer = upstream.accept();
    agree(&mut peer);
    let (headers, tunnel) = asked.tunnel();
    assert_eq!(headers["sec-websocket-protocol"], "chat");
    for name in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!headers.contains_key(name), "{headers:?}");
    }
    (andon, client, tunnel, peer)
}

#[test]
fn from_http_2_to_http_1_bytes_pass_both_ways_until_the_client_ends() {
    let (andon, _client, mut tunnel, mut peer) = two_to_one();
    tunnel.write(b"up");
    peer.read_until("up");
    peer.send("down");
    assert_eq!(tunnel.read(4), b"down");
    // Longer than a connection without a request is kept.
    wait::pause(Duration::from_millis(1_500));
    tunnel.write(&[b'x'; 300_000]);
    peer.read_exactly(300_000);
    tunnel.finish();
    assert_eq!(peer.rest(), (Vec::new(), End::Closed));
    peer.send("last words");
    drop(peer);
    assert_eq!(tunnel.rest().expect("a good end"), b"last words");
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn from_http_2_to_http_1_the_upstreams_end_and_the_clients_leaving_arrive() {
    let (_andon, _client, mut tunnel, mut peer) = two_to_one();
    peer.send("bye");
    peer.finish_sending();
    assert_eq!(tunnel.rest().expect("a good end"), b"bye");
    tunnel.write(b"and bye");
    peer.read_until("and bye");
    drop(tunnel);
    peer.rest();

    let (_andon, client, tunnel, mut peer) = two_to_one();
    drop((tunnel, client));
    peer.rest();
}

#[test]
fn from_http_1_to_http_2_bytes_pass_both_ways() {
    let upstream = Upstream::manual();
    let andon = Andon::start(&(lone(upstream.address, H2) + UPGRADE));
    for ends_first in ["client", "upstream"] {
        let mut client = andon.connect();
        client.send(asks() + "early");
        let call = upstream.call();
        assert_eq!((call.request.method.as_str(), call.request.uri.path()), ("CONNECT", "/socket"));
        assert_eq!(call.request.extensions.get::<Protocol>().map(Protocol::as_str), Some("websocket"));
        assert_eq!((call.field("sec-websocket-key"), call.field("upgrade")), (None, None));
        assert_eq!(call.field("sec-websocket-version"), Some("13"));
        let mut peer = call.agree(&[]);
        let answer = client.response();
        assert_eq!((answer.status(), answer.field("sec-websocket-accept")), (101, Some(ACCEPT)));
        assert_eq!(
            (answer.field("upgrade"), answer.field("connection")),
            (Some("websocket"), Some("upgrade"))
        );
        assert_eq!(peer.read(5), b"early");
        peer.write(b"down");
        client.read_until("down");
        if ends_first == "client" {
            client.finish_sending();
            assert_eq!(peer.rest().expect("a good end"), b"");
            peer.write(b"last words");
            peer.finish();
            assert_eq!(client.rest(), (b"last words".to_vec(), End::Closed));
        } else {
            peer.write(b"last words");
            peer.finish();
            client.read_until("last words");
            client.send("mine");
            assert_eq!(peer.read(4), b"mine");
            client.finish_sending();
            assert_eq!(client.rest(), (Vec::new(), End::Closed));
        }
    }
    andon.wait_for_outcome("success", 2.0);
}

#[test]
fn from_http_2_to_http_2_bytes_pass_both_ways() {
    let upstream = Upstream::manual();
    let andon = Andon::start(&(lone(upstream.address, H2) + UPGRADE));
    let client = Client::connect(andon.address);
    let asked = client.begin(connect("websocket"));
    let mut peer = upstream.call().agree(&[("sec-websocket-protocol", "chat")]);
    let (headers, mut tunnel) = asked.tunnel();
    assert_eq!(headers["sec-websocket-protocol"], "chat");
    for _ in 0..3 {
        tunnel.write(b"up");
        assert_eq!(peer.read(2), b"up");
        peer.write(b"down");
        assert_eq!(tunnel.read(4), b"down");
    }
    tunnel.finish();
    assert_eq!(peer.rest().expect("a good end"), b"");
    peer.finish();
    assert_eq!(tunnel.rest().expect("a good end"), b"");
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn an_upstream_that_refuses_is_an_ordinary_answer() {
    let upstream = Upstream::manual();
    let andon = Andon::start(&(lone(upstream.address, H2) + UPGRADE));
    let asked = Client::connect(andon.address).begin(connect("websocket"));
    upstream.call().reply(response(429, &[], Payload::of("no")));
    let answer = asked.head().rest();
    assert_eq!((answer.status.as_u16(), answer.text()), (429, "no"));
    let mut client = andon.connect();
    client.send(asks());
    upstream.call().reply(response(429, &[], Payload::of("no")));
    let answer = client.response();
    assert_eq!((answer.status(), answer.text()), (429, "no"));
}

#[test]
fn an_upstream_on_http_1_that_agrees_to_another_question_is_502() {
    let upstream = Manual::start();
    let andon = Andon::start(&(lone(upstream.address, "") + UPGRADE));
    let asked = Client::connect(andon.address).begin(connect("websocket"));
    let mut peer = upstream.accept();
    peer.head();
    peer.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    ));
    assert_eq!(asked.head().rest().status, 502);
}

#[test]
fn connect_is_refused_for_everything_else() {
    let upstream = Server::named("one");
    let closed = Andon::before(upstream.address);
    let client = Client::connect(closed.address);
    assert_eq!(client.ask(connect("websocket")).status, 403);
    let open = Andon::start(&(lone(upstream.address, "") + UPGRADE));
    let client = Client::connect(open.address);
    for protocol in ["connect-udp", "h2c", "WebSocket2", "websocket, h2c"] {
        assert_eq!(client.ask(connect(protocol)).status, 400, "{protocol}");
    }
    let mut raw = Frames::connect(open.address, &[]);
    let plain = block(&[(":method", "CONNECT"), (":authority", "shop.example:80")]);
    raw.send(HEADERS, END_HEADERS, 1, &plain);
    assert!(raw.fate(1).is_refusal());
    assert_eq!(client.get("/"), "one");
    assert_eq!(upstream.requests(), 1);
}
