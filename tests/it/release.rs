//! Releases as a pipeline meets them: by the command line, through restarts, to the promotion or to the cord.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::andon::split;
use crate::support::{Andon, Load, Server, Site, get, reply, wait};

struct Stage {
    stable: Server,
    canary: Server,
    site: Site,
}

impl Stage {
    /// `steps`: of the plan `quick`.
    fn set(canary: Server, steps: &str) -> Self {
        let stable = Server::named("stable");
        let plan = format!("\n[[plan]]\nname = \"quick\"\nsteps = [{steps}]\n");
        let site = Site::new(&split(stable.address, canary.address, "0%", &plan));
        Self { stable, canary, site }
    }

    fn well(steps: &str) -> Self {
        Self::set(Server::named("canary"), steps)
    }
}

fn release(andon: &Andon, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.arg("release").args(arguments).env("USER", "ann");
    command.env("ANDON_ADMIN", format!("http://{}", andon.admin)).output().expect("the binary is built")
}

const START: [&str; 6] = ["start", "shop", "--plan", "quick", "--why", "v2 is ready"];

#[track_caller]
fn start(andon: &Andon) -> Value {
    let done = release(andon, &START);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    state_of(andon)
}

fn state_of(andon: &Andon) -> Value {
    andon.shop()["release"].clone()
}

#[track_caller]
fn wait_for(andon: &Andon, state: &str) -> Value {
    wait::until(&format!("the release is {state}"), || {
        Some(state_of(andon)).filter(|release| release["state"] == state)
    })
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

fn actions(andon: &Andon) -> Vec<String> {
    let all = andon.ask("GET", "/api/v1/decisions?route=shop", "").ok();
    let of_people = all["decisions"].as_array().unwrap().iter().filter(|one| one["by"] != "file");
    of_people.map(|one| one["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_pipeline_waits_for_the_promotion_and_the_new_version_serves_everybody() {
    let stage = Stage::well(r#"{ to = "5%", hold = "1s" }, { to = "100%", hold = "1s" }"#);
    let andon = stage.site.start();
    let load = Load::start(andon.address);
    let mut arguments = START.to_vec();
    arguments.extend(["--wait", "--timeout", "60s"]);
    let done = release(&andon, &arguments);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    for line in
        ["started; release by plan quick: step 1 of 2", "shop: release by plan quick: step 2 of 2, promoted"]
    {
        assert!(said(&done).contains(line), "{line:?} is not in\n{}", said(&done));
    }
    assert!(load.stop().keys().all(|status| *status == 200));
    let shop = andon.shop();
    assert_eq!((&shop["stable"]["upstream"], &shop["previous_stable"]), (&"next".into(), &"stable".into()));
    assert_eq!(andon.exchange(get("/")).text(), "canary");
    assert_eq!(actions(&andon), ["release_promote", "release_step", "release_step", "release_start"]);
    assert_eq!(andon.metric("andon_release_state", &[("state", "promoted")]), 1.0);

    // It outlives the process, though the file still says otherwise; and it is one move back.
    andon.kill();
    let andon = stage.site.start();
    assert_eq!(andon.exchange(get("/")).text(), "canary");
    let back = release(&andon, &["roll-back", "shop", "--why", "slow carts"]);
    assert_eq!((back.status.code(), said(&back).as_str()), (Some(0), "shop: stable is upstream stable\n"));
    assert_eq!(andon.exchange(get("/")).text(), "stable");
    let again = release(&andon, &["roll-back", "shop", "--why", "slow carts"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("nothing to roll back to"), "{}", said(&again));
    drop(stage.stable);
    drop(stage.canary);
}

#[test]
fn a_version_comes_with_its_endpoints_unless_users_are_on_them() {
    let stage = Stage::well(r#"{ to = "100%", hold = "1s" }"#);
    let (andon, fresh) = (stage.site.start(), Server::named("fresh"));
    let endpoint = fresh.address.to_string();
    let refused = |arguments: &[&str], because: &str| {
        let done = release(&andon, arguments);
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains(because), "{}", said(&done));
        let next = andon.ask("GET", "/api/v1/upstreams/next", "").ok();
        assert_eq!(next["set"][0], stage.canary.address.to_string(), "nothing has moved");
    };
    let with = |plan: &'static str, canary: &'static str| {
        ["start", "shop", "--plan", plan, "--canary", canary, "--why", "v2", "--endpoints", &endpoint]
            .map(str::to_owned)
    };
    let call = |arguments: [String; 10], because: &str| {
        refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), because);
    };
    call(with("none", "next"), "plan \"none\" does not exist");
    call(with("quick", "stable"), "serves users of route \"shop\"");
    let mut wrong = with("quick", "next");
    wrong[9] = "nowhere".to_owned();
    call(wrong, "nowhere");

    let load = Load::start(andon.address);
    let mut arguments = START.to_vec();
    arguments.extend(["--endpoints", &endpoint, "--wait", "--timeout", "60s"]);
    let done = release(&andon, &arguments);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(load.stop().keys().all(|status| *status == 200));
    assert_eq!(andon.exchange(get("/")).text(), "fresh");
}

#[test]
fn the_start_of_a_release_says_what_its_plan_would_not_see() {
    let stage = Stage::well(r#"{ to = "0.1%", hold = "1h" }, { to = "100%" }"#);
    let andon = stage.site.start();
    let start = r#"{"plan":"quick","why":"v2 is ready","by":"ann"}"#;
    let started = andon.ask("POST", "/api/v1/routes/shop/releases", start);
    assert_eq!(started.status, 201);
    let warnings = started.json["warnings"].as_array().expect("they are a list");
    assert_eq!(warnings.len(), 1, "there is no traffic at all: {warnings:?}");
    assert_eq!(state_of(&andon)["warnings"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_bad_canary_ends_the_pipeline_and_the_next_one_waits_for_a_person() {
    let stage = Stage::set(Server::start(|_| reply(500, "no")), r#"{ to = "50%", hold = "1h" }"#);
    let andon = stage.site.start();
    let load = Load::start(andon.address);
    let mut arguments = START.to_vec();
    arguments.extend(["--wait", "--timeout", "60s"]);
    let done = release(&andon, &arguments);
    load.stop();
    assert_eq!(done.status.code(), Some(3), "{}", said(&done));
    assert!(said(&done).contains("backed off, by immune system: "), "{}", said(&done));
    let blocked = release(&andon, &START);
    assert_eq!(blocked.status.code(), Some(1));
    assert!(said(&blocked).contains("andon cord reset shop --why TEXT"), "{}", said(&blocked));
    andon.ask("DELETE", "/api/v1/routes/shop/cord", r#"{"why":"fixed","by":"ann"}"#).ok();
    assert_eq!(andon.shop()["canaries"][0]["effective"], "0%", "it does not come back by itself");
    start(&andon);
    assert_eq!(wait_for(&andon, "holding")["step"], 1);
}

#[test]
fn a_kill_in_any_state_of_a_release_loses_nothing() {
    for (steps, state) in [
        (r#"{ to = "20%", ramp = "10h" }"#, "raising"),
        (r#"{ to = "5%", hold = "10h" }"#, "holding"),
        (r#"{ to = "5%", until = "proof" }"#, "proving"),
        (r#"{ to = "5%", approve = true }"#, "approving"),
        (r#"{ to = "5%" }"#, "ready"),
        (r#"{ to = "5%", hold = "10h" }"#, "held"),
        (r#"{ to = "5%", hold = "10h" }"#, "aborted"),
    ] {
        let stage = Stage::well(steps);
        let andon = stage.site.start();
        start(&andon);
        let verb = match state {
            "held" => "hold",
            "aborted" => "abort",
            _ => "",
        };
        if !verb.is_empty() {
            wait_for(&andon, "holding");
            let done = release(&andon, &[verb, "shop", "--why", "lunch"]);
            assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        }
        let before = wait_for(&andon, state);
        wait::until("all is stored", || (andon.shop()["unsaved"] == false).then_some(()));
        let weight = andon.shop()["canaries"][0]["aim"].clone();
        andon.kill();
        let andon = stage.site.start();
        let after = state_of(&andon);
        for key in ["id", "state", "phase", "step", "since_ms", "held", "ended", "by", "why"] {
            assert_eq!(after[key], before[key], "{state}: {key}");
        }
        assert_eq!(andon.shop()["canaries"][0]["aim"], weight, "{state}");
    }
}

#[test]
fn a_gate_opens_at_a_persons_word_and_a_promotion_skips_what_is_left() {
    let stage = Stage::well(r#"{ to = "5%", approve = true }, { to = "50%", hold = "10h" }"#);
    let andon = stage.site.start();
    start(&andon);
    wait_for(&andon, "approving");
    assert_eq!(release(&andon, &["approve", "shop", "--why", "looks well"]).status.code(), Some(0));
    wait_for(&andon, "holding");
    let early = release(&andon, &["approve", "shop", "--why", "looks well"]);
    assert!(said(&early).contains("waits for no approval"), "{}", said(&early));
    assert_eq!(release(&andon, &["promote", "shop", "--why", "enough"]).status.code(), Some(0));
    wait_for(&andon, "promoted");
    assert_eq!(andon.exchange(get("/")).text(), "canary");
    let shown = said(&release(&andon, &["show", "shop"]));
    assert!(shown.contains("started ") && shown.contains("by ann: v2 is ready"), "{shown}");
}

#[test]
fn a_weight_set_by_hand_holds_the_release_and_says_so() {
    let stage = Stage::well(r#"{ to = "5%", hold = "10h" }, { to = "50%", hold = "10h" }"#);
    let andon = stage.site.start();
    start(&andon);
    wait_for(&andon, "holding");
    andon.set_weight("7%").ok();
    let held = wait_for(&andon, "held");
    assert!(held["waits_for"].as_str().unwrap().contains("the weight was set to 7% by "), "{held}");
    let second = release(&andon, &START);
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("there is one at a time"), "{}", said(&second));
    let admin = format!("http://{}", andon.admin);
    let mut status = Command::new(env!("CARGO_BIN_EXE_andon"));
    let status = status.args(["status", "--admin", &admin]).output().expect("the binary is built");
    assert!(said(&status).contains("  release by plan quick: step 1 of 2, held by "), "{}", said(&status));
    assert_eq!(release(&andon, &["resume", "shop", "--why", "go on"]).status.code(), Some(0));
    wait_for(&andon, "holding");
}

#[test]
fn two_who_decide_on_the_same_state_do_not_both_get_their_way() {
    let stage = Stage::well(r#"{ to = "5%", hold = "10h" }"#);
    let andon = stage.site.start();
    start(&andon);
    wait_for(&andon, "holding");
    let etag = format!("\"{}\"", andon.shop()["revision"]);
    let body = r#"{"why":"lunch"}"#;
    let ask = |verb: &str| {
        let path = format!("/api/v1/routes/shop/releases/current/{verb}");
        crate::support::admin::ask_with(andon.admin, "POST", &path, &format!("If-Match: {etag}\r\n"), body)
    };
    assert_eq!(ask("hold").status, 200);
    let late = ask("abort");
    assert_eq!((late.status, &late.json["current"]["release"]["state"]), (412, &Value::from("held")));
}

#[test]
fn who_waits_is_told_when_it_takes_too_long_or_nobody_is_there() {
    let stage = Stage::well(r#"{ to = "5%", hold = "10h" }"#);
    let andon = stage.site.start();
    start(&andon);
    let late = release(&andon, &["wait", "shop", "--timeout", "1s"]);
    assert_eq!(late.status.code(), Some(4), "{}", said(&late));
    assert!(said(&late).contains("has not ended in time; it goes on"), "{}", said(&late));
    let aborted = release(&andon, &["abort", "shop", "--why", "no"]);
    assert_eq!(aborted.status.code(), Some(0));
    assert_eq!(release(&andon, &["wait", "shop"]).status.code(), Some(3));
    let unknown = release(&andon, &["start", "shop", "--plan", "quik", "--why", "x"]);
    assert!(
        said(&unknown).contains("plan \"quik\" does not exist; there is \"quick\""),
        "{}",
        said(&unknown)
    );
    let admin = andon.admin;
    andon.kill();
    let gone = Command::new(env!("CARGO_BIN_EXE_andon"))
        .args(["release", "wait", "shop", "--admin", &format!("http://{admin}")])
        .output()
        .expect("the binary is built");
    assert_eq!(gone.status.code(), Some(5), "{}", said(&gone));
}

#[test]
fn a_freeze_lets_nothing_rise_and_says_until_when() {
    let stage = Stage::well(r#"{ to = "5%", hold = "10h" }"#);
    let frozen =
        "\n[[freeze]]\nname = \"holidays\"\nfrom = \"2020-01-01T00:00:00Z\"\nto = \"2999-01-01T00:00:00Z\"\n";
    let plan = "\n[[plan]]\nname = \"quick\"\nsteps = [{ to = \"5%\", hold = \"10h\" }]\n";
    let body = split(stage.stable.address, stage.canary.address, "0%", &format!("{plan}{frozen}"));
    let andon = Andon::start(&body);
    let release = start(&andon);
    assert_eq!(release["waits_for"], "rises after this: freeze \"holidays\" until 2999-01-01T00:00:00Z");
    assert_eq!(release["state"], "raising");
}
