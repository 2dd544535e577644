//! W3C trace context: what is valid passes untouched, what is missing is made where the listener asks for it.

use std::fs;

use crate::support::andon::lone;
use crate::support::{Message, Server, Site, get, get_with, wait};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn got(listener: &'static str, fields: &str) -> Message {
    let upstream = Server::named("stable");
    Site::with_listener(listener, &lone(upstream.address, "")).start().exchange(get_with("/", fields));
    upstream.request()
}

#[test]
fn a_valid_trace_passes_untouched() {
    for listener in ["", "trace = true"] {
        let got = got(listener, &format!("Traceparent: {PARENT}\r\nTracestate: a=1,b=2\r\n"));
        assert_eq!(got.field("traceparent"), Some(PARENT));
        assert_eq!(got.field("tracestate"), Some("a=1,b=2"));
    }
}

#[test]
fn a_trace_begins_only_where_it_is_asked_for() {
    assert_eq!(got("", "").field("traceparent"), None);
    let bad = "Traceparent: 00-bad\r\nTracestate: a=1\r\n";
    assert_eq!(got("", bad).field("traceparent"), Some("00-bad"));
    for fields in ["", bad, &format!("Traceparent: {PARENT}\r\nTraceparent: {PARENT}\r\n")] {
        let got = got("trace = true", fields);
        let made = got.field("traceparent").expect("one is made");
        assert!(made.len() == 55 && made.starts_with("00-") && made.ends_with("-01"), "{made}");
        assert_ne!(made, PARENT);
        assert_eq!(got.field("tracestate"), None);
    }
}

#[test]
fn the_access_log_names_the_trace() {
    let upstream = Server::named("stable");
    let log = "[access_log]\npath = \"access.log\"\n";
    let site = Site::with_listener("trace = true", &format!("{log}{}", lone(upstream.address, "")));
    let andon = site.start();
    andon.exchange(get_with("/", &format!("Traceparent: {PARENT}\r\n")));
    andon.exchange(get("/"));
    upstream.request();
    let made = upstream.request().field("traceparent").expect("one is made").to_owned();
    let lines = wait::until("both lines are written", || {
        let text = fs::read_to_string(site.path("access.log")).unwrap_or_default();
        (text.lines().count() == 2).then_some(text)
    });
    let traces: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect();
    assert_eq!(traces[0]["trace_id"], &PARENT[3..35]);
    assert_eq!(traces[1]["trace_id"], &made[3..35]);
}
