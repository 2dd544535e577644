//! Answers that two readers could take for two things, and answers that nobody asked for.

use crate::support::{Andon, Manual, OK, Wire, get, reply};

/// A client that waits for its answer, and the upstream's end that has the request.
fn asked(request: &str) -> (Manual, Andon, Wire, Wire) {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(request);
    let mut peer = upstream.accept();
    peer.request();
    (upstream, andon, client, peer)
}

const REFUSED: &[(&str, &str)] = &[
    ("9112 4, no version", "200 OK\r\n\r\n"),
    ("9112 4, HTTP/0.9", "<html>hello</html>\r\n\r\n"),
    ("9112 4, HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("9112 4, four digits", "HTTP/1.1 1000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("9112 4, two digits", "HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n"),
    ("9110 15, 099", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    ("9110 15, 000", "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("9112 4, signed", "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("9112 4, letters", "HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n"),
    ("9112 6.3, lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    ("9112 6.3, equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    ("9112 6.3, a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"),
    ("9110 8.6, signed length", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
    ("9110 8.6, hex length", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok"),
    ("9110 8.6, empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok"),
    ("9110 8.6, zeros in front", "HTTP/1.1 200 OK\r\nContent-Length: 002\r\n\r\nok"),
    ("9110 8.6, too large a length", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nok"),
    ("9112 6.1, another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (
        "9112 6.1, chunked twice",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("9112 6.1, identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok"),
    ("9112 6.1, a coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("9110 5.5, NUL", "HTTP/1.1 200 OK\r\nX: y\0z\r\nContent-Length: 0\r\n\r\n"),
    ("9112 5.1, space before colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
    ("9112 2.2, bare CR", "HTTP/1.1 200 OK\r\nX: y\rZ: z\r\nContent-Length: 0\r\n\r\n"),
    ("9112 5.2, folded", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n"),
    (
        "9110 15.2.2, unasked 101",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ),
    (
        "9110 15.2.2, 101 to h2c",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ),
    ("too many fields", "TOO MANY"),
    ("too large a head", "TOO LARGE"),
];

#[test]
fn an_answer_that_can_be_misread_is_502() {
    for (what, answer) in REFUSED {
        let answer = match *answer {
            "TOO MANY" => format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200)),
            "TOO LARGE" => format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(200_000)),
            answer => answer.to_owned(),
        };
        let (_upstream, andon, mut client, mut peer) = asked(&get("/"));
        let _ = peer.try_send(answer);
        assert_eq!(client.response().status(), 502, "{what}");
        andon.wait_for_outcome("protocol", 1.0);
        peer.rest();
    }
}

#[test]
fn a_flood_of_informational_answers_is_502() {
    for early in
        ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 199 Odd\r\n\r\n"]
    {
        let (_upstream, andon, mut client, mut peer) = asked(&get("/"));
        let _ = peer.try_send(early.repeat(1_000));
        assert_eq!(client.response().status(), 502, "{early}");
        andon.wait_for_outcome("protocol", 1.0);
    }
}

/// Split answers and bytes behind an answer: the connection that they came on is never used again.
#[test]
fn bytes_behind_an_answer_are_nobodys_answer() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (what, request, answer) in [
        ("9112 9.2, a second answer", get("/"), format!("{OK}{evil}")),
        ("9112 9.2, garbage", get("/"), format!("{OK}garbage")),
        ("9112 9.2, line ends", get("/"), format!("{OK}\r\n\r\n")),
        (
            "9112 6.3, HEAD with a body",
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{evil}", evil.len()),
        ),
        (
            "9112 6.3, 204 with a body",
            get("/"),
            format!("HTTP/1.1 204 No Content\r\nContent-Length: {}\r\n\r\n{evil}", evil.len()),
        ),
        (
            "9112 6.3, 304 with a body",
            get("/"),
            format!("HTTP/1.1 304 Not Modified\r\nContent-Length: {}\r\n\r\n{evil}", evil.len()),
        ),
        (
            "9112 7.1, behind the last chunk",
            get("/"),
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{evil}"),
        ),
    ] {
        let (upstream, _andon, mut client, mut peer) = asked(&request);
        peer.send(answer);
        let method = request.split(' ').next().expect("there is one");
        let first = client.response_to(method);
        assert!([200, 204, 304].contains(&first.status()) && first.text() != "evil", "{what}: {first:?}");
        client.send(get("/next"));
        let mut fresh = upstream.accept();
        assert!(fresh.request().first.starts_with("GET /next "), "{what}");
        fresh.send(reply(200, "good"));
        assert_eq!(client.response().text(), "good", "{what}");
        assert_eq!(peer.rest().0, b"", "{what}");
    }
}

#[test]
fn an_answer_on_an_idle_connection_is_nobodys() {
    let (upstream, andon, mut client, mut peer) = asked(&get("/"));
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    client.send(get("/next"));
    let mut fresh = upstream.accept();
    fresh.request();
    fresh.send(reply(200, "good"));
    assert_eq!(client.response().text(), "good");
    andon.wait_for_outcome("success", 2.0);
}

/// An answer to a request that is still being sent: what is left of the body must not become a request.
#[test]
fn a_premature_answer_does_not_make_a_request_of_the_rest_of_the_body() {
    let inside = get("/inside");
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", inside.len() + 1);
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(head);
    let mut peer = upstream.accept();
    peer.head();
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
    client.send(format!("x{inside}{}", get("/behind")));
    let mut fresh = upstream.accept();
    assert!(fresh.request().first.starts_with("GET /behind "));
    fresh.send(reply(200, "good"));
    assert_eq!(client.response().text(), "good");
}

#[test]
fn a_header_that_an_answer_would_split_stays_one() {
    let (_upstream, _andon, mut client, mut peer) = asked(&get("/"));
    peer.send(
        "HTTP/1.1 200 OK\r\nLocation: /a%0d%0aSet-Cookie:%20x\r\nX-Evil: a\tb\r\nContent-Length: 2\r\n\r\nok",
    );
    let answer = client.response();
    assert_eq!(answer.field("location"), Some("/a%0d%0aSet-Cookie:%20x"));
    assert_eq!((answer.field("set-cookie"), answer.field("x-evil")), (None, Some("a\tb")));
}
