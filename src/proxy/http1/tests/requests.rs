//! Requests, cut anywhere; and the same as hyper's own server reads them.

use std::convert::Infallible;
use std::sync::mpsc;

use hyper::body::Incoming;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;

use super::super::request_head::Unread;
use super::super::whole::{Unwhole, read_request};
use super::*;
use crate::config::RequestLimits;

fn whole(bytes: &[u8]) -> Result<Whole<Request<()>>, Unwhole> {
    read_request(&[bytes], &RequestLimits::default())
}

#[test]
fn a_request_ends_where_its_head_says() {
    for (bytes, body, may_go_on, behind) in [
        ("GET / HTTP/1.1\r\n\r\n", "", true, 0),
        ("GET / HTTP/1.1\r\n\r\nGET", "", false, 3),
        ("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nok", "ok", true, 0),
        ("POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "ok", true, 0),
        ("POST / HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "ok", false, 0),
        ("POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nok", "ok", false, 0),
        ("POST / HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", "ok", true, 0),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", true, 0),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n", "", false, 0),
        ("\r\n\n\r\nGET / HTTP/1.1\n\n", "", true, 0),
    ] {
        let whole = whole(bytes.as_bytes()).unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
        let read = (String::from_utf8_lossy(&whole.body).into_owned(), whole.may_go_on, whole.behind);
        assert_eq!(read, (body.to_owned(), may_go_on, behind), "{bytes:?}");
    }
}

#[test]
fn a_beginning_that_can_be_none_is_refused_before_its_end() {
    for (bytes, fault) in [
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", Unread::Malformed),
        ("GET / HTTP/3", Unread::Malformed),
        ("GET /\0", Unread::Malformed),
        ("GET / HTTP/1.1\r\nA B: c\r\n", Unread::Malformed),
        ("GET / HTTP/1.1\r\nA: b\r\n folded", Unread::Malformed),
    ] {
        let read = whole(bytes.as_bytes());
        assert!(matches!(read, Err(Unwhole::Head(found)) if found == fault), "{bytes:?}: {read:?}");
    }
    let read = whole(b"GET / HTTP/1.1\r\nA: b");
    assert!(matches!(read, Err(Unwhole::Body(Error::Closed))), "{read:?}");
}

#[test]
fn a_head_is_bounded_in_bytes_and_fields_whether_it_ends_or_not() {
    let limits = RequestLimits { header_bytes_max: 1_000, headers_max: 150, ..RequestLimits::default() };
    let read =
        |bytes: &str| read_request(&[bytes.as_bytes()], &limits).map(|whole| whole.head.headers().len());
    let of_fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A:\r\n".repeat(count));
    assert!(matches!(read(&of_fields(150)), Ok(150)));
    let long = format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(1_000));
    for bytes in [of_fields(151), format!("{long}\r\n\r\n"), long] {
        assert!(matches!(read(&bytes), Err(Unwhole::Head(Unread::TooLarge))), "{bytes}");
    }
}

/// Parts of requests, good and bad, in any order.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /a?b=%2F HTTP/1.1\r\n",
        "\r\nPUT http://a.example:81/b HTTP/1.1\r\n",
        "HEAD * HTTP/1.0\r\n",
        "ODD / HTTP/1.1\n",
        "GET  / HTTP/1.1\r\n",
        "GET / HTTP/1.2\r\n",
    ]);
    let field = prop::sample::select(vec![
        "Host: a\r\n",
        "Content-Length: 2\r\n",
        "Content-Length: 12\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: CHUNKED \r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Expect: 100-continue\r\n",
        "X-Empty:\r\n",
        "X-Empty: \t \r\n",
        "X-Long: a b\tc\u{e9}\r\n",
        "x-long: again\n",
        ": none\r\n",
        "Odd Name: x\r\n",
        " folded\r\n",
    ]);
    let body = prop::sample::select(vec![
        "ok",
        "2\r\nok\r\n",
        "c;ext=1\r\nhello, world\r\n",
        "0\r\n\r\n",
        "0\r\nX-Sum: 7\r\n\r\n",
        "2\nok\n",
        "zz\r\n",
        "hello, world",
        "GET /behind HTTP/1.1\r\n\r\n",
    ]);
    messages(start, field, body)
}

type Read = (http::request::Parts, Option<(Bytes, Option<http::HeaderMap>)>);

/// What hyper makes of the first one: head, and the body with its trailers if it comes to its end.
fn read_by_hyper(bytes: &[u8]) -> Option<Read> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (tell, told) = mpsc::channel();
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let service = service_fn(move |request: Request<Incoming>| {
            let tell = tell.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.ok();
                let body = body.map(|body| (body.trailers().cloned(), body.to_bytes()));
                let _ = tell.send((parts, body.map(|(trailers, bytes)| (bytes, trailers))));
                Ok::<_, Infallible>(http::Response::new(Empty::<Bytes>::new()))
            }
        });
        let connection =
            server::Builder::new().half_close(true).serve_connection(TokioIo::new(near), service);
        let asked = async {
            let _ = far.write_all(bytes).await;
            let _ = far.shutdown().await;
            let mut answers = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut far, &mut answers).await;
        };
        let both = async {
            // How it ended is told by what was read.
            let _ = tokio::join!(connection, asked);
        };
        tokio::time::timeout(Duration::from_secs(20), both)
            .await
            .unwrap_or_else(|_| panic!("hyper does not end with {:?}", String::from_utf8_lossy(bytes)))
    });
    told.try_iter().next()
}

proptest! {
    #[test]
    fn no_cut_changes_a_request(bytes in requests(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let pieces = cut(&bytes, &cuts);
        let at_once = whole(&bytes).map_err(|error| error.to_string());
        let in_pieces = read_request(&pieces, &RequestLimits::default()).map_err(|error| error.to_string());
        prop_assert_eq!(format!("{at_once:?}"), format!("{in_pieces:?}"));
    }

    /// What we read is what hyper reads; what we refuse, it may read.
    #[test]
    fn no_request_is_read_otherwise_than_hyper_does(bytes in requests()) {
        if let Ok(whole) = whole(&bytes) {
            let Some((parts, Some((body, trailers)))) = read_by_hyper(&bytes) else {
                return Err(TestCaseError::fail(format!("hyper refuses {:?}", String::from_utf8_lossy(&bytes))));
            };
            prop_assert_eq!(&parts.method, whole.head.method());
            prop_assert_eq!(&parts.uri, whole.head.uri());
            prop_assert_eq!(parts.version, whole.head.version());
            let (mut theirs, mut ours) = (parts.headers, whole.head.headers().clone());
            // What says no more than that the connection stays is left out by us already.
            theirs.remove(CONNECTION);
            ours.remove(CONNECTION);
            prop_assert_eq!(theirs, ours);
            prop_assert_eq!(body.as_ref(), &whole.body);
            prop_assert_eq!(trailers, whole.trailers);
        }
    }
}
