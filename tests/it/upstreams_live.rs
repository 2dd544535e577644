//! Endpoints that a deploy pipeline announces: they take effect at once, survive, and give way to a changed file.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::andon::split;
use crate::support::{Andon, Manual, Server, Site, get, reply};

struct Scene {
    site: Site,
    stable: Server,
    other: Server,
}

/// Everything goes to stable, which is to move from one server to another.
fn scene() -> Scene {
    let (stable, other) = (Server::named("old"), Server::named("new"));
    let site = Site::new(&split(stable.address, stable.address, "0%", ""));
    Scene { site, stable, other }
}

fn announce(andon: &Andon, endpoints: &[String]) -> Value {
    let body = json!({ "endpoints": endpoints, "why": "deploy 7", "by": "bot" });
    andon.ask("PUT", "/api/v1/upstreams/stable", &body.to_string()).ok()
}

#[track_caller]
fn served_by(andon: &Andon, name: &str) {
    for _ in 0..5 {
        assert_eq!(andon.exchange(get("/")).text(), name);
    }
}

fn upstream(andon: &Andon) -> Value {
    andon.ask("GET", "/api/v1/upstreams/stable", "").ok()
}

fn cli(andon: &Andon, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.args(arguments).stdin(Stdio::null()).env("USER", "ana");
    command.env("ANDON_ADMIN", format!("http://{}", andon.admin)).output().expect("the binary is built")
}

#[test]
fn announced_endpoints_serve_at_once_survive_a_kill_and_are_taken_back() {
    let Scene { site, stable, other } = scene();
    let andon = site.start();
    served_by(&andon, "old");
    let set = announce(&andon, &[other.address.to_string()]);
    assert_eq!((&set["source"], &set["set"][0]), (&json!("live"), &json!(other.address.to_string())));
    served_by(&andon, "new");
    let drift = andon.ask("GET", "/api/v1/drift", "").ok();
    let one = &drift["differences"][0];
    assert_eq!(
        (&one["kind"], &one["upstream"], &one["by"]),
        (&json!("endpoints"), &json!("stable"), &json!("bot"))
    );
    let newest = andon.ask("GET", "/api/v1/decisions?limit=1", "").ok()["decisions"][0].clone();
    assert_eq!((&newest["action"], &newest["id"]), (&json!("upstream"), &one["decision"]));
    assert_eq!(newest["evidence"]["upstream"], "stable");
    assert_eq!(newest["evidence"]["routes"], json!(["shop"]));
    assert_eq!(newest["evidence"]["before"], json!([stable.address.to_string()]));

    andon.kill();
    let andon = site.start();
    served_by(&andon, "new");
    // A file that says the same as before does not undo it, whatever else has changed in it.
    site.write(&split(stable.address, stable.address, "0%", "[route.sticky]\naddress = true"));
    andon.ask("POST", "/api/v1/config/reload", "").ok();
    served_by(&andon, "new");

    let back = andon.ask("DELETE", "/api/v1/upstreams/stable?why=done", "").ok();
    assert_eq!(back["source"], "file");
    served_by(&andon, "old");
    andon.kill();
    let andon = site.start();
    served_by(&andon, "old");
    let whole = andon.ask("GET", "/api/v1/decisions/verify", "").ok();
    assert_eq!(whole["whole"], true, "{whole}");
}

#[test]
fn a_file_that_says_other_endpoints_wins_and_that_is_on_record() {
    let Scene { site, stable, other } = scene();
    let andon = site.start();
    announce(&andon, &[other.address.to_string()]);
    let third = Server::named("third");
    site.write(&split(third.address, stable.address, "0%", ""));
    let report = andon.ask("POST", "/api/v1/config/reload", "").ok();
    assert!(report["notes"].to_string().contains("upstream \\\"stable\\\""), "{report}");
    served_by(&andon, "third");
    assert_eq!(upstream(&andon)["source"], "file");
    // The same while andon is away.
    announce(&andon, &[other.address.to_string()]);
    andon.kill();
    site.write(&split(stable.address, stable.address, "0%", ""));
    let andon = site.start();
    served_by(&andon, "old");
    andon.kill();
    let andon = site.start();
    let all = andon.ask("GET", "/api/v1/decisions?action=upstream", "").ok();
    let by: Vec<&Value> = all["decisions"].as_array().expect("a list").iter().map(|one| &one["by"]).collect();
    assert_eq!(by, ["file", "bot", "file", "bot"], "{all}");
}

#[test]
fn what_the_file_would_refuse_is_refused_in_its_words_and_changes_nothing() {
    let Scene { site, stable: _stable, .. } = scene();
    let andon = site.start();
    let ask = |path: &str, body: Value| andon.ask("PUT", path, &body.to_string());
    let wrong =
        |endpoints: Value| ask("/api/v1/upstreams/stable", json!({ "endpoints": endpoints, "why": "x" }));
    for (endpoints, says) in [
        (json!(["127.0.0.1:0"]), "nobody can be reached at port 0"),
        (json!(["localhost:80"]), "dns://name:port"),
        (json!(["127.0.0.1:1", "127.0.0.1:1"]), "a second time"),
        (json!(["dns://x"]), "no port"),
        (json!([]), "endpoints"),
        (json!(["\"]\nname = \"x"]), "endpoints"),
    ] {
        let refused = wrong(endpoints.clone());
        let drawn = refused.json["diagnostics"].as_str().unwrap_or_default();
        assert_eq!(refused.status, 422, "{endpoints}");
        assert!(drawn.contains(says), "{endpoints}: {}", refused.json);
    }
    for endpoints in [json!(null), json!("127.0.0.1:1"), json!([1])] {
        assert_eq!(wrong(endpoints.clone()).json["field"], "endpoints", "{endpoints}");
    }
    let good = json!({ "endpoints": ["127.0.0.1:1"], "why": "x" });
    let unknown = ask("/api/v1/upstreams/nowhere", good.clone());
    assert_eq!((unknown.status, &unknown.json["known"]), (404, &json!(["stable", "next"])));
    assert_eq!(ask("/api/v1/upstreams/stable", json!({ "endpoints": ["127.0.0.1:1"] })).json["field"], "why");
    served_by(&andon, "old");
}

#[test]
fn two_pipelines_do_not_undo_each_other_unseen() {
    let Scene { site, other, .. } = scene();
    let andon = site.start();
    let seen = upstream(&andon)["revision"].to_string();
    announce(&andon, &[other.address.to_string()]);
    let body = json!({ "endpoints": ["127.0.0.1:1"], "why": "x" }).to_string();
    let head = |revision: &str| {
        format!(
            "PUT /api/v1/upstreams/stable HTTP/1.1\r\nHost: {}\r\nIf-Match: \"{revision}\"\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            andon.admin,
            body.len()
        )
    };
    let ask = |revision: &str| {
        let mut wire = crate::support::Wire::connect(andon.admin);
        wire.send(head(revision));
        wire.response()
    };
    let refused = ask(&seen);
    assert_eq!(refused.status(), 412, "{}", refused.text());
    let current: Value = serde_json::from_str(refused.text()).expect("it is JSON");
    assert_eq!(current["current"]["set"][0], other.address.to_string());
    let now = refused.field("etag").expect("it has one").trim_matches('"').to_owned();
    assert_eq!(ask(&now).status(), 200);
}

#[test]
fn the_command_line_sets_lists_and_resets() {
    let Scene { site, stable, other } = scene();
    let andon = site.start();
    let text = |output: Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    };
    let both = format!("{},{}", stable.address, other.address);
    let set = text(cli(&andon, &["upstream", "set", "stable", &both, "--why", "twice as many"]));
    let told = format!("stable: {}, {}; the file says {}\n", stable.address, other.address, stable.address);
    assert_eq!(set, told);
    let listed = text(cli(&andon, &["upstream", "list"]));
    assert!(listed.contains("live, by ana: twice as many") && listed.lines().count() == 4, "{listed}");
    let decided = text(cli(&andon, &["decisions"]));
    assert!(decided.contains("upstream stable") && decided.contains("twice as many"), "{decided}");
    let reset = text(cli(&andon, &["upstream", "reset", "stable", "--why", "enough"]));
    assert_eq!(reset, format!("stable: {}, as the file says\n", stable.address));
    let wrong = cli(&andon, &["upstream", "set", "stable", "here", "--why", "x"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("127.0.0.1:9001"), "{wrong:?}");
}

#[test]
fn a_request_under_way_at_an_endpoint_that_leaves_is_answered_there() {
    let (old, other) = (Manual::start(), Server::named("new"));
    let andon = Andon::start(&split(old.address, old.address, "0%", ""));
    let mut wire = andon.connect();
    wire.send(get("/"));
    let mut behind = old.accept();
    behind.request();
    announce(&andon, &[other.address.to_string()]);
    served_by(&andon, "new");
    behind.send(reply(200, "old"));
    assert_eq!(wire.response().text(), "old");
}
