//! Chunked bodies: sizes, extensions, ends and trailers. The head has gone up by the time that a chunk is read, so what
//! is refused here breaks off at the upstream, and is never whole there.

use super::{Forwarded, Refused, Stand, check};

macro_rules! chunked {
    ($body:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", $body).as_bytes()
    };
}

const SIZES: &[Refused] = &[
    ("9112 7.1, 0x", chunked!("0x5\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, underscore", chunked!("1_0\r\nhellohellohello!\r\n0\r\n\r\n")),
    ("9112 7.1, plus", chunked!("+5\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, minus", chunked!("-1\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, minus zero", chunked!("-0\r\n\r\n")),
    ("9112 7.1, blank before", chunked!(" 5\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, tab before", chunked!("\t5\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, blank inside", chunked!("1 0\r\nhellohellohello!\r\n0\r\n\r\n")),
    ("9112 7.1, no digits", chunked!("\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, no digits but an extension", chunked!(";a=b\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, no hex", chunked!("5g\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, 17 digits", chunked!("10000000000000005\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, more than u64", chunked!("ffffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, vertical tab behind", chunked!("5\x0b\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, NUL behind", chunked!("5\x00\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1, comma", chunked!("5,5\r\nhello\r\n0\r\n\r\n")),
    ("9112 2.2, bare LF ends the size (CVE-2025-22871)", chunked!("5\nhello\r\n0\r\n\r\n")),
    ("9112 2.2, bare CR ends the size", chunked!("5\rhello\r\n0\r\n\r\n")),
    ("9112 2.2, CR CR LF ends the size", chunked!("5\r\r\nhello\r\n0\r\n\r\n")),
];

const EXTENSIONS: &[Refused] = &[
    ("9112 7.1.1, bare LF in it (CVE-2025-55315)", chunked!("5;a\nhello\r\n0\r\n\r\n")),
    ("9112 7.1.1, bare CR in it", chunked!("5;a\rb\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1.1, bare LF behind a quote", chunked!("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n")),
    ("9112 7.1.1, on the last chunk", chunked!("0;a\n\r\n\r\n")),
];

const ENDS: &[Refused] = &[
    ("9112 7.1, no CRLF behind the data", chunked!("5\r\nhello0\r\n\r\n")),
    ("9112 7.1, bare LF behind the data", chunked!("5\r\nhello\n0\r\n\r\n")),
    ("9112 7.1, bare CR behind the data", chunked!("5\r\nhello\r0\r\n\r\n")),
    ("9112 7.1, two letters behind the data", chunked!("5\r\nhelloXX0\r\n\r\n")),
    ("9112 7.1, data longer than its size", chunked!("4\r\nhello\r\n0\r\n\r\n")),
];

const TRAILERS: &[Refused] = &[
    ("9112 7.1.2, space before colon", chunked!("0\r\nX : y\r\n\r\n")),
    ("9112 7.1.2, NUL in the value", chunked!("0\r\nX: y\x00\r\n\r\n")),
    ("9112 7.1.2, NUL in the name", chunked!("0\r\nX\x00: y\r\n\r\n")),
    ("9112 7.1.2, no name", chunked!("0\r\n: y\r\n\r\n")),
    ("9112 7.1.2, no colon", chunked!("0\r\nGET / HTTP/1.1\r\n\r\n")),
    ("9112 5.2, folded", chunked!("0\r\nX: y\r\n z\r\n\r\n")),
    ("9112 2.2, bare CR in the value", chunked!("0\r\nX: y\rZ: z\r\n\r\n")),
];

const FORWARDED: &[Forwarded] = &[
    (
        "9112 7.1.1, extensions are dropped",
        chunked!("5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"),
        "POST / HTTP/1.1|host: a|transfer-encoding: chunked||5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "9112 7.1, zeros in front and letters in any case",
        chunked!("00000000A\r\nhellohello\r\n000\r\n\r\n"),
        "POST / HTTP/1.1|host: a|transfer-encoding: chunked||A\r\nhellohello\r\n0\r\n\r\n",
    ),
    (
        "9112 7.1.1, blanks behind the size are dropped",
        chunked!("5 \t\r\nhello\r\n0\r\n\r\n"),
        "POST / HTTP/1.1|host: a|transfer-encoding: chunked||5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "9110 6.5.1, trailers that nobody announced are dropped",
        chunked!("2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n"),
        "POST / HTTP/1.1|host: a|transfer-encoding: chunked||2\r\nhi\r\n0\r\n\r\n",
    ),
    (
        "9110 6.5.1, and so is what frames, routes or vouches, announced or not",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
          Trailer: X-Sum, Content-Length, Transfer-Encoding, Host, Authorization, X-Forwarded-For, Cookie, X-Real-IP, Connection\r\n\r\n\
          2\r\nhi\r\n0\r\nX-Sum: 42\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\nHost: b\r\nAuthorization: x\r\n\
          X-Forwarded-For: 6.6.6.6\r\nCookie: a=b\r\nX-Real-IP: 6.6.6.6\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1|host: a|transfer-encoding: chunked|trailer: X-Sum, Content-Length, Transfer-Encoding, Host, Authorization, X-Forwarded-For, Cookie, X-Real-IP, Connection||2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n",
    ),
];

#[test]
fn sizes_are_hex_digits_and_nothing_else() {
    check(SIZES, &[]);
}

#[test]
fn extensions_hold_no_line_end() {
    check(EXTENSIONS, &[]);
}

#[test]
fn data_ends_where_its_size_says() {
    check(ENDS, &[]);
}

#[test]
fn trailers_are_fields() {
    check(TRAILERS, &[]);
}

#[test]
fn chunks_go_on_without_their_decoration() {
    check(&[], FORWARDED);
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let stand = Stand::start();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        ("one huge extension", format!("{head}5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(64 * 1_024))),
        (
            "many small extensions",
            format!("{head}{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "y".repeat(99)).repeat(400)),
        ),
        ("too many trailers", format!("{head}0\r\n{}\r\n", "X: y\r\n".repeat(1_200))),
        ("too large a trailer", format!("{head}0\r\nX: {}\r\n\r\n", "y".repeat(80 * 1_024))),
    ];
    for (what, bytes) in cases {
        stand.refuses(what, bytes.as_bytes());
    }
}
