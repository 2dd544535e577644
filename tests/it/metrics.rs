//! What is counted: each request once, whatever became of it, in a form that Prometheus takes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::Value;

use crate::support::admin::ask;
use crate::support::andon::split;
use crate::support::prometheus::Prometheus;
use crate::support::{Andon, Manual, Server, Site, get, get_with, reply, wait};

const TO_CANARY: &str = r#"overrides = [{ header = "x-canary", value = "always" }]"#;

fn canary(path: &str) -> String {
    get_with(path, "X-Canary: always\r\n")
}

#[test]
fn every_request_is_counted_once_where_it_went() {
    let stable = Server::named("stable");
    let next =
        Server::start(|request| reply(if request.first.contains("/bad") { 503 } else { 200 }, "canary"));
    let more = format!("{TO_CANARY}\n[route.guard]\nrescue = false");
    let andon = Andon::start(&split(stable.address, next.address, "0%", &more));
    for _ in 0..7 {
        andon.exchange(get("/"));
    }
    for path in ["/", "/", "/", "/bad", "/bad"] {
        andon.exchange(canary(path));
    }
    for (variant, requests) in [("stable", 7.0), ("canary", 5.0)] {
        let labels = [("route", "shop"), ("variant", variant)];
        for name in ["andon_requests_total", "andon_outcomes_total", "andon_request_duration_seconds_count"] {
            assert_eq!(andon.metric(name, &labels), requests, "{name} of {variant}");
        }
        assert_eq!(andon.metric("andon_requests_in_flight", &labels), 0.0);
    }
    assert_eq!(andon.metric("andon_requests_total", &[("code", "503")]), 2.0);
    assert_eq!(andon.metric("andon_outcomes_total", &[("outcome", "server_error")]), 2.0);
    assert_eq!(andon.metric("andon_upstream_errors_total", &[("kind", "server_error")]), 2.0);
    assert_eq!(andon.metric("andon_harm_total", &[("variant", "canary")]), 2.0);
}

#[test]
fn the_counts_of_all_workers_are_one_number() {
    let upstream = Server::named("stable");
    let body = split(upstream.address, upstream.address, "50%", "");
    let mut site = Site::new(&body);
    site.workers = 3;
    site.write(&body);
    let andon = site.start();
    for _ in 0..40 {
        andon.exchange(get("/"));
    }
    wait::until("each worker had some", || (upstream.connections() >= 3).then_some(()));
    assert_eq!(andon.metric("andon_requests_total", &[]), 40.0);
    assert_eq!(andon.metric("andon_request_duration_seconds_count", &[]), 40.0);
    assert_eq!(upstream.requests(), 40);
}

#[test]
fn a_request_is_in_flight_until_its_end_and_never_after() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let in_flight = || andon.metric("andon_requests_in_flight", &[]);
    let mut clients: Vec<_> = (0..4).map(|_| andon.connect()).collect();
    let mut peers = Vec::new();
    for client in &mut clients {
        client.send(get("/"));
        let mut peer = upstream.accept();
        peer.request();
        peers.push(peer);
    }
    assert_eq!(in_flight(), 4.0);
    // One end of each kind: answered, cut by the upstream, left by the client, reset by both.
    peers[0].send(reply(200, "ok"));
    assert_eq!(clients[0].response().text(), "ok");
    peers.remove(1).reset();
    assert_eq!(clients[1].response().status(), 502);
    clients.remove(2).reset();
    peers.remove(2).reset();
    clients.remove(2).reset();
    wait::until("nothing is in flight", || (in_flight() == 0.0).then_some(()));
    assert_eq!(andon.metric("andon_requests_total", &[]), 4.0);
    assert_eq!(andon.metric("andon_outcomes_total", &[]), 4.0);
    assert_eq!(andon.metric("andon_request_duration_seconds_count", &[]), 4.0);
}

#[test]
fn beyond_five_hundred_routes_counters_begin_with_the_first_request() {
    let upstream = Server::named("stable");
    let address = upstream.address;
    let routes = (0..502).map(|route| {
        format!(
            "[[route]]\nname = \"r{route}\"\npath = \"/r{route}\"\nstable = \"stable\"\n\
             [[route.canary]]\nupstream = \"next\"\nweight = \"1%\"\n"
        )
    });
    let upstreams = ["stable", "next"]
        .map(|name| format!("[[upstream]]\nname = \"{name}\"\nendpoints = [\"{address}\"]\n"));
    let andon = Andon::start(&(upstreams.concat() + &routes.collect::<String>()));
    let series = |name: &str, route: &str| {
        let text = andon.metrics();
        text.lines()
            .filter(|line| line.starts_with(name) && line.contains(&format!("route=\"{route}\"")))
            .count()
    };
    for (name, at_once) in
        [("andon_requests_total", false), ("andon_outcomes_total", false), ("andon_harm_total", true)]
    {
        assert!(series(name, "r499") > 0, "{name} of the 500th");
        assert_eq!(series(name, "r501") > 0, at_once, "{name} of the 502nd");
    }
    assert_eq!(andon.exchange(get("/r501")).status(), 200);
    // As much as of any other, of the canary too.
    for name in ["andon_requests_total", "andon_outcomes_total", "andon_request_duration_seconds_bucket"] {
        assert_eq!(series(name, "r501"), series(name, "r499"), "{name}");
        assert_eq!(series(name, "r500"), 0, "{name} of one that nobody has asked");
    }
}

#[test]
fn what_belongs_to_no_route_is_no_variants_request() {
    let upstream = Server::named("stable");
    let body = split(upstream.address, upstream.address, "50%", "")
        .replace("stable = \"stable\"", "path = \"/a\"\nstable = \"stable\"");
    let andon = Andon::start(&body);
    assert_eq!(andon.exchange(get("/b")).status(), 404);
    assert_eq!(andon.metric("andon_requests_total", &[]), 0.0);
}

#[test]
fn promtool_finds_nothing_wrong() {
    let upstream = Server::named("stable");
    let others = format!(
        "[[route.guard.outside]]\nname = \"orders\"\nhttp = \"http://{at}/\"\nat_least = 1\n\
         [[notify]]\nname = \"ops\"\nurl = \"http://{at}/\"\nform = \"chat\"\n",
        at = upstream.address
    );
    let andon = Andon::start(&split(upstream.address, upstream.address, "50%", &others));
    for _ in 0..10 {
        andon.exchange(get("/"));
    }
    assert_eq!(andon.metric("andon_notifications_dropped_total", &[("receiver", "ops")]), 0.0);
    assert_eq!(andon.metric("andon_outside_state", &[("state", "undecided")]), 1.0);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: Debian's package prometheus has it");
    promtool.stdin.take().unwrap().write_all(andon.metrics().as_bytes()).unwrap();
    let found = promtool.wait_with_output().unwrap();
    let said = [found.stdout, found.stderr].concat();
    assert!(found.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_alert_rules_fire_on_what_they_say_and_know_only_metrics_that_there_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus");
    for arguments in [["check", "rules", "andon.rules.yml"], ["test", "rules", "andon.rules.test.yml"]] {
        let done =
            Command::new("promtool").current_dir(&folder).args(arguments).output().expect("it is there");
        let said =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
    }
    let rules = fs::read_to_string(folder.join("andon.rules.yml")).expect("it is there");
    let tests = fs::read_to_string(folder.join("andon.rules.test.yml")).expect("it is there");
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {alert}")), "{alert} is not tested");
    }
    let page = include_str!("../../README.md");
    let named = Regex::new(r"andon_[a-z_0-9]+").expect("it is one");
    let expressions = rules.lines().filter(|line| line.trim().starts_with("expr:"));
    let used: BTreeSet<&str> =
        expressions.flat_map(|line| named.find_iter(line)).map(|found| found.as_str()).collect();
    assert!(used.len() > 10, "{used:?}");
    for metric in used {
        assert!(page.contains(&format!("| `{metric}` |")), "{metric} is not in the table of the README");
    }
}

#[test]
fn a_real_prometheus_scrapes_it() {
    let upstream = Server::named("stable");
    let andon = Andon::before(upstream.address);
    for _ in 0..10 {
        andon.exchange(get("/"));
    }
    let prometheus = Prometheus::scraping(andon.admin);
    let address = prometheus.address;
    let query = r"/api/v1/query?query=sum(andon_requests_total%7Broute%3D%22shop%22%2Ccode%3D%22200%22%7D)";
    let sum = wait::until("prometheus has the requests", || {
        let reply = ask(address, "GET", query, "");
        reply.json["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    });
    assert_eq!(sum, "10");
    let targets = ask(address, "GET", "/api/v1/targets", "").ok();
    assert_eq!(targets["data"]["activeTargets"][0]["lastError"], Value::from(""), "{targets}");
}
