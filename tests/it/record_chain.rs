//! The record can be checked by anyone, from outside, beside a running andon or without it.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::andon::split;
use crate::support::{Andon, Server, Site, wait};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/record_chain.py");

fn site() -> (Site, [Server; 2]) {
    let servers = [Server::named("stable"), Server::named("canary")];
    (Site::new(&split(servers[0].address, servers[1].address, "10%", "")), servers)
}

/// Decisions by a person and the file; some with evidence, one with words that a parser could trip over.
fn decide(andon: &Andon) {
    for (weight, why) in [("25%", "more"), ("5%", "tricky \",\"evidence\":{} ٣🚦"), ("30%", "again")] {
        let body = json!({ "weight": weight, "why": why, "by": "ann" }).to_string();
        andon.ask("PUT", "/api/v1/routes/shop/weight", &body).ok();
    }
    andon.ask("POST", "/api/v1/routes/shop/cord", r#"{"why": "a look", "by": "bob"}"#).ok();
    // Hidden by the cord, so its evidence holds the aims.
    andon.set_weight("1%").ok();
    andon.ask("DELETE", "/api/v1/routes/shop/cord?why=looked", "").ok();
}

fn cli(andon: Option<&Andon>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.arg("decisions").args(arguments).stdin(Stdio::null());
    // Nobody listens at port 9.
    let admin = andon.map_or("127.0.0.1:9".to_owned(), |andon| andon.admin.to_string());
    command.env("ANDON_ADMIN", format!("http://{admin}")).output().expect("the binary is built")
}

#[track_caller]
fn said(output: &Output, exit: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is text");
    assert_eq!(output.status.code(), Some(exit), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn script(argument: &str, stdin: &str) -> String {
    let mut python = Command::new("python3")
        .args([SCRIPT, argument])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs; install it");
    python.stdin.take().expect("it is piped").write_all(stdin.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it is our child");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn another_program_recomputes_the_chain_from_the_file_and_from_the_export() {
    let (site, _servers) = site();
    let andon = site.start();
    decide(&andon);
    let exported = said(&cli(Some(&andon), &["-o", "jsonl"]), 0);
    let count = exported.lines().count();
    assert!(count >= 6, "{exported}");
    assert_eq!(script("-", &exported).trim(), format!("{count} rows fit"));
    assert_eq!(script(&site.store().display().to_string(), "").trim(), format!("{count} rows fit"));
    // The lines in another order, or without some, are each as good as they were; a changed one is not.
    let of_bob: Vec<&str> = exported.lines().filter(|line| line.contains("bob")).collect();
    assert_eq!(script("-", of_bob[0]).trim(), "1 rows fit");
    assert!(script("-", &of_bob[0].replace("a look", "a wink")).contains("does not fit"));
}

#[test]
fn a_whole_record_is_verified_beside_a_running_andon_and_without_it() {
    let (site, _servers) = site();
    let andon = site.start();
    decide(&andon);
    let file = site.store().display().to_string();
    let online = said(&cli(Some(&andon), &["--verify"]), 0);
    assert!(online.starts_with("whole: ") && online.lines().count() == 1, "{online}");
    assert_eq!(said(&cli(None, &["--verify", "--store", &file]), 0), online);
    let head = andon.ask("GET", "/api/v1/decisions/head", "").ok();
    let head = format!("{}:{}", head["seq"], head["hash"].as_str().expect("it is text"));
    assert!(online.trim_end().ends_with(&head), "{online}");
    let hash = head.split(':').nth(1).expect("it has one");
    assert!(andon.log().contains(hash), "the log vouches for it");
    andon.set_weight("2%").ok();
    said(&cli(Some(&andon), &["--verify", "--head", &head]), 0);
    andon.kill();
    said(&cli(None, &["--verify", "--store", &file, "--head", &head]), 0);
    assert_eq!(cli(None, &["--verify"]).status.code(), Some(5));
    assert_eq!(cli(None, &["--verify", "--head", "7"]).status.code(), Some(2));
    assert_eq!(cli(None, &["--verify", "--store", "/nowhere/andon.db"]).status.code(), Some(1));
}

#[test]
fn a_forged_decision_is_named_with_what_was_found() {
    let (site, _servers) = site();
    let andon = site.start();
    decide(&andon);
    andon.kill();
    let forge = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); \
                 d.executescript(\"DROP TRIGGER decision_is_append_only; UPDATE decision SET by = 'eve' WHERE seq = 2\"); \
                 d.close()";
    let file = site.store().display().to_string();
    let forged = Command::new("python3").args(["-c", forge, &file]).status().expect("python3 runs");
    assert!(forged.success());
    assert!(script(&file, "").contains("row 2 does not fit"));
    let told = said(&cli(None, &["--verify", "--store", &file]), 1);
    assert!(told.starts_with("BROKEN at row 2 (decision ") && told.contains("what it says"), "{told}");
    // Traffic does not depend on it, so it starts all the same, and says so when it is asked.
    let andon = site.start();
    let told: Value =
        serde_json::from_str(&said(&cli(Some(&andon), &["--verify", "-o", "json"]), 1)).expect("JSON");
    assert_eq!(
        (&told["whole"], &told["broken"]["seq"], &told["rows"]),
        (&json!(false), &json!(2), &json!(1))
    );
}

#[test]
fn decisions_are_narrowed_by_kind_and_time() {
    let (site, _servers) = site();
    let andon = site.start();
    decide(&andon);
    let count = |query: &str| {
        let found = andon.ask("GET", &format!("/api/v1/decisions?{query}"), "").ok();
        found["decisions"].as_array().expect("a list").len()
    };
    let all = count("");
    assert_eq!(count("action=cord_pull"), 1);
    assert_eq!(count("action=weight&route=shop"), all - 2);
    assert_eq!(count("since=2099-01-01T00:00:00Z"), 0);
    assert_eq!(count("until=2099-01-01T00:00:00Z&since=0"), all);
    assert_eq!(count("limit=2"), 2);
    for (query, says) in
        [("action=weigh", "cord_pull"), ("since=yesterday", "2026-01-31T"), ("format=xml", "jsonl")]
    {
        let refused = andon.ask("GET", &format!("/api/v1/decisions?{query}"), "");
        assert_eq!(refused.status, 422, "{query}");
        assert!(
            refused.json["accepted"].as_str().is_some_and(|text| text.contains(says)),
            "{}",
            refused.json
        );
    }
    let lines = |arguments: &[&str]| said(&cli(Some(&andon), arguments), 0).lines().count();
    assert_eq!(lines(&["-o", "jsonl", "--action", "weight", "--limit", "2", "--since", "1h"]), 2);
    assert_eq!(lines(&["-o", "jsonl", "nowhere"]), 0);
    assert_eq!(lines(&["--action", "cord_pull"]), 2, "a header and a row");
    // By the header alone, as a collector would ask.
    let head = format!(
        "GET /api/v1/decisions HTTP/1.1\r\nHost: {}\r\nAccept: application/jsonl\r\n\r\n",
        andon.admin
    );
    let mut wire = crate::support::Wire::connect(andon.admin);
    wire.send(head);
    let answer = wire.response();
    assert_eq!(
        (answer.field("content-type"), answer.text().lines().count()),
        (Some("application/jsonl"), all)
    );
}

/// What a power cut leaves: the files as they were at some moment, and of the log perhaps less than was written.
#[test]
fn whatever_moment_the_power_goes_the_record_that_is_left_is_whole() {
    let (site, _servers) = site();
    let mut first = site.start();
    first.signal("TERM");
    // Its log is written back, so however little is left of the next one, there is a record.
    assert!(first.ended().success());
    let andon = site.start();
    let mut dice = fastrand::Rng::new();
    let stop = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for step in (1..).take_while(|_| !stop.load(Ordering::SeqCst)) {
                andon_weight(andon.admin, step);
                answered.store(step, Ordering::SeqCst);
            }
        });
        let _stops = Stop(&stop);
        for cut in 0..20 {
            let before = answered.load(Ordering::SeqCst);
            wait::until("it goes on", || (answered.load(Ordering::SeqCst) > before).then_some(()));
            wait::pause(Duration::from_micros(dice.u64(0..3_000)));
            andon.signal("STOP");
            let (copy, kept) = (site.path("copy.db"), answered.load(Ordering::SeqCst));
            let log = std::fs::read(site.path("andon.db-wal")).expect("there is one");
            let left = if cut % 2 == 0 { log.len() } else { dice.usize(0..=log.len()) };
            std::fs::copy(site.store(), &copy).expect("it is there");
            std::fs::write(site.path("copy.db-wal"), &log[..left]).expect("it is ours");
            andon.signal("CONT");
            let told =
                said(&cli(None, &["--verify", "--store", &copy.display().to_string(), "-o", "json"]), 0);
            let told: Value = serde_json::from_str(&told).expect("it is JSON");
            let rows = told["rows"].as_u64().expect("a number");
            assert!(left < log.len() || rows > kept as u64, "{kept} were answered, and {rows} are left");
            let _ = std::fs::remove_file(site.path("copy.db-shm"));
        }
    });
}

/// Ends the changes also where a cut fails, or the scope would wait for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Another weight each time.
fn andon_weight(admin: SocketAddr, step: usize) {
    let body = json!({ "weight": format!("{}.{:04}%", 1 + step % 50, step), "why": "a test" }).to_string();
    crate::support::admin::ask(admin, "PUT", "/api/v1/routes/shop/weight", &body).ok();
}
