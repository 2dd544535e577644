//! The reason for all of it: a bad canary is taken back within seconds, a good one and a blameless one are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::andon::split;
use crate::support::load::CLIENTS;
use crate::support::{Andon, Load, Server, get_with, reply, wait};

const OVERRIDE: &str = r#"overrides = [{ header = "x-canary" }]"#;

/// Stable and canary, and whether the canary fails.
struct Pair {
    stable: Server,
    canary: Server,
    fails: Arc<AtomicBool>,
}

impl Pair {
    fn start() -> Self {
        let fails = Arc::new(AtomicBool::new(true));
        let canary_fails = Arc::clone(&fails);
        let answer =
            move || if canary_fails.load(Ordering::SeqCst) { reply(500, "no") } else { reply(200, "canary") };
        Self { stable: Server::named("stable"), canary: Server::start(move |_| answer()), fails }
    }

    fn andon(&self, weight: &str, more: &str) -> Andon {
        Andon::start(&split(self.stable.address, self.canary.address, weight, more))
    }
}

#[track_caller]
fn wait_for_cord(andon: &Andon) -> Value {
    wait::until("the cord is pulled", || Some(andon.shop()).filter(|shop| !shop["cord"].is_null()))
}

#[track_caller]
fn decision(andon: &Andon, action: &str) -> Value {
    let found = wait::until(&format!("a decision {action}"), || {
        let record = andon.ask("GET", "/api/v1/decisions?route=shop", "").ok();
        record["decisions"].as_array()?.iter().find(|decision| decision["action"] == action).cloned()
    });
    assert_eq!(found["by"], "immune system", "{found}");
    let evidence = &found["evidence"];
    assert!(evidence["canary"]["requests"].as_u64() > Some(0), "{evidence}");
    assert!(evidence["canary"]["failed"].as_u64() > Some(0), "{evidence}");
    assert_eq!(evidence["stable"]["failed"], 0, "{evidence}");
    assert!(evidence["limit"].is_object() && !evidence["sentence"].is_null(), "{evidence}");
    found
}

#[test]
fn a_failing_canary_is_backed_off_and_gets_nothing_more() {
    let pair = Pair::start();
    let andon = pair.andon("20%", OVERRIDE);
    let load = Load::start(andon.address);
    let shop = wait_for_cord(&andon);
    let canary = &shop["canaries"][0];
    assert_eq!(
        (&canary["effective_ppm"], &canary["ceiling_ppm"]),
        (&Value::from(0), &Value::from(0)),
        "{shop}"
    );
    assert_eq!(canary["aim"], "20%", "{shop}");
    assert_eq!(shop["stable"]["effective"], "100%", "{shop}");
    let decided = decision(&andon, "back_off");
    assert_eq!(
        (&decided["before"], &decided["after"]),
        (&Value::from("20%"), &Value::from("0%")),
        "{decided}"
    );
    assert_eq!(shop["cord"]["decision"], decided["id"]);
    load.stop();

    let before = pair.canary.requests();
    for fields in ["", "X-Canary: please\r\n"] {
        for _ in 0..100 {
            assert_eq!(andon.exchange(get_with("/", fields)).text(), "stable");
        }
    }
    assert_eq!(pair.canary.requests(), before);
    assert_eq!(andon.metric("andon_cord_pulled", &[("route", "shop")]), 1.0);
    // One that was under way at the back-off is called back instead, perhaps before the canary has seen it.
    let answered = ["andon_rescues_total", "andon_recalls_total"];
    let answered: f64 = answered.iter().map(|name| andon.metric(name, &[("variant", "canary")])).sum();
    assert!((0.0..=CLIENTS as f64).contains(&(answered - before as f64)), "{answered} of {before}");
    assert_eq!(andon.metric("andon_harm_total", &[("variant", "canary")]), 0.0);
}

#[test]
fn nothing_rises_until_a_person_resets_the_cord_with_a_reason() {
    let pair = Pair::start();
    let andon = pair.andon("50%", "");
    let load = Load::start(andon.address);
    wait_for_cord(&andon);

    let refused = andon.set_weight("60%");
    assert_eq!(refused.status, 409, "{}", refused.json);
    assert_eq!(refused.message.field("content-type"), Some("application/problem+json"));
    assert!(refused.json.to_string().contains("immune system"), "{}", refused.json);
    andon.set_weight("30%").ok();
    assert_eq!(andon.ask("DELETE", "/api/v1/routes/shop/cord", "{}").status, 422);
    assert!(!andon.shop()["cord"].is_null());

    pair.fails.store(false, Ordering::SeqCst);
    let reset = r#"{"why": "the bad build is gone", "by": "ann"}"#;
    let shop = andon.ask("DELETE", "/api/v1/routes/shop/cord", reset).ok();
    assert!(shop["cord"].is_null(), "{shop}");
    assert_eq!(shop["canaries"][0]["effective"], "30%", "{shop}");
    let before = pair.canary.requests();
    wait::until("the canary gets requests again", || (pair.canary.requests() > before + 20).then_some(()));
    assert!(andon.shop()["cord"].is_null());
    load.stop();
}

#[test]
fn a_canary_that_refuses_connections_is_backed_off() {
    let stable = Server::named("stable");
    let andon = Andon::between(stable.address, crate::support::port::free(), "10%");
    let load = Load::start(andon.address);
    wait_for_cord(&andon);
    let decided = decision(&andon, "back_off");
    assert_eq!(decided["evidence"]["signal"], "fast_trip", "{decided}");
    let statuses = load.stop();
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&200], "{statuses:?}");
}

#[test]
fn a_canary_is_not_blamed_for_what_stable_does_alike() {
    let fails = || Server::start(|_| reply(500, "no"));
    let (stable, canary) = (fails(), fails());
    let andon = Andon::between(stable.address, canary.address, "50%");
    let load = Load::start(andon.address);
    wait::until("both answer", || (stable.requests() > 20 && canary.requests() > 20).then_some(()));
    wait::while_holds(Duration::from_secs(5), "the cord is not pulled", || andon.shop()["cord"].is_null());
    let statuses = load.stop();
    assert!(statuses[&500] > 500, "too little to judge by: {statuses:?}");
}

#[test]
fn a_good_canary_stays() {
    let pair = Pair::start();
    pair.fails.store(false, Ordering::SeqCst);
    let andon = pair.andon("50%", "");
    let load = Load::start(andon.address);
    wait::while_holds(Duration::from_secs(4), "the cord is not pulled", || andon.shop()["cord"].is_null());
    load.stop();
    assert_eq!(andon.shop()["canaries"][0]["effective"], "50%");
}

#[test]
fn without_traffic_nothing_is_decided() {
    let pair = Pair::start();
    let andon = pair.andon("50%", "");
    wait::while_holds(Duration::from_millis(2_500), "the verdict is open", || {
        let shop = andon.shop();
        shop["canaries"][0]["verdict"]["verdict"] == "undecided" && shop["cord"].is_null()
    });
}

#[test]
fn a_guard_that_only_watches_records_and_changes_nothing() {
    let pair = Pair::start();
    let andon = pair.andon("50%", "[route.guard]\non_unhealthy = \"watch\"");
    let load = Load::start(andon.address);
    let watched = decision(&andon, "watch");
    assert_eq!(
        (&watched["before"], &watched["after"]),
        (&Value::from("50%"), &Value::from("50%")),
        "{watched}"
    );
    let shop = andon.shop();
    assert!(shop["cord"].is_null() && shop["canaries"][0]["effective"] == "50%", "{shop}");
    let before = pair.canary.requests();
    wait::until("the canary is still used", || (pair.canary.requests() > before + 20).then_some(()));
    load.stop();
}
