//! Many clients that are slow on purpose: each is ended in its time, they cost little meanwhile, and an ordinary
//! client is served throughout.

use std::time::Duration;

use crate::support::andon::lone;
use crate::support::{Andon, Server, Site, Wire, get, reply, wait};

/// Far more than is needed, and far less than a proxy without bounds would take.
const GROWTH_BYTES_MAX: f64 = 64.0 * 1024.0 * 1024.0;
const DRIP: Duration = Duration::from_millis(50);
/// Longer than a connection is idle before it rests. What follows must hold for one that does not rest yet as well.
const REST: Duration = Duration::from_secs(2);

struct Attack {
    andon: Andon,
    resident_before: f64,
    clients: Vec<Wire>,
}

fn resident(andon: &Andon) -> f64 {
    andon.metric("process_resident_memory_bytes", &[])
}

impl Attack {
    /// So many clients, and each says this.
    #[track_caller]
    fn start(andon: Andon, clients: usize, first: &str) -> Self {
        assert_eq!(andon.exchange(get("/")).status(), 200);
        let resident_before = resident(&andon);
        let connect = |_| {
            let mut client = andon.connect();
            client.send(first);
            client
        };
        let clients = (0..clients).map(connect).collect();
        Self { andon, resident_before, clients }
    }

    /// Sends a little from each client, again and again, until the last was ended. Others are served meanwhile.
    #[track_caller]
    fn drip(&mut self, bytes: &str) {
        let mut inside: Vec<_> = self.clients.iter_mut().collect();
        wait::until("each slow client is ended", || {
            inside.retain_mut(|client| client.try_send(bytes).is_ok() && client.is_silent());
            assert_eq!(self.andon.exchange(get("/")).status(), 200);
            wait::pause(DRIP);
            inside.is_empty().then_some(())
        });
    }

    /// Nothing is left of it.
    #[track_caller]
    fn ends_well(self) {
        let grown = resident(&self.andon) - self.resident_before;
        assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more than before");
        drop(self.clients);
        wait::until("the connections are gone", || {
            let open = self.andon.metric("andon_connections", &[("side", "downstream")]);
            (open == 0.0 && self.andon.metric("andon_requests_in_flight", &[]) == 0.0).then_some(())
        });
        assert_eq!(self.andon.exchange(get("/")).status(), 200);
    }
}

#[test]
fn heads_that_drip_are_ended_by_the_header_timeout() {
    let upstream = Server::named("stable");
    let andon = Site::with_listener("header_timeout = \"1s\"", &lone(upstream.address, "")).start();
    let mut attack = Attack::start(andon, 300, "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ");
    attack.drip("a");
    assert_eq!(attack.andon.metric("andon_requests_refused_total", &[("reason", "slow_head")]), 300.0);
    attack.ends_well();
}

#[test]
fn bodies_that_stop_are_ended_by_the_body_timeout() {
    let upstream = Server::named("stable");
    let andon = Site::with_listener("body_timeout = \"500ms\"", &lone(upstream.address, "")).start();
    let post = "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\nx";
    let mut attack = Attack::start(andon, 200, post);
    for client in &mut attack.clients {
        assert_eq!(client.response().status(), 408);
    }
    attack.andon.wait_for_outcome("downstream_bad", 200.0);
    attack.ends_well();
}

#[test]
fn bodies_that_drip_are_ended_by_the_request_timeout() {
    let upstream = Server::named("stable");
    let andon = Andon::start(&lone(upstream.address, "request_timeout = \"1s\""));
    let post = "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\n";
    let mut attack = Attack::start(andon, 200, post);
    attack.drip("x");
    attack.andon.wait_for_outcome("downstream_bad", 200.0);
    attack.ends_well();
}

#[test]
fn readers_that_stop_are_ended_by_the_body_timeout() {
    const BODY: usize = 8 << 20;
    let large = "x".repeat(BODY);
    let upstream =
        Server::start(move |request| reply(200, if request.first.contains("large") { &large } else { "" }));
    let andon = Site::with_listener("body_timeout = \"500ms\"", &lone(upstream.address, "")).start();
    // Together four times what they may cost.
    let mut attack = Attack::start(andon, 32, &get("/large"));
    wait::until("each reader is ended", || {
        assert_eq!(attack.andon.exchange(get("/")).status(), 200);
        (attack.andon.metric("andon_outcomes_total", &[("outcome", "downstream_gone")]) == 32.0).then_some(())
    });
    let answer = attack.clients[0].response();
    assert!(!answer.whole && answer.body.len() < BODY, "{} bytes", answer.body.len());
    attack.ends_well();
}

#[test]
fn connections_that_say_nothing_cost_little_and_end() {
    let upstream = Server::named("stable");
    let andon = Site::with_listener("header_timeout = \"2s\"", &lone(upstream.address, "")).start();
    let mut attack = Attack::start(andon, 1_000, "");
    let each = (resident(&attack.andon) - attack.resident_before) / 1_000.0;
    assert!(each < 16.0 * 1024.0, "{each} bytes a connection");
    attack.drip("");
    attack.ends_well();
}

#[test]
fn connections_between_requests_cost_little_and_end() {
    let upstream = Server::named("stable");
    let andon = Site::with_listener("keep_alive_timeout = \"2s\"", &lone(upstream.address, "")).start();
    let mut attack = Attack::start(andon, 500, &get("/"));
    for client in &mut attack.clients {
        assert_eq!(client.response().status(), 200);
    }
    let each = (resident(&attack.andon) - attack.resident_before) / 500.0;
    assert!(each < 64.0 * 1024.0, "{each} bytes a connection");
    attack.drip("");
    attack.ends_well();
}

#[test]
fn connections_that_rest_after_a_rush_give_their_memory_back() {
    const CLIENTS: u64 = 1_000;
    let upstream = Server::named("stable");
    let andon = Andon::before(upstream.address);
    andon.exchange(get("/"));
    let before = andon.anonymous_kib();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| andon.connect()).collect();
    for client in &mut clients {
        client.send(get("/"));
        assert_eq!(client.response().status(), 200);
    }
    let each = || andon.anonymous_kib().saturating_sub(before) / CLIENTS;
    // One that serves has sixteen, one that rests a third of one, and the rush leaves pages with holes.
    wait::until(&format!("the memory is given back: {} KiB each", each()), || (each() < 4).then_some(()));
}

#[test]
fn connections_that_rest_wake_up_where_they_were() {
    let upstream = Server::named("stable");
    let andon = Site::with_listener("keep_alive_timeout = \"60s\"", &lone(upstream.address, "")).start();
    let mut clients: Vec<_> = (0..500).map(|_| andon.connect()).collect();
    for client in &mut clients {
        client.send(get("/"));
        assert_eq!(client.response().status(), 200);
    }
    // Half of a next request is here when this one would begin to rest.
    let next = get("/half");
    let (first, rest) = next.split_at(9);
    let mut halved = andon.connect();
    halved.send(get("/") + first);
    assert_eq!(halved.response().text(), "stable");
    wait::pause(REST);
    for client in &mut clients {
        client.send(get("/again"));
        assert_eq!(client.response().text(), "stable");
    }
    halved.send(rest);
    assert_eq!(halved.response().text(), "stable");
    assert_eq!(andon.metric("andon_requests_total", &[]), 1_002.0);
}
