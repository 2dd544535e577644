//! `tls` of listeners and upstreams: which keys there are, and what goes together.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::tls::{ClientNeed, TlsVersion};

use super::*;

const LISTENER: &str = "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:2\"\n";
const UPSTREAM: &str = "[[upstream]]\nname = \"u\"\nendpoints = [\"127.0.0.1:3\"]\n";

#[test]
fn files_are_relative_to_the_configuration_file() {
    let tls =
        r#"tls = { certificates = [{ cert = "site.pem", key = "/keys/site.key" }], client_ca = "ca.pem" }"#;
    let config = config_of(&format!("{LISTENER}{tls}\n{UPSTREAM}tls = {{ ca = \"ca.pem\" }}\n"));
    let tls = config.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].cert.path, PathBuf::from("/etc/andon/site.pem"));
    assert_eq!(tls.certificates[0].key.path, PathBuf::from("/keys/site.key"));
    assert_eq!((tls.min_version, tls.handshake_timeout), (TlsVersion::Tls12, Duration::from_secs(10)));
    let clients = tls.clients.as_ref().unwrap();
    assert_eq!((clients.need, &clients.identity_header), (ClientNeed::Required, &None));
    let ca = config.upstreams[0].tls.as_ref().unwrap().ca.as_ref().unwrap();
    assert_eq!(ca.path, PathBuf::from("/etc/andon/ca.pem"));
}

#[test]
fn an_empty_table_turns_tls_on_for_an_upstream() {
    let config = config_of(&format!("{UPSTREAM}tls = {{}}\n"));
    let tls = config.upstreams[0].tls.as_ref().unwrap();
    assert_eq!((&tls.ca, &tls.server_name, &tls.identity), (&None, &None, &None));
    assert!(config.upstreams[1].tls.is_none());
}

#[test]
fn a_name_that_no_certificate_can_have_needs_another() {
    let upstream = "[[upstream]]\nname = \"u\"\nendpoints = [\"dns://shop-.internal:3\"]\n";
    check(
        &format!("{upstream}tls = {{}}\n"),
        &[
            "4:7: upstream \"u\": tls needs a server_name: no certificate can be for dns://shop-.internal:3; write the name in its certificate, such as server_name = \"shop.internal\"",
        ],
    );
    config_of(&format!("{upstream}tls = {{ server_name = \"shop.internal\" }}\n"));
}

#[test]
fn a_moved_line_is_not_a_change() {
    let text = format!("{UPSTREAM}tls = {{ ca = \"ca.pem\" }}\n");
    assert_eq!(config_of(&text), config_of(&format!("# moved\n\n{text}")));
}

#[test]
fn a_listener_needs_a_certificate_and_each_certificate_its_key() {
    check(
        &format!("{LISTENER}tls = {{}}\n"),
        &[
            "4:7: listener \"l\": tls.certificates is missing; add `certificates = [{ cert = \"site.pem\", key = \"site.key\" }]`",
        ],
    );
    check(
        &format!("{LISTENER}tls = {{ certificates = [{{ cert = \"site.pem\" }}] }}\n"),
        &["4:25: listener \"l\": tls.certificates.key is missing; add `key = \"site.key\"`"],
    );
    check(
        &format!("{LISTENER}tls = {{ certificates = [] }}\n"),
        &[
            "4:24: listener \"l\": tls.certificates is an empty list; write a list of tables, `certificates = [{ … }]` or `[[listener.tls.certificates]]`",
        ],
    );
}

#[test]
fn what_would_have_no_effect_or_a_bad_one_is_refused() {
    let certificates = r#"certificates = [{ cert = "a.pem", key = "a.key" }]"#;
    check(
        &format!("{LISTENER}tls = {{ {certificates}, client_auth = \"optional\" }}\n"),
        &["4:7: listener \"l\": tls.client_ca is missing; add `client_ca = \"ca.pem\"`"],
    );
    check(
        &format!("{LISTENER}tls = {{ {certificates}, min_version = \"1.1\" }}\n"),
        &["4:75: listener \"l\": tls.min_version is \"1.1\"; write \"1.2\" or \"1.3\""],
    );
    check(
        &format!("{LISTENER}tls = {{ {certificates}, client_ca = \"c\", client_auth = \"no\" }}\n"),
        &["4:92: listener \"l\": tls.client_auth is \"no\"; write \"required\" or \"optional\""],
    );
    check(
        &format!("{UPSTREAM}tls = {{ cert = \"us.pem\", insecure = true }}\n"),
        &[
            "4:7: upstream \"u\": tls.key is missing; add `key = \"us.key\"`",
            "4:26: upstream \"u\": tls.insecure is an unknown key; accepted here: ca, server_name, cert, key",
        ],
    );
    check(
        &format!("{UPSTREAM}tls = {{ server_name = \"10.0.0.1:443\" }}\n"),
        &[
            "4:23: upstream \"u\": tls.server_name is \"10.0.0.1:443\"; write the name in the upstream's certificate, such as \"shop.internal\"",
        ],
    );
}
