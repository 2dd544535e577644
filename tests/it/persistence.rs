//! A client's connection from one request to the next: what of a request may be left on it, and what becomes of one that
//! rests in between.

use std::time::Duration;

use crate::support::andon::lone;
use crate::support::{Andon, Manual, Server, Site, Wire, get, wait};

/// Longer than a connection takes to go to rest.
const REST: Duration = Duration::from_millis(2_500);

/// Nobody asks for the body of a request that no route wants.
fn lost(length: usize, body: &str) -> String {
    format!("POST /lost HTTP/1.1\r\nHost: nobody\r\nContent-Length: {length}\r\n\r\n{body}")
}

const WANTED: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers for the host `a` alone.
fn narrow(upstream: &Server) -> Andon {
    Andon::start(&(lone(upstream.address, "") + "hosts = [\"a\"]\n"))
}

#[test]
fn a_body_that_nobody_wants_is_passed_over_for_the_next_request() {
    let upstream = Server::named("stable");
    let andon = narrow(&upstream);
    let mut client = andon.connect();
    for length in [1, 100, 60_000] {
        client.send(lost(length, &"x".repeat(length)) + WANTED);
        assert_eq!(client.response().status(), 404, "{length}");
        assert_eq!(client.response().text(), "stable", "{length}");
    }
    client.send(
        "POST / HTTP/1.1\r\nHost: nobody\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n",
    );
    client.send(WANTED);
    assert_eq!(client.response().status(), 404);
    assert_eq!(client.response().text(), "stable");
}

#[test]
fn what_is_missing_of_such_a_body_never_becomes_a_request() {
    let upstream = Server::named("stable");
    let andon = narrow(&upstream);
    let mut client = andon.connect();
    client.send(lost(1_000, "x"));
    assert_eq!(client.response().status(), 404);
    let _ = client.try_send(WANTED);
    assert!(client.try_response().is_none());
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let upstream = Server::named("stable");
    let andon = Andon::before(upstream.address);
    for (request, status, sentence) in [
        ("\x16\x03\x01\x02\0\x01\0\x01", 400, "andon: this is not a request in HTTP/1.1\n"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
            400,
            "andon: Content-Length is not one plain number\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
            400,
            "andon: the only Transfer-Encoding accepted is one chunked, in HTTP/1.1\n",
        ),
    ] {
        let mut client = andon.connect();
        client.send(request);
        let answer = client.response();
        assert_eq!((answer.status(), answer.text()), (status, sentence));
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(client.rest().0.is_empty());
    }
    assert_eq!(andon.metric("andon_requests_refused_total", &[("reason", "bad_request")]), 3.0);
}

#[test]
fn a_head_may_come_a_byte_at_a_time() {
    let upstream = Server::named("stable");
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    for _ in 0..2 {
        for byte in format!("\r\n{}", get("/slowly")).as_bytes() {
            client.send([*byte]);
        }
        assert_eq!(client.response().text(), "stable");
    }
}

#[test]
fn every_answer_is_dated() {
    let (with, without) = (Manual::start(), Server::named("stable"));
    let andon = Andon::before(without.address);
    let date = andon.exchange(get("/")).field("date").expect("one is added").to_owned();
    assert!(date.ends_with(" GMT") && date.len() == "Sun, 06 Nov 1994 08:49:37 GMT".len(), "{date}");
    let andon = Andon::before(with.address);
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = with.accept();
    peer.request();
    peer.send("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response().field("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
}

/// One that has served and rests.
fn resting(listener: &str, upstream: &Server) -> (Andon, Wire) {
    let andon = Site::with_listener(listener, &lone(upstream.address, "")).start();
    let mut client = andon.connect();
    client.send(get("/"));
    assert_eq!(client.response().text(), "stable");
    (andon, client)
}

fn open(andon: &Andon) -> f64 {
    andon.metric("andon_connections", &[("side", "downstream")])
}

#[test]
fn one_that_rests_is_closed_when_its_time_is_up() {
    let upstream = Server::named("stable");
    let (andon, mut client) = resting("keep_alive_timeout = \"2s\"", &upstream);
    assert_eq!(client.rest().0, b"");
    wait::until("it is counted no more", || (open(&andon) == 0.0).then_some(()));
}

#[test]
fn one_that_leaves_while_it_rests_is_counted_no_more() {
    let upstream = Server::named("stable");
    let (andon, client) = resting("keep_alive_timeout = \"60s\"", &upstream);
    wait::pause(REST);
    assert_eq!(open(&andon), 1.0);
    client.reset();
    wait::until("it is counted no more", || (open(&andon) == 0.0).then_some(()));
}

#[test]
fn bytes_that_are_no_request_do_not_buy_another_rest() {
    let upstream = Server::named("stable");
    let (_andon, mut client) = resting("keep_alive_timeout = \"60s\"", &upstream);
    wait::pause(REST);
    client.send("\r\n");
    assert_eq!(client.rest().0, b"");
}

#[test]
fn those_that_rest_do_not_hold_up_a_drain() {
    let upstream = Server::named("stable");
    let (mut andon, mut client) = resting("keep_alive_timeout = \"1h\"", &upstream);
    wait::pause(REST);
    andon.signal("TERM");
    assert_eq!(client.rest().0, b"");
    assert_eq!(andon.ended().code(), Some(0));
}
