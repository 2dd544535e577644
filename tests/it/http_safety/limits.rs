//! How large a request may be, at the limit and one beyond, and how many a connection may bring.

use crate::support::andon::lone;
use crate::support::{Andon, End, Manual, Server, Site, Wire, get, get_with, post};

fn limited(listener: &'static str) -> (Andon, Server) {
    let upstream = Server::named("shop");
    (Site::with_listener(listener, &lone(upstream.address, "")).start(), upstream)
}

/// Statuses of these requests, each on a connection that must close if it is refused.
#[track_caller]
fn check(andon: &Andon, cases: &[(String, u16)]) {
    for (request, status) in cases {
        let mut client = andon.connect();
        let _ = client.try_send(request);
        let shown = &request[..request.len().min(80)];
        let answer = client.try_response().unwrap_or_else(|| panic!("unanswered: {shown}"));
        assert_eq!(answer.status(), *status, "{shown}");
        if *status != 200 {
            assert_eq!(client.rest().0, b"", "{shown}");
        }
    }
}

/// A target of so many bytes.
fn target(bytes: usize) -> String {
    format!("/{}", "x".repeat(bytes - 1))
}

#[test]
fn without_a_word_heads_are_held_to_the_defaults() {
    let (andon, upstream) = limited("");
    // `Host` is one of the lines, and so is `X`.
    let lines = |count: usize| "X: y\r\n".repeat(count - 1);
    check(
        &andon,
        &[
            (get(&target(16 * 1_024)), 200),
            (get(&target(16 * 1_024 + 1)), 414),
            (get(&target(60 * 1_024)), 414),
            (get_with("/", &lines(100)), 200),
            (get_with("/", &lines(101)), 431),
            (get_with("/", &format!("X: {}\r\n", "y".repeat(63 * 1_024))), 200),
            (get_with("/", &format!("X: {}\r\n", "y".repeat(65 * 1_024))), 431),
        ],
    );
    assert_eq!(upstream.requests(), 3);
}

#[test]
fn heads_are_held_to_what_the_file_says() {
    let (andon, upstream) =
        limited("uri_bytes_max = \"100B\"\nheader_bytes_max = \"80KiB\"\nheaders_max = 150\n");
    check(
        &andon,
        &[
            (get(&target(100)), 200),
            (get(&target(101)), 414),
            (get_with("/", &"X: y\r\n".repeat(149)), 200),
            (get_with("/", &"X: y\r\n".repeat(150)), 431),
            (get_with("/", &format!("X: {}\r\n", "y".repeat(79 * 1_024))), 200),
            (get_with("/", &format!("X: {}\r\n", "y".repeat(81 * 1_024))), 431),
        ],
    );
    assert_eq!(upstream.requests(), 3);
}

#[test]
fn a_body_of_known_length_is_weighed_before_anything_goes_up() {
    let (andon, upstream) = limited("body_bytes_max = \"10B\"\n");
    check(&andon, &[(post("0123456789"), 200), (post("0123456789a"), 413), (get("/"), 200)]);
    // It is refused by what it announces, before it comes.
    check(&andon, &[("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n".to_owned(), 413)]);
    assert_eq!(upstream.requests(), 2);
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_chunked_body_is_weighed_as_it_comes() {
    let (andon, upstream) = limited("body_bytes_max = \"10B\"\n");
    check(
        &andon,
        &[
            (format!("{CHUNKED}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"), 200),
            (format!("{CHUNKED}5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n"), 413),
        ],
    );
    assert_eq!(upstream.requests(), 1);
    andon.wait_for_outcome("downstream_bad", 1.0);
}

#[test]
fn a_chunked_body_that_grows_too_large_is_cut_off_from_the_upstream() {
    let upstream = Manual::start();
    let andon = Site::with_listener("body_bytes_max = \"10B\"\n", &lone(upstream.address, "")).start();
    let mut client = andon.connect();
    client.send(format!("{CHUNKED}5\r\n01234\r\n"));
    let mut peer = upstream.accept();
    peer.read_until("01234");
    client.send("6\r\n56789a\r\n");
    let answer = client.response();
    assert_eq!((answer.status(), answer.field("connection")), (413, Some("close")));
    let (rest, _) = peer.rest();
    assert!(!String::from_utf8_lossy(&rest).contains("0\r\n\r\n"), "{rest:?}");
    andon.wait_for_outcome("downstream_bad", 1.0);
}

fn ask(client: &mut Wire) -> Option<String> {
    client.send(get("/"));
    client.response().field("connection").map(str::to_owned)
}

#[test]
fn the_last_request_of_a_connection_closes_it() {
    let (andon, upstream) = limited("requests_per_connection_max = 3\n");
    let mut client = andon.connect();
    assert_eq!((ask(&mut client), ask(&mut client)), (None, None));
    assert_eq!(ask(&mut client).as_deref(), Some("close"));
    assert_eq!(client.rest(), (Vec::new(), End::Closed));
    // Requests that were sent ahead of their answers are not served beyond it either.
    let mut client = andon.connect();
    client.send(get("/").repeat(5));
    let answers = std::iter::from_fn(|| client.try_response()).count();
    assert_eq!((answers, upstream.requests()), (3, 6));
}
