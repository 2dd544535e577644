//! A canary request that fails before its answer began is answered by stable: the client meets nothing, the guard
//! hears of it, and what the canary had begun to say is never seen.

use std::net::SocketAddr;

use crate::support::andon::split;
use crate::support::{Andon, End, Manual, OK, Server, Wire, get, port, post, reply, wait};

/// Every request goes to the canary.
fn andon(stable: SocketAddr, canary: SocketAddr, guard: &str) -> Andon {
    Andon::start(&split(stable, canary, "100%", &format!("[route.guard]\n{guard}")))
}

/// One request of the canary's ended like this, the client saw `code`, and stable was counted nothing.
#[track_caller]
fn check_counts(andon: &Andon, outcome: &str, code: &str, rescues: f64, harm: f64) {
    andon.wait_for_outcome(outcome, 1.0);
    let canary = ("variant", "canary");
    assert_eq!(andon.metric("andon_outcomes_total", &[canary, ("outcome", outcome)]), 1.0, "{outcome}");
    assert_eq!(andon.metric("andon_requests_total", &[canary, ("code", code)]), 1.0, "{code}");
    assert_eq!(andon.metric("andon_requests_total", &[]), 1.0);
    assert_eq!(andon.metric("andon_rescues_total", &[]), rescues, "rescues");
    assert_eq!(andon.metric("andon_harm_total", &[]), harm, "harm");
}

/// What a canary does with a request, by hand.
fn check_rescued(outcome: &str, fail: impl FnOnce(Wire)) {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon = andon(stable.address, canary.address, "");
    let mut client = andon.connect();
    client.send(get("/a?b=c"));
    let mut peer = canary.accept();
    assert_eq!(peer.request().first, "GET /a?b=c HTTP/1.1");
    fail(peer);
    let answer = client.response();
    assert_eq!((answer.status(), answer.text()), (200, "stable"), "{outcome}");
    let seen = stable.request();
    assert_eq!((seen.first.as_str(), seen.field("host")), ("GET /a?b=c HTTP/1.1", Some("shop.example")));
    check_counts(&andon, outcome, "200", 1.0, 0.0);
}

#[test]
fn whatever_goes_wrong_before_the_answer_is_answered_by_stable() {
    check_rescued("reset", drop);
    check_rescued("reset", Wire::reset);
    check_rescued("reset", |mut peer| peer.send("HTTP/1.1 200 OK\r\nContent-Le"));
    check_rescued("protocol", |mut peer| peer.send("no HTTP at all\r\n\r\n"));
    for status in [500, 502, 503, 504] {
        check_rescued("server_error", |mut peer| peer.send(reply(status, "the canary is ill")));
    }
}

#[test]
fn a_canary_that_says_nothing_in_time_is_stood_in_for() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let body = split(stable.address, canary.address, "100%", "");
    let andon =
        Andon::start(&body.replace("name = \"next\"", "name = \"next\"\nresponse_timeout = \"100ms\""));
    assert_eq!(andon.exchange(get("/")).text(), "stable");
    check_counts(&andon, "response_timeout", "200", 1.0, 0.0);
}

#[test]
fn a_request_that_was_never_sent_is_rescued_whatever_its_method() {
    let stable = Server::named("stable");
    let andon = andon(stable.address, port::free(), "");
    assert_eq!(andon.exchange(post("an order")).text(), "stable");
    assert_eq!(stable.request().body, b"an order");
    check_counts(&andon, "connect_error", "200", 1.0, 0.0);
}

#[test]
fn what_may_not_be_sent_twice_is_not() {
    let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(500, "no")));
    let andon = andon(stable.address, canary.address, "");
    let answer = andon.exchange(post("an order"));
    assert_eq!((answer.status(), answer.text()), (500, "no"));
    check_counts(&andon, "server_error", "500", 0.0, 1.0);
    assert_eq!(stable.requests(), 0);
}

#[test]
fn statuses_that_the_route_does_not_call_failure_are_passed_on() {
    for (guard, status) in [("rescue = { statuses = [500] }", 503), ("", 404), ("rescue = false", 500)] {
        let (stable, canary) = (Server::named("stable"), Server::start(move |_| reply(status, "as it is")));
        let andon = andon(stable.address, canary.address, guard);
        let answer = andon.exchange(get("/"));
        assert_eq!((answer.status(), answer.text()), (status, "as it is"), "{guard}");
        assert_eq!(stable.requests(), 0, "{guard}");
    }
}

#[test]
fn a_body_is_kept_up_to_its_bound_and_not_a_byte_more() {
    let guard = r#"rescue = { methods = ["POST"], body_max = "1KiB" }"#;
    for (length, rescued) in [(1, true), (1_024, true), (1_025, false), (100_000, false)] {
        let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(503, "canary")));
        let andon = andon(stable.address, canary.address, guard);
        let body: String = (0..length).map(|at| char::from(b'a' + u8::try_from(at % 23).unwrap())).collect();
        let answer = andon.exchange(post(&body));
        if rescued {
            assert_eq!((answer.status(), answer.text()), (200, "stable"), "{length}");
            assert_eq!(stable.request().body, body.as_bytes(), "{length}");
        } else {
            assert_eq!((answer.status(), answer.text()), (503, "canary"), "{length}");
            assert_eq!(stable.requests(), 0, "{length}");
        }
    }
}

#[test]
fn a_chunked_body_that_outgrows_its_bound_is_not_sent_again() {
    let guard = r#"rescue = { methods = ["POST"], body_max = "10B" }"#;
    let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(503, "canary")));
    let andon = andon(stable.address, canary.address, guard);
    let head = "POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = andon.exchange(format!("{head}a\r\n0123456789\r\n1\r\n0\r\n0\r\n\r\n"));
    assert_eq!((answer.status(), stable.requests()), (503, 0));
    let answer = andon.exchange(format!("{head}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"));
    assert_eq!(answer.text(), "stable");
    let seen = stable.request();
    assert_eq!((seen.body.as_slice(), seen.is_chunked()), (&b"0123456789"[..], true));
}

#[test]
fn an_upload_goes_on_to_stable_where_the_canary_dropped_it() {
    let guard = r#"rescue = { methods = ["PUT"], body_max = "64KiB" }"#;
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon = andon(stable.address, canary.address, guard);
    let mut client = andon.connect();
    client.send("PUT / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    let mut peer = canary.accept();
    peer.read_until("first\r\n");
    drop(peer);
    wait::until("stable is asked", || (stable.connections() > 0).then_some(()));
    client.send("7\r\n second\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "stable");
    assert_eq!(stable.request().body, b"first second");
    check_counts(&andon, "reset", "200", 1.0, 0.0);
    client.send("PUT / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nnext");
    drop(canary.accept());
    assert_eq!(client.response().text(), "stable", "the connection goes on");
    assert_eq!(stable.request().body, b"next");
}

#[test]
fn nothing_of_the_canarys_answer_is_left_for_anybody() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon = andon(stable.address, canary.address, "");
    let mut client = andon.connect();
    client.send(get("/1"));
    let mut first = canary.accept();
    first.request();
    first.send("HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nhalf of an answer");
    assert_eq!(client.response().text(), "stable");
    let (_, end) = first.rest();
    assert!(matches!(end, End::Closed | End::Reset), "the half-read connection is closed: {end:?}");
    client.send(get("/2"));
    let mut second = canary.accept();
    assert_eq!(second.request().first, "GET /2 HTTP/1.1");
    second.send(OK);
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn an_answer_that_has_begun_is_the_canarys_to_the_end() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon = andon(stable.address, canary.address, "");
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = canary.accept();
    peer.request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    client.read_until("half");
    drop(peer);
    assert_eq!(client.rest().0, b"");
    check_counts(&andon, "truncated", "200", 0.0, 1.0);
    assert_eq!(stable.requests(), 0);
}

#[test]
fn where_stable_fails_as_well_it_is_neither_rescue_nor_harm() {
    let (stable, canary) = (Server::start(|_| reply(503, "stable")), Server::start(|_| reply(500, "canary")));
    let andon = andon(stable.address, canary.address, "");
    let answer = andon.exchange(get("/"));
    assert_eq!((answer.status(), answer.text()), (503, "stable"));
    check_counts(&andon, "server_error", "503", 0.0, 0.0);
}

#[test]
fn where_stable_cannot_be_reached_either_the_client_is_told_once() {
    let canary = Server::start(|_| reply(500, "canary"));
    let andon = andon(port::free(), canary.address, "");
    assert_eq!(andon.exchange(get("/")).status(), 502);
    check_counts(&andon, "server_error", "502", 0.0, 0.0);
    assert_eq!(canary.requests(), 1);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_rescue_leaves_nothing_behind() {
    let (stable, canary) = (Manual::start(), Server::start(|_| reply(500, "canary")));
    let andon = andon(stable.address, canary.address, "");
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = stable.accept();
    peer.request();
    drop(client);
    check_counts(&andon, "server_error", "499", 0.0, 0.0);
    assert!(matches!(peer.rest().1, End::Closed | End::Reset));
}

#[test]
fn a_client_that_leaves_a_request_whose_body_is_kept_is_noticed() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon =
        andon(stable.address, canary.address, r#"rescue = { methods = ["POST"], body_max = "1KiB" }"#);
    let mut client = andon.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    let mut peer = canary.accept();
    peer.request();
    drop(client);
    assert!(matches!(peer.rest().1, End::Closed | End::Reset));
    check_counts(&andon, "downstream_gone", "499", 0.0, 0.0);
}

#[test]
fn an_outage_of_both_is_not_made_much_worse() {
    const REQUESTS: usize = 400;
    let fails = || Server::start(|_| reply(500, "no"));
    let (stable, canary) = (fails(), fails());
    let guard = "rescue = { budget = \"0%\" }\non_unhealthy = \"watch\"";
    let andon = andon(stable.address, canary.address, guard);
    let mut client = andon.connect();
    for _ in 0..REQUESTS {
        client.send(get("/"));
        assert_eq!(client.response().status(), 500);
    }
    assert_eq!(canary.requests(), REQUESTS);
    // A hundred are saved up, and ten come in each second; it would take half a minute for all of them.
    assert!((100..REQUESTS).contains(&stable.requests()), "{}", stable.requests());
}

#[test]
fn one_that_speaks_http2_and_one_that_does_not_stand_in_for_each_other() {
    let guard = r#"rescue = { methods = ["GET", "PUT"] }"#;
    let put = "PUT /a HTTP/1.1\r\nHost: shop.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    for http2 in ["stable", "next"] {
        let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(503, "canary")));
        // Another andon is the side that speaks HTTP/2.
        let inner = Andon::before(if http2 == "stable" { stable.address } else { canary.address });
        let (one, other) =
            if http2 == "stable" { (inner.address, canary.address) } else { (stable.address, inner.address) };
        let body = split(one, other, "100%", &format!("[route.guard]\n{guard}"));
        let name = format!("name = \"{http2}\"");
        let andon = Andon::start(&body.replacen(&name, &format!("{name}\nprotocol = \"h2\""), 1));
        for _ in 0..3 {
            let mut client = andon.connect();
            client.send(get("/a"));
            assert_eq!(client.response().text(), "stable", "{http2}");
            let seen = stable.request();
            assert_eq!((seen.first.as_str(), seen.field("host")), ("GET /a HTTP/1.1", Some("shop.example")));
            client.send(put);
            client.send("body");
            let mut answer = client.response();
            while answer.status() < 200 {
                answer = client.response();
            }
            assert_eq!((answer.status(), answer.text()), (200, "stable"), "{http2}");
            let seen = stable.request();
            assert_eq!((seen.first.as_str(), seen.body.as_slice()), ("PUT /a HTTP/1.1", &b"body"[..]));
        }
        assert_eq!(canary.requests(), 6, "{http2}");
        assert_eq!(andon.metric("andon_rescues_total", &[("variant", "canary")]), 6.0, "{http2}");
    }
}
