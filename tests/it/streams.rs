//! Server-sent events and long polling: nothing is held back, and long rests are no fault.

use std::time::Duration;

use crate::http2::H2;
use crate::support::andon::lone;
use crate::support::h2::{Client, Payload, Upstream, get as get_2, response};
use crate::support::{Andon, Manual, Site, get, wait};

const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
/// Longer than any deadline of the bodies here.
const REST: Duration = Duration::from_millis(1_200);

fn before(upstream: std::net::SocketAddr, protocol: &str) -> Andon {
    let listener =
        "body_timeout = \"200ms\"\nstream_idle_timeout = \"200ms\"\nkeep_alive_timeout = \"200ms\"";
    let timeouts = format!("{protocol}\nbody_timeout = \"200ms\"\nstream_timeout = \"60s\"");
    Site::with_listener(listener, &lone(upstream, &timeouts)).start()
}

#[test]
fn an_event_is_there_before_the_next_is_written_on_http_1() {
    let upstream = Manual::start();
    let andon = before(upstream.address, "");
    let mut client = andon.connect();
    client.send(get("/events"));
    let mut peer = upstream.accept();
    peer.head();
    peer.send(EVENTS);
    assert_eq!(client.head().status(), 200);
    for _ in 0..3 {
        peer.send("9\r\ndata: 1\n\n\r\n");
        client.read_until("data: 1\n\n");
    }
    wait::pause(REST);
    peer.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    client.read_until("data: 2\n\n\r\n0\r\n\r\n");
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn an_event_is_there_before_the_next_is_written_on_http_2() {
    let (one, two) = (Manual::start(), Upstream::manual());
    let andon = before(one.address, "");
    let asked = Client::connect(andon.address).begin(get_2("/events"));
    let mut peer = one.accept();
    peer.head();
    peer.send(EVENTS);
    let mut answer = asked.head();
    peer.send("9\r\ndata: 1\n\n\r\n");
    assert_eq!(answer.data(), "data: 1\n\n");
    wait::pause(REST);
    peer.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    assert_eq!(answer.rest().text(), "data: 2\n\n");
    andon.wait_for_outcome("success", 1.0);

    let andon = before(two.address, H2);
    let asked = Client::connect(andon.address).begin(get_2("/events"));
    let (pen, _body) = two.call().converse(&[("content-type", "text/event-stream")]);
    let mut answer = asked.head();
    pen.write("data: 1\n\n");
    assert_eq!(answer.data(), "data: 1\n\n");
    wait::pause(REST);
    pen.write("data: 2\n\n");
    assert_eq!(answer.data(), "data: 2\n\n");
    drop(pen);
    assert!(answer.rest().error.is_none());
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn an_answer_that_is_long_in_coming_is_waited_for() {
    for protocol in ["", H2] {
        let (one, two) = (Manual::start(), Upstream::manual());
        let andon = before(if protocol.is_empty() { one.address } else { two.address }, protocol);
        let asked = Client::connect(andon.address).begin(get_2("/poll"));
        if protocol.is_empty() {
            let mut peer = one.accept();
            peer.head();
            wait::pause(REST);
            peer.send(crate::support::OK);
        } else {
            let call = two.call();
            wait::pause(REST);
            call.reply(response(200, &[], Payload::of("ok")));
        }
        assert_eq!(asked.head().rest().text(), "ok");
    }
}
