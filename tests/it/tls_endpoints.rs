//! TLS towards endpoints: those that are found by name, those that are checked, and what comes before the handshake.

use std::collections::HashSet;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use crate::support::name_server::NameServer;
use crate::support::tls::{Goodbye, Pki, Secure, SecureUpstream, quoted};
use crate::support::{Andon, Message, Server, Site, get, wait};

const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
const CHECKED: &str = "interval = \"100ms\", healthy_after = 1, unhealthy_after = 1";

fn body(endpoints: &str, more: &str) -> String {
    format!(
        "[[upstream]]\nname = \"stable\"\nendpoints = [{endpoints}]\n{more}\n\
         [[route]]\nname = \"shop\"\nstable = \"stable\"\n"
    )
}

/// Whether routing knows that the endpoint passes its checks, or fails them. `None`: neither yet.
fn healthy(andon: &Andon, address: SocketAddr) -> Option<bool> {
    let upstreams = andon.ask("GET", "/api/v1/upstreams", "").ok();
    let endpoints = upstreams["upstreams"][0]["endpoints"].as_array()?.clone();
    let mut endpoints = endpoints.into_iter();
    let found = endpoints.find(|one| one["address"] == address.to_string().as_str())?;
    found["healthy"].as_bool().filter(|healthy| found["used"] == *healthy)
}

/// The next request that begins so.
fn next(server: &Server, start: &str) -> Message {
    loop {
        let request = server.request();
        if request.first.starts_with(start) {
            return request;
        }
    }
}

#[test]
fn an_endpoint_found_by_name_must_prove_that_name() {
    let (pki, names) = (Pki::new(), NameServer::start(&[Ipv4Addr::LOCALHOST]));
    let start = |name| SecureUpstream::start(&pki, &[name], OK, Goodbye::Said);
    let (shop, other, wrong) = (start("shop.test"), start("other.test"), start("else.test"));
    let ca = quoted(&pki.path("ca.pem"));
    let dns = format!("[dns]\nservers = [\"{}\"]\n", names.address);
    let before = |endpoints: &str, tls: &str| {
        Andon::start(
            &(dns.clone() + &body(endpoints, &format!("ejection = false\ntls = {{ ca = {ca}{tls} }}"))),
        )
    };
    let named =
        |name: &str, upstream: &SecureUpstream| format!("\"dns://{name}:{}\"", upstream.address.port());

    let both = before(&format!("{}, {}", named("shop.test", &shop), named("other.test", &other)), "");
    for _ in 0..30 {
        assert_eq!(both.exchange(get("/")).text(), "ok");
    }
    for (upstream, name) in [(&shop, "shop.test"), (&other, "other.test")] {
        let asked: HashSet<_> = upstream.seen.try_iter().map(|(sni, _)| sni).collect();
        assert_eq!(asked, HashSet::from([Some(name.to_owned())]));
    }

    let distrusted = before(&named("shop.test", &wrong), "");
    assert_eq!(distrusted.exchange(get("/")).status(), 502);
    assert!(wrong.seen.try_recv().is_err(), "no request went to whom we do not trust");
    let renamed = before(&named("shop.test", &wrong), ", server_name = \"else.test\"");
    assert_eq!(renamed.exchange(get("/")).text(), "ok");
}

#[test]
fn a_name_that_moves_is_followed_with_its_tls() {
    let (pki, names) = (Pki::new(), NameServer::start(&[Ipv4Addr::new(127, 0, 0, 9)]));
    let shop = SecureUpstream::start(&pki, &["shop.test"], OK, Goodbye::Said);
    let dns = format!("[dns]\nservers = [\"{}\"]\nttl_min = \"100ms\"\n", names.address);
    let tls = format!("tls = {{ ca = {} }}\nconnect_timeout = \"200ms\"", quoted(&pki.path("ca.pem")));
    let andon = Andon::start(&(dns + &body(&format!("\"dns://shop.test:{}\"", shop.address.port()), &tls)));
    assert_eq!(andon.exchange(get("/")).status(), 502, "nobody listens there");
    names.says(&[Ipv4Addr::LOCALHOST]);
    wait::until("the name stands for who can prove it", || {
        (andon.exchange(get("/")).text() == "ok").then_some(())
    });
}

#[test]
fn a_check_of_a_tls_endpoint_is_made_inside_tls() {
    let pki = Pki::new();
    let good = SecureUpstream::start(&pki, &["127.0.0.1"], OK, Goodbye::Said);
    let wrong = SecureUpstream::start(&pki, &["else.test"], OK, Goodbye::Said);
    let clear = Server::named("in clear");
    let endpoints = [good.address, wrong.address, clear.address];
    let listed = endpoints.map(|address| format!("\"{address}\"")).join(", ");
    let tls = format!("tls = {{ ca = {} }}", quoted(&pki.path("ca.pem")));
    for protocol in ["http", "tcp"] {
        // Who waits for a request in clear never answers a handshake.
        let health =
            format!("health = {{ protocol = \"{protocol}\", timeout = \"500ms\", {CHECKED} }}\n{tls}");
        let andon = Andon::start(&body(&listed, &health));
        wait::until("the one that proves its address passes", || {
            let found = endpoints.map(|address| healthy(&andon, address));
            (found == [Some(true), Some(false), Some(false)]).then_some(())
        });
        for _ in 0..10 {
            assert_eq!(andon.exchange(get("/")).text(), "ok", "{protocol}");
        }
    }
    assert_eq!(clear.requests(), 0);
}

#[test]
fn an_introduction_comes_before_tls_on_both_sides() {
    let (pki, server) = (Pki::new(), Server::named("stable"));
    let site = pki.issue("site", &["shop.test"]);
    let listener = format!("proxy_protocol = true\nforwarded = true\ntls = {{ certificates = [{site}] }}");
    let (ca, client) = (quoted(&pki.path("ca.pem")), Arc::new(pki.client(&["http/1.1"])));
    let inner = Site::with_listener(listener.clone(), &body(&format!("\"{}\"", server.address), "")).start();
    for version in ["v1", "v2"] {
        let upstream = format!(
            "proxy_protocol = \"{version}\"\nhealth = {{ path = \"/healthz\", {CHECKED} }}\n\
             tls = {{ ca = {ca}, server_name = \"shop.test\" }}"
        );
        let outer =
            Site::with_listener(listener.clone(), &body(&format!("\"{}\"", inner.address), &upstream))
                .start();
        let check = next(&server, "GET /healthz ");
        assert_eq!(check.field("x-forwarded-for"), Some("127.0.0.1"), "a check is nobody's");
        wait::until("the endpoint passes", || healthy(&outer, inner.address)?.then_some(()));

        let mut socket = TcpStream::connect(outer.address).unwrap();
        socket.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n").unwrap();
        let mut wire = Secure::over(socket, &client, "shop.test").unwrap();
        assert!(wire.exchange(&get("/mine")).unwrap().starts_with("HTTP/1.1 200"));
        let request = next(&server, "GET /mine ");
        assert_eq!(request.field("x-forwarded-for"), Some("192.0.2.7"), "{version}");
        assert_eq!(request.field("x-forwarded-proto"), Some("https"));
        assert!(
            request.field("forwarded").unwrap().contains("proto=https"),
            "{:?}",
            request.field("forwarded")
        );
    }
}
