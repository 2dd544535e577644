//! A canary that is well fails on purpose: the back-off is real, and no user meets a failure.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::andon::split;
use crate::support::{Andon, Load, Server, get_with, post, wait};

struct Pair {
    stable: Server,
    canary: Server,
}

impl Pair {
    fn start() -> Self {
        Self { stable: Server::named("stable"), canary: Server::named("canary") }
    }

    fn andon(&self, weight: &str, more: &str) -> Andon {
        Andon::start(&split(self.stable.address, self.canary.address, weight, more))
    }
}

fn drill(andon: &Andon, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.args(["drill", "shop", "--why", "quarterly", "--by", "dora"]).args(arguments);
    command.env("ANDON_ADMIN", format!("http://{}", andon.admin)).output().expect("the binary is built")
}

fn start(andon: &Andon, share: &str) -> Value {
    let body = format!(r#"{{"share":"{share}","for":"5m","why":"quarterly","by":"dora"}}"#);
    andon.ask("POST", "/api/v1/routes/shop/drill", &body).ok()["drill"].clone()
}

fn decisions(andon: &Andon) -> Vec<Value> {
    let all = andon.ask("GET", "/api/v1/decisions?route=shop", "").ok();
    let of_people = |one: &&Value| one["by"] != "file";
    all["decisions"].as_array().unwrap().iter().filter(of_people).cloned().collect()
}

#[test]
fn a_drill_shows_a_real_back_off_harms_nobody_and_resets_the_cord() {
    let pair = Pair::start();
    // Endpoints are not to be blamed: one that was left out would get less, for nothing that it did.
    let (canary, other) = (pair.canary.address, Server::named("canary"));
    let two = format!("endpoints = [\"{canary}\", \"{}\"]\nejection = {{ failures = 2 }}", other.address);
    let body = split(pair.stable.address, canary, "30%", "");
    let andon = Andon::start(&body.replace(&format!("endpoints = [\"{canary}\"]"), &two));
    let load = Load::start(andon.address);
    let done = drill(&andon, &["--share", "50%", "--for", "60s"]);
    let (text, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{text}{errors}");
    for line in ["drill for at most 60s: 50% of its", "backed off", "cord reset; canary gets 30%"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let statuses = load.stop();
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&200], "nobody met a failure: {statuses:?}");
    let canary = ("variant", "canary");
    let injected = andon.metric("andon_outcomes_total", &[canary, ("outcome", "drill")]);
    assert!(injected >= 1.0);
    // With those that were under way when it ended.
    let shop = wait::until("all that was injected is told", || {
        Some(andon.shop()).filter(|shop| shop["drill"]["injected"].as_f64() == Some(injected))
    });
    assert_eq!(shop["drill"]["ended"], "back_off", "{shop}");
    assert!(shop["drill"]["back_off_seconds"].as_f64() > Some(0.0), "{shop}");
    assert_eq!(andon.metric("andon_rescues_total", &[canary]), injected);
    assert_eq!(andon.metric("andon_harm_total", &[canary]), 0.0);
    assert_eq!(andon.metric("andon_endpoint_ejections_total", &[]), 0.0);

    let made: Vec<_> =
        decisions(&andon).iter().map(|one| (one["action"].clone(), one["by"].clone())).collect();
    let expected = [("cord_reset", "dora"), ("back_off", "immune system"), ("drill", "dora")];
    assert_eq!(made, expected.map(|(action, by)| (Value::from(action), Value::from(by))));
    let (reset, back_off) = (&decisions(&andon)[0], &decisions(&andon)[1]);
    assert_eq!(reset["why"], "drill: quarterly");
    assert!(back_off["why"].as_str().unwrap().starts_with("drill by dora: "), "{back_off}");
    assert_eq!(back_off["evidence"]["drill"]["by"], "dora");
}

#[test]
fn a_drill_that_brings_no_back_off_says_so_and_leaves_everything_as_it_was() {
    let pair = Pair::start();
    let andon = pair.andon("50%", "");
    let done = drill(&andon, &["--for", "1s"]);
    assert_eq!(done.status.code(), Some(4), "there was no traffic");
    assert!(String::from_utf8_lossy(&done.stdout).contains("NOT backed off within 1s"));
    let shop = andon.shop();
    assert!(shop["cord"].is_null() && shop["drill"]["ended"] == "time", "{shop}");
}

#[test]
fn only_what_stable_may_answer_in_its_place_is_made_to_fail() {
    let pair = Pair::start();
    let andon = pair.andon("100%", r#"overrides = [{ header = "x-canary" }]"#);
    assert_eq!(start(&andon, "100%")["ended"], Value::Null);
    assert_eq!(andon.exchange(get_with("/", "")).text(), "stable");
    assert_eq!(andon.exchange(post("an order")).text(), "canary", "it may not be sent twice");
    assert_eq!(andon.exchange(get_with("/", "X-Canary: yes\r\n")).text(), "canary", "somebody asked for it");
    andon.wait_for_outcome("drill", 1.0);
    let ended = andon.ask("DELETE", "/api/v1/routes/shop/drill", "").ok();
    assert_eq!(
        (&ended["drill"]["ended"], &ended["drill"]["by"]),
        (&"stopped".into(), &"dora".into()),
        "{ended}"
    );
    assert_eq!(andon.exchange(get_with("/", "")).text(), "canary");
}

#[test]
fn a_drill_is_refused_where_it_could_do_harm_or_show_nothing() {
    let pair = Pair::start();
    let andon = pair.andon("50%", "[route.guard]\nrescue = false");
    let ask = |body: &str| andon.ask("POST", "/api/v1/routes/shop/drill", body);
    let refused = ask(r#"{"share":"10%","for":"30s","why":"quarterly"}"#);
    assert_eq!((refused.status, &refused.json["type"]), (409, &"urn:andon:problem:no-drill".into()));
    for (body, field) in [
        (r#"{"share":"0%","for":"30s","why":"x"}"#, "share"),
        (r#"{"share":"10%","for":"6m","why":"x"}"#, "for"),
        (r#"{"share":"10%","why":"x"}"#, "for"),
        (r#"{"share":"10%","for":"30s"}"#, "why"),
    ] {
        let refused = ask(body);
        assert_eq!(
            (refused.status, &refused.json["field"]),
            (422, &field.into()),
            "{body}: {}",
            refused.json
        );
    }
    let unknown = andon.ask("POST", "/api/v1/routes/none/drill", r#"{"share":"10%","for":"30s","why":"x"}"#);
    assert_eq!(unknown.status, 404);
    assert!(decisions(&andon).is_empty());
}
