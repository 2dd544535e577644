//! What counts as evidence: what the operator says an answer means, what users do, and what never comes.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::http2::H2;
use crate::support::andon::{lone, split};
use crate::support::h2::{Client, Payload, Upstream, request, response};
use crate::support::{Andon, Load, Manual, Message, OK, Server, Site, Wire, get, get_with, reply, wait};

/// What answers with these statuses mean, on this path.
fn rule(path: &str, statuses: &str, counts_as: &str) -> String {
    format!(
        "[[route.guard.failures]]\npath = \"{path}\"\nstatuses = {statuses}\ncounts_as = \"{counts_as}\"\n"
    )
}

#[track_caller]
fn wait_for_cord(andon: &Andon) -> Value {
    wait::until("the cord is pulled", || Some(andon.shop()).filter(|shop| !shop["cord"].is_null()))
}

#[track_caller]
fn verdict(andon: &Andon) -> Value {
    andon.shop()["canaries"][0]["verdict"].clone()
}

/// A canary that answers everything so, beside a stable that is well.
fn canary_of(status: u16, guard: &str) -> (Server, Server, Andon) {
    let (stable, canary) = (Server::named("stable"), Server::start(move |_| reply(status, "canary")));
    let guard = format!("[route.guard]\nrescue = false\n{guard}");
    let andon = Andon::start(&split(stable.address, canary.address, "50%", &guard));
    (stable, canary, andon)
}

/// By the path that was asked for.
fn by_path() -> Server {
    Server::start(|request| match request.first.split(' ').nth(1) {
        Some("/catalogue/7") => reply(404, "gone"),
        Some("/search") => reply(503, "busy"),
        Some("/reports") => reply(500, "no"),
        Some(_) | None => reply(200, "ok"),
    })
}

#[test]
fn a_rule_decides_the_outcome_and_all_that_follows_from_it() {
    let (stable, canary) = (by_path(), by_path());
    let rules = [
        "[route.guard]\n".to_owned(),
        rule("/catalogue", "[404]", "failure"),
        rule("/search", "[503]", "success"),
        rule("/search", "[\"5xx\"]", "failure"),
        rule("/reports", "[500]", "nothing"),
    ];
    let body = split(stable.address, canary.address, "100%", &rules.concat());
    let site = Site::new(&format!("[access_log]\npath = \"access.log\"\n{body}"));
    let andon = site.start();
    let canary = ("variant", "canary");
    let ended = |outcome| andon.metric("andon_outcomes_total", &[canary, ("outcome", outcome)]);

    assert_eq!(andon.exchange(get("/catalogue/7")).status(), 404);
    andon.wait_for_outcome("server_error", 1.0);
    assert_eq!(andon.metric("andon_requests_total", &[canary, ("code", "404")]), 1.0);
    assert_eq!(andon.metric("andon_harm_total", &[]), 1.0);
    // The canary's 503 is a success, and repaired all the same: `rescue` has statuses of its own. Stable's is passed on.
    assert_eq!(andon.exchange(get("/search")).status(), 503);
    andon.wait_for_outcome("success", 1.0);
    assert_eq!(andon.metric("andon_harm_total", &[]), 1.0);
    assert_eq!(andon.exchange(get("/reports")).status(), 500);
    andon.wait_for_outcome("server_error", 2.0);
    assert_eq!(andon.exchange(get("/")).status(), 200);
    andon.wait_for_outcome("success", 2.0);
    assert_eq!((ended("success"), ended("server_error")), (2.0, 2.0));

    let lines = wait::until("four lines are written", || {
        let text = fs::read_to_string(site.path("access.log")).unwrap_or_default();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (lines.len() == 4).then_some(lines)
    });
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().expect("a word")).collect();
    assert_eq!(outcomes, ["server_error", "success", "server_error", "success"]);
}

#[test]
fn a_status_that_a_rule_calls_failure_backs_the_canary_off() {
    let (_stable, _canary, andon) = canary_of(404, &rule("/", "[404]", "failure"));
    let load = Load::start(andon.address);
    let shop = wait_for_cord(&andon);
    assert_eq!(shop["canaries"][0]["effective_ppm"], 0, "{shop}");
    load.stop();
}

#[test]
fn a_status_that_a_rule_calls_success_does_not() {
    let (_stable, canary, andon) = canary_of(503, &rule("/", "[503]", "success"));
    let load = Load::start(andon.address);
    wait::until("the canary answers", || (canary.requests() > 300).then_some(()));
    wait::while_holds(Duration::from_secs(3), "the cord is not pulled", || andon.shop()["cord"].is_null());
    load.stop();
    assert_eq!(andon.metric("andon_outcomes_total", &[("outcome", "server_error")]), 0.0);
}

#[test]
fn a_status_that_a_rule_calls_nothing_says_nothing_of_the_canary() {
    let (_stable, canary, andon) = canary_of(500, &rule("/", "[500]", "nothing"));
    let load = Load::start(andon.address);
    wait::until("the canary answers", || (canary.requests() > 300).then_some(()));
    wait::while_holds(Duration::from_secs(3), "the cord is not pulled", || andon.shop()["cord"].is_null());
    load.stop();
    assert!(verdict(&andon).to_string().contains("no canary requests yet"), "{}", verdict(&andon));
    assert!(andon.metric("andon_outcomes_total", &[("outcome", "server_error")]) > 300.0);
}

#[test]
fn a_rule_may_name_codes_of_grpc() {
    let kind = ("content-type", "application/grpc");
    let upstream = Upstream::start(move |request| {
        let status = if request.uri().path() == "/shop.Search/Find" { "5" } else { "14" };
        response(200, &[kind, ("grpc-status", status)], Payload::Empty)
    });
    let rules = "[[route.guard.failures]]\npath = \"/shop.Search\"\ngrpc = [\"NOT_FOUND\"]\n\
                 [[route.guard.failures]]\npath = \"/shop.Stock\"\ngrpc = [\"UNAVAILABLE\"]\ncounts_as = \"success\"\n\
                 [[route.guard.failures]]\nstatuses = [\"2xx\"]\ncounts_as = \"failure\"\n";
    let andon = Andon::start(&(lone(upstream.address, H2) + rules));
    let client = Client::connect(andon.address);
    let call = |path| client.ask(request("POST", path, &[kind, ("te", "trailers")], Payload::Empty));
    assert_eq!(call("/shop.Search/Find").field("grpc-status"), Some("5"));
    andon.wait_for_outcome("server_error", 1.0);
    assert_eq!(call("/shop.Stock/Watch").field("grpc-status"), Some("14"));
    andon.wait_for_outcome("success", 1.0);
    assert_eq!(call("/shop.Other/Ask").field("grpc-status"), Some("14"));
    andon.wait_for_outcome("server_error", 2.0);
}

/// Answers as a shop does whose orders come about, or do not.
fn shop_of(header: &'static str) -> Server {
    Server::start(move |_| {
        format!("HTTP/1.1 201 Created\r\n{header}Content-Length: 2\r\n\r\nok").into_bytes()
    })
}

fn orders(stable: SocketAddr, canary: SocketAddr) -> Andon {
    let event = "[[route.guard.event]]\nname = \"order\"\nmethods = [\"GET\"]\npath = \"/\"\nstatuses = [201]\n\
                 header = { name = \"x-order\", value = \"placed\" }\n";
    Andon::start(&split(stable, canary, "50%", event))
}

#[test]
fn a_canary_that_leads_to_no_orders_is_backed_off_though_nothing_fails() {
    let (stable, canary) = (shop_of("X-Order: placed\r\n"), shop_of("X-Order: refused\r\n"));
    let andon = orders(stable.address, canary.address);
    let load = Load::start(andon.address);
    let shop = wait_for_cord(&andon);
    assert!(shop["cord"].to_string().contains("order"), "{shop}");
    load.stop();
    assert_eq!(andon.metric("andon_outcomes_total", &[("outcome", "server_error")]), 0.0);
}

#[test]
fn a_canary_that_leads_to_as_many_orders_stays() {
    let (stable, canary) = (shop_of("X-Order: placed\r\n"), shop_of("X-Order: placed\r\n"));
    let andon = orders(stable.address, canary.address);
    let load = Load::start(andon.address);
    wait::until("both answer", || (stable.requests() > 300 && canary.requests() > 300).then_some(()));
    wait::while_holds(Duration::from_secs(3), "the cord is not pulled", || andon.shop()["cord"].is_null());
    load.stop();
}

/// A canary that takes connections and never says a word, and time enough for it to do so.
const HANGS: &str = "[route.guard]\nrescue = false\nverdict_timeout = \"200ms\"\n";

fn patient(stable: SocketAddr, canary: SocketAddr, weight: &str) -> String {
    split(stable, canary, weight, HANGS).replace("endpoints", "response_timeout = \"5m\"\nendpoints")
}

#[test]
fn a_canary_that_hangs_is_backed_off_before_anything_has_ended() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon = Andon::start(&patient(stable.address, canary.address, "50%"));
    let mut clients = Vec::new();
    wait::until("the cord is pulled", || {
        let mut client = andon.connect();
        client.send(get("/"));
        clients.push(client);
        (!andon.shop()["cord"].is_null()).then_some(())
    });
    let canary = ("variant", "canary");
    assert_eq!(andon.metric("andon_outcomes_total", &[canary]), 0.0);
    assert!(andon.metric("andon_requests_in_flight", &[canary]) >= 5.0);
    let cord = andon.shop()["cord"].clone();
    assert!(cord["why"].to_string().contains("fail"), "{cord}");
}

#[test]
fn a_late_answer_is_passed_on_and_a_late_client_is_not_held_against_the_upstream() {
    let (stable, canary) = (Manual::start(), Manual::start());
    let andon = Andon::start(&patient(stable.address, canary.address, "100%"));
    let mut client = andon.connect();
    client.send("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nab");
    let mut peer = canary.accept();
    peer.head();
    wait::while_holds(Duration::from_millis(2_500), "the canary is not judged by it", || {
        verdict(&andon).to_string().contains("no canary requests yet")
    });
    client.send("cd");
    assert_eq!(peer.read_until("abcd"), "abcd");
    wait::until("the canary is late", || {
        verdict(&andon).to_string().contains("nothing to compare with").then_some(())
    });
    peer.send(OK);
    assert_eq!(client.response().status(), 200);
    andon.wait_for_outcome("success", 1.0);
}

/// Fails whoever is called so, and says who it is all the same.
fn fails_poison(name: &'static str) -> Server {
    Server::start(move |request| {
        let poison = request.field("x-user").is_some_and(|user| user.starts_with("poison"));
        reply(if poison { 500 } else { 200 }, name)
    })
}

fn ask_as(wire: &mut Wire, user: &str) -> Message {
    wire.send(get_with("/", &format!("X-User: {user}\r\n")));
    wire.response()
}

const STICKY: &str = "[route.sticky]\nheader = \"x-user\"\n[route.guard]\nrescue = false\n";

#[test]
fn one_user_who_always_fails_is_no_evidence_against_the_canary_that_has_them() {
    let (stable, canary) = (fails_poison("stable"), fails_poison("canary"));
    let andon = Andon::start(&split(stable.address, canary.address, "50%", STICKY));
    let mut wire = andon.connect();
    let mut poisons = (0..20).map(|number| format!("poison-{number}"));
    let poison =
        poisons.find(|user| ask_as(&mut wire, user).text() == "canary").expect("half of them are there");
    let mut others = (0..).map(|number| format!("user-{number}"));
    wait::while_holds(Duration::from_secs(4), "the cord is not pulled", || {
        for _ in 0..3 {
            assert_eq!(ask_as(&mut wire, &poison).text(), "canary");
        }
        assert_eq!(ask_as(&mut wire, &others.next().expect("no end")).status(), 200);
        andon.shop()["cord"].is_null()
    });
    let failed = [("variant", "canary"), ("outcome", "server_error")];
    assert!(andon.metric("andon_outcomes_total", &failed) > 50.0);
}

#[test]
fn many_users_who_fail_are_evidence() {
    let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(500, "canary")));
    let andon = Andon::start(&split(stable.address, canary.address, "50%", STICKY));
    let mut wire = andon.connect();
    let mut users = (0..).map(|number| format!("user-{number}"));
    wait::until("the cord is pulled", || {
        ask_as(&mut wire, &users.next().expect("no end"));
        (!andon.shop()["cord"].is_null()).then_some(())
    });
}

/// Every tenth user fails, whichever variant has them.
fn fails_some(name: &'static str) -> Server {
    Server::start(move |request| {
        let fails = request.field("x-user").is_some_and(|user| user.ends_with('7'));
        reply(if fails { 500 } else { 200 }, name)
    })
}

/// By its requests stable would fail 1% and the canary 10%: the canary would be gone within two seconds of this.
#[test]
fn a_crawler_that_never_fails_does_not_make_the_other_variant_look_bad() {
    let (stable, canary) = (fails_some("stable"), fails_some("canary"));
    let andon = Andon::start(&split(stable.address, canary.address, "50%", STICKY));
    let mut wire = andon.connect();
    let crawlers = (0..20).map(|number| format!("crawler-{number}-of-many"));
    let crawler =
        { crawlers }.find(|user| ask_as(&mut wire, user).text() == "stable").expect("half of them are there");
    let mut others = (0..).map(|number| format!("user-{number}"));
    let failed = [("variant", "canary"), ("outcome", "server_error")];
    wait::until("the canary has failed often enough for a verdict", || {
        for _ in 0..5 {
            (0..20).for_each(|_| assert_eq!(ask_as(&mut wire, &crawler).text(), "stable"));
            (0..2).for_each(|_| drop(ask_as(&mut wire, &others.next().expect("no end"))));
        }
        (andon.metric("andon_outcomes_total", &failed) >= 40.0).then_some(())
    });
    assert!(andon.shop()["cord"].is_null(), "{}", andon.shop());
}
