//! Spans as a collector gets them, over a real socket and read by OpenTelemetry's own definitions: whose trace, which
//! parent, what they say, which are kept, and that a collector which is away costs spans and nothing else.

use std::collections::BTreeMap;
use std::fs;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;

use crate::support::andon::{lone, split};
use crate::support::{Andon, Load, Manual, Message, Server, Site, get, get_with, port, reply, wait};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn tracing(collector: &str, sample: &str) -> String {
    format!("[tracing]\notlp = \"http://{collector}\"\nservice_name = \"edge\"\nsample = \"{sample}\"\n")
}

/// An andon in front of `upstream` that exports to `collector`.
fn traced(upstream: &Server, collector: impl ToString, sample: &str) -> Andon {
    Andon::start(&(tracing(&collector.to_string(), sample) + &lone(upstream.address, "")))
}

/// Takes every batch.
fn collector() -> Server {
    Server::start(|_| reply(200, ""))
}

fn decoded(message: &Message) -> ExportTraceServiceRequest {
    assert_eq!(message.first, "POST /v1/traces HTTP/1.1");
    assert_eq!(message.field("content-type"), Some("application/x-protobuf"));
    ExportTraceServiceRequest::decode(&*message.body).expect("it is what OpenTelemetry defines")
}

fn spans_of(message: &Message) -> Vec<Span> {
    let resources = decoded(message).resource_spans;
    resources.into_iter().flat_map(|one| one.scope_spans).flat_map(|one| one.spans).collect()
}

/// The next spans that come, so many.
#[track_caller]
fn spans(collector: &Server, count: usize) -> Vec<Span> {
    let mut found = Vec::new();
    while found.len() < count {
        let batch = spans_of(&collector.request());
        assert!((1..=512).contains(&batch.len()));
        found.extend(batch);
    }
    assert_eq!(found.len(), count, "{found:?}");
    found
}

/// Spans are counted a moment after the collector has them.
#[track_caller]
fn wait_for(andon: &Andon, what: &str, count: usize) {
    let name = format!("andon_spans_{what}_total");
    wait::until(&format!("{count} spans are {what}"), || {
        (andon.metric(&name, &[]) == count as f64).then_some(())
    });
}

fn plain(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let value = |one: &KeyValue| match one.value.clone().and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => format!("#{number}"),
        other => panic!("{other:?}"),
    };
    let all: BTreeMap<_, _> = attributes.iter().map(|one| (one.key.as_str(), value(one))).collect();
    assert_eq!(all.len(), attributes.len(), "each key once");
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32)
}

#[test]
fn a_span_says_whose_trace_it_is_and_who_served() {
    let (upstream, collector) = (Server::named("stable"), collector());
    let body = tracing(&collector.address.to_string(), "0%") + &lone(upstream.address, "");
    let site = Site::new(&format!("[access_log]\npath = \"access.log\"\n{body}"));
    let andon = site.start();
    let fields =
        "User-Agent: curl/8\r\nCookie: secret=1\r\nAuthorization: secret\r\nReferer: http://secret/\r\n";
    let trace = format!("Traceparent: {PARENT}\r\nTracestate: a=secret\r\n");
    andon.exchange(get_with("/a%20b?token=secret", &format!("{fields}{trace}")));
    let export = collector.request();
    assert!(!String::from_utf8_lossy(&export.body).contains("secret"));
    let resource = decoded(&export).resource_spans[0].resource.clone().unwrap();
    assert_eq!(plain(&resource.attributes)["service.name"], "edge");
    let found = spans_of(&export);
    let [span] = &found[..] else { panic!("{found:?}") };

    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), "00f067aa0ba902b7");
    let got = upstream.request();
    let ours = format!("00-{TRACE}-{}-01", hex(&span.span_id));
    assert_eq!(got.field("traceparent"), Some(&*ours));
    assert_ne!(ours, PARENT);
    assert_eq!(got.field("tracestate"), Some("a=secret"));

    assert_eq!((&*span.name, span.kind), ("GET shop", SpanKind::Server as i32));
    assert!(!is_error(span), "{span:?}");
    assert!(span.start_time_unix_nano > 0 && span.start_time_unix_nano <= span.end_time_unix_nano);
    let endpoint = upstream.address.to_string();
    let expected = BTreeMap::from([
        ("http.request.method", "GET"),
        ("http.response.status_code", "#200"),
        ("url.path", "/a%20b"),
        ("url.scheme", "http"),
        ("server.address", "shop.example"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "curl/8"),
        ("andon.route", "shop"),
        ("andon.variant", "stable"),
        ("andon.upstream", "stable"),
        ("andon.why", "weight"),
        ("andon.endpoint", &endpoint),
        ("andon.outcome", "success"),
    ]);
    let found = plain(&span.attributes);
    assert_eq!(found.iter().map(|(key, value)| (*key, &**value)).collect::<BTreeMap<_, _>>(), expected);

    let line = wait::until("the line is written", || {
        fs::read_to_string(site.path("access.log")).ok().filter(|text| text.ends_with('\n'))
    });
    assert!(line.contains(&format!("\"trace_id\":\"{TRACE}\"")), "{line}");
    assert_eq!(andon.metric("andon_spans_dropped_total", &[]), 0.0);
}

#[test]
fn what_went_wrong_is_an_error_and_a_clients_mistake_is_none() {
    let (upstream, collector) = (Server::start(|_| reply(503, "no")), collector());
    let more = "[[upstream]]\nname = \"gone\"\nendpoints = [\"GONE\"]\n\
                [[route]]\nname = \"dead\"\npath = \"/dead\"\nstable = \"gone\"\n\
                [[route]]\nname = \"shop\"\npath = \"/shop\"\nstable = \"stable\"\n";
    let stable = lone(upstream.address, "").split("[[route]]").next().unwrap().to_owned();
    let body = stable + &more.replace("GONE", &port::free().to_string());
    let andon = Andon::start(&(tracing(&collector.address.to_string(), "100%") + &body));
    for request in [
        get("/shop"),
        get("/dead"),
        get("/nowhere"),
        get("/shop").replace("GET", "FROB"),
        get("/nowhere").replace("shop.example", "a:99\r\nHost: b"),
    ] {
        andon.exchange(request);
    }
    let found = spans(&collector, 5);
    let ended = |span: &Span| {
        let all = plain(&span.attributes);
        let one = |key: &str| all.get(key).cloned().unwrap_or_default();
        let said = ["http.request.method", "http.response.status_code", "error.type", "andon.outcome"];
        (span.name.clone(), is_error(span), said.map(one).join(" "))
    };
    let expected = [
        ("GET shop", true, "GET #503 server_error server_error"),
        ("GET dead", true, "GET #502 connect_error connect_error"),
        ("GET", false, "GET #404  no_route"),
        ("HTTP shop", true, "_OTHER #503 server_error server_error"),
        ("GET", false, "GET #400  bad_request"),
    ];
    for (span, (name, error, said)) in found.iter().zip(expected) {
        assert_eq!(ended(span), (name.to_owned(), error, said.to_owned()));
        assert!(span.parent_span_id.is_empty() && span.trace_id.len() == 16, "{span:?}");
    }
    assert_eq!(plain(&found[3].attributes)["http.request.method_original"], "FROB");
    assert_eq!(plain(&found[4].attributes)["server.port"], "#99");
}

#[test]
fn a_rescued_request_is_one_span_that_tells_of_the_rescue() {
    let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(503, "ill")));
    let collector = collector();
    let body = split(stable.address, canary.address, "100%", "");
    let andon = Andon::start(&(tracing(&collector.address.to_string(), "100%") + &body));
    assert_eq!(andon.exchange(get("/")).text(), "stable");
    let found = spans(&collector, 1);
    let (said, parent) = (plain(&found[0].attributes), hex(&found[0].span_id));
    assert_eq!((&*said["andon.rescue"], &*said["http.response.status_code"]), ("server_error", "#200"));
    assert!(!is_error(&found[0]), "the client was served: {found:?}");
    for upstream in [stable, canary] {
        let got = upstream.request();
        assert!(got.field("traceparent").unwrap().contains(&parent), "{got:?}");
    }
}

#[test]
fn the_parent_decides_and_without_one_the_share() {
    let upstream = Server::named("stable");
    let sent = |andon: &Andon, fields: &str| {
        andon.exchange(get_with("/", fields));
        upstream.request().field("traceparent").expect("every request has one").to_owned()
    };
    let unsampled = PARENT.replace("-01", "-00");
    for (sample, kept) in [("0%", 1), ("100%", 2)] {
        let collector = collector();
        let andon = traced(&upstream, collector.address, sample);
        assert_eq!(sent(&andon, &format!("Traceparent: {unsampled}\r\n")), unsampled);
        let begun = sent(&andon, "Traceparent: 00-bad\r\n");
        assert!(begun.ends_with(if kept == 2 { "-01" } else { "-00" }), "{begun}");
        let sampled = sent(&andon, &format!("Traceparent: {PARENT}\r\n"));
        let found = spans(&collector, kept);
        let named: Vec<_> = found
            .iter()
            .map(|span| format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)))
            .collect();
        assert_eq!(named, [begun, sampled][2 - kept..]);
        wait_for(&andon, "exported", kept);
    }
}

#[test]
fn a_collector_that_never_answers_delays_nobody_and_costs_spans() {
    let (upstream, collector) = (Server::named("stable"), Manual::start());
    let mut andon = traced(&upstream, collector.address, "100%");
    andon.exchange(get("/"));
    let mut stuck = collector.accept();
    stuck.request();
    // The first batch waits for its answer; behind it the queue fills.
    let load = Load::start(andon.address);
    wait::until("spans are dropped", || (andon.metric("andon_spans_dropped_total", &[]) > 0.0).then_some(()));
    let answered = load.stop();
    assert!(answered.keys().all(|status| *status == 200), "{answered:?}");
    assert_eq!(andon.metric("andon_spans_exported_total", &[]), 0.0);
    andon.signal("TERM");
    assert!(andon.ended().success());
    assert!(andon.log().contains("the collector did not take the last spans"), "{}", andon.log());
}

#[test]
fn a_batch_that_was_not_taken_is_sent_again_and_one_that_is_refused_is_not() {
    let upstream = Server::named("stable");
    let collector = Server::start(|message| match &spans_of(message)[0].name[..] {
        "GET shop" => b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => reply(400, "never"),
    });
    let andon = traced(&upstream, collector.address, "100%");
    andon.exchange(get("/"));
    let first = spans(&collector, 1);
    assert_eq!(first, spans(&collector, 1), "the same once more");
    // Six tries, then it makes room.
    wait_for(&andon, "dropped", 1);
    assert_eq!(collector.requests(), 6);
    andon.exchange(get("/").replace("GET", "POST"));
    wait_for(&andon, "dropped", 2);
    assert_eq!((collector.requests(), collector.connections()), (7, 7), "a new connection after a failure");
    assert!(andon.log().contains("spans cannot be exported"), "{}", andon.log());
}

#[test]
fn a_collector_that_comes_late_gets_what_waited() {
    let (upstream, address) = (Server::named("stable"), port::free());
    let andon = traced(&upstream, address, "100%");
    andon.exchange(get("/"));
    wait::until("the export fails", || andon.log().contains("spans cannot be exported").then_some(()));
    let collector = Server::start_at(address, |_| reply(200, ""));
    assert_eq!(spans(&collector, 1)[0].name, "GET shop");
    wait_for(&andon, "exported", 1);
    assert_eq!(andon.metric("andon_spans_dropped_total", &[]), 0.0);
}

#[test]
fn what_a_collector_rejects_of_a_batch_is_counted_as_dropped() {
    let upstream = Server::named("stable");
    let collector = Server::start(|_| {
        let mut answer = ExportTraceServiceResponse::default();
        let rejected = answer.partial_success.get_or_insert_default();
        (rejected.rejected_spans, rejected.error_message) = (1, "too long".to_owned());
        let body = answer.encode_to_vec();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat()
    });
    let andon = traced(&upstream, collector.address, "100%");
    andon.exchange(get("/"));
    wait_for(&andon, "dropped", 1);
    assert!(andon.log().contains("too long"), "{}", andon.log());
}

#[test]
fn batches_are_bounded_and_the_end_sends_the_rest() {
    let (upstream, collector) = (Server::named("stable"), collector());
    let mut andon = traced(&upstream, collector.address, "100%");
    for _ in 0..2 {
        let mut client = andon.connect();
        for _ in 0..550 {
            client.send(get("/"));
            assert_eq!(client.response().status(), 200);
        }
    }
    andon.signal("TERM");
    assert!(andon.ended().success());
    let found = spans(&collector, 1_100);
    let mut ids: Vec<_> = found.iter().map(|span| &span.span_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1_100);
    assert_eq!(collector.connections(), 1, "it is kept");
}
