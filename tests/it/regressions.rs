//! Faults that were found by reading and by attack, each kept out by one test.

use std::net::TcpStream;
use std::time::Duration;

use crate::support::andon::{lone, split};
use crate::support::{Andon, End, Manual, OK, Server, Site, Wire, get, get_with, wait};

/// A client that waits for its answer, and the upstream's end that has the request.
fn asked(upstream: &Manual, andon: &Andon) -> (Wire, Wire) {
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    (client, peer)
}

#[test]
fn a_get_with_a_chunked_body_reaches_the_upstream_whole() {
    let upstream = Server::named("shop");
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(get_with("/", "Transfer-Encoding: chunked\r\n") + "4\r\nfour\r\n5\r\nfives\r\n0\r\n\r\n");
    let got = upstream.request();
    assert_eq!((got.is_chunked(), got.length(), got.text()), (true, None, "fourfives"));
    assert_eq!(client.response().text(), "shop");
    client.send(get("/next"));
    assert_eq!(upstream.request().first, "GET /next HTTP/1.1");
    assert_eq!(client.response().text(), "shop");
}

#[test]
fn an_answer_that_is_chunked_and_names_a_length_loses_the_length() {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    const LENGTH: &str = "Content-Length: 3\r\n";
    for fields in [[CHUNKED, LENGTH], [LENGTH, CHUNKED]] {
        let upstream = Manual::start();
        let andon = Andon::before(upstream.address);
        let (mut client, mut peer) = asked(&upstream, &andon);
        peer.send(format!("HTTP/1.1 200 OK\r\n{}\r\n9\r\nall of it\r\n0\r\n\r\n", fields.concat()));
        let answer = client.response();
        assert_eq!((answer.is_chunked(), answer.length()), (true, None), "{answer:?}");
        assert!(answer.whole && answer.text() == "all of it", "{answer:?}");
        andon.wait_for_outcome("success", 1.0);
    }
}

#[test]
fn a_target_that_names_a_user_is_400() {
    let upstream = Server::named("shop");
    let andon = Andon::before(upstream.address);
    for target in ["http://a:b@c/", "http://a@c/", "http://c@c/"] {
        let answer = andon.exchange(format!("GET {target} HTTP/1.1\r\nHost: c\r\n\r\n"));
        assert_eq!(answer.status(), 400, "{target}");
    }
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn an_http_1_0_answer_that_breaks_off_does_not_look_whole() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut peer) = asked(&upstream, &andon);
    peer.send("HTTP/1.0 200 OK\r\n\r\npart");
    let head = client.head();
    assert!(head.first.starts_with("HTTP/1.1 200") && head.is_chunked(), "{head:?}");
    client.read_until("part");
    peer.reset();
    let (rest, _) = client.rest();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    andon.wait_for_outcome("truncated", 1.0);
}

#[test]
fn an_http_1_0_answer_leaves_the_clients_connection_usable() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    for length in ["", "Content-Length: 5\r\n", ""] {
        client.send(get("/"));
        let mut peer = upstream.accept();
        peer.request();
        peer.send(format!("HTTP/1.0 200 OK\r\n{length}\r\nwhole"));
        drop(peer);
        let answer = client.response();
        assert!(answer.first.starts_with("HTTP/1.1 200"), "{answer:?}");
        assert!(answer.whole && answer.text() == "whole", "{answer:?}");
    }
    andon.wait_for_outcome("success", 3.0);
}

#[test]
fn an_upstream_that_stops_reading_an_upload_is_504() {
    const STEP: usize = 1024 * 1024;
    let upstream = Manual::start_unbuffered();
    let andon = Andon::start(&lone(upstream.address, r#"response_timeout = "300ms""#));
    let mut client = andon.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 64 * STEP));
    let uploading = std::thread::spawn(move || {
        // Nobody wants all of it: it is more than the buffers on its way can take.
        let _ = client.try_send("x".repeat(64 * STEP));
        client.try_response()
    });
    let mut peer = upstream.accept();
    peer.head();
    peer.read_exactly(STEP);
    andon.wait_for_outcome("response_timeout", 1.0);
    // A client in the middle of its upload may lose the answer to the end of its connection.
    let answer = uploading.join().unwrap();
    assert!(answer.as_ref().is_none_or(|answer| answer.status() == 504), "{answer:?}");
}

#[test]
fn an_upload_that_moves_slowly_is_not_cut() {
    const STEP: usize = 64 * 1024;
    const STEPS: usize = 128;
    let upstream = Manual::start_unbuffered();
    let andon = Andon::start(&lone(upstream.address, r#"response_timeout = "500ms""#));
    let mut client = andon.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", STEP * STEPS));
    let uploading = std::thread::spawn(move || {
        let sent = client.try_send("x".repeat(STEP * STEPS));
        (sent, client.response())
    });
    let mut peer = upstream.accept();
    peer.head();
    for _ in 0..STEPS {
        peer.read_exactly(STEP);
        wait::pause(Duration::from_millis(40));
    }
    peer.send(OK);
    let (sent, answer) = uploading.join().unwrap();
    assert!(sent.is_ok() && answer.text() == "ok", "{sent:?}, {answer:?}");
}

#[test]
fn a_flood_of_early_hints_is_502() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut peer) = asked(&upstream, &andon);
    let flood = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n".repeat(1_000);
    // Andon need not wait for the end of it.
    let _ = peer.try_send(flood);
    let answer = std::iter::repeat_with(|| client.response()).find(|answer| answer.status() != 103);
    assert_eq!(answer.map(|answer| answer.status()), Some(502));
    andon.wait_for_outcome("protocol", 1.0);
}

/// An open tunnel: the client's end, and the upstream's.
fn tunnel(upstream: &Manual, andon: &Andon) -> (Wire, Wire) {
    let mut client = andon.connect();
    client.send(get_with(
        "/socket",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ));
    let mut peer = upstream.accept();
    peer.head();
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
    assert_eq!(client.response().status(), 101);
    client.read_until("hello");
    (client, peer)
}

fn tunnelling(upstream: &Manual) -> Andon {
    Andon::start(&(lone(upstream.address, "") + "upgrade = [\"websocket\"]\n"))
}

#[test]
fn a_reset_on_one_side_of_a_tunnel_ends_the_other() {
    let upstream = Manual::start();
    let andon = tunnelling(&upstream);
    let (client, mut peer) = tunnel(&upstream, &andon);
    client.reset();
    assert_eq!(peer.rest().0, b"");
    let (mut client, peer) = tunnel(&upstream, &andon);
    peer.reset();
    assert_eq!(client.rest().0, b"");
}

#[test]
fn an_upgrade_counts_as_success_while_its_tunnel_is_open() {
    let upstream = Manual::start();
    let andon = tunnelling(&upstream);
    let (mut client, mut peer) = tunnel(&upstream, &andon);
    wait::until("the upgrade counts", || {
        (andon.metric("andon_outcomes_total", &[("outcome", "success")]) == 1.0).then_some(())
    });
    client.send("still");
    peer.read_until("still");
    peer.send("open");
    client.read_until("open");
    drop((client, peer));
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn with_its_store_deleted_a_raise_is_503_and_the_cord_still_works() {
    let servers = [Server::named("stable"), Server::named("canary")];
    let site = Site::new(&split(servers[0].address, servers[1].address, "100%", ""));
    let andon = site.start();
    andon.set_weight("50%").ok();
    std::fs::remove_file(site.store()).unwrap();
    assert_eq!(andon.set_weight("100%").status, 503);
    assert_eq!(andon.shop()["canaries"][0]["aim"], "50%");
    andon.ask("POST", "/api/v1/routes/shop/cord", r#"{"why": "a look first", "by": "ann"}"#).ok();
    let shop = andon.shop();
    assert_eq!((&shop["cord"]["by"], &shop["unsaved"]), (&"ann".into(), &true.into()), "{shop}");
    for _ in 0..20 {
        assert_eq!(andon.exchange(get("/")).text(), "stable");
    }
}

#[test]
fn a_drain_still_answers_what_an_idle_connection_sends_at_once() {
    let upstream = Server::named("shop");
    let mut andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(get("/"));
    assert_eq!(client.response().text(), "shop");
    andon.signal("TERM");
    wait::until("the drain begins", || TcpStream::connect(andon.address).is_err().then_some(()));
    client.send(get("/"));
    let answer = client.response();
    assert_eq!((answer.text(), answer.field("connection")), ("shop", Some("close")));
    assert_eq!(client.rest(), (Vec::new(), End::Closed));
    assert_eq!(andon.ended().code(), Some(0));
}

#[test]
fn a_get_of_an_http_1_0_client_that_is_sent_again_brings_no_early_hints() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut old) = asked(&upstream, &andon);
    old.send(OK);
    assert_eq!(client.response().text(), "ok");
    let mut client = andon.connect();
    client.send("GET /2 HTTP/1.0\r\nHost: a\r\n\r\n");
    assert!(old.request().first.starts_with("GET /2 "));
    drop(old);
    let mut new = upstream.accept();
    new.request();
    new.send(format!("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n{OK}"));
    let answer = client.response();
    assert_eq!((answer.status(), answer.text()), (200, "ok"));
}
