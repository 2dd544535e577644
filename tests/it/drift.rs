//! File and live state, side by side: every difference is told, with who made it and how it goes away.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::andon::split;
use crate::support::{Andon, Server, Site};

fn site() -> (Site, [Server; 2]) {
    let servers = [Server::named("stable"), Server::named("canary")];
    (Site::new(&split(servers[0].address, servers[1].address, "10%", "")), servers)
}

fn drift(andon: &Andon) -> Vec<Value> {
    andon.ask("GET", "/api/v1/drift", "").ok()["differences"].as_array().expect("a list").clone()
}

fn kinds(andon: &Andon) -> Vec<String> {
    drift(andon).iter().map(|one| one["kind"].as_str().expect("it has one").to_owned()).collect()
}

fn cli(andon: &Andon, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.args(arguments).stdin(Stdio::null());
    command.env("ANDON_ADMIN", format!("http://{}", andon.admin)).output().expect("the binary is built")
}

#[test]
fn every_difference_is_told_and_goes_when_its_remedy_is_followed() {
    let (site, servers) = site();
    let andon = site.start();
    let said = cli(&andon, &["drift"]);
    assert_eq!((said.status.code(), &*said.stdout), (Some(0), &b"file and live state agree\n"[..]));
    assert!(!String::from_utf8_lossy(&cli(&andon, &["status"]).stdout).contains("drift"));

    andon.set_weight("25%").ok();
    let found = drift(&andon);
    let aim = &found[0];
    for (key, value) in [
        ("kind", "aim"),
        ("route", "shop"),
        ("canary", "canary"),
        ("file", "10%"),
        ("live", "25%"),
        ("by", "ann"),
        ("why", "a test"),
    ] {
        assert_eq!(aim[key], value, "{found:?}");
    }
    let newest = andon.ask("GET", "/api/v1/decisions?limit=1", "").ok();
    assert_eq!(aim["decision"], newest["decisions"][0]["id"]);
    assert!(aim["remedy"].as_str().is_some_and(|remedy| remedy.contains("weight = \"25%\"")), "{aim}");

    andon.ask("POST", "/api/v1/routes/shop/cord", r#"{"why": "a look", "by": "bob"}"#).ok();
    let cord = &drift(&andon)[0];
    assert_eq!(
        (&cord["kind"], &cord["by"], &cord["live"]),
        (&json!("cord"), &json!("bob"), &json!("pulled"))
    );
    let said = cli(&andon, &["drift"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.status.code(), Some(1), "{text}");
    assert!(text.starts_with("WHAT") && text.contains("to agree: andon cord reset shop"), "{text}");
    let status = String::from_utf8_lossy(&cli(&andon, &["status"]).stdout).into_owned();
    assert!(status.contains("shop is not as the file declares: see andon drift"), "{status}");

    // As the remedies say.
    andon.ask("DELETE", "/api/v1/routes/shop/cord?why=looked", "").ok();
    site.write(&split(servers[0].address, servers[1].address, "25%", ""));
    andon.ask("POST", "/api/v1/config/reload", "").ok();
    assert_eq!(kinds(&andon), [""; 0]);
}

#[test]
fn a_file_that_is_not_loaded_and_a_section_that_waits_for_a_restart_are_told() {
    let (mut site, servers) = site();
    let body = split(servers[0].address, servers[1].address, "10%", "");
    let andon = site.start();
    // It is looked at once a second and refused, so it stays another than the one that was loaded.
    site.write(&format!("{body}nonsense = 1\n"));
    let file = drift(&andon).pop().expect("a difference");
    assert_eq!(file["kind"], "file");
    andon.ask("POST", "/api/v1/config/reload", "");
    let file = drift(&andon).pop().expect("a difference");
    assert!(file["remedy"].as_str().is_some_and(|text| text.contains("andon check")), "{file}");
    // A comment changes nothing but the file, and a reload knows it.
    site.write(&format!("# a word\n{body}"));
    andon.ask("POST", "/api/v1/config/reload", "").ok();
    assert!(kinds(&andon).is_empty());
    site.workers = 2;
    site.write(&body);
    andon.ask("POST", "/api/v1/config/reload", "").ok();
    let found = drift(&andon);
    assert_eq!((&found[0]["kind"], &found[0]["file"]), (&json!("restart"), &json!("[workers] has changed")));
    std::fs::remove_file(site.file()).expect("it is ours");
    assert_eq!(kinds(&andon), ["file", "restart"]);
}

#[test]
fn differences_outlive_a_restart_with_who_made_them() {
    let (site, _servers) = site();
    let andon = site.start();
    andon.set_weight("25%").ok();
    let before = drift(&andon);
    andon.kill();
    let andon = site.start();
    assert_eq!(drift(&andon), before);
}

#[test]
fn the_configuration_is_shown_as_it_was_loaded_without_secrets() {
    let (site, _servers) = site();
    let andon = site.start();
    let shown = andon.ask("GET", "/api/v1/config", "").ok();
    let text = std::fs::read_to_string(site.file()).expect("it is ours");
    assert_eq!(shown["path"], site.file().display().to_string());
    assert_eq!(shown["config"]["route"][0]["canary"][0]["weight"], "10%", "{shown}");
    assert_eq!((&shown["generation"], &shown["last_reload_successful"]), (&json!(1), &json!(true)));
    let sha256 = Command::new("sha256sum").arg(site.file()).output().expect("coreutils").stdout;
    assert!(String::from_utf8_lossy(&sha256).starts_with(shown["sha256"].as_str().expect("text")), "{shown}");
    let toml = andon.ask("GET", "/api/v1/config?format=toml", "");
    assert_eq!((toml.status, toml.message.field("content-type")), (200, Some("application/toml")));
    assert_eq!(toml.message.text(), text);
    assert_eq!(andon.ask("GET", "/api/v1/config?format=yaml", "").status, 422);
}
