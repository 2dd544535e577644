//! WebSocket where the route allows it, and no upgrade anywhere else.

use crate::support::andon::lone;
use crate::support::{Andon, End, Manual, OK, Wire, get_with, wait};

const ASKS: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const AGREES: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn allowing(upstream: &Manual) -> Andon {
    Andon::start(&(lone(upstream.address, "") + "upgrade = [\"websocket\"]\n"))
}

fn asked(andon: &Andon, upstream: &Manual, early: &str) -> (Wire, Wire) {
    let mut client = andon.connect();
    client.send(get_with("/socket", ASKS) + early);
    let mut peer = upstream.accept();
    let head = peer.head();
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert!(head.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")), "{head:?}");
    assert_eq!(head.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    (client, peer)
}

/// Bytes pass both ways, and each side's end reaches the other while the other may still speak.
fn converse(andon: &Andon, mut client: Wire, mut peer: Wire) {
    for _ in 0..3 {
        client.send("up");
        peer.read_until("up");
        peer.send("down");
        client.read_until("down");
    }
    client.finish_sending();
    assert_eq!(peer.rest(), (Vec::new(), End::Closed));
    peer.send("last words");
    drop(peer);
    assert_eq!(client.rest(), (b"last words".to_vec(), End::Closed));
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn after_the_switch_bytes_pass_both_ways() {
    let upstream = Manual::start();
    let andon = allowing(&upstream);
    let (mut client, mut peer) = asked(&andon, &upstream, "");
    peer.send(AGREES);
    let head = client.response();
    assert_eq!((head.status(), head.field("upgrade")), (101, Some("websocket")));
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    converse(&andon, client, peer);
}

#[test]
fn a_client_that_would_close_otherwise_is_told_of_the_switch_alone() {
    let upstream = Manual::start();
    let andon = allowing(&upstream);
    let mut client = andon.connect();
    client.send(get_with("/socket", &ASKS.replace("keep-alive", "close")));
    let mut peer = upstream.accept();
    peer.head();
    peer.send(AGREES);
    let head = client.response();
    assert_eq!((head.status(), head.field("connection")), (101, Some("upgrade")));
    converse(&andon, client, peer);
}

#[test]
fn bytes_right_behind_the_request_reach_the_upstream() {
    let upstream = Manual::start();
    let andon = allowing(&upstream);
    let (mut client, mut peer) = asked(&andon, &upstream, "early bird");
    peer.send(AGREES);
    peer.read_until("early bird");
    assert_eq!(client.response().status(), 101);
    converse(&andon, client, peer);
}

#[test]
fn bytes_right_behind_the_answer_reach_the_client() {
    let upstream = Manual::start();
    let andon = allowing(&upstream);
    let (mut client, mut peer) = asked(&andon, &upstream, "");
    peer.send(format!("{AGREES}welcome"));
    assert_eq!(client.response().status(), 101);
    client.read_until("welcome");
    converse(&andon, client, peer);
}

#[test]
fn a_refused_handshake_is_an_ordinary_answer() {
    let upstream = Manual::start();
    let andon = allowing(&upstream);
    let (mut client, mut peer) = asked(&andon, &upstream, "");
    peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let answer = client.response();
    assert_eq!((answer.status(), answer.text()), (403, "no"));
}

#[test]
fn an_upstream_that_vanishes_ends_the_tunnel() {
    let upstream = Manual::start();
    let andon = allowing(&upstream);
    let (mut client, mut peer) = asked(&andon, &upstream, "");
    peer.send(AGREES);
    assert_eq!(client.response().status(), 101);
    drop(peer);
    client.rest();
    drop(client);
    wait::until("no connection is left", || {
        (andon.metric("andon_requests_in_flight", &[]) == 0.0).then_some(())
    });
}

#[test]
fn without_the_key_the_upgrade_does_not_reach_the_upstream() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(get_with("/socket", ASKS));
    let mut peer = upstream.accept();
    let head = peer.head();
    assert_eq!((head.field("upgrade"), head.field("connection")), (None, None));
    peer.send(OK);
    assert_eq!(client.response().status(), 200);
}
