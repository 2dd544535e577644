//! The access log: a line a request that says who served it and why, whatever happens to the file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use crate::support::andon::{lone, split};
use crate::support::{Andon, Load, Manual, Server, Site, get, get_with, post, reply, wait};

const LOG: &str = "[access_log]\npath = \"access.log\"\n";
const TO_CANARY: &str = r#"overrides = [{ header = "x-canary", value = "always" }]"#;

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn parsed(line: impl AsRef<str>) -> Value {
    let line = line.as_ref();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// The lines so far, once there are so many.
#[track_caller]
fn logged(site: &Site, count: usize) -> Vec<Value> {
    let found = wait::until(&format!("{count} lines are written"), || {
        let lines = lines(&site.path("access.log"));
        (lines.len() >= count).then_some(lines)
    });
    assert_eq!(found.len(), count, "{found:?}");
    found.iter().map(parsed).collect()
}

#[test]
fn a_line_says_who_served_and_why() {
    let stable = Server::named("stable");
    let next = Server::start(|_| reply(503, "canary"));
    let body = split(stable.address, next.address, "0%", TO_CANARY);
    let site = Site::new(&format!("{LOG}{body}"));
    let andon = site.start();
    andon.exchange(get_with("/a?b=%22&c", "X-Request-Id: id-1\r\nUser-Agent: curl/8\r\n"));
    andon.exchange(get_with("/", "X-Canary: always\r\nReferer: http://a/\r\n"));
    andon.ask("POST", "/api/v1/routes/shop/cord", r#"{"why":"a test","by":"ann"}"#).ok();
    andon.exchange(get_with("/", "X-Canary: always\r\n"));
    andon.exchange(post("hello"));
    let found = logged(&site, 4);

    let first = &found[0];
    for (key, expected) in [
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("target", "/a?b=%22&c"),
        ("protocol", "HTTP/1.1"),
        ("host", "shop.example"),
        ("route", "shop"),
        ("variant", "stable"),
        ("why", "weight"),
        ("upstream", "stable"),
        ("outcome", "success"),
        ("blame", "nobody"),
        ("request_id", "id-1"),
        ("user_agent", "curl/8"),
    ] {
        assert_eq!(first[key], expected, "{key}");
    }
    assert_eq!(first["endpoint"], stable.address.to_string());
    assert_eq!((&first["status"], &first["bytes_down"]), (&200.into(), &6.into()));
    assert!(first["head_ms"].as_f64().unwrap() <= first["total_ms"].as_f64().unwrap(), "{first}");
    assert!(first["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{first}");
    assert!(
        first["referer"].is_null() && first["trace_id"].is_null() && first["rescue"].is_null(),
        "{first}"
    );

    let served =
        |line: &Value| ["variant", "why", "upstream", "outcome", "blame"].map(|key| line[key].clone());
    assert_eq!(served(&found[1]), ["canary", "override", "next", "success", "nobody"]);
    assert_eq!((&found[1]["status"], &found[1]["referer"]), (&200.into(), &"http://a/".into()));
    assert_eq!(found[1]["rescue"], "server_error", "what the canary said");
    assert_eq!(found[1]["endpoint"], stable.address.to_string(), "who answered in its place");
    assert_eq!(served(&found[2]), ["stable", "cord", "stable", "success", "nobody"]);
    assert_eq!(found[3]["bytes_up"], 5);
    let id = found[3]["request_id"].as_str().unwrap();
    let at_stable: Vec<_> = (0..4).map(|_| stable.request()).collect();
    assert_eq!(Some(id), at_stable[3].field("x-request-id"));
}

#[test]
fn who_left_or_reached_no_variant_has_a_line_too() {
    let upstream = Manual::start();
    let body = lone(upstream.address, "").replace("stable = ", "path = \"/a\"\nstable = ");
    let denied = "[[route]]\nname = \"closed\"\npath = \"/closed\"\ndeny = true\n";
    let site = Site::new(&format!("{LOG}{body}{denied}"));
    let andon = site.start();
    assert_eq!(andon.exchange(get("/nowhere")).status(), 404);
    assert_eq!(andon.exchange(get("/closed")).status(), 403);
    assert_eq!(andon.exchange("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").status(), 400);
    assert_eq!(andon.exchange("nonsense\r\n\r\n").status(), 400);
    let mut client = andon.connect();
    client.send(get("/a/slow"));
    let mut peer = upstream.accept();
    peer.request();
    client.reset();
    andon.wait_for_outcome("downstream_gone", 1.0);
    drop(peer);
    let found = logged(&site, 5);
    let ended =
        |line: &Value| ["status", "route", "variant", "outcome", "blame"].map(|key| line[key].clone());
    let null = Value::Null;
    let expected: [[Value; 5]; 5] = [
        [404.into(), null.clone(), null.clone(), "no_route".into(), "nobody".into()],
        [403.into(), "closed".into(), null.clone(), "denied".into(), "nobody".into()],
        [400.into(), null.clone(), null.clone(), "bad_request".into(), "nobody".into()],
        [400.into(), null.clone(), null, "bad_request".into(), "nobody".into()],
        [499.into(), "shop".into(), "stable".into(), "downstream_gone".into(), "downstream".into()],
    ];
    for (line, expected) in found.iter().zip(expected) {
        assert_eq!(ended(line), expected, "{line}");
    }
    assert_eq!((&found[2]["method"], &found[3]["method"]), (&"GET".into(), &Value::Null));
}

#[test]
fn a_tunnel_is_logged_at_its_end_with_what_passed() {
    let upstream = Manual::start();
    let body = lone(upstream.address, "") + "upgrade = [\"websocket\"]\n";
    let site = Site::new(&format!("{LOG}{body}"));
    let andon = site.start();
    let mut client = andon.connect();
    client.send(get_with("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    let mut peer = upstream.accept();
    peer.head();
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response().status(), 101);
    client.send("hello");
    peer.read_until("hello");
    andon.wait_for_outcome("success", 1.0);
    assert_eq!(lines(&site.path("access.log")).len(), 0, "it still runs");
    peer.send("you");
    client.read_until("you");
    drop((client, peer));
    let found = logged(&site, 1);
    assert_eq!([&found[0]["status"], &found[0]["bytes_up"], &found[0]["bytes_down"]], [101, 5, 3]);
}

#[test]
fn combined_lines_are_read_by_the_usual_expression() {
    let upstream = Server::named("stable");
    let site = Site::new(&format!("{LOG}format = \"combined\"\n{}", lone(upstream.address, "")));
    let andon = site.start();
    andon.exchange(get_with("/a?b=c", "User-Agent: evil\" 200 0 \"x\\\r\nReferer: \u{e9}\r\n"));
    andon.exchange(get("/"));
    let found = wait::until("both lines are written", || {
        let lines = lines(&site.path("access.log"));
        (lines.len() == 2).then_some(lines)
    });
    let usual = Regex::new(
        r#"^(\S+) (\S+) (\S+) \[([\w:/]+\s[+\-]\d{4})\] "(\S+) (\S+) (\S+)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"$"#,
    )
    .unwrap();
    let read = usual.captures(&found[0]).unwrap_or_else(|| panic!("{found:?}"));
    let part = |number: usize| &read[number];
    assert_eq!([part(1), part(5), part(6), part(7)], ["127.0.0.1", "GET", "/a?b=c", "HTTP/1.1"]);
    assert_eq!([part(8), part(9)], ["200", "6"]);
    assert_eq!([part(10), part(11)], [r"\xC3\xA9", r"evil\x22 200 0 \x22x\x5C"]);
    assert!(usual.is_match(&found[1]) && found[1].ends_with("\"-\" \"-\""), "{found:?}");
}

#[test]
fn a_rotation_under_load_loses_nothing_and_the_drain_writes_the_rest() {
    let upstream = Server::named("stable");
    let body = format!("{LOG}{}", lone(upstream.address, ""));
    let mut site = Site::new(&body);
    site.workers = 2;
    site.write(&body);
    let mut andon = site.start();
    let load = Load::start(andon.address);
    for turn in 0..5 {
        let seen = upstream.requests();
        wait::until("requests go on", || (upstream.requests() >= seen + 50).then_some(()));
        fs::rename(site.path("access.log"), site.path(&format!("access.{turn}"))).unwrap();
        andon.signal("USR1");
        wait::until("a new file is there", || site.path("access.log").exists().then_some(()));
    }
    let answered = load.stop().values().sum::<usize>();
    for _ in 0..100 {
        andon.exchange(get("/last"));
    }
    andon.signal("TERM");
    assert!(andon.ended().success());
    let files = (0..5).map(|turn| site.path(&format!("access.{turn}"))).chain([site.path("access.log")]);
    let all: Vec<Value> = files.flat_map(|path| lines(&path)).map(parsed).collect();
    assert_eq!(all.len(), answered + 100);
    assert_eq!(all.iter().filter(|line| line["target"] == "/last").count(), 100);
}

/// Long enough that a few of them fill what may wait.
fn long(andon: &Andon, count: usize) {
    let mut client = andon.connect();
    for _ in 0..count {
        client.send(get(&format!("/{}", "x".repeat(4_000))));
        assert_eq!(client.response().status(), 200);
    }
}

fn dropped(andon: &Andon) -> f64 {
    andon.metric("andon_access_log_dropped_total", &[])
}

#[test]
fn what_nobody_reads_is_dropped_and_counted_and_traffic_goes_on() {
    let upstream = Server::named("stable");
    let site = Site::new(&format!("{LOG}{}", lone(upstream.address, "")));
    let fifo = site.path("access.log");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut andon = site.start();
    long(&andon, 200);
    wait::until("lines are dropped", || (dropped(&andon) > 50.0).then_some(()));
    // A late reader gets what was kept: whole lines, the oldest first.
    let reader = BufReader::new(fs::File::open(&fifo).unwrap());
    let kept = std::thread::spawn(move || reader.lines().map_while(Result::ok).map(parsed).count());
    wait::until("the kept lines are written", || {
        let written = andon.metric("andon_access_log_lines_total", &[]);
        (written + dropped(&andon) == 200.0).then_some(())
    });
    let written = andon.metric("andon_access_log_lines_total", &[]);
    andon.signal("TERM");
    assert!(andon.ended().success());
    assert_eq!(kept.join().unwrap() as f64, written);
}

#[test]
fn a_closed_stdout_costs_lines_and_nothing_else() {
    let upstream = Server::named("stable");
    let site = Site::new(&format!("[access_log]\n{}", lone(upstream.address, "")));
    let (reader, writer) = std::io::pipe().unwrap();
    let mut andon = site.start_with_stdout(writer);
    andon.exchange(get("/first"));
    let mut reader = BufReader::new(reader);
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    assert_eq!(parsed(first)["target"], "/first");
    drop(reader);
    long(&andon, 200);
    wait::until("lines are dropped", || (dropped(&andon) > 50.0).then_some(()));
    assert_eq!(andon.log().matches("the access log cannot be written").count(), 1, "{}", andon.log());
    andon.signal("TERM");
    assert!(andon.ended().success());
}

#[test]
fn a_log_that_cannot_be_opened_is_told_at_the_start() {
    let upstream = Server::named("stable");
    let site = Site::new(&format!("[access_log]\npath = \"no/such/dir\"\n{}", lone(upstream.address, "")));
    let output = site.start_in_vain();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("access_log: cannot open"), "{said}");
}
