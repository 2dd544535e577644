//! What of a request reaches the upstream, what of the answer reaches the client, and on which connections.

use crate::support::andon::lone;
use crate::support::{Andon, End, Manual, Message, OK, Server, Site, get, get_with, reply};

fn echo() -> Server {
    Server::start(|_| reply(200, "ok"))
}

/// The request as the upstream of a plain route got it.
fn forwarded(request: &str) -> Message {
    let upstream = echo();
    assert_eq!(Andon::before(upstream.address).exchange(request).status(), 200);
    upstream.request()
}

/// The answer as the client got it.
fn answered(request: &str, answer: &'static str) -> Message {
    let upstream = Server::start(|_| answer.into());
    Andon::before(upstream.address).exchange(request)
}

#[test]
fn method_path_query_fields_and_body_arrive() {
    let got = forwarded(
        "PATCH /a%20b/c?q=1&r=%2F HTTP/1.1\r\nHost: shop.example\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert_eq!(got.first, "PATCH /a%20b/c?q=1&r=%2F HTTP/1.1");
    assert_eq!(got.field("x-one"), Some("1"));
    assert_eq!(got.field("host"), Some("shop.example"));
    assert_eq!(got.text(), "hello");
}

#[test]
fn status_fields_and_body_of_the_answer_arrive() {
    let answer = "HTTP/1.1 418 Teapot\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nshort";
    let got = answered(&get("/"), answer);
    assert_eq!((got.status(), got.field("x-one"), got.text()), (418, Some("1"), "short"));
    let cookies: Vec<_> =
        got.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).collect();
    assert_eq!(cookies.len(), 2, "{:?}", got.fields);
}

#[test]
fn an_absolute_target_becomes_host_and_path() {
    let got = forwarded("GET http://real.example:81/a?b HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(got.first, "GET /a?b HTTP/1.1");
    assert_eq!(got.field("host"), Some("real.example:81"));
}

#[test]
fn fields_of_one_hop_end_here_in_requests() {
    let got = forwarded(&get_with(
        "/",
        "Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\n\
         Proxy-Authorization: x\r\nTE: gzip\r\nUpgrade: h2c\r\nX-Stays: 1\r\n",
    ));
    for gone in
        ["connection", "x-hop", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"]
    {
        assert_eq!(got.field(gone), None, "{gone}");
    }
    assert_eq!(got.field("x-stays"), Some("1"));
}

#[test]
fn fields_of_one_hop_end_here_in_answers() {
    let got = answered(
        &get("/"),
        "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: x\r\n\
         X-Stays: 1\r\nContent-Length: 2\r\n\r\nok",
    );
    for gone in ["connection", "x-hop", "keep-alive", "proxy-authenticate"] {
        assert_eq!(got.field(gone), None, "{gone}");
    }
    assert_eq!((got.field("x-stays"), got.text()), (Some("1"), "ok"));
}

#[test]
fn connection_cannot_name_away_what_every_hop_needs() {
    let got = forwarded(
        "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\
         Connection: host, content-length, x-forwarded-for, x-request-id\r\n\r\nhi",
    );
    assert_eq!((got.field("host"), got.text()), (Some("shop.example"), "hi"));
    assert_eq!(got.field("x-forwarded-for"), Some("127.0.0.1"));
    assert!(got.field("x-request-id").is_some());
}

const FORWARDED: &str =
    "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: first.example\r\n";

#[test]
fn what_a_stranger_says_of_the_client_is_replaced() {
    let got = forwarded(&get_with("/", FORWARDED));
    assert_eq!(got.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(got.field("x-forwarded-proto"), Some("http"));
    assert_eq!(got.field("x-forwarded-host"), Some("shop.example"));
}

#[test]
fn what_a_trusted_proxy_says_of_the_client_is_kept_and_appended_to() {
    let upstream = echo();
    let trusting = r#"trusted_proxies = ["127.0.0.0/8"]"#;
    let andon = Site::with_listener(trusting, &lone(upstream.address, "")).start();
    andon.exchange(get_with("/", FORWARDED));
    let got = upstream.request();
    assert_eq!(got.field("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(got.field("x-forwarded-proto"), Some("https"));
    assert_eq!(got.field("x-forwarded-host"), Some("first.example"));

    andon.exchange(get("/"));
    let got = upstream.request();
    assert_eq!(got.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(got.field("x-forwarded-host"), Some("shop.example"));
}

#[test]
fn a_request_id_is_kept_or_made() {
    let upstream = echo();
    let andon = Andon::before(upstream.address);
    andon.exchange(get_with("/", "X-Request-Id: mine-1\r\n"));
    assert_eq!(upstream.request().field("x-request-id"), Some("mine-1"));

    let mut made: Vec<String> = Vec::new();
    for _ in 0..20 {
        andon.exchange(get("/"));
        made.push(upstream.request().field("x-request-id").expect("one is made").to_owned());
    }
    assert!(
        made.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "{made:?}"
    );
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 20);
}

#[test]
fn connections_are_kept_on_both_sides() {
    let upstream = echo();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    for _ in 0..5 {
        client.send(get("/"));
        assert_eq!(client.response().text(), "ok");
    }
    andon.exchange(get("/"));
    assert_eq!((upstream.requests(), upstream.connections()), (6, 1));
}

#[test]
fn a_client_that_asks_to_close_is_closed_and_the_upstream_is_not() {
    let upstream = echo();
    let andon = Andon::before(upstream.address);
    for _ in 0..2 {
        let mut client = andon.connect();
        client.send(get_with("/", "Connection: close\r\n"));
        assert_eq!(client.response().text(), "ok");
        assert_eq!(client.rest(), (Vec::new(), End::Closed));
    }
    assert_eq!(upstream.connections(), 1);
}

/// An answer without a body, on a connection that goes on: to the client and, without a new one, to the upstream.
#[track_caller]
fn check_bodiless(method: &str, answer: &'static str) {
    let upstream =
        Server::start(
            move |request| {
                if request.first.contains("/bodiless") { answer.into() } else { reply(200, "body") }
            },
        );
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(format!("{method} /bodiless HTTP/1.1\r\nHost: a\r\n\r\n"));
    let bodiless = client.response_to(method);
    assert!(answer.starts_with(&bodiless.first), "{bodiless:?}");
    let expected = Message::parse(answer.trim_end()).length().map(|length| length.to_string());
    if method == "HEAD" {
        assert_eq!(bodiless.field("content-length"), expected.as_deref());
    }
    client.send(get("/"));
    assert_eq!(client.response().text(), "body");
    andon.wait_for_outcome("success", 2.0);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_answer_to_head_leaves_the_connections_usable() {
    check_bodiless("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    check_bodiless("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

#[test]
fn no_content_leaves_the_connections_usable() {
    check_bodiless("DELETE", "HTTP/1.1 204 No Content\r\n\r\n");
}

#[test]
fn not_modified_leaves_the_connections_usable() {
    check_bodiless("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
}

#[test]
fn an_empty_answer_leaves_the_connections_usable() {
    check_bodiless("GET", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn an_http_1_0_client_gets_an_answer_that_it_can_read() {
    let upstream = Server::start(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".into()
    });
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send("GET /old HTTP/1.0\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.status(), answer.is_chunked(), answer.text()), (200, false, "abc"));
    assert_eq!(client.rest().1, End::Closed);
    let got = upstream.request();
    assert_eq!(got.first, "GET /old HTTP/1.1");
    assert_eq!(got.field("host"), Some(""));
}

#[test]
fn an_http_1_0_client_may_keep_its_connection() {
    let upstream = echo();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.response();
        assert_eq!((answer.field("connection"), answer.text()), (Some("keep-alive"), "ok"));
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(get("/1") + &get("/2") + &get("/3"));
    let mut peer = upstream.accept();
    for path in ["/1", "/2", "/3"] {
        assert_eq!(peer.request().first, format!("GET {path} HTTP/1.1"));
        peer.send(reply(200, path));
    }
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.response().text(), path);
    }
}

#[test]
fn of_two_framings_only_one_goes_on() {
    let got = forwarded(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    assert_eq!((got.is_chunked(), got.length(), got.text()), (true, None, "hi"));
}

/// Its name would end here with the rest of the framing, and the upstream would take it for plain.
#[test]
fn a_body_in_a_coding_that_would_get_lost_goes_nowhere() {
    let upstream = echo();
    let andon = Andon::before(upstream.address);
    let answer = andon.exchange(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    assert!([400, 501].contains(&answer.status()), "{answer:?}");
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn what_could_be_read_in_two_ways_goes_nowhere() {
    let upstream = echo();
    let andon = Andon::before(upstream.address);
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "nonsense\r\n\r\n",
    ] {
        assert_eq!(andon.exchange(request).status(), 400, "{request:?}");
    }
    assert_eq!(upstream.requests(), 0);
    let mut client = andon.connect();
    client.send(get("/"));
    assert!(OK.ends_with(client.response().text()));
}
