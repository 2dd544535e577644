//! What was answered with success survives `kill -9` at any moment, and the file does not undo it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::andon::split;
use crate::support::{Andon, Load, Server, Site, Wire, get, reply, wait};

const ROUNDS: u32 = 10;
const PULL: &str = r#"{"why": "a look first", "by": "ann"}"#;

fn site(weight: &str) -> (Site, [Server; 2]) {
    let servers = [Server::named("stable"), Server::named("canary")];
    (Site::new(&split(servers[0].address, servers[1].address, weight, "")), servers)
}

fn aim_ppm(andon: &Andon) -> u64 {
    andon.shop()["canaries"][0]["aim_ppm"].as_u64().expect("an aim is a number")
}

/// Raises and lowers the weight without a pause, until the connection breaks.
struct Changes {
    asked_ppm: Arc<AtomicU32>,
    answered_ppm: Arc<AtomicU32>,
    thread: std::thread::JoinHandle<()>,
}

impl Changes {
    fn start(andon: &Andon, round: u32) -> Self {
        let (asked_ppm, answered_ppm) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (asked, answered) = (Arc::clone(&asked_ppm), Arc::clone(&answered_ppm));
        let admin = andon.admin;
        let thread = std::thread::spawn(move || {
            let mut wire = Wire::connect(admin);
            for step in 1.. {
                // No two changes after one another are equal, in this round or across two.
                let ppm = 10_000 * (1 + round + ROUNDS * (step * 7 % 5)) + step;
                let weight = format!("{}.{:04}%", ppm / 10_000, ppm % 10_000);
                let body = json!({ "weight": weight, "why": "a test" }).to_string();
                asked.store(ppm, Ordering::SeqCst);
                let sent = wire.try_send(format!(
                    "PUT /api/v1/routes/shop/weight HTTP/1.1\r\nHost: {admin}\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                ));
                let Some(answer) = sent.ok().and_then(|()| wire.try_response()) else { return };
                assert_eq!(answer.status(), 200, "{}", answer.text());
                answered.store(ppm, Ordering::SeqCst);
            }
        });
        Self { asked_ppm, answered_ppm, thread }
    }

    /// Last answered, and last asked. They differ by at most one change.
    fn end(self) -> (u64, u64) {
        self.thread.join().expect("every change is accepted");
        (self.answered_ppm.load(Ordering::SeqCst).into(), self.asked_ppm.load(Ordering::SeqCst).into())
    }
}

#[test]
fn a_kill_at_any_moment_loses_no_answered_change() {
    let (site, _servers) = site("1%");
    let seed = fastrand::u64(..);
    let mut dice = fastrand::Rng::with_seed(seed);
    for round in 0..ROUNDS {
        let andon = site.start();
        let changes = Changes::start(&andon, round);
        wait::until("a change is answered", || {
            (changes.answered_ppm.load(Ordering::SeqCst) > 0).then_some(())
        });
        wait::pause(Duration::from_micros(dice.u64(0..50_000)));
        andon.kill();
        let (answered, asked) = changes.end();
        let found = aim_ppm(&site.start());
        assert!(
            found == answered || found == asked,
            "round {round}, seed {seed}: {answered}, {asked}, then {found}"
        );
    }
}

#[test]
fn a_pulled_cord_is_still_pulled_after_a_kill_in_the_same_moment() {
    let (site, servers) = site("50%");
    let andon = site.start();
    andon.ask("POST", "/api/v1/routes/shop/cord", PULL).ok();
    andon.kill();
    for _ in 0..2 {
        let andon = site.start();
        let shop = andon.shop();
        assert_eq!(
            (&shop["cord"]["by"], &shop["cord"]["why"]),
            (&json!("ann"), &json!("a look first")),
            "{shop}"
        );
        assert_eq!(shop["canaries"][0]["effective_ppm"], 0, "{shop}");
        for _ in 0..20 {
            assert_eq!(andon.exchange(get("/")).text(), "stable");
        }
        assert_eq!(andon.set_weight("60%").status, 409);
        let record = andon.ask("GET", "/api/v1/decisions", "").ok();
        assert_eq!(record["decisions"][0]["id"], shop["cord"]["decision"], "{record}");
        andon.kill();
    }
    assert_eq!(servers[1].requests(), 0);
}

#[test]
fn a_back_off_that_is_on_record_outlives_a_kill() {
    let (stable, canary) = (Server::named("stable"), Server::start(|_| reply(500, "no")));
    let site = Site::new(&split(stable.address, canary.address, "50%", ""));
    let andon = site.start();
    let load = Load::start(andon.address);
    let record = |andon: &Andon| andon.ask("GET", "/api/v1/decisions", "").ok()["decisions"].clone();
    let decided = wait::until("a back-off", || {
        record(&andon).as_array()?.iter().find(|decision| decision["action"] == "back_off").cloned()
    });
    load.stop();
    andon.kill();
    let andon = site.start();
    let shop = andon.shop();
    assert_eq!(shop["cord"]["decision"], decided["id"], "{shop}");
    let canary_now = &shop["canaries"][0];
    assert_eq!((&canary_now["ceiling"], &canary_now["effective"]), (&json!("0%"), &json!("0%")), "{shop}");
    assert!(record(&andon).as_array().unwrap().contains(&decided));
    let before = canary.requests();
    for _ in 0..20 {
        assert_eq!(andon.exchange(get("/")).text(), "stable");
    }
    assert_eq!(canary.requests(), before);
}

#[test]
fn the_file_wins_where_it_changed_and_only_there() {
    let (site, servers) = site("10%");
    let andon = site.start();
    andon.set_weight("25%").ok();
    andon.kill();

    let andon = site.start();
    assert_eq!(aim_ppm(&andon), 250_000);
    assert_eq!(andon.shop()["canaries"][0]["file_aim"], "10%");
    andon.kill();

    site.write(&split(servers[0].address, servers[1].address, "15%", ""));
    let andon = site.start();
    assert_eq!(aim_ppm(&andon), 150_000);
    andon.set_weight("40%").ok();

    site.write(&split(servers[0].address, servers[1].address, "15%", "[route.sticky]\naddress = true"));
    let report = andon.ask("POST", "/api/v1/config/reload", "").ok();
    assert_eq!(aim_ppm(&andon), 400_000, "{report}");
    site.write(&split(servers[0].address, servers[1].address, "5%", ""));
    let report = andon.ask("POST", "/api/v1/config/reload", "").ok();
    assert_eq!(aim_ppm(&andon), 50_000, "{report}");
}

#[test]
fn a_file_never_undoes_a_cord() {
    let (site, servers) = site("10%");
    let andon = site.start();
    andon.ask("POST", "/api/v1/routes/shop/cord", PULL).ok();
    site.write(&split(servers[0].address, servers[1].address, "90%", ""));
    andon.ask("POST", "/api/v1/config/reload", "");
    andon.kill();
    let shop = site.start().shop();
    assert_eq!(
        (&shop["cord"]["by"], &shop["canaries"][0]["effective_ppm"]),
        (&json!("ann"), &json!(0)),
        "{shop}"
    );
}

#[test]
fn a_second_andon_on_the_same_port_or_store_is_refused_in_words() {
    let (site, _servers) = site("10%");
    let andon = site.start();
    let said = refused(&site);
    assert!(said.contains("andon.db") && said.contains("another andon"), "{said}");

    let (mut other, servers) = self::site("10%");
    other.address = andon.address.to_string();
    other.write(&split(servers[0].address, servers[1].address, "10%", ""));
    let said = refused(&other);
    assert!(said.contains("cannot bind") && said.contains(&other.address), "{said}");
    assert_eq!(andon.exchange(get("/")).status(), 200);
}

#[test]
fn a_store_that_is_not_ours_is_refused_and_left_alone() {
    let (site, _servers) = site("10%");
    let found = b"the only copy of something else".repeat(100);
    std::fs::write(site.store(), &found).unwrap();
    let said = refused(&site);
    assert!(said.contains("andon.db") && !said.contains("panicked"), "{said}");
    assert_eq!(std::fs::read(site.store()).unwrap(), found);
}

/// What it says of why it cannot start.
fn refused(site: &Site) -> String {
    let output = site.start_in_vain();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
