//! Targets and hosts: the four forms, their disagreement, and names that are two hosts to some.

use super::{Forwarded, Refused, check};

const REFUSED: &[Refused] = &[
    ("9112 3.2, no Host", b"GET / HTTP/1.1\r\n\r\n"),
    ("9112 3.2, no Host beside an absolute target", b"GET http://a/ HTTP/1.1\r\n\r\n"),
    ("9112 3.2, two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("9112 3.2, two equal Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    ("9112 3.2, two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("9110 7.2, space", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    ("9110 7.2, comma", b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),
    ("9110 7.2, slash", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("9110 7.2, user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    ("9110 7.2, query", b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
    ("9110 7.2, fragment", b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n"),
    ("9110 7.2, escape", b"GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n"),
    ("9110 7.2, backslash", b"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n"),
    ("9110 7.2, URL", b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n"),
    ("9110 7.2, two ports", b"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"),
    ("9110 7.2, port of letters", b"GET / HTTP/1.1\r\nHost: a:http\r\n\r\n"),
    ("9110 7.2, port too large", b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
    ("9110 7.2, port alone", b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
    ("9110 7.2, open bracket", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    ("9110 7.2, behind the bracket", b"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"),
    ("9110 7.2, IPv6 without brackets", b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"),
    ("9110 7.2, Latin-1", b"GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n"),
    ("9110 4.2.4, a user in the target", b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9110 4.2.4, user and password", b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.2, a comma in the target's host", b"GET http://a,b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.2, no host in the target", b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.2, another scheme", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.2, a file", b"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.3, authority-form with GET", b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.3, a lone host with GET", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.1, no slash", b"GET index.html HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.1, a query alone", b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.4, * with GET", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9112 3.2.4, * and more", b"OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("9110 9.3.6, CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    ("9110 9.3.6, CONNECT to a path", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (
        "9110 9.3.6, CONNECT with a body",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 2\r\n\r\nhi",
    ),
];

const FORWARDED: &[Forwarded] = &[
    (
        "9112 3.2.2, an absolute target overrides Host",
        b"GET http://real:81/a?b HTTP/1.1\r\nHost: other\r\n\r\n",
        "GET /a?b HTTP/1.1|host: real:81||",
    ),
    (
        "9112 3.2.2, without a path",
        b"GET http://real HTTP/1.1\r\nHost: other\r\n\r\n",
        "GET / HTTP/1.1|host: real||",
    ),
    (
        "9112 3.2.2, its path is normal too",
        b"GET http://real//a/../%62 HTTP/1.1\r\nHost: real\r\n\r\n",
        "GET /b HTTP/1.1|host: real||",
    ),
    ("9112 3.2.4, * with OPTIONS", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1|host: a||"),
    ("9112 3.2, an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1|host: ||"),
    ("9112 3.2, HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1|host: ||"),
    (
        "9110 7.2, IPv6 with a port",
        b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1|host: [::1]:80||",
    ),
    (
        "9110 7.1, a fragment is no part of a request",
        b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a HTTP/1.1|host: a||",
    ),
];

#[test]
fn there_is_one_host_and_one_path() {
    check(REFUSED, FORWARDED);
}
