//! Kept upstream connections that turn out to be dead: nothing is lost, nothing is sent twice.

use crate::support::andon::lone;
use crate::support::{Andon, Manual, OK, Wire, get, post};

/// After one good exchange: the client, and the upstream's end of the kept connection.
fn warmed(andon: &Andon, upstream: &Manual) -> (Wire, Wire) {
    let mut client = andon.connect();
    client.send(get("/1"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
    (client, peer)
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_costs_nothing() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    for request in [get("/2"), post("2")] {
        let (mut client, peer) = warmed(&andon, &upstream);
        drop(peer);
        client.send(&request);
        let mut peer = upstream.accept();
        assert_eq!(peer.request().first.split('/').next(), request.split('/').next());
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nnew");
        assert_eq!(client.response().text(), "new");
    }
}

#[test]
fn a_get_that_a_kept_connection_swallowed_is_sent_again_once() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut old) = warmed(&andon, &upstream);
    client.send(get("/2"));
    assert_eq!(old.request().first, "GET /2 HTTP/1.1");
    drop(old);
    let mut new = upstream.accept();
    assert_eq!(new.request().first, "GET /2 HTTP/1.1");
    new.send(OK);
    assert_eq!(client.response().text(), "ok");
    assert!(!upstream.has_caller());
    andon.wait_for_outcome("success", 2.0);
}

#[test]
fn a_get_that_two_connections_swallowed_is_not_sent_a_third_time() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut old) = warmed(&andon, &upstream);
    client.send(get("/2"));
    old.request();
    drop(old);
    upstream.accept().request();
    assert_eq!(client.response().status(), 502);
    assert!(!upstream.has_caller());
    andon.wait_for_outcome("reset", 1.0);
}

#[test]
fn a_post_that_a_kept_connection_swallowed_is_never_sent_again() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut old) = warmed(&andon, &upstream);
    client.send(post("pay"));
    assert_eq!(old.request().text(), "pay");
    drop(old);
    assert_eq!(client.response().status(), 502);
    assert!(!upstream.has_caller());
}

#[test]
fn a_get_that_a_kept_connection_answered_in_part_is_not_sent_again() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut old) = warmed(&andon, &upstream);
    client.send(get("/2"));
    old.request();
    old.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart");
    drop(old);
    assert!(client.try_response().is_none_or(|answer| !answer.whole));
    assert!(!upstream.has_caller());
}

#[test]
fn bytes_that_nobody_asked_for_end_a_kept_connection() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut old) = warmed(&andon, &upstream);
    old.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
    client.send(get("/2"));
    let mut new = upstream.accept();
    new.request();
    new.send(OK);
    assert_eq!(client.response().text(), "ok");
}

/// More of them than a task may look at in one turn: the first that it could not look at passed for a good one, and the
/// request waited on it for `response_timeout`.
#[test]
fn an_upstream_that_left_hundreds_of_kept_connections_is_seen_to_be_gone() {
    const KEPT: usize = 300;
    let upstream = Manual::start();
    let andon = Andon::start(&lone(upstream.address, r#"response_timeout = "1h""#));
    let mut clients: Vec<Wire> = (0..KEPT).map(|_| andon.connect()).collect();
    let mut peers = Vec::new();
    for client in &mut clients {
        client.send(get("/1"));
        let mut peer = upstream.accept();
        peer.request();
        peers.push(peer);
    }
    for (client, peer) in clients.iter_mut().zip(&mut peers) {
        peer.send(OK);
        assert_eq!(client.response().text(), "ok");
    }
    drop((upstream, peers));
    clients[0].send(get("/2"));
    assert_eq!(clients[0].response().status(), 502);
}
