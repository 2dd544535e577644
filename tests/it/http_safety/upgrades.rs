//! Upgrades: only WebSocket, only where it is asked for without a body, and nothing moves before the upstream agreed.

use super::{Forwarded, Stand, check};
use crate::support::andon::lone;
use crate::support::{Andon, Manual, OK};

const FORWARDED: &[Forwarded] = &[
    ("9113 3.1, h2c", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("9113 3.1, h2c that Connection does not name", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("9113 3.1, h2c beside WebSocket", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("9113 3.1, h2c on a line of its own", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("9110 7.8, TLS", b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", "OPTIONS * HTTP/1.1|host: a||"),
    ("9110 7.8, HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET / HTTP/1.1|host: a||"),
    ("6455 4.1, POST", b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n", "POST / HTTP/1.1|host: a|content-length: 0||"),
    ("6455 4.1, with a body", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi", "GET / HTTP/1.1|host: a|content-length: 2||hi"),
    ("6455 4.1, that Connection does not name", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", "GET / HTTP/1.1|host: a||"),
];

const ASKS: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn no_other_upgrade_reaches_the_upstream() {
    check(&[], FORWARDED);
}

/// CVE-2026-2833: what lies behind the request is no request to the upstream until it has switched.
#[test]
fn bytes_behind_an_upgrade_wait_for_the_switch() {
    let upstream = Manual::start();
    let andon = Andon::start(&(lone(upstream.address, "") + "upgrade = [\"websocket\"]\n"));
    let mut client = andon.connect();
    client.send(format!("{ASKS}GET /admin HTTP/1.1\r\nHost: smuggled\r\n\r\n"));
    let mut peer = upstream.accept();
    peer.head();
    assert!(peer.is_silent());
    peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(client.response().status(), 403);
    // It was a request to us all the time, and is served as one.
    let next = peer.request();
    assert_eq!((next.first.as_str(), next.field("host")), ("GET /admin HTTP/1.1", Some("smuggled")));
    peer.send(OK);
    assert_eq!(client.response().status(), 200);
}

#[test]
fn a_closed_route_is_closed_behind_an_upgrade_too() {
    let stand = Stand::start();
    let mut client = stand.andon.connect();
    client.send(format!("{ASKS}GET /%2fadmin HTTP/1.1\r\nHost: a\r\n\r\n"));
    // The recorder answers 200, so nothing has switched.
    assert_eq!(client.response().status(), 200);
    assert!(client.try_response().is_none_or(|answer| answer.status() == 400));
    assert_eq!(stand.upstream.whole().len(), 1);
}
