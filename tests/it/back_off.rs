//! `on_unhealthy = "back-off"`: a canary that fails keeps a little of its weight, and climbs back when it is well.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::andon::split;
use crate::support::{Andon, Load, Server, Site, reply, wait};

const GUARD: &str = r#"
[route.guard]
on_unhealthy = "back-off"
back_off = { cut = "4x", cooldown = "10s", strikes = 2 }
"#;

struct Stage {
    _stable: Server,
    _canary: Server,
    fails: Arc<AtomicBool>,
    site: Site,
}

impl Stage {
    fn set() -> Self {
        let fails = Arc::new(AtomicBool::new(true));
        let (stable, failing) = (Server::named("stable"), Arc::clone(&fails));
        let canary = Server::start(move |_| match failing.load(Ordering::SeqCst) {
            true => reply(500, "no"),
            false => reply(200, "canary"),
        });
        let site = Site::new(&split(stable.address, canary.address, "20%", GUARD));
        Self { _stable: stable, _canary: canary, fails, site }
    }
}

#[track_caller]
fn wait_for_ceiling(andon: &Andon, ceiling: &str) -> Value {
    wait::until(&format!("a ceiling of {ceiling}"), || {
        Some(andon.shop()).filter(|shop| shop["canaries"][0]["ceiling"] == ceiling)
    })
}

#[track_caller]
fn newest_decision(andon: &Andon) -> Value {
    andon.ask("GET", "/api/v1/decisions?route=shop&limit=1", "").ok()["decisions"][0].clone()
}

#[test]
fn a_canary_is_cut_survives_a_kill_and_climbs_back() {
    let stage = Stage::set();
    let andon = stage.site.start();
    let load = Load::start(andon.address);
    let shop = wait_for_ceiling(&andon, "5%");
    stage.fails.store(false, Ordering::SeqCst);
    load.stop();
    assert_eq!(
        (&shop["cord"], &shop["canaries"][0]["effective"]),
        (&Value::Null, &Value::from("5%")),
        "{shop}"
    );
    let cut = wait::until("the cut is on record", || {
        Some(newest_decision(&andon)).filter(|decision| decision["action"] == "back_off")
    });
    let why = cut["why"].as_str().unwrap();
    assert!(why.ends_with("; ceiling 20% → 5%, strike 1 of 2"), "{why}");
    assert_eq!(cut["evidence"]["back_off"]["strike"], 1, "{cut}");
    andon.kill();

    let andon = stage.site.start();
    let shop = andon.shop();
    let canary = &shop["canaries"][0];
    assert_eq!(
        (&canary["ceiling"], &canary["back_off"]["strikes"]),
        (&Value::from("5%"), &Value::from(1)),
        "{shop}"
    );
    let status = Command::new(env!("CARGO_BIN_EXE_andon"))
        .args(["status", "shop", "--admin", &format!("http://{}", andon.admin)])
        .output()
        .unwrap();
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(text.contains("  canary: strike 1 of 2; "), "{text}");

    let load = Load::start(andon.address);
    let shop = wait_for_ceiling(&andon, "100%");
    load.stop();
    assert_eq!(shop["canaries"][0]["effective"], "20%", "{shop}");
    let raise = newest_decision(&andon);
    assert_eq!(
        (&raise["action"], &raise["by"]),
        (&Value::from("raise"), &Value::from("immune system")),
        "{raise}"
    );
    assert_eq!((&raise["before"], &raise["after"]), (&Value::from("5%"), &Value::from("20%")), "{raise}");
    let why = raise["why"].as_str().unwrap();
    assert!(why.starts_with("10 s without a finding after strike 1 of 2; the aim is reached"), "{why}");
    let labels = [("action", "raise"), ("by", "immune")];
    assert_eq!(andon.metric("andon_decisions_total", &labels), 1.0);
}

#[test]
fn a_canary_that_stays_bad_is_aborted_at_its_last_strike() {
    let stage = Stage::set();
    let andon = stage.site.start();
    let load = Load::start(andon.address);
    let shop = wait_for_ceiling(&andon, "0%");
    load.stop();
    assert!(shop["cord"]["why"].as_str().unwrap().ends_with("; strike 2 of 2"), "{shop}");
    assert_eq!(shop["canaries"][0]["back_off"], Value::Null, "{shop}");
    assert_eq!(andon.metric("andon_decisions_total", &[("action", "back_off"), ("by", "immune")]), 2.0);
}
