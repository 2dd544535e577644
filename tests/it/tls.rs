//! TLS with clients and with upstreams: who is shown what, who is let in, and what a broken end looks like.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::HandshakeKind;

use crate::support::andon::lone;
use crate::support::tls::{Goodbye, Pki, Secure, SecureUpstream, chain, quoted};
use crate::support::wait::{self, PATIENCE};
use crate::support::{Andon, Server, Site, get, get_with, reply};

const H1: &[&str] = &["http/1.1"];

/// Behind a listener with this table.
fn start(tls: &str, body: &str) -> (Site, Andon) {
    let site = Site::with_listener(format!("tls = {tls}"), body);
    let andon = site.start();
    (site, andon)
}

fn ok(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200")
}

#[test]
fn the_name_picks_the_certificate_and_the_first_is_for_all_others() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let (one, other) =
        (pki.issue("one", &["a.example", "c.example"]), pki.issue("other", &["b.example", "*.b.example"]));
    let (_site, andon) =
        start(&format!("{{ certificates = [{one}, {other}] }}"), &lone(upstream.address, ""));
    let client = Arc::new(pki.client(H1));
    let leaf = |name: &str| chain(&std::fs::read_to_string(pki.path(name)).unwrap())[0].to_vec();
    for (name, file) in [("a.example", "one.pem"), ("b.example", "other.pem"), ("x.b.example", "other.pem")] {
        let mut wire = Secure::connect(andon.address, &client, name).unwrap();
        assert!(wire.leaf() == leaf(file), "{name}");
        assert!(ok(&wire.exchange(&get("/")).unwrap()));
        assert_eq!(upstream.request().field("x-forwarded-proto"), Some("https"));
    }
    // The first is shown, and a client that checks names does not take it.
    let refused = Secure::connect(andon.address, &client, "unknown.example").err().unwrap();
    assert!(refused.to_string().contains("not valid for name"), "{refused}");
    wait::until("handshakes are counted", || {
        let done = andon.metric("andon_tls_handshakes_total", &[("result", "ok")]) == 3.0;
        (done && andon.metric("andon_tls_handshakes_total", &[("result", "failed")]) == 1.0).then_some(())
    });
    let ends = andon.metric("andon_tls_certificate_not_after_timestamp_seconds", &[("name", "b.example")]);
    assert!(ends > 1.7e9, "{ends}");
}

#[test]
fn http_2_is_settled_by_alpn() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let site = pki.issue("site", &["a.example"]);
    let (_site, andon) = start(&format!("{{ certificates = [{site}] }}"), &lone(upstream.address, ""));
    let client = Arc::new(pki.client(&["h2", "http/1.1"]));
    assert_eq!(Secure::connect(andon.address, &client, "a.example").unwrap().alpn().as_deref(), Some("h2"));
    let url = format!("https://a.example:{}/", andon.address.port());
    let to = format!("a.example:{}:127.0.0.1", andon.address.port());
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", flag, "--resolve", &to, "-w", " %{http_version}", &url, "--cacert"]);
        let Ok(output) = curl.arg(pki.path("ca.pem")).output() else { return };
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("stable {version}"),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn older_versions_are_refused() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let site = pki.issue("site", &["a.example"]);
    let certificates = format!("certificates = [{site}]");
    let body = lone(upstream.address, "");
    let (_site, andon) = start(&format!("{{ {certificates} }}"), &body);
    // A ClientHello of TLS 1.1, without the extension that offers more.
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xC0, 0x13, 0x00, 0x2F, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 0x03, 0x01, 0, length + 4, 0x01, 0, 0, length];
    record.extend(hello);
    let mut wire = TcpStream::connect(andon.address).unwrap();
    wire.set_read_timeout(Some(PATIENCE)).unwrap();
    wire.write_all(&record).unwrap();
    let mut told = Vec::new();
    wire.read_to_end(&mut told).unwrap();
    assert_eq!(
        (told.first(), told.get(5), told.len()),
        (Some(&0x15), Some(&2), 7),
        "a fatal alert: {told:?}"
    );

    let (_site, only_13) = start(&format!("{{ {certificates}, min_version = \"1.3\" }}"), &body);
    let mut client = pki.client(H1);
    let builder = rustls::ClientConfig::builder_with_provider(crate::support::tls::provider());
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let old = Arc::new(builder.with_root_certificates(pki.roots()).with_no_client_auth());
    assert!(Secure::connect(andon.address, &old, "a.example").is_ok());
    assert!(Secure::connect(only_13.address, &old, "a.example").is_err());
    client.alpn_protocols.clear();
    assert!(Secure::connect(only_13.address, &Arc::new(client), "a.example").is_ok());
}

#[test]
fn new_certificates_are_taken_up_under_open_connections_and_wrong_pairs_are_not() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let site = pki.issue("site", &["a.example"]);
    let (_site, andon) = start(&format!("{{ certificates = [{site}] }}"), &lone(upstream.address, ""));
    let fresh = || andon.metric("andon_tls_reload_successful", &[("listener", "public")]);
    let client = Arc::new(pki.client(H1));
    let mut open = Secure::connect(andon.address, &client, "a.example").unwrap();
    assert!(ok(&open.exchange(&get("/")).unwrap()));
    let old = open.leaf();
    let resumed = Secure::connect(andon.address, &client, "a.example").unwrap();
    assert_eq!(resumed.kind(), HandshakeKind::Resumed);

    let next = pki.sign(&["a.example"]);
    pki.write("site.pem", &next.cert);
    wait::until("half a pair is noticed", || (fresh() == 0.0).then_some(()));
    let shown = || Secure::connect(andon.address, &Arc::new(pki.client(H1)), "a.example").unwrap().leaf();
    assert!(shown() == old);
    assert!(andon.log().contains("does not belong to the certificate of"), "{}", andon.log());
    pki.write("site.key", &next.key);
    wait::until("the pair is whole", || (fresh() == 1.0).then_some(()));
    wait::until("it is shown", || (shown() == chain(&next.cert)[0].to_vec()).then_some(()));
    assert!(ok(&open.exchange(&get("/")).unwrap()), "connections live on");
    let resumed = Secure::connect(andon.address, &client, "a.example").unwrap();
    assert_eq!(resumed.kind(), HandshakeKind::Resumed, "tickets live on");
}

#[test]
fn a_reload_may_add_a_certificate_and_a_bad_one_changes_nothing() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let (one, other) = (pki.issue("one", &["a.example"]), pki.issue("other", &["b.example"]));
    let body = lone(upstream.address, "");
    let (mut site, andon) = start(&format!("{{ certificates = [{one}] }}"), &body);
    let client = Arc::new(pki.client(H1));
    let reload = |site: &mut Site, certificates: &str| {
        site.listener = format!("tls = {{ certificates = [{certificates}] }}");
        site.write(&body);
        andon.ask("POST", "/api/v1/config/reload", "")
    };
    let crossed = one.replace("one.key", "other.key");
    let refused = reload(&mut site, &crossed);
    assert_eq!(refused.status, 400, "{}", refused.json);
    let told = refused.json.to_string();
    assert!(told.contains("tls.certificates item 1: key") && told.contains("does not belong"), "{told}");
    assert!(Secure::connect(andon.address, &client, "b.example").is_err());
    let report = reload(&mut site, &format!("{one}, {other}")).ok();
    assert!(!report.to_string().contains("restart"), "{report}");
    wait::until("the new one is shown", || Secure::connect(andon.address, &client, "b.example").ok());
}

#[test]
fn who_the_client_is_goes_up_and_cannot_be_made_up() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let site = pki.issue("site", &["a.example", "shop.example"]);
    let tls = |need: &str| {
        format!(
            "{{ certificates = [{site}], client_ca = {}, client_auth = \"{need}\", \
             client_identity_header = \"x-client-identity\" }}",
            quoted(&pki.path("ca.pem"))
        )
    };
    let ann = Arc::new(pki.client_as(Some(&pki.sign(&["ann.example"])), H1));
    let nobody = Arc::new(pki.client(H1));
    let spoof = get_with("/", "X-Client-Identity: root\r\nx_client_identity: root\r\n");
    let body = lone(upstream.address, "");
    let ask = |andon: &Andon, client| {
        Secure::connect(andon.address, client, "a.example").and_then(|mut wire| wire.exchange(&spoof))
    };

    let (_site, required) = start(&tls("required"), &body);
    assert!(ok(&ask(&required, &ann).unwrap()));
    let request = upstream.request();
    assert_eq!(request.field("x-client-identity"), Some(r#"Subject="CN=ann.example";DNS="ann.example""#));
    assert_eq!(request.field("x_client_identity"), None);
    assert!(ok(&ask(&required, &ann).unwrap()));
    assert_eq!(upstream.request().field("x-client-identity"), request.field("x-client-identity"));
    assert_eq!(required.metric("andon_tls_handshakes_total", &[("result", "resumed")]), 1.0);
    assert!(ask(&required, &nobody).is_err());
    let stranger = Pki::new().sign(&["ann.example"]);
    let stranger = Arc::new(pki.client_as(Some(&stranger), H1));
    assert!(ask(&required, &stranger).is_err());

    let (_site, optional) = start(&tls("optional"), &body);
    assert!(ok(&ask(&optional, &nobody).unwrap()));
    assert_eq!(upstream.request().field("x-client-identity"), None);
    assert!(ok(&ask(&optional, &ann).unwrap()));
    assert!(upstream.request().field("x-client-identity").is_some());
    assert_eq!(upstream.requests(), 4);
}

#[test]
fn a_client_proved_to_one_host_does_not_reach_another() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let (one, other) = (pki.issue("one", &["a.example"]), pki.issue("other", &["b.example"]));
    let tls = format!("{{ certificates = [{one}, {other}], client_ca = {} }}", quoted(&pki.path("ca.pem")));
    let (_site, andon) = start(&tls, &lone(upstream.address, ""));
    let ann = Arc::new(pki.client_as(Some(&pki.sign(&["ann.example"])), H1));
    let mut wire = Secure::connect(andon.address, &ann, "a.example").unwrap();
    let to = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert!(ok(&wire.exchange(&to("A.example:8443")).unwrap()));
    assert!(wire.exchange(&to("b.example")).unwrap().starts_with("HTTP/1.1 421 "));
    assert!(ok(&wire.exchange(&to("a.example")).unwrap()), "the connection goes on");
    assert_eq!(andon.metric("andon_requests_refused_total", &[("reason", "misdirected")]), 1.0);
    assert_eq!(upstream.requests(), 2);
}

#[test]
fn a_handshake_that_does_not_come_to_its_end_is_cut() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let site = pki.issue("site", &["a.example"]);
    let tls = format!("{{ certificates = [{site}], handshake_timeout = \"50ms\" }}");
    let (_site, andon) = start(&tls, &lone(upstream.address, ""));
    let mut silent = andon.connect();
    let mut halting = andon.connect();
    halting.send([0x16, 0x03, 0x01]);
    assert!(silent.rest().0.is_empty());
    assert!(halting.rest().0.is_empty());
    assert_eq!(andon.metric("andon_tls_handshakes_total", &[("result", "timeout")]), 2.0);
    let mut plain = andon.connect();
    plain.send(get("/"));
    assert!(!plain.rest().0.starts_with(b"HTTP"));
    assert_eq!(upstream.requests(), 0);
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of";

/// In front of an upstream behind TLS.
fn before(upstream: &SecureUpstream, tls: &str) -> Andon {
    Andon::start(&lone(upstream.address, &format!("tls = {tls}")))
}

#[test]
fn an_upstream_is_trusted_by_its_authority_and_its_name() {
    let pki = Pki::new();
    let upstream = SecureUpstream::start(&pki, &["shop.internal", "127.0.0.1"], WHOLE, Goodbye::Said);
    let ca = quoted(&pki.path("ca.pem"));
    let us = pki.issue("us", &["andon.internal"]);
    let pair = us.trim_matches(['{', '}', ' ']);
    for (tls, name, known) in [
        (format!("{{ ca = {ca}, server_name = \"shop.internal\" }}"), Some("shop.internal"), false),
        (format!("{{ ca = {ca} }}"), None, false),
        (format!("{{ ca = {ca}, {pair} }}"), None, true),
    ] {
        let andon = before(&upstream, &tls);
        assert_eq!(andon.exchange(get("/")).text(), "ok", "{tls}");
        assert_eq!(upstream.seen.recv_timeout(PATIENCE).unwrap(), (name.map(str::to_owned), known), "{tls}");
    }
    for tls in [format!("{{ ca = {ca}, server_name = \"other.internal\" }}"), "{}".to_owned()] {
        let andon = before(&upstream, &tls);
        assert_eq!(andon.exchange(get("/")).status(), 502, "{tls}");
        andon.wait_for_outcome("connect_error", 1.0);
    }
    assert!(upstream.seen.try_recv().is_err(), "no request went to whom we do not trust");
}

#[test]
fn an_upstream_without_tls_is_not_spoken_to_in_clear() {
    let upstream = Server::start(|_| reply(200, "in clear"));
    let andon = Andon::start(&lone(upstream.address, "tls = {}\nconnect_timeout = \"200ms\""));
    assert!([502, 504].contains(&andon.exchange(get("/")).status()));
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn http_2_to_an_upstream_is_settled_by_alpn() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let site = pki.issue("site", &["shop.internal"]);
    let (_site, inner) = start(&format!("{{ certificates = [{site}] }}"), &lone(upstream.address, ""));
    let ca = quoted(&pki.path("ca.pem"));
    let tls = format!("protocol = \"h2\"\ntls = {{ ca = {ca}, server_name = \"shop.internal\" }}");
    let outer = Andon::start(&lone(inner.address, &tls));
    for _ in 0..3 {
        assert_eq!(outer.exchange(get("/")).text(), "stable");
    }
    assert_eq!(inner.metric("andon_connections_opened_total", &[("side", "downstream")]), 1.0);
    let unable = SecureUpstream::start(&pki, &["shop.internal"], WHOLE, Goodbye::Said);
    assert_eq!(Andon::start(&lone(unable.address, &tls)).exchange(get("/")).status(), 502);
}

#[test]
fn what_clients_say_they_are_is_taken_out_on_cleartext_listeners_too() {
    let (pki, upstream) = (Pki::new(), Server::named("stable"));
    let site = pki.issue("site", &["a.example"]);
    let ca = quoted(&pki.path("ca.pem"));
    let second = format!(
        "[[listener]]\nname = \"second\"\naddress = \"127.0.0.1:0\"\n\
         tls = {{ certificates = [{site}], client_ca = {ca}, client_identity_header = \"x-client-identity\" }}\n"
    );
    let andon = Andon::start(&(second + &lone(upstream.address, "")));
    assert_eq!(andon.exchange(get_with("/", "X-Client-Identity: root\r\n")).status(), 200);
    assert_eq!(upstream.request().field("x-client-identity"), None);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Client-Identity\r\n\r\n\
                   2\r\nhi\r\n0\r\nX-Client-Identity: root\r\nX-Sum: 42\r\n\r\n";
    assert_eq!(andon.exchange(chunked).status(), 200);
    assert_eq!(upstream.request().trailers, [("x-sum".to_owned(), "42".to_owned())]);
}

#[test]
fn a_body_cut_inside_tls_never_looks_whole() {
    let pki = Pki::new();
    let ca = quoted(&pki.path("ca.pem"));
    let site = pki.issue("site", &["a.example"]);
    let client = Arc::new(pki.client(H1));
    for (goodbye, whole) in [(Goodbye::Said, true), (Goodbye::Missing, false)] {
        let upstream = SecureUpstream::start(&pki, &["127.0.0.1"], UNTIL_CLOSE, goodbye);
        let body = lone(upstream.address, &format!("tls = {{ ca = {ca} }}"));
        let (_site, andon) = start(&format!("{{ certificates = [{site}] }}"), &body);
        let mut wire = Secure::connect(andon.address, &client, "a.example").unwrap();
        wire.send(&get_with("/", "Connection: close\r\n")).unwrap();
        let (bytes, end) = wire.rest();
        assert_eq!(bytes.ends_with(b"0\r\n\r\n"), whole, "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(end.is_ok(), whole, "close_notify");
    }
}

#[test]
fn check_loads_certificates_and_tells_what_is_wrong_with_its_place() {
    let pki = Pki::new();
    let (one, other) = (pki.issue("one", &["a.example"]), pki.issue("other", &["b.example"]));
    let body = "[[upstream]]\nname = \"u\"\nendpoints = [\"127.0.0.1:9\"]\ntls = { ca = \"gone.pem\" }\n\
                [[route]]\nname = \"r\"\nstable = \"u\"\n";
    let crossed = one.replace("one.key", "other.key");
    let site = Site::with_listener(format!("tls = {{ certificates = [{other}, {crossed}] }}"), body);
    let check = |site: &Site| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_andon"));
        check.args(["check", "-c"]).arg(site.file()).stdin(Stdio::null()).output().unwrap()
    };
    let output = check(&site);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("error: listener \"public\": tls.certificates item 2: key"), "{told}");
    assert!(told.contains("andon.toml:11:"), "{told}");
    assert!(
        told.contains("error: upstream \"u\": tls.ca") && told.contains("gone.pem cannot be read"),
        "{told}"
    );
    assert_eq!(site.start_in_vain().status.code(), Some(78));
}
