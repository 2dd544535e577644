//! Paths that an upstream may take for another (CVE-2021-41773, CVE-2019-9901): one form for the rules and the upstream.

use super::{Forwarded, Refused, Stand, check, recorder::Recorder};
use crate::support::{Andon, get};

const REFUSED: &[Refused] = &[
    ("3986 2.2, escaped slash", b"GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("3986 2.2, escaped slash, upper case", b"GET /..%2Fadmin HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("escaped backslash", b"GET /a%5c..%5cadmin HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("backslash", b"GET /a\\..\\admin HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("NUL", b"GET /admin%00.html HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("CR and LF", b"GET /a%0d%0aX:%20y HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("DEL", b"GET /a%7f HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("3986 2.1, broken escape", b"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("3986 2.1, escape cut short", b"GET /a%4 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("%u escape", b"GET /%u002e%u002e/admin HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("dot segment with a parameter", b"GET /a/..;/admin HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("the same in an absolute target", b"GET http://a/a%2fb HTTP/1.1\r\nHost: a\r\n\r\n"),
];

const FORWARDED: &[Forwarded] = &[
    (
        "3986 6.2.2.2, unreserved letters",
        b"GET /%7Euser/%61%2Db HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /~user/a-b HTTP/1.1|host: a||",
    ),
    (
        "3986 6.2.2.1, upper case",
        b"GET /a%c3%a4 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a%C3%A4 HTTP/1.1|host: a||",
    ),
    (
        "3986 6.2.2.3, dot segments",
        b"GET /a/./b/../c HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a/c HTTP/1.1|host: a||",
    ),
    (
        "3986 5.2.4, above the root",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /etc/passwd HTTP/1.1|host: a||",
    ),
    (
        "CVE-2021-41773",
        b"GET /cgi-bin/.%2e/.%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /etc/passwd HTTP/1.1|host: a||",
    ),
    ("empty segments", b"GET //a///b// HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a/b/ HTTP/1.1|host: a||"),
    (
        "escaped twice stays escaped once",
        b"GET /%252e%252e/a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%252e%252e/a HTTP/1.1|host: a||",
    ),
    (
        "raw letters beyond ASCII",
        "GET /\u{e4}?\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes(),
        "GET /%C3%A4?\u{e4} HTTP/1.1|host: a||",
    ),
    (
        "the query is left alone",
        b"GET /a?b=/../c&d=%2f%5c&&e HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a?b=/../c&d=%2f%5c&&e HTTP/1.1|host: a||",
    ),
];

#[test]
fn a_path_has_one_form_or_none() {
    check(REFUSED, FORWARDED);
}

#[test]
fn a_closed_path_is_closed_under_all_its_names() {
    let upstream = Recorder::start();
    let andon = Andon::start(&format!(
        "[[upstream]]\nname = \"u\"\nendpoints = [\"{}\"]\n[[route]]\nname = \"open\"\nstable = \"u\"\n\
         [[route]]\nname = \"closed\"\npath = \"/admin\"\ndeny = true\n",
        upstream.address
    ));
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/%61dmin",
        "/%61%64%6D%69%6e",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/../admin",
        "/x/%2e%2E/admin",
        "/%2e/admin",
        "/admin/.",
        "/admin//x",
        "/x/y/../../admin?q",
        "http://a/%61dmin",
    ] {
        assert_eq!(andon.exchange(get(path)).status(), 403, "{path}");
    }
    assert_eq!(andon.exchange(get("/administrator")).status(), 200);
    assert_eq!(upstream.whole().len(), 1);
}

#[test]
fn an_unread_body_behind_our_own_answer_is_no_request() {
    let stand = Stand::start();
    let inside = "GET /inside HTTP/1.1\r\nHost: a\r\n\r\n";
    // CVE-2025-4366.
    stand.refuses(
        "9112 9.3",
        format!("POST /a%2f HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{inside}", inside.len())
            .as_bytes(),
    );
    let long = inside.repeat(20_000);
    stand.refuses(
        "9112 9.3, a long one",
        format!("POST /a%2f HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{long}", long.len()).as_bytes(),
    );
}
