//! `Content-Length`: more than one, and ones that are no numbers.

use super::{Forwarded, Refused, check};

const REFUSED: &[Refused] = &[
    (
        "9112 6.3, two that differ",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ),
    (
        "9112 6.3, differ, zero first",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    ),
    ("9110 8.6, a list", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello"),
    ("9110 8.6, a list that differs", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello!"),
    ("9110 8.6, empty (CVE-2023-40225)", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello"),
    ("9110 8.6, blank", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:  \t \r\n\r\nhello"),
    ("9110 8.6, plus", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
    ("9110 8.6, minus", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello"),
    ("9110 8.6, minus zero", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -0\r\n\r\nhello"),
    ("9110 8.6, hex", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello"),
    ("9110 8.6, underscore", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nhellohello"),
    ("9110 8.6, blank inside", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\nhellohello"),
    ("9110 8.6, fraction", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\nhello"),
    ("9110 8.6, quoted", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\nhello"),
    ("9110 8.6, letters behind", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5x\r\n\r\nhello"),
    (
        "9110 8.6, u64 and one",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nhello",
    ),
    (
        "9110 8.6, wraps to 5 in u64",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
    ),
    ("9110 8.6, u64 max", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\nhello"),
    ("9110 8.6, zeros in front", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0000005\r\n\r\nhello"),
    ("9110 8.6, octal to some", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 010\r\n\r\nhellohello"),
    ("9112 5, vertical tab", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \x0b5\r\n\r\nhello"),
    ("9112 5.1, space before colon", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello"),
    ("9112 5.1, tab before colon", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 5\r\n\r\nhello"),
    ("9112 2.2, space before the field", b"POST / HTTP/1.1\r\nHost: a\r\n Content-Length: 5\r\n\r\nhello"),
    (
        "overflowing name (CVE-2021-40346)",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length\x00: 5\r\n\r\nhello",
    ),
    (
        "9112 6.3, HTTP/1.0, two that differ",
        b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ),
];

const FORWARDED: &[Forwarded] = &[
    (
        "9112 6.3, two alike become one",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1|host: a|content-length: 5||hello",
    ),
    (
        "9110 5.5, blanks around it are not part of it",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \t5 \t\r\n\r\nhello",
        "POST / HTTP/1.1|host: a|content-length: 5||hello",
    ),
    (
        "9110 9.3.1, a GET may have a body, and it is not the next request",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\nGET /admin HTTP/1.1\r\nHost: inside\r\n\r\n",
        "GET / HTTP/1.1|host: a|content-length: 37||GET /admin HTTP/1.1\r\nHost: inside\r\n\r\n",
    ),
    (
        "another name: dash and underscore are two",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1|host: a|content-length: 0|content_length: 5||",
    ),
];

#[test]
fn a_length_is_one_plain_number() {
    check(REFUSED, FORWARDED);
}
