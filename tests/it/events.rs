//! `/api/v1/events` as a dashboard, a script and `curl` meet it: at once, resumable, and nobody is waited for.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::andon::split;
use crate::support::wait::{self, PATIENCE};
use crate::support::{Andon, Server, Site, Wire};

/// So many states are told one by one.
const ROUTES: usize = 100;
const PULL: &str = r#"{"why": "a look first", "by": "ann"}"#;

/// One listener, by its bytes.
struct Ears {
    lines: BufReader<std::net::TcpStream>,
    head: String,
}

#[derive(Debug)]
struct Heard {
    event: String,
    id: Option<String>,
    data: Value,
}

impl Ears {
    fn new(admin: SocketAddr, path: &str, last: Option<&str>) -> Self {
        let stream = std::net::TcpStream::connect(admin).expect("andon accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let head = format!("GET /api/v1/events{path} HTTP/1.0\r\nHost: {admin}\r\n{last}\r\n");
        std::io::Write::write_all(&mut &stream, head.as_bytes()).expect("andon reads");
        let mut ears = Self { lines: BufReader::new(stream), head: String::new() };
        loop {
            match ears.line() {
                Some(line) if !line.is_empty() => ears.head += &(line.to_ascii_lowercase() + "\n"),
                _ => return ears,
            }
        }
    }

    /// `None`: the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).expect("something comes in time");
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// `None`: the end. Comments are passed over.
    fn any(&mut self) -> Option<Heard> {
        let (mut event, mut id) = (None, None);
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", name)) => event = Some(name.to_owned()),
                Some(("id", name)) => id = Some(name.to_owned()),
                Some(("data", data)) => {
                    let data = serde_json::from_str(data).expect("data is JSON");
                    return Some(Heard { event: event.expect("each has a name"), id, data });
                }
                _ => {}
            }
        }
    }

    /// The next one of this name; others are passed over.
    #[track_caller]
    fn next(&mut self, event: &str) -> Heard {
        loop {
            let heard = self.any().unwrap_or_else(|| panic!("it ended before a {event}"));
            if heard.event == event {
                return heard;
            }
        }
    }
}

fn site() -> (Site, [Server; 2]) {
    let servers = [Server::named("stable"), Server::named("canary")];
    (Site::new(&split(servers[0].address, servers[1].address, "10%", "")), servers)
}

fn pull(andon: &Andon) {
    andon.ask("POST", "/api/v1/routes/shop/cord", PULL).ok();
}

#[test]
fn a_pulled_cord_is_heard_as_a_decision_and_as_the_state_of_its_route() {
    let (site, _servers) = site();
    let andon = site.start();
    let mut ears = Ears::new(andon.admin, "", None);
    for header in
        ["200 ok", "content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"]
    {
        assert!(ears.head.contains(header), "no {header} in {}", ears.head);
    }
    assert_eq!(ears.next("hello").data["resumed"], true);
    pull(&andon);
    let decision = ears.next("decision");
    assert_eq!(decision.data["action"], "cord_pull", "{decision:?}");
    let state = ears.next("state");
    assert_eq!(
        (&state.data["name"], &state.data["cord"]["by"]),
        (&json!("shop"), &json!("ann")),
        "{state:?}"
    );
    // And that it is stored.
    wait::until("a state that is saved", || (ears.next("state").data["unsaved"] == false).then_some(()));
    let sample = ears.next("sample");
    assert_eq!((sample.id, &sample.data["routes"][0]["name"]), (None, &json!("shop")));
}

#[test]
fn who_comes_back_gets_what_was_missed_and_after_a_restart_is_told_that_it_is_lost() {
    let (site, _servers) = site();
    let andon = site.start();
    let first = Ears::new(andon.admin, "", None).next("hello").id.expect("it has one");
    pull(&andon);
    andon.ask("DELETE", "/api/v1/routes/shop/cord?why=looked", "").ok();
    let mut ears = Ears::new(andon.admin, "", Some(&first));
    assert_eq!(ears.next("hello").data["resumed"], true);
    assert_eq!(ears.next("decision").data["action"], "cord_pull");
    let reset = ears.next("decision");
    assert_eq!(reset.data["action"], "cord_reset");
    // From the middle, by the query: a browser cannot set the header itself.
    let last = reset.id.expect("it has one");
    let mut ears = Ears::new(andon.admin, &format!("?last_event_id={last}"), None);
    assert_eq!(ears.next("hello").id.as_deref(), Some(&*last));
    andon.set_weight("20%").ok();
    assert_eq!(ears.next("decision").data["after"], "20%");
    andon.kill();
    let andon = site.start();
    for last in [last.as_str(), "no such thing", "1-1"] {
        let mut ears = Ears::new(andon.admin, "", Some(last));
        assert_eq!(ears.next("hello").data["resumed"], false);
        assert_eq!(ears.next("reset").data["why"], "andon was started anew since", "{last}");
        andon.set_weight(if last == "1-1" { "1%" } else { "30%" }).ok();
    }
}

#[test]
fn a_listener_of_one_route_hears_of_that_one() {
    let (site, servers) = site();
    let other = "[[route]]\nname = \"other\"\npath = \"/other\"\nstable = \"stable\"\n\
                 [[route.canary]]\nupstream = \"next\"\nweight = \"1%\"\n";
    site.write(&(split(servers[0].address, servers[1].address, "10%", "") + other));
    let andon = site.start();
    assert_eq!(andon.ask("GET", "/api/v1/events?route=nowhere", "").status, 404);
    assert_eq!(andon.ask("GET", "/api/v1/events?rout=shop", "").status, 422);
    let mut ears = Ears::new(andon.admin, "?route=other", None);
    ears.next("hello");
    pull(&andon);
    andon.ask("POST", "/api/v1/routes/other/cord", PULL).ok();
    assert_eq!(ears.next("decision").data["route"], "other");
    let sample = ears.next("sample");
    assert_eq!(sample.data["routes"].as_array().map(Vec::len), Some(1));
    assert_eq!(sample.data["routes"][0]["name"], "other");
}

#[test]
fn listeners_are_so_many_and_leave_room_for_questions() {
    let (site, _servers) = site();
    let andon = site.start();
    let mut all: Vec<Ears> = (0..64).map(|_| Ears::new(andon.admin, "", None)).collect();
    let refused = andon.ask("GET", "/api/v1/events", "");
    assert_eq!((refused.status, refused.message.field("retry-after")), (503, Some("1")));
    pull(&andon);
    for ears in &mut all {
        assert_eq!(ears.next("decision").data["action"], "cord_pull");
    }
    all.clear();
    wait::until("a seat is free", || Ears::new(andon.admin, "", None).head.contains("200 ok").then_some(()));
}

#[test]
fn who_does_not_read_holds_nobody_up_and_is_cut_off() {
    let (site, servers) = site();
    let many = |weight: &str| {
        let mut text = split(servers[0].address, servers[1].address, weight, "");
        for route in 0..ROUTES - 1 {
            text += &format!(
                "[[route]]\nname = \"r{route}\"\npath = \"/r{route}\"\nstable = \"stable\"\n\
                 [[route.canary]]\nupstream = \"next\"\nweight = \"{weight}\"\n"
            );
        }
        text
    };
    site.write(&many("1%"));
    let andon = site.start();
    let mut deaf = Wire::new(with_small_buffer(andon.admin));
    deaf.send(format!("GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", andon.admin));
    let mut ears = Ears::new(andon.admin, "", None);
    // Each round is a hundred decisions and as many states: in all more than sockets and the queue hold.
    for round in 0..30 {
        let weight = if round % 2 == 0 { "2%" } else { "1%" };
        site.write(&many(weight));
        andon.ask("POST", "/api/v1/config/reload", "").ok();
        for _ in 0..ROUTES {
            assert_eq!(ears.next("decision").data["after"], weight, "round {round}");
        }
    }
    let end = String::from_utf8_lossy(&deaf.rest().0).into_owned();
    assert!(end.contains(": too slow") && end.ends_with("0\r\n\r\n"), "{} bytes", end.len());
}

/// Of the kernel, which would take megabytes for a listener that does not read.
fn with_small_buffer(address: SocketAddr) -> std::net::TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("it is fresh");
    socket.connect(&address.into()).expect("andon accepts");
    socket.into()
}

#[test]
fn a_drain_ends_the_stream_whole() {
    let (site, _servers) = site();
    let mut andon = site.start();
    let mut wire = Wire::connect(andon.admin);
    wire.send(format!("GET /api/v1/events HTTP/1.1\r\nHost: {}\r\n\r\n", andon.admin));
    wire.read_until("hello");
    andon.signal("TERM");
    let (bytes, _) = wire.rest();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains(": come back") && text.ends_with("0\r\n\r\n"), "{text}");
    assert!(andon.ended().success());
}

#[test]
fn curl_can_follow() {
    let (site, _servers) = site();
    let andon = site.start();
    let mut curl = Command::new("curl")
        .args(["-sN", "--max-time", "20", &format!("http://{}/api/v1/events", andon.admin)])
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl runs; install it");
    let mut lines = BufReader::new(curl.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "event: hello"));
    pull(&andon);
    assert!(lines.any(|line| line == "event: decision"));
    curl.kill().expect("it is our child");
    curl.wait().expect("it is our child");
}
