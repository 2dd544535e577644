//! Messages of HTTP/2 that could be read in two ways, or become two on HTTP/1 (RFC 9113, 8.1 to 8.3 and 10.3): each is
//! refused on its stream, and nothing of it reaches the upstream.

use crate::support::frames::{DATA, END_BOTH, END_HEADERS, END_STREAM, Fate, HEADERS, block, request};
use crate::support::{Andon, Frames, Manual, OK};

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/");
const AUTHORITY: (&str, &str) = (":authority", "shop.example");

type Fields = &'static [(&'static str, &'static str)];

/// Each on a connection of its own; then a good one must be the first that the upstream sees.
fn are_refused(cases: &[Fields], body: Option<&[u8]>) {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    for fields in cases {
        let mut client = Frames::connect(andon.address, &[]);
        client.send(HEADERS, if body.is_some() { END_HEADERS } else { END_BOTH }, 1, &block(fields));
        if let Some(body) = body {
            client.flood(&crate::support::frames::frame(DATA, END_STREAM, 1, body), 1);
        }
        let fate = client.fate(1);
        assert!(fate.is_refusal(), "{fields:?}: {fate:?}");
        assert!(!upstream.has_caller(), "{fields:?} reached the upstream");
    }
    let mut client = Frames::connect(andon.address, &[]);
    client.get(1, "/good");
    let mut peer = upstream.accept();
    assert_eq!(peer.head().first, "GET /good HTTP/1.1");
    peer.send(OK);
    assert_eq!(client.fate(1), Fate::Answered(200));
}

#[test]
fn pseudo_fields_come_first_once_and_are_known() {
    are_refused(
        &[
            &[SCHEME, PATH, AUTHORITY],
            &[METHOD, PATH, AUTHORITY],
            &[METHOD, SCHEME, AUTHORITY],
            &[METHOD, SCHEME, PATH],
            &[METHOD, METHOD, SCHEME, PATH, AUTHORITY],
            &[METHOD, SCHEME, SCHEME, PATH, AUTHORITY],
            &[METHOD, SCHEME, PATH, (":path", "/other"), AUTHORITY],
            &[METHOD, SCHEME, PATH, AUTHORITY, (":authority", "other.example")],
            &[METHOD, SCHEME, PATH, ("x-first", "1"), AUTHORITY],
            &[METHOD, SCHEME, PATH, AUTHORITY, (":unknown", "1")],
            &[METHOD, SCHEME, PATH, AUTHORITY, (":status", "200")],
            &[METHOD, SCHEME, PATH, AUTHORITY, (":protocol", "websocket")],
            &[("", "x"), METHOD, SCHEME, PATH, AUTHORITY],
            &[METHOD, SCHEME, PATH, AUTHORITY, (":", "x")],
        ],
        None,
    );
}

#[test]
fn pseudo_fields_have_values_of_one_meaning() {
    are_refused(
        &[
            &[METHOD, SCHEME, (":path", ""), AUTHORITY],
            &[METHOD, SCHEME, (":path", "no-slash"), AUTHORITY],
            &[METHOD, SCHEME, (":path", "@other.example/"), AUTHORITY],
            &[METHOD, SCHEME, (":path", "*"), AUTHORITY],
            &[METHOD, SCHEME, (":path", "/a b"), AUTHORITY],
            &[METHOD, SCHEME, (":path", "/ HTTP/1.1\r\nHost: evil\r\n\r\nGET /admin"), AUTHORITY],
            &[METHOD, SCHEME, (":path", "/a\0"), AUTHORITY],
            &[METHOD, SCHEME, (":path", "http://other.example/"), AUTHORITY],
            &[(":method", "GET / HTTP/1.1"), SCHEME, PATH, AUTHORITY],
            &[(":method", ""), SCHEME, PATH, AUTHORITY],
            &[(":method", "GET\r\n"), SCHEME, PATH, AUTHORITY],
            &[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY],
            &[METHOD, (":scheme", "http://x"), PATH, AUTHORITY],
            &[METHOD, (":scheme", ""), PATH, AUTHORITY],
            &[METHOD, (":scheme", "ftp"), PATH, AUTHORITY],
            &[METHOD, SCHEME, PATH, (":authority", "user@shop.example")],
            &[METHOD, SCHEME, PATH, (":authority", "shop.example/admin")],
            &[METHOD, SCHEME, PATH, (":authority", "shop.example?x")],
            &[METHOD, SCHEME, PATH, (":authority", "shop example")],
            &[METHOD, SCHEME, PATH, (":authority", "shop\\example")],
            &[METHOD, SCHEME, PATH, (":authority", "")],
            &[METHOD, SCHEME, PATH, (":authority", "shop.example\r\nX: y")],
            &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "other.example")],
            &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "shop.example"), ("host", "shop.example")],
            &[METHOD, SCHEME, PATH, ("host", "a/b")],
        ],
        None,
    );
}

#[test]
fn fields_have_names_and_values_that_mean_the_same_on_http_1() {
    const fn with(field: (&'static str, &'static str)) -> [(&'static str, &'static str); 5] {
        [METHOD, SCHEME, PATH, AUTHORITY, field]
    }
    const CASES: [[(&str, &str); 5]; 20] = [
        with(("X-Upper", "1")),
        with(("x-colon:", "1")),
        with(("x-evil: 1\r\nx", "1")),
        with(("x space", "1")),
        with(("x\0", "1")),
        with(("x\u{e9}", "1")),
        with(("x-value", "a\r\nX-Evil: 1")),
        with(("x-value", "a\nX-Evil: 1")),
        with(("x-value", "a\rb")),
        with(("x-value", "a\0b")),
        with(("connection", "close")),
        with(("keep-alive", "timeout=5")),
        with(("proxy-connection", "keep-alive")),
        with(("transfer-encoding", "chunked")),
        with(("transfer-encoding", "identity")),
        with(("upgrade", "h2c")),
        with(("te", "gzip")),
        with(("te", "trailers, chunked")),
        with(("content-length", "3")),
        with(("content-length", "+0")),
    ];
    let cases: Vec<Fields> = CASES.iter().map(|case| -> Fields { Box::leak(Box::new(*case)) }).collect();
    are_refused(&cases, None);
}

#[test]
fn a_length_says_how_much_comes() {
    const POST: (&str, &str) = (":method", "POST");
    are_refused(
        &[
            &[POST, SCHEME, PATH, AUTHORITY, ("content-length", "-1")],
            &[POST, SCHEME, PATH, AUTHORITY, ("content-length", "0x4")],
            &[POST, SCHEME, PATH, AUTHORITY, ("content-length", "4, 4")],
            &[POST, SCHEME, PATH, AUTHORITY, ("content-length", "")],
            &[POST, SCHEME, PATH, AUTHORITY, ("content-length", "99999999999999999999")],
            &[POST, SCHEME, PATH, AUTHORITY, ("content-length", "4"), ("content-length", "5")],
            &[POST, SCHEME, PATH, AUTHORITY, ("content-length", "4"), ("transfer-encoding", "chunked")],
        ],
        Some(b"four"),
    );
}

#[test]
fn a_body_longer_or_shorter_than_its_length_never_completes_a_request() {
    for length in ["3", "5"] {
        let upstream = Manual::start();
        let andon = Andon::before(upstream.address);
        let mut client = Frames::connect(andon.address, &[]);
        client.send(HEADERS, END_HEADERS, 1, &request("POST", "/", &[("content-length", length)]));
        let mut peer = upstream.accept();
        peer.head();
        client.flood(&crate::support::frames::frame(DATA, END_STREAM, 1, b"GET "), 1);
        let fate = client.fate(1);
        assert!(fate.is_refusal(), "{length}: {fate:?}");
        let (rest, _) = peer.rest();
        assert!(rest.len() < length.parse().expect("a number"), "{length}: {rest:?}");
        andon.wait_for_outcome("downstream_gone", 1.0);
    }
}

#[test]
fn trailers_are_fields_and_nothing_else() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    for trailer in [("X-Upper", "1"), ("connection", "close"), ("x", "a\r\nb")] {
        let mut client = Frames::connect(andon.address, &[]);
        client.send(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]));
        let mut peer = upstream.accept();
        peer.head();
        client.send(HEADERS, END_BOTH, 1, &block(&[trailer]));
        let fate = client.fate(1);
        assert!(fate.is_refusal(), "{trailer:?}: {fate:?}");
        let (rest, _) = peer.rest();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{trailer:?}: {rest:?}");
    }
}

#[test]
fn a_fragment_and_pseudo_fields_behind_the_body_are_left_out() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = Frames::connect(andon.address, &[]);
    client.send(HEADERS, END_HEADERS, 1, &request("POST", "/a#b", &[("trailer", "path, :path")]));
    client.send(HEADERS, END_BOTH, 1, &block(&[(":path", "/other")]));
    let mut peer = upstream.accept();
    let came = peer.request();
    assert_eq!((came.first.as_str(), &came.trailers[..]), ("POST /a HTTP/1.1", &[][..]));
    peer.send(OK);
    assert_eq!(client.fate(1), Fate::Answered(200));
}

#[test]
fn framing_and_routing_fields_do_not_arrive_as_trailers() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = Frames::connect(andon.address, &[]);
    let fields = [("trailer", "content-length, host, authorization, x-sum")];
    client.send(HEADERS, END_HEADERS, 1, &request("POST", "/", &fields));
    let trailers = [("content-length", "7"), ("host", "evil"), ("authorization", "x"), ("x-sum", "7")];
    client.send(HEADERS, END_BOTH, 1, &block(&trailers));
    let mut peer = upstream.accept();
    let came = peer.request();
    assert_eq!(came.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    peer.send(OK);
    assert_eq!(client.fate(1), Fate::Answered(200));
}
