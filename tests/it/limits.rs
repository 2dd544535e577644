//! What is beyond a limit is turned away, and whoever is within goes on being served.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::andon::lone;
use crate::support::{Andon, End, Manual, OK, Server, Site, Wire, get, post, wait};

fn refused(andon: &Andon, reason: &str) -> f64 {
    let labels = [("listener", "public"), ("reason", reason)];
    andon.metric("andon_connections_refused_total", &labels)
}

/// Whether a connection that was just opened is one that we get an answer on.
fn is_served(wire: &mut Wire) -> bool {
    wire.try_send(get("/")).is_ok() && wire.try_response().is_some_and(|answer| answer.status() == 200)
}

/// Whether a new connection is. One that is turned away may be told so before it is ours.
#[track_caller]
fn is_let_in(andon: &Andon) -> bool {
    connected(TcpStream::connect(andon.address)).is_some_and(|mut wire| is_served(&mut wire))
}

#[track_caller]
fn connected(found: io::Result<TcpStream>) -> Option<Wire> {
    match found {
        Ok(stream) => Some(Wire::new(stream)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
        Err(error) => panic!("andon does not accept connections: {error}"),
    }
}

#[track_caller]
fn wait_until_served(andon: &Andon) {
    wait::until("there is room again", || is_let_in(andon).then_some(()));
}

/// A client of another address than ours.
#[track_caller]
fn connect_from(source: [u8; 4], to: SocketAddr) -> Option<Wire> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((source, 0)).into()).expect("all of 127/8 is ours");
    connected(socket.connect(&to.into()).map(|()| socket.into()))
}

#[test]
fn a_listener_takes_no_more_connections_than_it_may() {
    let upstream = Server::named("stable");
    let andon = Site::with_listener("connections_max = 3", &lone(upstream.address, "")).start();
    let mut inside: Vec<_> = (0..3).map(|_| andon.connect()).collect();
    assert!(inside.iter_mut().all(is_served));
    for _ in 0..20 {
        assert!(!is_let_in(&andon));
    }
    assert_eq!(refused(&andon, "listener"), 20.0);
    assert_eq!(andon.metric("andon_connections", &[("side", "downstream")]), 3.0);
    assert!(inside.iter_mut().all(is_served), "who is inside stays");
    inside.pop();
    wait_until_served(&andon);
}

#[test]
fn the_process_takes_no_more_connections_than_it_may() {
    let upstream = Server::named("stable");
    let body = format!("[limits]\nconnections_max = 2\n{}", lone(upstream.address, ""));
    let mut site = Site::new(&body);
    // The limit is of all workers together, however the kernel deals connections out.
    site.workers = 3;
    site.write(&body);
    let andon = site.start();
    let mut inside: Vec<_> = (0..2).map(|_| andon.connect()).collect();
    assert!(inside.iter_mut().all(is_served));
    for _ in 0..20 {
        assert!(!is_let_in(&andon));
    }
    assert_eq!(refused(&andon, "process"), 20.0);
    drop(inside);
    wait_until_served(&andon);
}

#[test]
fn one_address_floods_and_another_is_served() {
    let upstream = Server::named("stable");
    let limits = "connections_max = 100\nconnections_per_address_max = 20";
    let andon = Site::with_listener(limits, &lone(upstream.address, "")).start();
    let mut flood: Vec<_> = (0..300).filter_map(|_| connect_from([127, 0, 0, 2], andon.address)).collect();
    for _ in 0..50 {
        assert!(is_served(&mut andon.connect()));
    }
    assert_eq!(flood.iter_mut().filter_map(|wire| is_served(wire).then_some(())).count(), 20);
    assert_eq!(refused(&andon, "address"), 280.0);
    drop(flood);
    wait::until("the flood is over", || {
        let mut wire = connect_from([127, 0, 0, 2], andon.address)?;
        is_served(&mut wire).then_some(())
    });
    wait::until("nobody is connected", || {
        (andon.metric("andon_connections", &[("side", "downstream")]) == 0.0).then_some(())
    });
}

#[test]
fn a_trusted_proxy_may_bring_many() {
    let upstream = Server::named("stable");
    let limits = "connections_per_address_max = 1\ntrusted_proxies = [\"127.0.0.1\"]";
    let andon = Site::with_listener(limits, &lone(upstream.address, "")).start();
    let mut inside: Vec<_> = (0..5).map(|_| andon.connect()).collect();
    assert!(inside.iter_mut().all(is_served));
    assert_eq!(refused(&andon, "address"), 0.0);
}

#[test]
fn while_memory_is_short_nothing_new_is_taken_on() {
    let upstream = Server::named("stable");
    let site = Site::new(&lone(upstream.address, ""));
    let andon = site.start();
    let mut client = andon.connect();
    assert!(is_served(&mut client));
    let wait_for_level = |level: f64| {
        wait::until("memory is looked at", || {
            (andon.metric("andon_overload_level", &[]) == level).then_some(())
        });
    };
    site.write(&format!("[limits]\nmemory_max = \"1MiB\"\n{}", lone(upstream.address, "")));
    andon.signal("HUP");
    wait_for_level(2.0);
    client.send(get("/"));
    let answer = client.response();
    assert_eq!((answer.status(), answer.field("retry-after")), (503, Some("1")), "{answer:?}");
    assert_eq!(client.rest().1, End::Closed);
    assert!(!is_let_in(&andon));
    assert_eq!(refused(&andon, "memory"), 1.0);
    assert_eq!(andon.metric("andon_requests_refused_total", &[("reason", "overload")]), 1.0);
    assert_eq!(upstream.requests(), 1);
    site.write(&lone(upstream.address, ""));
    andon.signal("HUP");
    wait_for_level(0.0);
    assert!(is_served(&mut andon.connect()));
}

#[test]
fn whoever_sits_at_the_admin_listener_an_operator_gets_in() {
    let upstream = Server::named("stable");
    let andon = Andon::before(upstream.address);
    let mut idle: Vec<_> = (0..300).map(|_| Wire::connect(andon.admin)).collect();
    assert_eq!(andon.ask("GET", "/readyz", "").status, 200);
    assert_eq!(idle[0].rest(), (Vec::new(), End::Closed), "who waited longest went");
    assert!(idle.last_mut().expect("there are 300").is_silent(), "who came last stayed");
}

const QUICK: &str = "request_timeout = \"400ms\"";

#[test]
fn a_request_that_is_not_answered_in_its_time_is_answered_504() {
    let upstream = Manual::start();
    let andon = Andon::start(&lone(upstream.address, QUICK));
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    assert_eq!(client.response().status(), 504);
    assert_eq!(peer.rest().1, End::Closed, "the upstream need not go on");
    andon.wait_for_outcome("response_timeout", 1.0);
}

#[test]
fn an_answer_that_goes_on_for_too_long_is_cut() {
    let upstream = Manual::start();
    let andon = Andon::start(&lone(upstream.address, QUICK));
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    // Never silent for long, so no other deadline is met.
    wait::until("it is cut", || {
        wait::pause(Duration::from_millis(40));
        peer.try_send("1\r\nx\r\n").is_err().then_some(())
    });
    let answer = client.response();
    assert!(answer.status() == 200 && !answer.whole && !answer.body.is_empty(), "{answer:?}");
    andon.wait_for_outcome("truncated", 1.0);
}

#[test]
fn a_request_body_that_takes_too_long_is_the_clients_doing() {
    let upstream = Server::named("stable");
    let andon = Andon::start(&lone(upstream.address, QUICK));
    let mut client = andon.connect();
    client.send("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\n");
    wait::until("it is cut", || {
        wait::pause(Duration::from_millis(40));
        (client.try_send("x").is_err() || !client.is_silent()).then_some(())
    });
    assert_eq!(client.response().status(), 408);
    andon.wait_for_outcome("downstream_bad", 1.0);
}

#[test]
fn a_stream_of_events_may_outlast_the_time_of_a_request() {
    let upstream = Manual::start();
    let andon = Andon::start(&lone(upstream.address, QUICK));
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head();
    wait::while_holds(Duration::from_secs(1), "the stream", || client.is_silent());
    peer.send("5\r\nhello\r\n0\r\n\r\n");
    client.read_until("hello\r\n0\r\n\r\n");
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn what_is_answered_in_time_is_not_touched() {
    let upstream = Manual::start();
    let andon = Andon::start(&lone(upstream.address, QUICK));
    let mut client = andon.connect();
    let mut peer = None;
    for _ in 0..3 {
        client.send(post("hello"));
        let peer = peer.get_or_insert_with(|| upstream.accept());
        assert_eq!(peer.request().text(), "hello");
        peer.send(OK);
        assert_eq!(client.response().text(), "ok");
        // Each request has its own time.
        wait::pause(Duration::from_millis(200));
    }
    andon.wait_for_outcome("success", 3.0);
}
