//! What a request claims of its client: believed from trusted proxies, from nobody else.

use crate::support::andon::{lone, split};
use crate::support::{Andon, Message, Server, Site, get, get_with, reply};

const CLAIMS: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n\
    X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /p\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6;proto=https\r\n\
    X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Host: b\r\nX_Real_IP: 6.6.6.6\r\n";

/// What the upstream got of a request with these fields.
fn got(listener: &'static str, fields: &str) -> Message {
    let upstream = Server::named("shop");
    let andon = Site::with_listener(listener, &lone(upstream.address, "")).start();
    assert_eq!(andon.exchange(get_with("/", fields)).status(), 200);
    upstream.request()
}

#[test]
fn claims_of_a_stranger_are_replaced_or_gone() {
    let got = got("", CLAIMS);
    assert_eq!(got.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(got.field("x-forwarded-proto"), Some("http"));
    assert_eq!(got.field("x-forwarded-host"), Some("shop.example"));
    for gone in [
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-real-ip",
        "forwarded",
        "x_forwarded_for",
        "x-forwarded_host",
        "x_real_ip",
    ] {
        assert_eq!(got.field(gone), None, "{gone}");
    }
}

#[test]
fn claims_of_a_trusted_proxy_are_kept_unless_disguised() {
    let got = got("trusted_proxies = [\"127.0.0.1\"]\n", CLAIMS);
    assert_eq!(got.field("x-forwarded-for"), Some("6.6.6.6, 127.0.0.1"));
    assert_eq!((got.field("x-real-ip"), got.field("x-forwarded-port")), (Some("6.6.6.6"), Some("1")));
    assert_eq!(got.field("forwarded"), Some("for=6.6.6.6;proto=https"));
    for gone in ["x_forwarded_for", "x-forwarded_host", "x_real_ip"] {
        assert_eq!(got.field(gone), None, "{gone}");
    }
}

/// All values of a field, in order.
fn values<'a>(message: &'a Message, name: &str) -> Vec<&'a str> {
    let found = message.fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn forwarded_is_written_where_it_is_asked_for() {
    let ours = "for=127.0.0.1;host=shop.example;proto=http";
    assert_eq!(values(&got("forwarded = true\n", CLAIMS), "forwarded"), [ours]);
    let trusting = got("forwarded = true\ntrusted_proxies = [\"127.0.0.1\"]\n", CLAIMS);
    assert_eq!(values(&trusting, "forwarded"), ["for=6.6.6.6;proto=https", ours]);
}

#[test]
fn via_names_us_both_ways_where_it_is_asked_for() {
    let upstream =
        Server::start(|_| b"HTTP/1.1 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 2\r\n\r\nok".into());
    let andon = Site::with_listener("via = true\n", &lone(upstream.address, "")).start();
    let answer = andon.exchange(get_with("/", "Via: 1.0 outer\r\n"));
    assert_eq!(values(&upstream.request(), "via"), ["1.0 outer", "1.1 andon"]);
    assert_eq!(values(&answer, "via"), ["1.1 inner", "1.1 andon"]);
    andon.exchange("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(values(&upstream.request(), "via"), ["1.0 andon"]);
}

/// An override that only clients of one network may use, and what a request with these fields is served by.
fn served_by(listener: &'static str, fields: &str) -> String {
    let servers = [Server::named("stable"), Server::start(|_| reply(200, "canary"))];
    let rule = "overrides = [{ header = \"x-canary\", from = [\"10.0.0.0/8\"] }]\n";
    let body = split(servers[0].address, servers[1].address, "0%", rule);
    let andon: Andon = Site::with_listener(listener, &body).start();
    andon.exchange(get_with("/", fields)).text().to_owned()
}

#[test]
fn an_override_for_some_addresses_is_none_for_others() {
    const TRUSTING: &str = "trusted_proxies = [\"127.0.0.1\"]\n";
    const SPEAKING: &str = "trusted_proxies = [\"127.0.0.1\"]\nforwarded = true\n";
    let inside = "X-Canary: 1\r\nX-Forwarded-For: 10.1.2.3\r\n";
    assert_eq!(served_by("", inside), "stable");
    assert_eq!(served_by(TRUSTING, inside), "canary");
    assert_eq!(served_by(TRUSTING, "X-Canary: 1\r\nX-Forwarded-For: 6.6.6.6\r\n"), "stable");
    assert_eq!(
        served_by(SPEAKING, "X-Canary: 1\r\nForwarded: for=6.6.6.6, for=\"10.1.2.3:4\"\r\n"),
        "canary"
    );
    assert_eq!(served_by(SPEAKING, &format!("{inside}Forwarded: for=6.6.6.6\r\n")), "stable");
}

#[test]
fn a_request_without_claims_gets_none_but_ours() {
    let upstream = Server::named("shop");
    Andon::before(upstream.address).exchange(get("/"));
    let names: Vec<String> = upstream.request().fields.into_iter().map(|(name, _)| name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"]);
}
