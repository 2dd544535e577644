//! What an HTTP/2 upstream may do between two requests: refuse, say goodbye, fall silent, vanish.

use crate::http2::H2;
use crate::support::andon::lone;
use crate::support::frames::{
    self, DATA, END_BOTH, END_HEADERS, GOAWAY, HEADERS, REFUSED_STREAM, block, setting,
};
use crate::support::h2::{Asked, Client, Payload, Upstream, get, request, response};
use crate::support::{Andon, Frames, Manual, wait};

const NO_ERROR: u32 = 0;
const MAX_STREAMS: u16 = 3;
const OK: [(&str, &str); 1] = [(":status", "200")];

fn before(upstream: &Manual, more: &str) -> (Andon, Client) {
    let andon = Andon::start(&lone(upstream.address, &format!("{H2}\n{more}")));
    let client = Client::connect(andon.address);
    (andon, client)
}

#[track_caller]
fn is_ok(asked: Asked) {
    assert_eq!(asked.head().rest().status, 200);
}

#[test]
fn more_requests_than_fit_open_another_connection() {
    let upstream = Upstream::manual();
    let andon = Andon::start(&lone(upstream.address, H2));
    let clients = [(); 3].map(|()| Client::connect(andon.address));
    let asked: Vec<_> = (0..150).map(|turn| clients[turn % 3].begin(get("/"))).collect();
    let calls: Vec<_> = asked.iter().map(|_| upstream.call()).collect();
    assert_eq!(upstream.connections(), 2);
    calls.into_iter().for_each(|call| call.reply(response(200, &[], Payload::of("ok"))));
    asked.into_iter().for_each(is_ok);
    andon.wait_for_outcome("success", 150.0);
}

#[test]
fn an_upstream_is_not_asked_for_more_streams_than_it_allows() {
    let upstream = Manual::start();
    let (_andon, client) = before(&upstream, "");
    let first = client.begin(get("/"));
    let mut one = Frames::answer(upstream.accept(), &setting(MAX_STREAMS, 1));
    let stream = one.request();
    one.send(HEADERS, END_BOTH, stream, &block(&OK));
    is_ok(first);
    let asked = [(); 2].map(|()| client.begin(get("/")));
    let stream = one.request();
    let mut two = Frames::answer(upstream.accept(), &[]);
    let other = two.request();
    one.send(HEADERS, END_BOTH, stream, &block(&OK));
    two.send(HEADERS, END_BOTH, other, &block(&OK));
    asked.into_iter().for_each(is_ok);
}

#[test]
fn a_refused_stream_is_asked_again_a_few_times() {
    let upstream = Manual::start();
    let (andon, client) = before(&upstream, "");
    let asked = client.begin(request("POST", "/", &[], Payload::Empty));
    let mut peer = Frames::answer(upstream.accept(), &[]);
    let stream = peer.request();
    peer.reset(stream, REFUSED_STREAM);
    let again = peer.request();
    assert!(again > stream);
    peer.send(HEADERS, END_BOTH, again, &block(&OK));
    is_ok(asked);
    andon.wait_for_outcome("success", 1.0);
    let asked = client.begin(get("/"));
    for _ in 0..4 {
        let stream = peer.request();
        peer.reset(stream, REFUSED_STREAM);
    }
    assert_eq!(asked.head().rest().status, 502);
    andon.wait_for_outcome("reset", 1.0);
}

#[test]
fn a_reset_without_an_error_is_no_end_of_an_answer() {
    let upstream = Manual::start();
    let (andon, client) = before(&upstream, "");
    let asked = client.begin(get("/"));
    let mut peer = Frames::answer(upstream.accept(), &[]);
    let stream = peer.request();
    peer.send(HEADERS, END_HEADERS, stream, &block(&OK));
    peer.send(DATA, 0, stream, b"half");
    let mut arriving = asked.head();
    assert_eq!(&arriving.data()[..], b"half");
    peer.reset(stream, NO_ERROR);
    assert!(arriving.piece().is_some_and(|piece| piece.is_err()), "it looks whole");
    andon.wait_for_outcome("truncated", 1.0);
}

#[test]
fn a_reset_without_an_error_is_no_end_of_a_request() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = Frames::connect(andon.address, &[]);
    client.send(HEADERS, END_HEADERS, 1, &frames::request("POST", "/", &[]));
    client.send(DATA, 0, 1, b"half");
    let mut wire = upstream.accept();
    wire.read_until("half");
    client.reset(1, NO_ERROR);
    let (rest, _) = wire.rest();
    assert!(!rest.windows(5).any(|bytes| bytes == b"0\r\n\r\n"), "{}", rest.escape_ascii());
    andon.wait_for_outcome("downstream_gone", 1.0);
}

#[test]
fn early_hints_are_passed_over_however_many_there_are() {
    let upstream = Manual::start();
    let (_andon, client) = before(&upstream, "");
    let asked = client.begin(get("/"));
    let mut peer = Frames::answer(upstream.accept(), &[]);
    let stream = peer.request();
    for _ in 0..1_000 {
        let hint = block(&[(":status", "103"), ("link", "</a.css>; rel=preload")]);
        peer.send(HEADERS, END_HEADERS, stream, &hint);
    }
    peer.send(HEADERS, END_BOTH, stream, &block(&OK));
    is_ok(asked);
}

#[test]
fn a_goodbye_lets_streams_finish_and_sends_the_others_elsewhere() {
    let upstream = Manual::start();
    let (andon, client) = before(&upstream, "");
    let seen = client.begin(get("/seen"));
    let mut one = Frames::answer(upstream.accept(), &[]);
    let stream = one.request();
    let unseen = client.begin(request("POST", "/unseen", &[], Payload::Empty));
    one.request();
    one.send(GOAWAY, 0, 0, &[stream.to_be_bytes(), [0; 4]].concat());
    let mut two = Frames::answer(upstream.accept(), &[]);
    let again = two.request();
    two.send(HEADERS, END_BOTH, again, &block(&OK));
    is_ok(unseen);
    one.send(HEADERS, END_BOTH, stream, &block(&OK));
    is_ok(seen);
    let late = client.begin(get("/late"));
    let stream = two.request();
    two.send(HEADERS, END_BOTH, stream, &block(&OK));
    is_ok(late);
    andon.wait_for_outcome("success", 3.0);
}

#[test]
fn a_pooled_connection_that_dies_under_a_request_costs_only_those_that_may_not_go_twice() {
    let upstream = Manual::start();
    let (andon, client) = before(&upstream, "");
    let first = client.begin(get("/"));
    let mut one = Frames::answer(upstream.accept(), &[]);
    let stream = one.request();
    one.send(HEADERS, END_BOTH, stream, &block(&OK));
    is_ok(first);
    let asked = client.begin(get("/"));
    one.request();
    drop(one);
    let mut two = Frames::answer(upstream.accept(), &[]);
    let stream = two.request();
    two.send(HEADERS, END_BOTH, stream, &block(&OK));
    is_ok(asked);
    let asked = client.begin(request("POST", "/", &[], Payload::of("pay")));
    two.request();
    drop(two);
    assert_eq!(asked.head().rest().status, 502);
    andon.wait_for_outcome("reset", 1.0);
}

#[test]
fn a_connection_that_fell_silent_is_not_used_again() {
    let upstream = Manual::start();
    let (andon, client) = before(&upstream, "response_timeout = \"200ms\"");
    let asked = client.begin(get("/"));
    let mut silent = Frames::answer(upstream.accept(), &[]);
    silent.request();
    assert_eq!(asked.head().rest().status, 504);
    let asked = client.begin(get("/"));
    let mut other = Frames::answer(upstream.accept(), &[]);
    let stream = other.request();
    other.send(HEADERS, END_BOTH, stream, &block(&OK));
    is_ok(asked);
    andon.wait_for_outcome("response_timeout", 1.0);
}

#[test]
fn an_upstream_that_comes_back_is_used_again() {
    let upstream = Upstream::echo();
    let address = upstream.address;
    let andon = Andon::start(&lone(address, H2));
    let client = Client::connect(andon.address);
    client.get("/");
    upstream.vanish();
    let gone = wait::until("the upstream is gone", || {
        let status = client.ask(get("/")).status;
        (status != 200).then_some(status)
    });
    assert_eq!(gone, 502);
}

#[test]
fn what_is_no_valid_answer_is_502() {
    let upstream = Manual::start();
    let (andon, client) = before(&upstream, "");
    let bad: [&[(&str, &str)]; 5] = [
        &[("x-first", "1"), (":status", "200")],
        &[(":status", "200"), ("X-Upper", "1")],
        &[(":status", "200"), ("connection", "close")],
        &[(":status", "200"), ("x-split", "a\r\nSet-Cookie: b")],
        &[("x-none", "1")],
    ];
    for fields in bad {
        let asked = client.begin(request("POST", "/", &[], Payload::Empty));
        let mut peer = Frames::answer(upstream.accept(), &[]);
        let stream = peer.request();
        peer.send(HEADERS, END_BOTH, stream, &block(fields));
        assert_eq!(asked.head().rest().status, 502, "{fields:?}");
        drop(peer);
        wait::until("its connection is given up", || {
            (andon.metric("andon_connections", &[("side", "upstream")]) == 0.0).then_some(())
        });
    }
}
