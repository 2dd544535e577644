//! Heads: line ends, control bytes, names, folding, versions, expectations.

use super::{Forwarded, Refused, check};

const LINES: &[Refused] = &[
    ("9112 2.2, bare CR in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: z\r\n\r\n"),
    ("9112 2.2, bare CR ends a line", b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    ("9112 2.2, CR CR LF", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    ("9112 5.2, folded with a space", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"),
    ("9112 5.2, folded with a tab", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n"),
    ("9112 2.2, space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n"),
    ("9112 5.1, space before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    ("9112 5.1, empty name", b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n"),
    ("9112 5, no colon", b"GET / HTTP/1.1\r\nHost: a\r\nXy\r\n\r\n"),
    ("9110 5.1, name with a space", b"GET / HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n"),
    ("9110 5.1, name with a slash", b"GET / HTTP/1.1\r\nHost: a\r\nX/y: z\r\n\r\n"),
    ("9110 5.1, name in brackets", b"GET / HTTP/1.1\r\nHost: a\r\n(x): z\r\n\r\n"),
    ("9110 5.1, name with Latin-1", b"GET / HTTP/1.1\r\nHost: a\r\nX\xe4: z\r\n\r\n"),
    ("9110 5.5, NUL", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x00z\r\n\r\n"),
    ("9110 5.5, DEL", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x7fz\r\n\r\n"),
    ("9110 5.5, backspace", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x08z\r\n\r\n"),
    ("9110 5.5, escape", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[2J\r\n\r\n"),
    ("9110 5.5, NUL in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: z\r\n\r\n"),
];

const FIRST_LINES: &[Refused] = &[
    ("9112 2.3, HTTP/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    ("9112 2.3, HTTP/1.10", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    ("9112 2.3, HTTP/2.0 as text", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    ("9112 2.3, HTTP/1", b"GET / HTTP/1\r\nHost: a\r\n\r\n"),
    ("9112 2.3, HTTP/01.1", b"GET / HTTP/01.1\r\nHost: a\r\n\r\n"),
    ("9112 2.3, lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    ("9112 2.3, HTTP/1,1", b"GET / HTTP/1,1\r\nHost: a\r\n\r\n"),
    ("HTTP/0.9", b"GET /\r\n\r\n"),
    ("HTTP/0.9 with fields", b"GET /\r\nHost: a\r\n\r\n"),
    ("9112 3, tab between", b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3, two spaces before the version", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3, space in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3, space behind the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    ("9112 3, no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3, space before the method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.1, method with a colon", b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.1, no method", b"/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2, NUL in the target", b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2, DEL in the target", b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2, DEL in the query", b"GET /?\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("not UTF-8 in the target", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("TLS on a cleartext port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    ("an answer for a request", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
];

const EXPECTATIONS: &[Refused] = &[
    ("9110 10.1.1, unknown", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: y\r\nContent-Length: 2\r\n\r\nhi"),
    ("9110 10.1.1, disguised", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: y 100-continue\r\nContent-Length: 2\r\n\r\nhi"),
    ("9110 10.1.1, a list", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, y\r\nContent-Length: 2\r\n\r\nhi"),
    ("9110 10.1.1, twice", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"),
    ("9110 10.1.1, empty", b"POST / HTTP/1.1\r\nHost: a\r\nExpect:\r\nContent-Length: 2\r\n\r\nhi"),
];

const FORWARDED: &[Forwarded] = &[
    ("9112 2.2, bare LF ends a line: hyper takes it, and it goes on as CRLF", b"GET / HTTP/1.1\nHost: a\nX: y\n\n", "GET / HTTP/1.1|host: a|x: y||"),
    ("9112 2.2, LF among CRLF", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\n", "GET / HTTP/1.1|host: a|x: y||"),
    ("9112 2.2, empty lines before", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("9110 5.5, empty value", b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", "GET / HTTP/1.1|host: a|x: ||"),
    ("9110 9.1, a method of their own", b"PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", "PURGE / HTTP/1.1|host: a||"),
    ("9110 9.1, methods have a case", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / HTTP/1.1|host: a||"),
    ("9112 2.3, HTTP/1.0 goes on as 1.1", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("9110 10.1.1, HTTP/1.0 expects nothing", b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", "POST / HTTP/1.1|host: a|content-length: 2||hi"),
    ("9110 10.1.1, nothing to expect without a body", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("0.CL, nothing to expect of no bytes", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", "POST / HTTP/1.1|host: a|content-length: 0||"),
    ("9110 7.6.1, nominated fields end here (CVE-2022-31813)", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-secret, x-forwarded-for\r\nX-Secret: 1\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("9110 7.6.1, the fixed list ends here", b"GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: x\r\nTE: gzip\r\nUpgrade: h2c\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("9110 10.1.4, of TE only trailers", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: te\r\nTE: gzip, trailers;q=1, trailers\r\n\r\n", "GET / HTTP/1.1|host: a|te: trailers||"),
];

#[test]
fn lines_are_fields_without_control_bytes() {
    check(LINES, &[]);
}

#[test]
fn the_first_line_is_method_target_and_version() {
    check(FIRST_LINES, &[]);
}

#[test]
fn no_expectation_but_one_is_met() {
    check(EXPECTATIONS, &[]);
}

#[test]
fn heads_go_on_in_our_own_hand() {
    check(&[], FORWARDED);
}
