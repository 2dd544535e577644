//! Upstreams that fail, each in its own way: a short answer at once, counted under its name, and never half an
//! answer that looks whole.

use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;

use crate::support::andon::lone;
use crate::support::{Andon, End, Manual, Message, Wire, get, port, post};

/// A client that waits for its answer, and the upstream's end that has the request.
fn asked(more: &str) -> (Andon, Wire, Wire) {
    let upstream = Manual::start();
    let andon = Andon::start(&lone(upstream.address, more));
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    (andon, client, peer)
}

/// What a client gets from an upstream that plays this part on one connection.
fn faced(more: &str, play: impl FnOnce(Wire)) -> (Andon, Message) {
    let (andon, mut client, peer) = asked(more);
    play(peer);
    let answer = client.response();
    (andon, answer)
}

#[track_caller]
fn check(faced: (Andon, Message), status: u16, outcome: &str) {
    let (andon, answer) = faced;
    assert_eq!(answer.status(), status, "{answer:?}");
    assert!(answer.whole && (1..200).contains(&answer.body.len()), "{answer:?}");
    andon.wait_for_outcome(outcome, 1.0);
}

#[test]
fn a_refused_connection_is_502() {
    let andon = Andon::before(port::free());
    let answer = andon.exchange(get("/"));
    check((andon, answer), 502, "connect_error");
}

#[test]
fn a_reset_before_the_answer_is_502() {
    check(faced("", Wire::reset), 502, "reset");
}

#[test]
fn a_close_before_the_answer_is_502() {
    check(faced("", drop), 502, "reset");
}

#[test]
fn a_head_that_breaks_off_is_502() {
    check(faced("", |mut peer| peer.send("HTTP/1.1 200 OK\r\nContent-Le")), 502, "reset");
}

#[test]
fn an_answer_in_a_coding_that_would_get_lost_is_502() {
    let coded = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    check(faced("", |mut peer| peer.send(coded)), 502, "protocol");
}

#[test]
fn no_answer_in_time_is_504_and_ends_the_upstream_connection() {
    let mut held = None;
    let faced = faced(r#"response_timeout = "300ms""#, |peer| held = Some(peer));
    check(faced, 504, "response_timeout");
    assert_eq!(held.expect("it was played").rest().0, b"");
}

#[test]
fn a_connection_that_is_not_accepted_in_time_is_504() {
    let full = FullBacklog::start();
    let andon = Andon::start(&lone(full.address, r#"connect_timeout = "300ms""#));
    let answer = andon.exchange(get("/"));
    check((andon, answer), 504, "connect_timeout");
}

#[test]
fn garbage_is_502() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "\0\0",
    ] {
        check(faced("", |mut peer| peer.send(garbage)), 502, "protocol");
    }
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_502() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    check(faced("", |mut peer| peer.send(switch)), 502, "protocol");
}

const CUT_SHORT: [&str; 3] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n12345",
];

#[test]
fn an_answer_cut_short_does_not_look_whole() {
    for part in CUT_SHORT {
        let (andon, mut client, mut peer) = asked("");
        peer.send(part);
        client.read_until("12345");
        drop(peer);
        let (rest, _) = client.rest();
        assert!(!String::from_utf8_lossy(&rest).contains("0\r\n"), "{part:?}: {rest:?}");
        andon.wait_for_outcome("truncated", 1.0);
    }
}

/// Then the client may as well get nothing of it.
#[test]
fn an_answer_cut_short_at_once_does_not_look_whole() {
    for part in CUT_SHORT {
        let (andon, mut client, mut peer) = asked("");
        peer.send(part);
        drop(peer);
        let answer = client.try_response();
        assert!(answer.is_none_or(|answer| !answer.whole), "{part:?}");
        andon.wait_for_outcome("truncated", 1.0);
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_does_not_look_whole_after_a_reset() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send("HTTP/1.1 200 OK\r\n\r\npart");
    client.read_until("\r\n\r\n");
    client.read_until("part");
    peer.reset();
    let (rest, _) = client.rest();
    assert!(!String::from_utf8_lossy(&rest).contains("0\r\n\r\n"), "{rest:?}");
    andon.wait_for_outcome("truncated", 1.0);
}

#[test]
fn to_an_http_1_0_client_a_cut_answer_ends_in_a_reset() {
    for part in &CUT_SHORT[1..] {
        let upstream = Manual::start();
        let andon = Andon::before(upstream.address);
        let mut client = andon.connect();
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
        let mut peer = upstream.accept();
        peer.request();
        peer.send(part);
        client.read_until("\r\n\r\n");
        drop(peer);
        assert_eq!(client.rest().1, End::Reset, "{part:?}");
    }
}

#[test]
fn an_answer_that_stalls_is_cut_visibly() {
    let mut held = None;
    let (andon, answer) = faced(r#"body_timeout = "300ms""#, |mut peer| {
        peer.send(CUT_SHORT[0]);
        held = Some(peer);
    });
    assert!(!answer.whole, "{answer:?}");
    andon.wait_for_outcome("truncated", 1.0);
}

#[test]
fn a_client_is_served_on_after_an_upstream_failed_it() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(post("once"));
    let mut peer = upstream.accept();
    peer.request();
    drop(peer);
    assert_eq!(client.response().status(), 502);
    client.send(post("again"));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().text(), "again");
    peer.send(crate::support::OK);
    assert_eq!(client.response().status(), 200);
}

/// Listens, but its queue of connections is full, so that new ones hang.
struct FullBacklog {
    address: SocketAddr,
    _sockets: Vec<Socket>,
}

impl FullBacklog {
    fn start() -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let callers = std::iter::repeat_with(|| {
            let caller = socket();
            caller.set_nonblocking(true).unwrap();
            // In progress, or waiting in vain: either way it fills the queue.
            let _ = caller.connect(&address.into());
            caller
        });
        let _sockets = std::iter::once(listener).chain(callers.take(8)).collect();
        Self { address, _sockets }
    }
}
