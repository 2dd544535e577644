//! HTTP/2 on either side or on both: many requests on a connection, bodies both ways, trailers, and good ends.

use http::{HeaderMap, HeaderValue};

use crate::support::andon::lone;
use crate::support::frames::{ACK, Frame, Frames, GOAWAY, PING};
use crate::support::h2::{Client, Payload, Upstream, code_of, get, request, response};
use crate::support::{Andon, Manual, OK, Server, Site, get as get_1, reply, wait};

pub(crate) const H2: &str = "protocol = \"h2\"";
const MEGABYTES: usize = 8;

fn before(upstream: &Upstream) -> Andon {
    Andon::start(&lone(upstream.address, H2))
}

fn fields(name: &'static str, value: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(name, HeaderValue::from_static(value));
    fields
}

#[test]
fn a_thousand_requests_share_a_connection_on_both_sides() {
    let upstream = Upstream::start(|_| response(200, &[], Payload::of("two")));
    let andon = before(&upstream);
    let client = Client::connect(andon.address);
    for _ in 0..1_000 {
        assert_eq!(client.get("/"), "two");
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(andon.exchange(get_1("/")).text(), "two");
    assert_eq!(upstream.connections(), 1);
    andon.wait_for_outcome("success", 1_001.0);
}

#[test]
fn http_2_to_http_1_is_said_in_its_words() {
    let upstream = Server::named("one");
    let andon = Andon::before(upstream.address);
    let client = Client::connect(andon.address);
    let cookies = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")];
    assert_eq!(client.ask(request("GET", "/x?y", &cookies, Payload::Empty)).text(), "one");
    let came = upstream.request();
    assert_eq!(came.first, "GET /x?y HTTP/1.1");
    assert_eq!(came.field("host"), Some("shop.example"));
    assert_eq!(came.field("cookie"), Some("a=1; b=2"));
    assert_eq!(came.field("x-forwarded-proto"), Some("http"));
    let (pen, body) = Payload::piped();
    let asked = client.begin(request("POST", "/", &[("trailer", "x-sum")], body));
    pen.write("some");
    pen.trailers(fields("x-sum", "7"));
    assert_eq!(asked.head().rest().text(), "one");
    let came = upstream.request();
    assert!(came.is_chunked(), "{came:?}");
    assert_eq!(came.text(), "some");
    assert_eq!(came.trailers, [("x-sum".to_owned(), "7".to_owned())]);
}

#[test]
fn trailers_pass_between_http_2_and_http_2() {
    let upstream = Upstream::echo();
    let andon = before(&upstream);
    let (pen, body) = Payload::piped();
    let asked = Client::connect(andon.address).begin(request("POST", "/", &[], body));
    pen.write("some");
    pen.trailers(fields("x-sum", "7"));
    let answer = asked.head().rest();
    assert_eq!((answer.text(), answer.trailer("x-sum")), ("some", Some("7")));
}

#[test]
fn trailers_of_an_http_2_upstream_reach_an_http_1_client_that_wants_them() {
    let upstream = Upstream::manual();
    let andon = before(&upstream);
    let mut client = andon.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
    let call = upstream.call();
    assert_eq!(call.field("te"), Some("trailers"));
    let (pen, _body) = call.converse(&[("trailer", "x-sum")]);
    pen.write("some");
    pen.trailers(fields("x-sum", "7"));
    let answer = client.response();
    assert_eq!((answer.text(), &answer.trailers[..]), ("some", &[("x-sum".to_owned(), "7".to_owned())][..]));
}

#[test]
fn answers_without_a_body_have_none() {
    for protocol in ["", H2] {
        let one = Server::start(|request| match request.first.as_str() {
            first if first.starts_with("HEAD") => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
            first if first.contains("/204") => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            _ => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".to_vec(),
        });
        let two = Upstream::start(|request| match (request.method().as_str(), request.uri().path()) {
            ("HEAD", _) => response(200, &[("content-length", "5")], Payload::Empty),
            (_, "/204") => response(204, &[], Payload::Empty),
            _ => response(304, &[("etag", "\"x\"")], Payload::Empty),
        });
        let address = if protocol.is_empty() { one.address } else { two.address };
        let andon = Andon::start(&lone(address, protocol));
        let client = Client::connect(andon.address);
        for (method, path, status, length) in
            [("HEAD", "/", 200, Some("5")), ("GET", "/204", 204, None), ("GET", "/304", 304, None)]
        {
            let answer = client.ask(request(method, path, &[], Payload::Empty));
            assert_eq!((answer.status.as_u16(), answer.text()), (status, ""), "{method} {path}");
            assert_eq!(answer.field("content-length"), length, "{method} {path}");
            assert!(answer.error.is_none(), "{answer:?}");
        }
        andon.wait_for_outcome("success", 3.0);
    }
}

/// Echoes this many megabytes, while the client reads what comes.
fn echo_much(andon: &Andon) {
    let client = Client::connect(andon.address);
    let (pen, body) = Payload::piped();
    let asked = client.begin(request("POST", "/", &[], body));
    let writer = std::thread::spawn(move || {
        for _ in 0..MEGABYTES {
            pen.write(vec![b'x'; 1 << 20]);
        }
    });
    let answer = asked.head().rest();
    writer.join().expect("everything is written");
    assert!(answer.error.is_none(), "{:?}", answer.error);
    assert_eq!(answer.body.len(), MEGABYTES << 20);
}

#[test]
fn large_bodies_pass_both_ways() {
    let two = Upstream::echo();
    echo_much(&before(&two));
    let one = Server::start(|request| reply(200, request.text()));
    echo_much(&Andon::before(one.address));
}

#[test]
fn a_stream_that_is_not_read_stops_its_sender_and_no_other() {
    let upstream = Upstream::manual();
    let andon = before(&upstream);
    let client = Client::connect(andon.address);
    let stalled = client.begin(get("/stalled"));
    let (pen, _body) = upstream.call().converse(&[]);
    pen.write("first");
    let mut stalled = stalled.head();
    assert_eq!(stalled.data(), "first");
    // Nobody reads on: what is taken is bounded by windows and buffers.
    let mut written = 0;
    let mut refused = 0;
    while refused < 50 {
        match pen.try_write(vec![b'x'; 16 * 1024]) {
            true => (written, refused) = (written + 1, 0),
            false => refused += 1,
        }
        wait::pause(std::time::Duration::from_millis(2));
        assert!(written < 1_000, "no back-pressure");
    }
    let other = client.begin(get("/other"));
    upstream.call().reply(response(200, &[], Payload::of("other")));
    assert_eq!(other.head().rest().text(), "other");
    drop(pen);
    assert_eq!(stalled.rest().body.len(), written * 16 * 1024);
}

#[test]
fn a_client_that_takes_its_request_back_frees_the_upstream() {
    let upstream = Upstream::manual();
    let andon = before(&upstream);
    let client = Client::connect(andon.address);
    let asked = client.begin(get("/"));
    let call = upstream.call();
    asked.cancel();
    wait::until("the upstream's stream is reset", || call.is_cancelled().then_some(()));
    let asked = client.begin(get("/"));
    let (pen, _body) = upstream.call().converse(&[]);
    pen.write("some");
    drop(asked.head());
    wait::until("the upstream's stream is reset", || pen.is_cancelled().then_some(()));
    andon.wait_for_outcome("downstream_gone", 2.0);
    let one = Manual::start();
    let andon = Andon::before(one.address);
    let asked = Client::connect(andon.address).begin(get("/"));
    let mut peer = one.accept();
    peer.head();
    asked.cancel();
    peer.rest();
}

#[test]
fn an_upload_that_breaks_off_is_reset_upstream_and_not_ended() {
    let upstream = Upstream::manual();
    let andon = before(&upstream);
    let (pen, body) = Payload::piped();
    let asked = Client::connect(andon.address).begin(request("POST", "/", &[], body));
    let mut call = upstream.call();
    pen.write("some");
    assert_eq!(call.body.data(), "some");
    pen.break_off();
    let error = call.body.piece().expect("it does not end well").expect_err("it does not end well");
    assert_eq!(code_of(&error), Some(h2::Reason::INTERNAL_ERROR), "{error:?}");
    assert!(asked.try_head().is_err());
    andon.wait_for_outcome("downstream_gone", 1.0);
}

#[test]
fn an_answer_that_breaks_off_is_reset_and_not_ended() {
    let one = Manual::start();
    let andon = Andon::before(one.address);
    let client = Client::connect(andon.address);
    let heads = ["Content-Length: 9\r\n\r\nsome", "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n"];
    for head in heads {
        let asked = client.begin(get("/"));
        let mut peer = one.accept();
        peer.head();
        peer.send(format!("HTTP/1.1 200 OK\r\n{head}"));
        let mut answer = asked.head();
        assert_eq!(answer.data(), "some");
        drop(peer);
        let error = answer.rest().error.expect("it does not end well");
        assert_eq!(code_of(&error), Some(h2::Reason::INTERNAL_ERROR), "{error:?}");
    }
    andon.wait_for_outcome("truncated", 2.0);

    let two = Upstream::manual();
    let andon = before(&two);
    let client = Client::connect(andon.address);
    let asked = client.begin(get("/"));
    let (pen, _body) = two.call().converse(&[]);
    pen.write("some");
    let mut answer = asked.head();
    assert_eq!(answer.data(), "some");
    pen.break_off();
    let error = answer.rest().error.expect("it does not end well");
    assert_eq!(code_of(&error), Some(h2::Reason::INTERNAL_ERROR), "{error:?}");
    andon.wait_for_outcome("truncated", 1.0);
}

#[test]
fn who_expects_to_be_asked_for_the_body_gets_it_through_all_the_same() {
    for protocol in ["", H2] {
        let (one, two) = (Server::start(|request| reply(200, request.text())), Upstream::echo());
        let address = if protocol.is_empty() { one.address } else { two.address };
        let andon = Andon::start(&lone(address, protocol));
        let client = Client::connect(andon.address);
        let fields = [("expect", "100-continue")];
        assert_eq!(client.ask(request("PUT", "/", &fields, Payload::of("body"))).text(), "body");
    }
}

#[test]
fn an_idle_connection_is_told_goodbye() {
    let upstream = Server::named("one");
    let body = lone(upstream.address, "");
    let andon = Site::with_listener("keep_alive_timeout = \"300ms\"", &body).start();
    let mut client = Frames::connect(andon.address, &[]);
    client.get(1, "/");
    // Pings are no requests, and do not make it less idle.
    client.send(PING, 0, 0, b"01234567");
    assert_eq!(client.until(|frame| frame.kind == GOAWAY).map(|frame| frame.code()), Ok(0));
    assert_eq!(client.ended(), None);
}

#[test]
fn a_drain_says_goodbye_and_lets_streams_finish() {
    let upstream = Manual::start();
    let mut andon = Andon::before(upstream.address);
    let mut client = Frames::connect(andon.address, &[]);
    client.get(1, "/");
    let mut peer = upstream.accept();
    peer.head();
    andon.signal("TERM");
    let goodbye = client.until(|frame| frame.kind == GOAWAY).expect("a goodbye");
    assert_eq!(goodbye.code(), 0);
    let ping = client.until(|frame| frame.kind == PING).expect("it asks whether we have heard");
    client.send(PING, ACK, 0, &ping.payload);
    peer.send(OK);
    let (frames, end) = client.stream(1);
    assert!(end.is_none() && frames.last().is_some_and(Frame::ends_stream), "{frames:?}");
    assert!(andon.ended().success());
}
