//! The PROXY protocol in front of a connection, from clients and to upstreams.

use crate::support::andon::lone;
use crate::support::{Andon, End, Manual, OK, Server, Site, get};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb";

fn introduced(listener: &'static str) -> (Andon, Server) {
    let upstream = Server::named("shop");
    // To be ready, andon is asked on its admin listener, which needs no introduction.
    (Site::with_listener(listener, &lone(upstream.address, "")).start(), upstream)
}

#[test]
fn a_header_names_the_client() {
    let (andon, upstream) = introduced("proxy_protocol = true\n");
    for (header, client) in [
        (V1, "192.0.2.7"),
        (V2, "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1"),
    ] {
        let mut connection = andon.connect();
        // Byte by byte at the border, since a header may come in pieces.
        connection.send(&header[..header.len() - 1]);
        connection.send([&header[header.len() - 1..], get("/").as_bytes()].concat());
        assert_eq!(connection.response().text(), "shop", "{client}");
        connection.send(get("/again"));
        assert_eq!(connection.response().text(), "shop", "{client}");
        for _ in 0..2 {
            assert_eq!(upstream.request().field("x-forwarded-for"), Some(client));
        }
    }
}

#[test]
fn without_a_header_that_can_be_read_there_is_no_answer() {
    let (andon, upstream) = introduced("proxy_protocol = true\n");
    for bytes in [
        get("/").as_bytes(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 99999\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP5 192.0.2.7 198.51.100.1 4711 443\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 4_096]].concat(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff garbage without an end",
    ] {
        let mut connection = andon.connect();
        let _ = connection.try_send(bytes);
        assert_eq!(connection.rest().0, b"", "{:?}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn a_header_that_never_comes_to_its_end_is_waited_for_no_longer_than_a_head() {
    let (andon, _upstream) = introduced("proxy_protocol = true\nheader_timeout = \"300ms\"\n");
    for part in [&b""[..], &V1[..20], &V2[..14], &V2[..20]] {
        let mut connection = andon.connect();
        connection.send(part);
        assert_eq!(connection.rest(), (Vec::new(), End::Closed));
    }
}

#[test]
fn only_trusted_proxies_may_name_a_client_where_some_are_named() {
    let (andon, upstream) = introduced("proxy_protocol = true\ntrusted_proxies = [\"10.0.0.0/8\"]\n");
    let mut connection = andon.connect();
    let _ = connection.try_send([V1, get("/").as_bytes()].concat());
    assert_eq!(connection.rest().0, b"");
    assert_eq!(upstream.requests(), 0);

    let (andon, upstream) = introduced("proxy_protocol = true\ntrusted_proxies = [\"127.0.0.0/8\"]\n");
    let mut connection = andon.connect();
    let claims = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    connection.send([V1, claims.as_bytes()].concat());
    assert_eq!(connection.response().text(), "shop");
    // The client is not the proxy that named it, so its own word counts for nothing.
    assert_eq!(upstream.request().field("x-forwarded-for"), Some("192.0.2.7"));
}

#[test]
fn where_nobody_asked_for_it_a_header_is_no_request() {
    let (andon, upstream) = introduced("");
    for header in [V1, V2] {
        let mut connection = andon.connect();
        let _ = connection.try_send([header, get("/").as_bytes()].concat());
        assert!(connection.try_response().is_none_or(|answer| answer.status() == 400));
    }
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn an_upstream_is_told_the_client_on_a_connection_for_it_alone() {
    for version in ["v1", "v2"] {
        let upstream = Manual::start();
        let body = lone(upstream.address, &format!("proxy_protocol = \"{version}\"\n"));
        let andon = Site::with_listener("proxy_protocol = true\n", &body).start();
        for client in ["192.0.2.1", "192.0.2.2"] {
            let mut connection = andon.connect();
            connection.send(format!("PROXY TCP4 {client} 198.51.100.1 4711 443\r\n") + &get("/"));
            let mut peer = upstream.accept();
            if version == "v1" {
                let header = peer.read_until("\r\n");
                assert_eq!(header, format!("PROXY TCP4 {client} 198.51.100.1 4711 443\r\n"));
            } else {
                peer.read_exactly(28);
            }
            assert_eq!(peer.request().first, "GET / HTTP/1.1");
            peer.send(OK);
            assert_eq!(connection.response().text(), "ok");
            // The next request, though of the same client, has a connection of its own too.
            assert_eq!(peer.rest(), (Vec::new(), End::Closed));
        }
    }
}
