//! A batch as OTLP: each span by OpenTelemetry's conventions for HTTP servers, and ours under `andon.`.
//!
//! Of the request's fields only host and user agent are shown, of its target the path: a query may hold what is
//! nobody's business.

use http::Version;
use http::uri::Authority;
use prost::Message;

use super::recorder::Span;
use super::wire::{
    AnyValue, ERROR, ExportRequest, HAS_IS_REMOTE, IS_REMOTE, KeyValue, Resource, ResourceSpans, SERVER,
    Scope, ScopeSpans, Status, Value, WireSpan,
};
use crate::config::Scheme;
use crate::metrics::Blame;
use crate::proxy::access_log::{Field, Line, Route};
use crate::proxy::record::CLIENT_CLOSED_REQUEST;

/// Those that the conventions know; any other could be as many as an attacker wants.
const METHODS: [&[u8]; 9] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];

/// The body of a request to the collector.
pub(super) fn encode(service_name: &str, spans: &[Span]) -> Vec<u8> {
    let mut of_service = Attributes::default();
    of_service.text("service.name", service_name);
    of_service.text("service.version", env!("CARGO_PKG_VERSION"));
    let scope = Scope { name: "andon".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let of_scope = ScopeSpans { scope: Some(scope), spans: spans.iter().map(wire_span).collect() };
    let resource = Resource { attributes: of_service.0 };
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans: vec![of_scope] }];
    ExportRequest { resource_spans }.encode_to_vec()
}

fn wire_span(span: &Span) -> WireSpan {
    let (context, line) = (&span.context, &*span.line);
    let end_us = u64::try_from(span.end_unix_us).unwrap_or(0);
    let remote = if context.parent.is_some() { HAS_IS_REMOTE | IS_REMOTE } else { HAS_IS_REMOTE };
    WireSpan {
        trace_id: context.trace.to_be_bytes().to_vec(),
        span_id: context.span.to_be_bytes().to_vec(),
        parent_span_id: context.parent.map_or(Vec::new(), |parent| parent.to_be_bytes().to_vec()),
        name: name(line),
        kind: SERVER,
        start_time_unix_nano: end_us.saturating_sub(line.total_us).saturating_mul(1_000),
        end_time_unix_nano: end_us.saturating_mul(1_000),
        attributes: attributes(line, context.scheme),
        status: error_type(line).map(|_| Status { code: ERROR }),
        flags: u32::from(context.flags) | remote,
    }
}

fn method(line: &Line) -> Option<&'static str> {
    let known = METHODS.into_iter().find(|known| *known == line.text.get(Field::Method))?;
    std::str::from_utf8(known).ok()
}

fn route(line: &Line) -> Option<&str> {
    match &line.route {
        Route::None => None,
        Route::Named(route) => Some(route),
        Route::Served(names) => Some(&names.route),
    }
}

fn name(line: &Line) -> String {
    let method = method(line).unwrap_or("HTTP");
    route(line).map_or(method.to_owned(), |route| format!("{method} {route}"))
}

/// What went wrong on our side or behind us. A client's mistake is no error of the server.
fn error_type(line: &Line) -> Option<String> {
    if line.end.blame() == Blame::Upstream {
        return Some(line.end.label().to_owned());
    }
    (line.status >= 500).then(|| line.status.to_string())
}

fn attributes(line: &Line, scheme: Scheme) -> Vec<KeyValue> {
    let mut all = Attributes(Vec::with_capacity(20));
    match method(line) {
        Some(method) => all.text("http.request.method", method),
        None => {
            all.text("http.request.method", "_OTHER");
            all.bytes("http.request.method_original", line.text.get(Field::Method));
        }
    }
    let target = line.text.get(Field::Target);
    all.bytes("url.path", target.split(|byte| *byte == b'?').next().unwrap_or_default());
    all.text("url.scheme", if scheme == Scheme::Https { "https" } else { "http" });
    // A client that left before its answer was sent none.
    if line.head_us.is_some() || line.status != CLIENT_CLOSED_REQUEST {
        all.whole("http.response.status_code", i64::from(line.status));
    }
    if let Some(error) = error_type(line) {
        all.text("error.type", error);
    }
    if let Ok(host) = Authority::try_from(line.text.get(Field::Host)) {
        all.text("server.address", host.host().trim_start_matches('[').trim_end_matches(']'));
        if let Some(port) = host.port_u16() {
            all.whole("server.port", i64::from(port));
        }
    }
    all.text("client.address", line.client.to_string());
    all.text("network.protocol.version", protocol_version(line.version));
    all.bytes("user_agent.original", line.text.get(Field::UserAgent));
    all.of_andon(line);
    all.0
}

fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn of_andon(&mut self, line: &Line) {
        self.text("andon.route", route(line).unwrap_or(""));
        if let Route::Served(names) = &line.route {
            self.text("andon.variant", &*names.variant);
            self.text("andon.upstream", &*names.upstream);
        }
        self.text("andon.why", line.why.map_or("", |why| why.label()));
        if let Some(endpoint) = line.endpoint {
            self.text("andon.endpoint", endpoint.to_string());
        }
        self.text("andon.rescue", line.rescue.map_or("", |failed| failed.label()));
        self.text("andon.outcome", line.end.label());
    }

    /// What there is none of is left out.
    fn text(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.add(key, Value::Text(value));
        }
    }

    fn bytes(&mut self, key: &str, value: &[u8]) {
        self.text(key, String::from_utf8_lossy(value).into_owned());
    }

    fn whole(&mut self, key: &str, value: i64) {
        self.add(key, Value::Whole(value));
    }

    fn add(&mut self, key: &str, value: Value) {
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: key.to_owned(), value });
    }
}
