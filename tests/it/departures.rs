//! Clients that leave, dawdle or say nothing: the upstream is let go, and the variant is not blamed.

use std::time::Duration;

use crate::support::andon::lone;
use crate::support::{Andon, End, Manual, OK, Server, Site, Wire, get, reply, wait};

const UPSTREAM_BLAME: [&str; 7] = [
    "server_error",
    "connect_error",
    "connect_timeout",
    "response_timeout",
    "reset",
    "protocol",
    "truncated",
];

/// The upstream loses its connection, and the request counts as the client's doing.
#[track_caller]
fn check(andon: &Andon, mut peer: Wire, client: Wire) {
    drop(client);
    peer.rest();
    andon.wait_for_outcome("downstream_gone", 1.0);
    for outcome in UPSTREAM_BLAME {
        assert_eq!(andon.metric("andon_outcomes_total", &[("outcome", outcome)]), 0.0, "{outcome}");
    }
}

fn begun(request: &str) -> (Andon, Wire, Wire) {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(request);
    let mut peer = upstream.accept();
    peer.head();
    (andon, peer, client)
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_request_is_not_the_upstreams_fault() {
    let (andon, mut peer, mut client) = begun("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    client.send("part");
    peer.read_until("part");
    check(&andon, peer, client);
}

#[test]
fn a_client_that_leaves_before_the_answer_is_not_the_upstreams_fault() {
    let (andon, peer, client) = begun(&get("/"));
    check(&andon, peer, client);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_the_answer_is_not_the_upstreams_fault() {
    let (andon, mut peer, mut client) = begun(&get("/"));
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\npart");
    client.read_until("part");
    check(&andon, peer, client);
}

#[test]
fn a_client_that_resets_its_connection_is_not_the_upstreams_fault() {
    let (andon, mut peer, mut client) = begun(&get("/"));
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\npart");
    client.read_until("part");
    client.reset();
    check(&andon, peer, Wire::connect(andon.address));
}

#[test]
fn an_upload_that_stalls_is_answered_408_and_is_not_the_upstreams_fault() {
    let upstream = Manual::start();
    let andon = Site::with_listener(r#"body_timeout = "300ms""#, &lone(upstream.address, "")).start();
    let mut client = andon.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart");
    let _peer = upstream.accept();
    assert_eq!(client.response().status(), 408);
    assert_eq!(client.rest().1, End::Closed);
    andon.wait_for_outcome("downstream_bad", 1.0);
}

/// Whatever it is called, it is not held against the upstream.
#[track_caller]
fn check_blameless(andon: &Andon) {
    wait::until("the request has ended", || {
        let ended = andon.metric("andon_outcomes_total", &[]) == 1.0;
        (ended && andon.metric("andon_requests_in_flight", &[]) == 0.0).then_some(())
    });
    assert_eq!(andon.metric("andon_upstream_errors_total", &[]), 0.0, "{:?}", andon.outcomes());
}

const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart";
const EARLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nearly";

#[test]
fn a_client_that_leaves_its_upload_while_the_answer_comes_is_not_the_upstreams_fault() {
    let (andon, mut peer, mut client) = begun(UPLOAD);
    peer.send(EARLY);
    client.read_until("early");
    drop(client);
    peer.rest();
    check_blameless(&andon);
}

#[test]
fn an_upload_that_stalls_while_the_answer_comes_is_not_the_upstreams_fault() {
    let upstream = Manual::start();
    let andon = Site::with_listener(r#"body_timeout = "1s""#, &lone(upstream.address, "")).start();
    let mut client = andon.connect();
    client.send(UPLOAD);
    let mut peer = upstream.accept();
    peer.read_until("part");
    peer.send(EARLY);
    client.read_until("early");
    peer.rest();
    check_blameless(&andon);
}

#[test]
fn a_malformed_upload_is_answered_400_and_is_not_the_upstreams_fault() {
    let (andon, mut peer, mut client) =
        begun("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
    peer.read_until("part");
    client.send("no length\r\n");
    assert_eq!(client.response().status(), 400);
    let (rest, _) = peer.rest();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    check_blameless(&andon);
}

#[test]
fn a_client_that_reads_nothing_is_let_go_and_is_not_the_upstreams_fault() {
    let upstream = Server::start(|_| reply(200, &"x".repeat(64 * 1024 * 1024)));
    let andon = Site::with_listener(r#"body_timeout = "300ms""#, &lone(upstream.address, "")).start();
    let mut client = andon.connect();
    client.send(get("/"));
    andon.wait_for_outcome("downstream_gone", 1.0);
    check_blameless(&andon);
}

/// The time to answer counts from the request sent: the upstream is not late while the client is.
#[test]
fn a_slow_client_does_not_make_the_upstream_late() {
    let upstream = Manual::start();
    let andon = Andon::start(&lone(upstream.address, r#"response_timeout = "1s""#));
    let mut client = andon.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\npart");
    let mut peer = upstream.accept();
    peer.read_until("part");
    wait::pause(Duration::from_millis(1_500));
    client.send("rest");
    peer.read_until("rest");
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
}

/// Nor while it takes the request, bit by bit. Most of this one is still to come when the time is over.
#[test]
fn a_large_upload_does_not_make_the_upstream_late() {
    const STEP: usize = 1024 * 1024;
    const SLOW: usize = 12;
    const FAST: usize = 52;
    let upstream = Manual::start_unbuffered();
    let andon = Andon::start(&lone(upstream.address, r#"response_timeout = "2s""#));
    let mut client = andon.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", STEP * (SLOW + FAST)));
    let uploading = std::thread::spawn(move || {
        let sent = client.try_send("x".repeat(STEP * (SLOW + FAST)));
        (sent, client.response())
    });
    let mut peer = upstream.accept();
    peer.head();
    for _ in 0..SLOW {
        peer.read_exactly(STEP);
        wait::pause(Duration::from_millis(250));
    }
    peer.read_exactly(STEP * FAST);
    peer.send(OK);
    let (sent, answer) = uploading.join().unwrap();
    assert!(sent.is_ok() && answer.text() == "ok", "{sent:?}, {answer:?}");
}

fn hurried(listener: &'static str) -> (Andon, Server) {
    let upstream = Server::start(|_| OK.into());
    (Site::with_listener(listener, &lone(upstream.address, "")).start(), upstream)
}

#[test]
fn a_request_head_that_does_not_come_to_an_end_is_answered_408() {
    let (andon, upstream) = hurried(r#"header_timeout = "300ms""#);
    let mut client = andon.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    assert_eq!(client.response().status(), 408);
    assert_eq!(client.rest().1, End::Closed);
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn a_connection_without_a_byte_is_closed() {
    let (andon, _upstream) = hurried(r#"header_timeout = "300ms""#);
    assert_eq!(andon.connect().rest(), (Vec::new(), End::Closed));
}

#[test]
fn a_kept_connection_without_a_next_request_is_closed() {
    let (andon, _upstream) = hurried(r#"keep_alive_timeout = "300ms""#);
    let mut client = andon.connect();
    client.send(get("/"));
    assert_eq!(client.response().text(), "ok");
    assert_eq!(client.rest(), (Vec::new(), End::Closed));
}
