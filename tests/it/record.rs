//! The record from outside: a decision is explained and replayed, other numbers are tried on it, and it outlives the process.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::andon::{Site, split};
use crate::support::{Andon, Load, Server, reply, wait};

/// Looks at every call, so that a decision comes early.
const GUARD: &str = "[route.guard]\nwarm_up = \"0s\"\nrescue = false\nself_test = false\n";

/// A canary that fails when told to, behind an andon of its own.
struct Scene {
    stable: Server,
    canary: Server,
    fails: Arc<AtomicBool>,
    site: Site,
}

impl Scene {
    fn new() -> Self {
        let fails = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&fails);
        let canary =
            Server::start(
                move |_| {
                    if told.load(Ordering::SeqCst) { reply(500, "no") } else { reply(200, "canary") }
                },
            );
        let stable = Server::named("stable");
        let site = Site::new(&split(stable.address, canary.address, "20%", GUARD));
        Self { stable, canary, fails, site }
    }
}

fn cli(andon: &Andon, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command
        .args(arguments)
        .env("ANDON_ADMIN", format!("http://{}", andon.admin))
        .output()
        .expect("it is built")
}

#[track_caller]
fn said(andon: &Andon, arguments: &[&str]) -> String {
    let output = cli(andon, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout).expect("it is text")
}

#[track_caller]
fn backed_off(andon: &Andon) -> String {
    wait::until("the canary is backed off", || {
        let record = andon.ask("GET", "/api/v1/decisions?route=shop", "").ok();
        let found = record["decisions"].as_array()?.iter().find(|one| one["action"] == "back_off")?;
        found["id"].as_str().map(str::to_owned)
    })
}

/// Ticks of the record, once it is stored.
#[track_caller]
fn evidence(andon: &Andon, id: &str) -> Value {
    wait::until("the evidence is stored", || {
        let found = andon.ask("GET", &format!("/api/v1/decisions/{id}/evidence"), "").ok();
        Some(found).filter(|found| found["ticks"].as_array().is_some_and(|ticks| !ticks.is_empty()))
    })
}

fn requests(andon: &Andon) -> u64 {
    andon.shop()["canaries"][0]["window"]["requests"].as_u64().unwrap_or(0)
}

#[test]
fn a_decision_is_explained_and_replayed_bit_for_bit_also_by_the_next_process() {
    let scene = Scene::new();
    let andon = scene.site.start();
    let load = Load::start(andon.address);
    wait::until("the canary is well for a moment", || (requests(&andon) > 50).then_some(()));
    scene.fails.store(true, Ordering::SeqCst);
    let id = backed_off(&andon);
    load.stop();
    let found = evidence(&andon, &id);
    assert_eq!(found["replayed"], true, "{found}");
    let ticks = found["ticks"].as_array().expect("there are ticks");
    let decided: Vec<_> = ticks.iter().filter(|tick| tick["decided"] == true).collect();
    assert_eq!(decided, [ticks.last().expect("there are ticks")], "{found}");
    let judge = &found["decision"]["evidence"]["judge"];
    assert_eq!((&judge["warm_up"], &judge["hold_at"]), (&Value::from("0s"), &Value::from(20.0)), "{judge}");

    let text = said(&andon, &["explain", &id]);
    for part in
        ["route \"shop\": canary was backed off", "20% → 0%", "the same verdict, bit for bit", "stable"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let file = scene.site.path("why.svg");
    let json = said(&andon, &["explain", &id, "-o", "json", "--svg", &file.display().to_string()]);
    assert_eq!(serde_json::from_str::<Value>(&json).ok(), Some(found));
    let drawn = std::fs::read_to_string(file).expect("it was drawn");
    assert!(
        drawn.starts_with("<svg ") && drawn.contains("decided") && drawn.contains("unhealthy from 1000:1")
    );

    let missing = cli(&andon, &["explain", "no-such-decision"]);
    assert_eq!(missing.status.code(), Some(1));
    andon.kill();
    let andon = scene.site.start();
    assert_eq!(evidence(&andon, &id)["replayed"], true);
}

#[test]
fn what_a_person_decided_is_explained_as_far_as_it_goes() {
    let scene = Scene::new();
    let andon = scene.site.start();
    andon.set_weight("5%").ok();
    let record = andon.ask("GET", "/api/v1/decisions?limit=1", "").ok();
    let id = record["decisions"][0]["id"].as_str().expect("it has one").to_owned();
    let text = said(&andon, &["explain", &id]);
    for part in ["canary got another weight", "a test", "by        ann", "20% → 5%"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("replayed"), "{text}");
    let svg = said(&andon, &["explain", &id, "-o", "svg"]);
    assert!(svg.contains("The record holds no ticks"), "{svg}");
}

#[test]
fn other_numbers_are_tried_on_what_was_recorded() {
    let scene = Scene::new();
    let andon = scene.site.start();
    let load = Load::start(andon.address);
    wait::until("the canary is well for a moment", || (requests(&andon) > 50).then_some(()));
    scene.fails.store(true, Ordering::SeqCst);
    evidence(&andon, &backed_off(&andon));
    load.stop();
    let file = scene.site.path("guard.toml");
    let ask = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).expect("the directory is ours");
        let name = file.display().to_string();
        cli(&andon, &[&["what-if", "--guard", &name], more].concat())
    };
    let report = |text: &str| -> Value {
        let output = ask(text, &["shop", "-o", "json"]);
        serde_json::from_slice(&output.stdout).expect("it is JSON")
    };
    let same = report("warm_up = \"0s\"");
    let release = &same["releases"][0];
    assert_eq!(same["releases"].as_array().map(Vec::len), Some(1), "{same}");
    assert_eq!(release["whole"], true, "{same}");
    assert_eq!(release["was"], release["would"], "the same numbers, the same verdict: {same}");
    assert_eq!(release["sooner_seconds"], 0.0, "{same}");
    assert!(release["was"]["until_then"]["failed"].as_u64() > Some(0), "{same}");

    let blind =
        "[guard]\nfast_trip = false\nceilings = []\nsignals = { errors = \"off\", latency = \"off\" }\n";
    let blind = report(blind);
    assert!(blind["releases"][0]["would"].is_null(), "{blind}");
    let table = String::from_utf8(ask("hold_at = 30", &[]).stdout).expect("it is text");
    assert!(table.contains("WOULD BE") && table.contains("shop"), "{table}");

    let wrong = ask("hold_att = 3", &[]);
    let stderr = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("hold_att") && stderr.contains("did you mean `hold_at`?"), "{stderr}");
}

#[test]
fn a_guard_goes_on_after_a_kill_and_anew_with_other_numbers() {
    let scene = Scene::new();
    let andon = scene.site.start();
    let load = Load::start(andon.address);
    wait::until("the canary is well for a moment", || (requests(&andon) > 50).then_some(()));
    // A reload stores what there is; nothing else would within a minute.
    let reload = |andon: &Andon, more: &str| {
        scene.site.write(&format!("[drain]\ntimeout = \"{more}\"\n{}", body(&scene)));
        andon.ask("POST", "/api/v1/config/reload", "").ok();
    };
    reload(&andon, "9s");
    wait::until("it is stored", || {
        let answer = andon.ask("POST", "/api/v1/what-if", r#"{"guard": ""}"#).ok();
        (answer["segments"].as_u64() >= Some(2)).then_some(())
    });
    load.stop();
    andon.kill();
    let andon = scene.site.start();
    let goes_on = "the guard goes on from the record";
    wait::until("it goes on", || andon.log().contains(goes_on).then_some(()));
    andon.kill();
    scene.site.write(&body(&scene).replace("warm_up = \"0s\"", "warm_up = \"1s\""));
    let andon = scene.site.start();
    assert!(!andon.log().contains(goes_on), "{}", andon.log());
}

fn body(scene: &Scene) -> String {
    split(scene.stable.address, scene.canary.address, "20%", GUARD)
}
