//! What is tried once more elsewhere, how often, and what an upstream is spared of.

use std::net::SocketAddr;

use crate::support::andon::{lone, split};
use crate::support::{Andon, Manual, OK, Server, get, port, post, reply, wait};

/// In front of one upstream with these two endpoints.
fn andon(endpoints: [SocketAddr; 2], more: &str) -> Andon {
    let [one, other] = endpoints;
    let body = lone(one, more);
    Andon::start(&body.replace(&format!("[\"{one}\"]"), &format!("[\"{one}\", \"{other}\"]")))
}

#[test]
fn a_request_that_found_no_connection_goes_to_the_other_endpoint() {
    let server = Server::named("alive");
    let andon = andon([port::free(), server.address], "retries = { budget = \"100%\" }");
    let mut client = andon.connect();
    for number in 0..40 {
        let body = format!("order {number}");
        client.send(post(&body));
        assert_eq!(client.response().text(), "alive");
        assert_eq!(server.request().body, body.as_bytes());
    }
    let retries = andon.metric("andon_retries_total", &[("variant", "stable")]);
    assert!(retries > 0.0 && retries < 40.0, "{retries}");
    // The first attempt is the outcome, the code is what the client saw.
    assert_eq!(andon.metric("andon_outcomes_total", &[("outcome", "connect_error")]), retries);
    assert_eq!(andon.metric("andon_outcomes_total", &[("outcome", "success")]), 40.0 - retries);
    assert_eq!(andon.metric("andon_requests_total", &[("code", "200")]), 40.0);
}

#[test]
fn without_retries_the_first_attempt_is_the_answer() {
    let server = Server::named("alive");
    let andon = andon([port::free(), server.address], "retries = false");
    let statuses: Vec<u16> = (0..40).map(|_| andon.exchange(get("/")).status()).collect();
    assert!(statuses.contains(&502) && statuses.contains(&200), "{statuses:?}");
    assert_eq!(andon.metric("andon_retries_total", &[]), 0.0);
}

#[test]
fn a_lone_endpoint_is_not_asked_again() {
    let andon = Andon::before(port::free());
    assert_eq!(andon.exchange(get("/")).status(), 502);
    assert_eq!(andon.metric("andon_retries_total", &[]), 0.0);
}

#[test]
fn a_broken_connection_is_retried_only_if_asked_for_and_safe() {
    const ASKED: &str = r#"retries = { on = ["reset"], backoff = "1ms" }"#;
    for (more, request, retried) in
        [(ASKED, get("/"), true), (ASKED, post("an order"), false), ("", get("/"), false)]
    {
        let upstream = Manual::start();
        let andon = Andon::start(&lone(upstream.address, more));
        let mut client = andon.connect();
        client.send(&request);
        let mut first = upstream.accept();
        first.request();
        drop(first);
        if retried {
            let mut second = upstream.accept();
            assert_eq!(second.request().first, "GET / HTTP/1.1");
            second.send(OK);
            assert_eq!(client.response().text(), "ok");
        } else {
            assert_eq!(client.response().status(), 502, "{request}");
            assert!(!upstream.has_caller(), "{request}");
        }
        andon.wait_for_outcome("reset", 1.0);
        assert_eq!(andon.metric("andon_retries_total", &[]), f64::from(u8::from(retried)));
    }
}

#[test]
fn attempts_are_counted_from_the_first_retry() {
    let upstream = Manual::start();
    let more = r#"retries = { attempts = 2, on = ["reset"], backoff = "0s" }"#;
    let andon = Andon::start(&lone(upstream.address, more));
    let mut client = andon.connect();
    client.send(get("/"));
    for _ in 0..3 {
        upstream.accept().request();
    }
    assert_eq!(client.response().status(), 502);
    assert!(!upstream.has_caller());
    assert_eq!(andon.metric("andon_retries_total", &[]), 2.0);
}

#[test]
fn in_an_outage_retries_end_with_their_budget() {
    let more = r#"retries = { budget = "0%", min_per_second = 0, backoff = "0s" }"#;
    let andon = andon([port::free(), port::free()], more);
    let mut client = andon.connect();
    for _ in 0..60 {
        client.send(get("/"));
        assert_eq!(client.response().status(), 502);
    }
    assert_eq!(andon.metric("andon_retries_total", &[]), 10.0, "what is saved up at the start");
    assert_eq!(andon.metric("andon_outcomes_total", &[("outcome", "connect_error")]), 60.0);
}

#[test]
fn a_canary_is_judged_by_its_first_attempts() {
    let (stable, canary) = (Server::named("stable"), Server::named("canary"));
    let body = split(stable.address, canary.address, "100%", "[route.guard]\nrescue = false");
    let two = format!("[\"{}\", \"{}\"]", canary.address, port::free());
    let andon = Andon::start(&body.replace(&format!("[\"{}\"]", canary.address), &two));
    let mut client = andon.connect();
    for _ in 0..20 {
        client.send(get("/"));
        assert_eq!(client.response().text(), "canary");
    }
    let failed = andon.metric("andon_upstream_errors_total", &[("variant", "canary")]);
    assert!(failed > 0.0, "nobody met the dead endpoint");
    assert_eq!(andon.metric("andon_retries_total", &[("variant", "canary")]), failed);
    assert_eq!(andon.metric("andon_harm_total", &[]), 0.0, "no user saw any of it");
}

#[test]
fn beyond_its_limit_an_upstream_is_spared_and_the_client_told_when_to_come_back() {
    let upstream = Manual::start();
    let andon = Andon::start(&lone(upstream.address, "concurrent_max = 1"));
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    let refused = andon.exchange(get("/"));
    assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")));
    assert!(!upstream.has_caller());
    // The answer's body is part of the request.
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
    client.read_until("ha");
    assert_eq!(andon.exchange(get("/")).status(), 503);
    peer.send("lf");
    client.read_until("lf");
    andon.wait_for_outcome("overflow", 2.0);
    client.send(get("/"));
    peer.request();
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn the_limit_holds_over_workers_and_reloads() {
    let upstream = Manual::start();
    let body = lone(upstream.address, "concurrent_max = 2");
    let mut site = crate::support::Site::new("");
    site.workers = 3;
    site.write(&body);
    let andon = site.start();
    let mut clients: Vec<_> = (0..2).map(|_| andon.connect()).collect();
    let mut peers = Vec::new();
    for client in &mut clients {
        client.send(get("/"));
        peers.push(upstream.accept());
    }
    site.write(&format!("{body}# another file\n"));
    andon.ask("POST", "/api/v1/config/reload", "").ok();
    for _ in 0..12 {
        assert_eq!(andon.exchange(get("/")).status(), 503);
    }
    for peer in &mut peers {
        peer.request();
        peer.send(OK);
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "ok");
    }
}

#[test]
fn a_canary_beyond_its_limit_is_stood_in_for_and_blamed() {
    let (stable, canary) = (Server::start(|request| reply(200, &request.first[..4])), Manual::start());
    let body = split(stable.address, canary.address, "100%", "");
    let andon = Andon::start(&body.replace("name = \"next\"", "name = \"next\"\nconcurrent_max = 1"));
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = canary.accept();
    peer.request();
    assert_eq!(andon.exchange(post("an order")).text(), "POST", "nothing was sent, so any method goes");
    assert_eq!(andon.exchange(get("/")).text(), "GET ");
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
    andon.wait_for_outcome("overflow", 2.0);
    assert_eq!(andon.metric("andon_upstream_errors_total", &[("variant", "canary")]), 2.0);
    assert_eq!(andon.metric("andon_rescues_total", &[("variant", "canary")]), 2.0);
    wait::until("nothing is in flight", || {
        (andon.metric("andon_requests_in_flight", &[]) == 0.0).then_some(())
    });
}
