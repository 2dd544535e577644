//! What is said before the answer: 100 Continue and 103 Early Hints.

use crate::support::{Andon, Manual, OK, Wire, get};

const EXPECTING: &str = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";

/// A client that waits with its body for the upstream's word.
fn expecting(upstream: &Manual) -> (Andon, Wire, Wire) {
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(EXPECTING);
    let mut peer = upstream.accept();
    let head = peer.head();
    assert_eq!(head.field("expect"), Some("100-continue"));
    (andon, client, peer)
}

#[test]
fn the_body_waits_for_the_upstreams_continue() {
    let upstream = Manual::start();
    let (_andon, mut client, mut peer) = expecting(&upstream);
    assert!(client.is_silent());
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.response().status(), 100);
    assert!(peer.is_silent());
    client.send("body");
    peer.read_until("body");
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn a_body_in_chunks_waits_for_it_too() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut peer = upstream.accept();
    assert_eq!(peer.head().field("expect"), Some("100-continue"));
    assert!(client.is_silent());
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.response().status(), 100);
    client.send("4\r\nbody\r\n0\r\n\r\n");
    peer.read_until("body");
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn a_refused_expectation_is_answered_without_a_continue() {
    let upstream = Manual::start();
    let (_andon, mut client, mut peer) = expecting(&upstream);
    peer.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
    let answer = client.response();
    assert_eq!((answer.status(), answer.text()), (417, "no"));
}

#[test]
fn an_upstream_that_never_says_continue_gets_the_body_all_the_same() {
    let upstream = Manual::start();
    let (_andon, mut client, mut peer) = expecting(&upstream);
    assert_eq!(client.response().status(), 100);
    client.send("body");
    peer.read_until("body");
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
}

const HINT_THEN_OK: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";

#[test]
fn early_hints_reach_the_client_before_the_answer() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    for round in 0..2 {
        client.send(get("/"));
        let mut peer = upstream.accept();
        peer.request();
        peer.send(HINT_THEN_OK);
        let hint = client.response();
        assert_eq!(
            (hint.status(), hint.field("link")),
            (103, Some("</a.css>; rel=preload")),
            "round {round}"
        );
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.response().text(), "ok");
    }
}

#[test]
fn hints_and_answer_in_one_packet_stay_in_order() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(format!("{HINT_THEN_OK}{OK}"));
    assert_eq!(client.response().status(), 103);
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn an_http_1_0_client_gets_no_early_hints() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let mut peer = upstream.accept();
    peer.request();
    peer.send(format!("{HINT_THEN_OK}{OK}"));
    let answer = client.response();
    assert_eq!((answer.status(), answer.text()), (200, "ok"));
}
