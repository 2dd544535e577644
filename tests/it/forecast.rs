//! What is told before a release: how soon a bad canary would be seen, from numbers, and of a running andon.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::fake_admin::FakeAdmin;
use crate::support::{Andon, Load, Server, admin, wait};

fn andon(arguments: &[&str], url: Option<String>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.args(arguments).stdin(Stdio::null()).env_remove("ANDON_ADMIN").env("USER", "ana");
    if let Some(url) = url {
        command.env("ANDON_ADMIN", url);
    }
    command.output().unwrap()
}

/// What it said to stdout and to stderr.
#[track_caller]
fn check(arguments: &[&str], url: Option<String>, exit: i32) -> (String, String) {
    let output = andon(arguments, url);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let said = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{said:?}");
    said
}

/// Beside the scripted controller.
#[track_caller]
fn scripted(arguments: &[&str], exit: i32) -> (String, String) {
    let admin = FakeAdmin::start();
    check(arguments, Some(format!("http://{}", admin.address)), exit)
}

const NUMBERS: [&str; 9] =
    ["forecast", "--rps", "1000", "--weight", "5%", "--base", "0.1%", "--within", "5m"];

#[test]
fn numbers_are_worked_out_without_a_running_andon() {
    let (text, stderr) = check(&[&NUMBERS[..], &["--worse", "5%"]].concat(), None, 0);
    assert!(stderr.is_empty(), "{stderr}");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "at 5% of 1000 req/s (50/s to the canary), stable failing 0.1%:");
    assert!(lines[1].starts_with("  a canary that fails 5%    is taken back after "), "{text}");
    assert!(lines[1].contains(" failed requests ("), "{text}");
    assert!(lines[2].starts_with("  smallest failure rate seen within 5m (9 of 10 times): 0."), "{text}");
    assert!(lines[3].starts_with("  to see 5% within 5m: ") && lines[3].ends_with(" would do"), "{text}");
    assert!(lines[4].contains("played releases"), "{text}");
}

#[test]
fn the_same_numbers_give_the_same_json_each_time() {
    let json = [&NUMBERS[..], &["--worse", "5%", "-o", "json"]].concat();
    let (once, again) = (check(&json, None, 0).0, check(&json, None, 0).0);
    assert_eq!(once, again);
    let told: Value = serde_json::from_str(&once).unwrap();
    let harm = &told["harms"][0];
    let delay = harm["delay_seconds"]["median"].as_f64().unwrap();
    assert!((2.0..=5.0).contains(&delay), "{told}");
    assert!((6.0..=14.0).contains(&harm["failed_requests"]["median"].as_f64().unwrap()), "{told}");
    assert_eq!((&harm["runs"], &harm["seen_ratio"]), (&Value::from(200), &Value::from(1.0)), "{told}");
    assert!(told["route"].is_null() && told["undecided"].is_null() && told["blind_spot"].is_null(), "{told}");
    assert_eq!(told["weight_needed"]["worse_ratio"], 0.05, "{told}");
}

#[test]
fn no_traffic_is_undecided_and_no_failure() {
    let numbers = ["forecast", "--rps", "0", "--weight", "5%", "--base", "0.1%"];
    let (text, _) = check(&numbers, None, 0);
    assert!(text.contains("undecided: no traffic"), "{text}");
    let (text, _) = check(&["forecast", "--rps", "9", "--weight", "100%", "--base", "0%"], None, 0);
    assert!(text.contains("undecided: stable gets no requests"), "{text}");
}

#[test]
fn what_cannot_be_is_wrong_usage() {
    let with =
        |changed: [&str; 2]| [&NUMBERS[..], &changed].concat().iter().map(ToString::to_string).collect();
    let cases: [(Vec<String>, &str); 8] = [
        (with(["--worse", "150%"]), "above 0% and up to 100%"),
        (with(["--worse", "0%"]), "above 0% and up to 100%"),
        (with(["--canary", "b"]), "cannot be used"),
        (["forecast"].map(str::to_owned).into(), "<ROUTE|--rps"),
        (["forecast", "--rps", "9", "--weight", "5%"].map(str::to_owned).into(), "--base"),
        (["forecast", "shop", "--base", "5%"].map(str::to_owned).into(), "cannot be used"),
        (["forecast", "shop", "--weight", "0%"].map(str::to_owned).into(), "nothing is sent to the canary"),
        (["forecast", "shop", "--within", "2d"].map(str::to_owned).into(), "from 10s to 24h"),
    ];
    for (arguments, message) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (out, err) = check(&arguments, None, 2);
        assert!(out.is_empty() && err.contains(message), "{arguments:?}: {err}");
    }
}

#[test]
fn a_route_is_shown_as_the_api_tells_it() {
    let (text, _) = scripted(&["forecast", "shop"], 0);
    assert_eq!(
        text,
        "shop canary: at 5% of 2.5 req/s (0.125/s to the canary), stable failing 0.1%:\n  \
         a canary that fails 5%    is taken back after 3 min (2.98 or more) and 10 failed requests (9 or more)\n  \
         smallest failure rate seen within 1h (9 of 10 times): none\n  \
         to see 5% within 1h: no share of the traffic would do\n  \
         (from 200 played releases a line, the last two from 40 a step)\n"
    );
    assert!(scripted(&["forecast", "held"], 0).0.contains("5%    is noticed after"));
    assert!(scripted(&["forecast", "shop", "--weight", "7%"], 0).0.contains("undecided: no traffic"));
    assert!(scripted(&["forecast", "nope"], 1).1.contains("No such route"));
    assert!(scripted(&["forecast", "shop", "--weight", "8%"], 1).1.contains("ask again in a moment"));
    assert!(scripted(&["forecast", "shop", "-o", "json"], 0).0.starts_with("{\"route\":\"shop\","));
}

#[test]
fn too_many_at_once_are_told_when_to_come_again() {
    let fake = FakeAdmin::start();
    let reply = admin::ask(fake.address, "GET", "/api/v1/routes/shop/forecast?weight=8%25", "");
    assert_eq!(reply.status, 503, "{}", reply.json);
    assert_eq!(reply.message.field("retry-after"), Some("1"));
    assert_eq!(reply.json["type"], "urn:andon:problem:busy");
}

#[test]
fn a_raise_that_stays_blind_is_noted_and_done_all_the_same() {
    let raise = |to: &str| scripted(&["weight", "shop", to, "--why", "x"], 0);
    let (out, note) = raise("6%");
    assert!(out.starts_with("shop canary: aim 5% → 6%"), "{out}");
    let blind = "note: at 6% of 2.5 req/s a canary that fails 5% would not be seen within 1h; 20% would do\n";
    assert_eq!(note, blind);
    assert!(raise("7%").1.starts_with("note: no traffic"));
    for to in ["8%", "10%", "5%", "1%"] {
        assert_eq!(raise(to).1, "", "{to}");
    }
}

/// What a running andon tells, with real traffic: about 1000 requests a second at most.
#[test]
fn a_running_andon_tells_it_from_its_traffic() {
    let (stable, canary) = (Server::named("stable"), Server::named("canary"));
    let andon = Andon::between(stable.address, canary.address, "50%");
    let path = "/api/v1/routes/shop/forecast?worse=100%25&within=10s";
    assert!(andon.ask("GET", path, "").ok()["undecided"].as_str().unwrap().starts_with("no traffic"));
    let load = Load::start(andon.address);
    let told = wait::until("there is traffic", || {
        let told = andon.ask("GET", path, "").ok();
        (told["requests_per_second"].as_f64()? > 20.0).then_some(told)
    });
    assert_eq!((&told["canary"], &told["weight"]), (&Value::from("canary"), &Value::from("50%")), "{told}");
    assert_eq!(told["base_ratio"], 0.0, "{told}");
    assert!(told["harms"][0]["seen_ratio"].as_f64().unwrap() > 0.9, "{told}");
    let url = Some(format!("http://{}", andon.admin));
    let (text, _) =
        check(&["forecast", "shop", "--weight", "10%", "--worse", "100%", "--within", "10s"], url, 0);
    assert!(text.starts_with("shop canary: at 10% of "), "{text}");
    assert!(text.contains("a canary that fails 100%  is taken back after "), "{text}");
    load.stop();
}

#[test]
fn questions_that_cannot_be_are_refused_by_name() {
    let fake = FakeAdmin::start();
    for (query, field) in [
        ("worse=150%25", "worse"),
        ("worse=x", "worse"),
        ("weight=5", "weight"),
        ("within=1d", "within"),
        ("only=x", "only"),
        ("nope=1", "a query parameter"),
    ] {
        let reply = admin::ask(fake.address, "GET", &format!("/api/v1/routes/shop/forecast?{query}"), "");
        assert_eq!(
            (reply.status, &reply.json["field"]),
            (422, &Value::from(field)),
            "{query}: {}",
            reply.json
        );
    }
}
