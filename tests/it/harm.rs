//! The harm budget: so many users see a canary fail, and not one more, however many ask at the same time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Barrier};

use serde_json::Value;

use crate::support::andon::split;
use crate::support::{Andon, Manual, OK, Server, Site, Wire, get, get_with, reply, wait};

const CLIENTS: usize = 64;
const REQUESTS_EACH: usize = 6;
const HARM_MAX: usize = 25;
const ROUNDS: usize = 8;

fn budget(stable: SocketAddr, canary: SocketAddr, weight: &str, guard: &str) -> String {
    let overrides = r#"overrides = [{ header = "x-canary" }]"#;
    split(stable, canary, weight, &format!("{overrides}\n[route.guard]\n{guard}"))
}

/// All clients at once; what each answer was: its body, or that it broke off.
fn storm(address: SocketAddr) -> HashMap<String, usize> {
    let start = Arc::new(Barrier::new(CLIENTS));
    let client = |number: usize| {
        let start = Arc::clone(&start);
        std::thread::spawn(move || {
            let mut answers = Vec::new();
            start.wait();
            for _ in 0..REQUESTS_EACH {
                let mut wire = Wire::connect(address);
                // Testers are users, too.
                let fields = if number.is_multiple_of(4) { "X-Canary: yes\r\n" } else { "" };
                wire.send(get_with("/", fields));
                let whole = wire.try_response().filter(|answer| answer.whole);
                answers.push(whole.map_or("broken off".to_owned(), |answer| answer.text().to_owned()));
            }
            answers
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let mut counts = HashMap::new();
    for client in clients {
        for answer in client.join().expect("every request is answered") {
            *counts.entry(answer).or_default() += 1;
        }
    }
    counts
}

/// Storms until the cord is pulled, resets it, and again. No round may harm more than the budget.
fn check_promise(canary: impl Fn() -> Vec<u8> + Send + Sync + 'static) {
    let (stable, canary) = (Server::named("stable"), Server::start(move |_| canary()));
    let guard = format!("harm_max = {HARM_MAX}\nrescue = false\nfast_trip = false\nceilings = []");
    let mut site = Site::new("");
    site.workers = 4;
    site.write(&budget(stable.address, canary.address, "90%", &guard));
    let andon = site.start();
    for round in 1..=ROUNDS {
        let answers = storm(andon.address);
        let served = answers.get("stable").copied().unwrap_or(0);
        let harmed = CLIENTS * REQUESTS_EACH - served;
        assert_eq!(harmed, HARM_MAX, "round {round}: {answers:?}");
        wait::until("the cord is pulled", || (!andon.shop()["cord"].is_null()).then_some(()));
        assert_eq!(andon.metric("andon_harm_budget_left", &[]), 0.0);
        assert_eq!(andon.metric("andon_harm_total", &[]), (round * HARM_MAX) as f64);
        let reset = r#"{"why": "the next round", "by": "ann"}"#;
        andon.ask("DELETE", "/api/v1/routes/shop/cord", reset).ok();
        assert_eq!(andon.metric("andon_harm_budget_left", &[]), HARM_MAX as f64);
    }
    let record = andon.ask("GET", "/api/v1/decisions?route=shop", "").ok();
    let decisions = record["decisions"].as_array().expect("a list");
    let spent = decisions.iter().find(|decision| decision["action"] == "back_off").expect("there is one");
    assert_eq!(spent["by"], "immune system");
    assert_eq!(spent["evidence"]["signal"], "harm_budget", "{spent}");
    assert_eq!(spent["evidence"]["limit"]["harm_max"], HARM_MAX, "{spent}");
    assert_eq!(spent["why"], "25 users saw this canary fail, and its harm budget is 25");
}

#[test]
fn a_canary_that_answers_500_harms_so_many_users_and_no_more() {
    check_promise(|| reply(500, "no"));
}

#[test]
fn a_canary_that_breaks_off_harms_so_many_users_and_no_more() {
    // Its head is good, and the second chunk is none.
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nno size\r\n";
    check_promise(move || answer.into());
}

#[test]
fn with_rescue_nobody_is_harmed_at_all() {
    let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(500, "no")));
    let mut site = Site::new("");
    site.workers = 4;
    site.write(&budget(stable.address, canary.address, "90%", "harm_max = 1"));
    let andon = site.start();
    for _ in 0..ROUNDS {
        assert_eq!(storm(andon.address), HashMap::from([("stable".to_owned(), CLIENTS * REQUESTS_EACH)]));
        andon.ask("DELETE", "/api/v1/routes/shop/cord", r#"{"why": "again", "by": "ann"}"#);
    }
    assert_eq!(andon.metric("andon_harm_total", &[]), 0.0);
    assert!(andon.metric("andon_rescues_total", &[]) > 0.0);
}

#[test]
fn a_permit_is_out_while_its_request_runs_and_comes_back_however_it_ends() {
    let (stable, canary) = (Server::named("stable"), Manual::start());
    let andon = Andon::start(&budget(stable.address, canary.address, "100%", "harm_max = 1"));
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = canary.accept();
    peer.request();
    assert_eq!(andon.exchange(get("/")).text(), "stable", "the one permit is out");
    assert_eq!(andon.metric("andon_harm_budget_left", &[]), 0.0);
    // A good answer gives it back, and so does a client that leaves.
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
    wait::until("the permit is back", || (andon.metric("andon_harm_budget_left", &[]) == 1.0).then_some(()));
    client.send(get("/"));
    peer.request();
    drop(client);
    wait::until("the permit is back", || (andon.metric("andon_harm_budget_left", &[]) == 1.0).then_some(()));
    assert_eq!(andon.shop()["cord"], Value::Null);
}

#[test]
fn a_guard_that_only_watches_protects_users_all_the_same() {
    let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(500, "no")));
    for told in ["on_unhealthy = \"watch\"", "signals = { harm = \"watch\", fast_trip = \"off\" }"] {
        check_watching(stable.address, canary.address, told);
    }
}

#[track_caller]
fn check_watching(stable: SocketAddr, canary: SocketAddr, told: &str) {
    let guard = format!("harm_max = 3\nrescue = false\n{told}");
    let andon = Andon::start(&budget(stable, canary, "100%", &guard));
    let statuses: Vec<u16> = (0..10).map(|_| andon.exchange(get("/")).status()).collect();
    assert_eq!(statuses, [500, 500, 500, 200, 200, 200, 200, 200, 200, 200]);
    let watched = wait::until("it is recorded", || {
        let record = andon.ask("GET", "/api/v1/decisions?route=shop", "").ok();
        record["decisions"].as_array()?.iter().find(|decision| decision["action"] == "watch").cloned()
    });
    assert_eq!(watched["evidence"]["signal"], "harm_budget", "{watched}");
    assert_eq!(andon.shop()["cord"], Value::Null);
}

#[test]
fn a_reload_keeps_what_was_used_up() {
    let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(500, "no")));
    let body = |harm_max: u32| {
        let guard = format!("harm_max = {harm_max}\nrescue = false\non_unhealthy = \"watch\"");
        budget(stable.address, canary.address, "100%", &guard)
    };
    let site = Site::new(&body(2));
    let andon = site.start();
    for status in [500, 500, 200] {
        assert_eq!(andon.exchange(get("/")).status(), status);
    }
    for (harm_max, statuses) in [(2, [200, 200]), (3, [500, 200]), (1, [200, 200])] {
        site.write(&body(harm_max));
        andon.ask("POST", "/api/v1/config/reload", "").ok();
        for status in statuses {
            assert_eq!(andon.exchange(get("/")).status(), status, "harm_max {harm_max}");
        }
    }
}
