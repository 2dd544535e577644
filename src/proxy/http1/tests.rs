//! Answers, cut anywhere; and the same as hyper's own client reads them, which knows many upstreams.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1 as peer;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

mod outbox;
mod requests;

use super::Error;
use super::whole::{Whole, read};

fn whole(bytes: &str) -> Result<Whole<Response<()>>, Error> {
    read(&[bytes.as_bytes()], &Method::GET)
}

fn check(bytes: &str, body: &str, may_go_on: bool) {
    let whole = whole(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
    assert_eq!(
        (String::from_utf8_lossy(&whole.body).as_ref(), whole.may_go_on),
        (body, may_go_on),
        "{bytes:?}"
    );
}

#[test]
fn an_answer_ends_where_its_head_says() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", true);
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more", "ok", false);
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "ok", false);
    check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true);
    check("HTTP/1.1 200 OK\r\n\r\nto the end", "to the end", false);
    check("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false);
    check("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", "ok", true);
    check("HTTP/1.1 204 No Content\r\n\r\n", "", true);
    check("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "", true);
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", true);
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;x=y\r\n, 2\r\n0\r\n\r\n",
        "ok, 2",
        true,
    );
    check("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok", true);
    for reason in ["", " ", " \u{e9}", " Fine"] {
        check(&format!("HTTP/1.1 200{reason}\r\nContent-Length: 2\r\nX:\r\nY: \r\n\r\nok"), "ok", true);
    }
}

#[test]
fn the_answer_to_head_has_no_body_whatever_it_says() {
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked", "X: y"] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        let whole = read(&[bytes.as_bytes()], &Method::HEAD).unwrap();
        assert!(whole.body.is_empty() && whole.may_go_on, "{framing}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_read_in_none() {
    for head in [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2\r\nContent-Length: 2",
        "Content-Length: 2, 2",
        "Content-Length: +2",
        "Content-Length: 02",
        "Content-Length: ",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "X: a\r\n b",
        "X",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        assert!(whole(&bytes).is_err(), "{head}");
    }
    for start in [
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
        "HTTP/2.0 200 OK",
        "\r\nHTTP/1.1 200 OK",
        "220 hello",
        "HTTP/1.1 20 OK",
    ] {
        assert!(whole(&format!("{start}\r\n\r\n0\r\n\r\n")).is_err(), "{start}");
    }
}

#[test]
fn chunks_that_are_none_break_the_answer() {
    for chunks in [
        "2\r\nokay\r\n0\r\n\r\n",
        "2\nok\n0\n\n",
        "\r\nok\r\n0\r\n\r\n",
        "-2\r\nok\r\n0\r\n\r\n",
        "0x2\r\nok\r\n0\r\n\r\n",
        "2 x\r\nok\r\n0\r\n\r\n",
        "2;a\rb\r\nok\r\n0\r\n\r\n",
        "10000000000000002\r\nok\r\n0\r\n\r\n",
        "2\r\nok\r\n0\r\nX\r\n\r\n",
        "2\r\nok\r\n0\r\n",
        "2\r\nok\r\n",
        "3\r\nok",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert!(whole(&bytes).is_err(), "{chunks:?}");
    }
}

#[test]
fn what_frames_a_body_is_bounded() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "x".repeat(70_000);
    for bytes in [
        format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101)),
        format!("{chunked}2;{long}\r\nok\r\n0\r\n\r\n"),
        format!("{chunked}0\r\nX: {long}\r\n\r\n"),
        format!("{chunked}0\r\n{}\r\n", "X: y\r\n".repeat(101)),
    ] {
        assert!(whole(&bytes).is_err(), "{}", &bytes[..60]);
    }
}

#[test]
fn a_head_that_does_not_end_is_bounded_however_it_comes() {
    let (begin, more) = ("HTTP/1.1 200 OK\r\nX: ".to_owned() + &"y".repeat(40_000), "y".repeat(30_000));
    let read = read(&[begin.as_bytes(), more.as_bytes(), b"z"], &Method::GET);
    assert!(matches!(read, Err(Error::Malformed("its head is too long"))), "{read:?}");
}

#[test]
fn trailers_come_behind_the_body() {
    let bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
    let whole = whole(bytes).unwrap();
    assert_eq!(whole.trailers.unwrap()["x-sum"], "7");
    assert!(whole.may_go_on);
}

/// Parts of answers, good and bad, in any order.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 \r\n",
        "HTTP/1.1 200\r\n",
        "HTTP/1.1 200 \u{e9}\r\n",
        "HTTP/1.1 404 Nowhere to be found\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 Not Modified\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 999 Odd\r\n",
        "HTTP/1.1 200 OK\n",
    ]);
    let field = prop::sample::select(vec![
        "Content-Length: 2\r\n",
        "Content-Length: 12\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 012\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: CHUNKED \r\n",
        "Transfer-Encoding: identity\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "X-Empty:\r\n",
        "X-Empty: \t \r\n",
        "X-Long: a b\tc\u{e9}\r\n",
        "x-long: again\r\n",
        ": none\r\n",
        "Odd Name: x\r\n",
        " folded\r\n",
    ]);
    let body = prop::sample::select(vec![
        "ok",
        "2\r\nok\r\n",
        "c;ext=1\r\nhello, world\r\n",
        "00\r\n\r\n",
        "0\r\n\r\n",
        "0\r\nX-Sum: 7\r\n\r\n",
        "C \r\nhello, world\r\n",
        "2\nok\n",
        "\r\n",
        "zz\r\n",
        "hello, world",
    ]);
    messages(start, field, body)
}

/// Some of each, in this order.
fn messages(
    start: impl Strategy<Value = &'static str>,
    field: impl Strategy<Value = &'static str>,
    body: impl Strategy<Value = &'static str>,
) -> impl Strategy<Value = Vec<u8>> {
    let some = (start, prop::collection::vec(field, 0..4), prop::collection::vec(body, 0..4));
    some.prop_map(|(start, fields, bodies)| {
        [start, &fields.concat(), "\r\n", &bodies.concat()].concat().into_bytes()
    })
}

/// What hyper makes of it: status, fields, body, trailers.
fn read_by_hyper(bytes: &[u8]) -> Option<(http::response::Parts, Bytes, Option<http::HeaderMap>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let (mut sender, connection) = peer::handshake(TokioIo::new(near)).await.unwrap();
        let asked = async {
            let answer = sender.send_request(Request::new(Empty::<Bytes>::new())).await.ok()?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.ok()?;
            let trailers = body.trailers().cloned();
            Some((parts, body.to_bytes(), trailers))
        };
        let answered = async {
            let mut request = [0; 1_024];
            let _ = tokio::io::AsyncReadExt::read(&mut far, &mut request).await;
            let _ = far.write_all(bytes).await;
            drop(far);
        };
        let driven = async {
            let _ = tokio::join!(connection, answered);
            std::future::pending::<()>().await;
        };
        let all = async {
            tokio::select! {
                answer = asked => answer,
                () = driven => None,
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all)
            .await
            .unwrap_or_else(|_| panic!("hyper does not end with {:?}", String::from_utf8_lossy(bytes)))
    })
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for cut in cuts.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[from..cut]);
        from = cut;
    }
    pieces
}

proptest! {
    #[test]
    fn no_cut_changes_an_answer(bytes in answers(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let pieces = cut(&bytes, &cuts);
        let at_once = read(&[&bytes], &Method::GET).map_err(|error| error.to_string());
        let in_pieces = read(&pieces, &Method::GET).map_err(|error| error.to_string());
        prop_assert_eq!(format!("{at_once:?}"), format!("{in_pieces:?}"));
    }

    /// What we read is what hyper reads; what we refuse, it may read.
    #[test]
    fn nothing_is_read_otherwise_than_hyper_does(bytes in answers()) {
        if let Ok(whole) = read(&[&bytes], &Method::GET) {
            let Some((parts, body, trailers)) = read_by_hyper(&bytes) else {
                return Err(TestCaseError::fail(format!("hyper refuses {:?}", String::from_utf8_lossy(&bytes))));
            };
            prop_assert_eq!(parts.status, whole.head.status());
            prop_assert_eq!(parts.version, whole.head.version());
            let (mut theirs, mut ours) = (parts.headers.clone(), whole.head.headers().clone());
            // What ends here is left out by us already.
            if theirs.remove(TRANSFER_ENCODING).is_some() {
                theirs.remove(CONTENT_LENGTH);
            }
            theirs.remove(CONNECTION);
            ours.remove(CONNECTION);
            prop_assert_eq!(theirs, ours);
            let reason = |extensions: &http::Extensions| extensions.get::<hyper::ext::ReasonPhrase>().cloned();
            prop_assert_eq!(reason(&parts.extensions), reason(whole.head.extensions()));
            prop_assert_eq!(body.as_ref(), &whole.body);
            prop_assert_eq!(trailers, whole.trailers);
        }
    }
}

/// Found by fuzzing: the error was passed over with the last piece, and what it was about was gone.
#[test]
fn trailers_that_cannot_be_read_are_an_error_however_they_come() {
    let answer: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nbad \x1b: 1\r\n\r\nX: y\r\n\r\n";
    for cut in 0..answer.len() {
        let (first, second) = answer.split_at(cut);
        let read = read(&[first, second], &Method::GET);
        assert!(matches!(read, Err(Error::Head(_))), "cut at {cut}: {read:?}");
    }
}
