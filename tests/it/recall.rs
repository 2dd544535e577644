//! A canary that is closed loses whoever it has not begun to answer: stable answers them, long before their time is up.

use std::net::SocketAddr;

use crate::support::andon::split;
use crate::support::tls::{Pki, quoted};
use crate::support::{Andon, End, Manual, OK, Server, Wire, get, h2_upstream, post, wait};

const PULL: &str = r#"{"why": "a test", "by": "ann"}"#;
const PUT: &str = "PUT /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 10\r\n\r\n";

/// Every request goes to the canary, which may take longer than any test waits.
fn andon(stable: SocketAddr, canary: SocketAddr, upstream: &str, guard: &str) -> Andon {
    let body = split(stable, canary, "100%", &format!("[route.guard]\n{guard}"));
    let patient = format!("name = \"next\"\nresponse_timeout = \"60s\"\n{upstream}");
    Andon::start(&body.replacen("name = \"next\"", &patient, 1))
}

#[track_caller]
fn pull_cord(andon: &Andon) {
    andon.ask("POST", "/api/v1/routes/shop/cord", PULL).ok();
}

/// So many requests were called back, which is nobody's failure.
#[track_caller]
fn check_counts(andon: &Andon, recalled: f64) {
    andon.wait_for_outcome("recalled", recalled);
    let canary = ("variant", "canary");
    assert_eq!(andon.metric("andon_outcomes_total", &[canary, ("outcome", "recalled")]), recalled);
    assert_eq!(andon.metric("andon_recalls_total", &[canary]), recalled);
    for nothing in ["andon_upstream_errors_total", "andon_rescues_total", "andon_harm_total"] {
        assert_eq!(andon.metric(nothing, &[]), 0.0, "{nothing}");
    }
}

/// A client whose request the canary has read, and does not answer.
fn waiting(andon: &Andon, canary: &Manual, request: &str) -> (Wire, Wire) {
    let mut client = andon.connect();
    client.send(request);
    let mut peer = canary.accept();
    peer.head();
    (client, peer)
}

#[test]
fn whoever_waits_for_a_canary_that_hangs_is_answered_by_stable_when_the_cord_is_pulled() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon = andon(stable.address, canary.address, "", "");
    let mut waiting: Vec<_> = (0..5).map(|_| self::waiting(&andon, &canary, &get("/a?b=c"))).collect();
    pull_cord(&andon);
    for (client, peer) in &mut waiting {
        let answer = client.response();
        assert_eq!((answer.status(), answer.text()), (200, "stable"));
        assert_eq!(stable.request().first, "GET /a?b=c HTTP/1.1");
        assert!(matches!(peer.rest().1, End::Closed | End::Reset), "nobody waits for it any more");
    }
    check_counts(&andon, 5.0);
    let (client, _) = &mut waiting[0];
    client.send(get("/"));
    assert_eq!(client.response().text(), "stable", "the connection lives on");
}

#[test]
fn an_upload_that_is_kept_goes_on_to_stable() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon = andon(stable.address, canary.address, "", r#"rescue = { methods = ["PUT"] }"#);
    let (mut client, mut peer) = waiting(&andon, &canary, PUT);
    client.send("first");
    peer.read_until("first");
    pull_cord(&andon);
    peer.rest();
    client.send("later");
    assert_eq!(client.response().text(), "stable");
    assert_eq!(stable.request().body, b"firstlater");
    check_counts(&andon, 1.0);
}

#[test]
fn a_canary_that_is_not_even_connected_loses_whatever_waits_for_it() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let pki = Pki::new();
    let tls = format!("tls = {{ ca = {} }}\nconnect_timeout = \"60s\"", quoted(&pki.path("ca.pem")));
    let andon = andon(stable.address, canary.address, &tls, "");
    let mut client = andon.connect();
    client.send(post("an order"));
    let mut peer = canary.accept();
    peer.bytes(1).unwrap();
    pull_cord(&andon);
    assert_eq!(client.response().text(), "stable", "nothing of it was sent");
    assert_eq!(stable.request().body, b"an order");
    check_counts(&andon, 1.0);
}

#[test]
fn a_stream_of_http2_is_called_back_and_its_connection_stays() {
    let (stable, canary) = (Server::named("stable"), h2_upstream::Upstream::manual());
    let andon = andon(stable.address, canary.address, "protocol = \"h2\"", "");
    let mut client = andon.connect();
    client.send(get("/"));
    let call = canary.call();
    pull_cord(&andon);
    assert_eq!(client.response().text(), "stable");
    wait::until("the stream is cancelled", || call.is_cancelled().then_some(()));
    assert_eq!(canary.connections(), 1);
    check_counts(&andon, 1.0);
}

/// The canary's answer, given after the cord was pulled, is the client's.
#[track_caller]
fn check_left_alone(request: &str, guard: &str, begin: &str, rest: &str) {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon = andon(stable.address, canary.address, "", guard);
    let (mut client, mut peer) = waiting(&andon, &canary, request);
    peer.send(begin);
    if !begin.is_empty() {
        client.read_until("half");
    }
    pull_cord(&andon);
    // Its turn comes after the recall, had there been one: the route is closed by now.
    assert_eq!(andon.exchange(get("/")).text(), "stable");
    assert_eq!(stable.requests(), 1);
    peer.send(rest);
    if begin.is_empty() {
        assert_eq!(client.response().text(), "ok");
    } else {
        client.read_until(rest);
    }
    assert_eq!(andon.metric("andon_recalls_total", &[]), 0.0);
    assert_eq!(stable.requests(), 1);
}

#[test]
fn what_may_not_be_sent_twice_or_is_being_answered_is_left_alone() {
    check_left_alone(&get("/"), "recall = false", "", OK);
    check_left_alone(&get("/"), "rescue = false", "", OK);
    check_left_alone(&post("an order"), "", "", OK);
    let long = r#"rescue = { methods = ["POST"], body_max = "1KiB" }"#;
    check_left_alone(&post(&"x".repeat(2_000)), long, "", OK);
    let begin = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf";
    check_left_alone(&get("/"), "", begin, "rest");
}

#[test]
fn the_canary_of_another_route_is_left_alone() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let other = "[[route]]\nname = \"cart\"\npath = \"/cart\"\nstable = \"stable\"\n\
                 [[route.canary]]\nupstream = \"next\"\nweight = \"100%\"\n";
    let andon = Andon::start(&split(stable.address, canary.address, "100%", other));
    let (mut client, mut peer) = waiting(&andon, &canary, &get("/cart/1"));
    let (mut shopper, _shop) = waiting(&andon, &canary, &get("/"));
    pull_cord(&andon);
    assert_eq!(shopper.response().text(), "stable");
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
    assert_eq!(andon.metric("andon_recalls_total", &[("route", "cart")]), 0.0);
    assert_eq!(andon.metric("andon_recalls_total", &[("route", "shop")]), 1.0);
}
