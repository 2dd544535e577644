//! gRPC through the proxy: every kind of streaming, statuses behind the answer and in it, and our own errors in its words.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response};

use crate::http2::H2;
use crate::support::andon::{lone, split};
use crate::support::frames::{
    DATA, END_BOTH, END_HEADERS, HEADERS, INITIAL_WINDOW_SIZE, block, request as head, setting,
};
use crate::support::h2::{Answer, Asked, Client, Payload, Upstream, request, response};
use crate::support::{Andon, Frames, Manual, Site, port, wait};

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];
const KIND: [(&str, &str); 1] = [("content-type", "application/grpc")];
const MESSAGES: usize = 2_000;
/// One byte, behind its five of framing.
const MESSAGE: &[u8] = b"\0\0\0\0\x01x";

fn before(upstream: &Upstream) -> Andon {
    Andon::start(&lone(upstream.address, H2))
}

fn call(client: &Client, body: Payload) -> Asked {
    client.begin(request("POST", "/shop.Shop/Buy", &GRPC, body))
}

fn with_status(status: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", HeaderValue::from_static(status));
    fields
}

fn failed(status: &str) -> Response<Payload> {
    response(200, &[("content-type", "application/grpc"), ("grpc-status", status)], Payload::Empty)
}

#[track_caller]
fn is_own_error(answer: &Answer, status: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.field("grpc-status"), Some(status), "{answer:?}");
    assert_eq!(answer.field("content-type"), Some("application/grpc"));
    assert!(answer.field("grpc-message").is_some_and(|text| text.starts_with("andon: ")), "{answer:?}");
    assert!(answer.body.is_empty() && answer.trailers.is_none(), "{answer:?}");
}

#[test]
fn messages_of_both_sides_interleave() {
    let upstream = Upstream::manual();
    let andon = before(&upstream);
    let (up, body) = Payload::piped();
    let asked = call(&Client::connect(andon.address), body);
    let (down, mut arriving) = upstream.call().converse(&KIND);
    let mut answer = asked.head();
    for _ in 0..5 {
        // Each waits for the other: nothing may be held back.
        up.write(MESSAGE);
        assert_eq!(arriving.data(), MESSAGE);
        down.write(MESSAGE);
        assert_eq!(answer.data(), MESSAGE);
    }
    drop(up);
    assert!(arriving.rest().body.is_empty());
    down.write(MESSAGE);
    down.trailers(with_status("0"));
    let answer = answer.rest();
    assert_eq!((&answer.body[..], answer.trailer("grpc-status")), (MESSAGE, Some("0")));
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn one_message_or_many_from_either_side_arrive_in_order() {
    let upstream = Upstream::manual();
    let andon = before(&upstream);
    let client = Client::connect(andon.address);
    for (ups, downs) in [(1, 1), (9, 1), (1, 9)] {
        let (up, body) = Payload::piped();
        let asked = call(&client, body);
        let called = upstream.call();
        assert_eq!(
            (called.field("te"), called.field("content-type")),
            (Some("trailers"), Some("application/grpc"))
        );
        (0..ups).for_each(|_| up.write(MESSAGE));
        drop(up);
        let (down, arriving) = called.converse(&KIND);
        assert_eq!(arriving.rest().body, MESSAGE.repeat(ups));
        (0..downs).for_each(|_| down.write(MESSAGE));
        down.trailers(with_status("0"));
        let answer = asked.head().rest();
        assert_eq!((answer.body, answer.trailers), (MESSAGE.repeat(downs), Some(with_status("0"))));
    }
}

#[test]
fn an_answer_of_trailers_only_stays_one_frame() {
    let upstream = Upstream::start(|_| failed("5"));
    let andon = before(&upstream);
    let mut client = Frames::connect(andon.address, &[]);
    client.send(HEADERS, END_HEADERS, 1, &head("POST", "/shop.Shop/Buy", &GRPC));
    client.send(DATA, 1, 1, MESSAGE);
    let (frames, _) = client.stream(1);
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!((frames[0].kind, frames[0].flags), (HEADERS, END_BOTH));
    // Our own, too.
    let andon = Andon::start(&lone(port::free(), H2));
    let mut client = Frames::connect(andon.address, &[]);
    client.send(HEADERS, END_BOTH, 1, &head("POST", "/shop.Shop/Buy", &GRPC));
    let (frames, _) = client.stream(1);
    assert_eq!((frames.len(), frames[0].flags), (1, END_BOTH), "{frames:?}");
}

#[test]
fn our_own_errors_are_statuses() {
    let andon = Andon::start(&lone(port::free(), H2));
    let client = Client::connect(andon.address);
    is_own_error(&call(&client, Payload::of(MESSAGE)).head().rest(), "14");
    andon.wait_for_outcome("connect_error", 1.0);

    let upstream = Upstream::manual();
    let body = lone(upstream.address, &format!("{H2}\nresponse_timeout = \"100ms\"")) + "path = \"/shop\"\n";
    let andon = Andon::start(&body);
    let client = Client::connect(andon.address);
    let elsewhere = request("POST", "/other.Other/Buy", &GRPC, Payload::Empty);
    is_own_error(&client.ask(elsewhere), "12");
    is_own_error(&client.ask(request("POST", "/shop", &GRPC, Payload::Empty)), "14");
    andon.wait_for_outcome("response_timeout", 1.0);
}

#[test]
fn a_call_whose_server_dies_is_cut_and_not_ended() {
    let upstream = Manual::start();
    let andon = Andon::start(&lone(upstream.address, H2));
    let asked = call(&Client::connect(andon.address), Payload::of(MESSAGE));
    let mut peer = Frames::answer(upstream.accept(), &[]);
    let stream = peer.request();
    peer.send(HEADERS, END_HEADERS, stream, &block(&[(":status", "200"), KIND[0]]));
    peer.send(DATA, 0, stream, MESSAGE);
    let mut answer = asked.head();
    assert_eq!(answer.data(), MESSAGE);
    drop(peer);
    assert!(answer.rest().error.is_some());
    andon.wait_for_outcome("truncated", 1.0);
}

#[test]
fn the_status_is_the_outcome() {
    let upstream = Upstream::manual();
    let andon = before(&upstream);
    let client = Client::connect(andon.address);
    let mut failures = 0.0;
    for status in ["0", "1", "3", "5", "7", "16", "2", "4", "12", "13", "14", "15"] {
        let asked = call(&client, Payload::of(MESSAGE));
        upstream.call().reply(failed(status));
        assert_eq!(asked.head().rest().field("grpc-status"), Some(status));
        let asked = call(&client, Payload::of(MESSAGE));
        let (pen, _body) = upstream.call().converse(&KIND);
        pen.write(MESSAGE);
        pen.trailers(with_status(Box::leak(status.to_owned().into_boxed_str())));
        assert_eq!(asked.head().rest().trailer("grpc-status"), Some(status));
        failures += if ["2", "4", "12", "13", "14", "15"].contains(&status) { 2.0 } else { 0.0 };
    }
    andon.wait_for_outcome("server_error", failures);
    andon.wait_for_outcome("success", 24.0 - failures);
}

#[test]
fn a_canary_that_answers_unavailable_is_backed_off() {
    let good = Upstream::start(|_| failed("0"));
    let bad = Upstream::start(|_| failed("14"));
    let body =
        split(good.address, bad.address, "50%", "").replace("endpoints", "protocol = \"h2\"\nendpoints");
    let andon = Andon::start(&body);
    let client = Client::connect(andon.address);
    let shop = wait::until("the cord is pulled", || {
        assert_eq!(call(&client, Payload::Empty).head().rest().status, 200);
        Some(andon.shop()).filter(|shop| !shop["cord"].is_null())
    });
    assert_eq!(shop["canaries"][0]["effective_ppm"], 0, "{shop}");
}

#[test]
fn many_small_messages_to_a_stalled_client_cost_nobody_the_connection() {
    let upstream = Upstream::manual();
    let andon = before(&upstream);
    let client = Client::connect(andon.address);
    let asked = call(&client, Payload::Empty);
    let (pen, _body) = upstream.call().converse(&KIND);
    let mut answer = asked.head();
    for _ in 0..MESSAGES {
        pen.write(MESSAGE);
    }
    // It has not read one; others are served meanwhile.
    let other = call(&client, Payload::Empty);
    upstream.call().reply(failed("0"));
    assert_eq!(other.head().rest().field("grpc-status"), Some("0"));
    pen.trailers(with_status("0"));
    assert_eq!(answer.data(), MESSAGE[..]);
    assert_eq!(answer.rest().body.len(), (MESSAGES - 1) * MESSAGE.len());
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn many_small_frames_to_a_stalled_upstream_cost_nobody_the_connection() {
    for protocol in [H2, ""] {
        let upstream = Manual::start();
        let andon = Andon::start(&lone(upstream.address, protocol));
        let mut client = Frames::connect(andon.address, &[]);
        client.send(HEADERS, END_HEADERS, 1, &head("POST", "/shop.Shop/Buy", &GRPC));
        let mut wire = upstream.accept();
        // Its windows are those of the standard, or its buffers; it reads nothing.
        let mut frames = Vec::new();
        for _ in 0..MESSAGES {
            frames.extend(crate::support::frames::frame(DATA, 0, 1, b"x"));
        }
        client.wire.send(&frames);
        client.get(3, "/other");
        if protocol.is_empty() {
            let mut other = upstream.accept();
            other.head();
            other.send(crate::support::OK);
            assert_eq!(client.fate(3), crate::support::frames::Fate::Answered(200));
            client.send(DATA, 1, 1, b"");
            assert_eq!(wire.request().body.len(), MESSAGES);
        } else {
            let mut peer = Frames::answer(wire, &setting(INITIAL_WINDOW_SIZE, 100));
            let other =
                peer.until(|frame| frame.kind == HEADERS && frame.flags == END_BOTH).expect("the GET").stream;
            peer.send(HEADERS, END_BOTH, other, &block(&[(":status", "200")]));
            assert_eq!(client.fate(3), crate::support::frames::Fate::Answered(200));
        }
    }
}

#[test]
fn the_clients_own_deadline_ends_the_wait_and_blames_nobody_upstream() {
    let upstream = Upstream::manual();
    let andon = before(&upstream);
    let client = Client::connect(andon.address);
    let with_timeout = |timeout: &'static str| {
        let fields = [GRPC[0], GRPC[1], ("grpc-timeout", timeout)];
        client.begin(request("POST", "/shop.Shop/Buy", &fields, Payload::Empty))
    };
    let asked = with_timeout("50m");
    let called = upstream.call();
    assert_eq!(called.field("grpc-timeout"), Some("50m"));
    is_own_error(&asked.head().rest(), "4");
    wait::until("the upstream's stream is reset", || called.is_cancelled().then_some(()));
    andon.wait_for_outcome("downstream_gone", 1.0);
    for readable_or_not in ["1H", "soon"] {
        let asked = with_timeout(readable_or_not);
        upstream.call().reply(failed("0"));
        assert_eq!(asked.head().rest().field("grpc-status"), Some("0"));
    }
    assert_eq!(upstream.connections(), 1, "a client's deadline says nothing of the connection");
}

#[test]
fn a_stream_of_messages_may_rest_longer_than_other_bodies() {
    let upstream = Upstream::manual();
    let timeouts = format!("{H2}\nbody_timeout = \"200ms\"\nstream_timeout = \"60s\"");
    let listener =
        "body_timeout = \"200ms\"\nstream_idle_timeout = \"200ms\"\nkeep_alive_timeout = \"200ms\"";
    let andon = Site::with_listener(listener, &lone(upstream.address, &timeouts)).start();
    let (up, body) = Payload::piped();
    let asked = call(&Client::connect(andon.address), body);
    let (down, mut arriving) = upstream.call().converse(&KIND);
    let mut answer = asked.head();
    wait::pause(Duration::from_millis(1_500));
    up.write(MESSAGE);
    assert_eq!(arriving.data(), MESSAGE);
    down.write(MESSAGE);
    assert_eq!(answer.data(), MESSAGE);
}
