//! Copies of requests: users meet stable whatever becomes of them, they are measured, and never judged.

use std::process::Command;

use serde_json::Value;

use crate::support::andon::split;
use crate::support::{Andon, Load, Manual, OK, Server, Site, get, port, post, reply, wait};

/// A canary without users that gets copies of everything; `keys` of the mirror.
fn body(stable: &Server, copies: std::net::SocketAddr, keys: &str) -> String {
    let mirror = format!("[route.mirror]\nto = \"next\"\nshare = \"100%\"\n{keys}");
    split(stable.address, copies, "0%", &mirror)
}

fn copied(andon: &Andon, status: &str) -> f64 {
    andon.metric("andon_mirror_answers_total", &[("status", status)])
}

fn dropped(andon: &Andon, reason: &str) -> f64 {
    andon.metric("andon_mirror_dropped_total", &[("reason", reason)])
}

#[track_caller]
fn wait_for_copies(andon: &Andon, status: &str, count: f64) {
    wait::until(&format!("{count} copies are {status}"), || (copied(andon, status) == count).then_some(()));
}

#[test]
fn a_copy_is_what_stable_was_sent_and_its_answer_is_nobodys() {
    let (stable, mirror) = (Server::named("stable"), Server::named("mirror"));
    let andon = Andon::start(&body(&stable, mirror.address, ""));
    for number in 0..5 {
        let answer = andon.exchange(get(&format!("/shoes/{number}?size=44")));
        assert_eq!((answer.status(), answer.text()), (200, "stable"));
        let (live, copy) = (stable.request(), mirror.request());
        assert_eq!(copy.first, live.first);
        for field in ["host", "x-forwarded-for", "x-request-id"] {
            assert_eq!(copy.field(field), live.field(field), "{field}");
        }
    }
    wait_for_copies(&andon, "same", 5.0);
    let of_mirror = [("variant", "mirror"), ("code", "200")];
    assert_eq!(andon.metric("andon_requests_total", &of_mirror), 5.0);
    assert_eq!(andon.metric("andon_requests_total", &[("variant", "stable"), ("code", "200")]), 5.0);
    assert_eq!(andon.metric("andon_requests_total", &[("variant", "canary")]), 0.0);
    let shown = andon.shop()["mirror"].clone();
    assert_eq!((&shown["upstream"], &shown["share"]), (&"next".into(), &"100%".into()));
    assert_eq!((&shown["same"], &shown["different"], &shown["dropped"]), (&5.into(), &0.into(), &0.into()));
    let status = Command::new(env!("CARGO_BIN_EXE_andon"))
        .args(["status", "shop", "--admin", &format!("http://{}", andon.admin)])
        .output()
        .expect("the binary is built");
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(text.contains("copies 100%"), "{text}");
    assert!(text.contains("mirror: 5 answers like stable's, 0 others, 0 copies dropped"), "{text}");
}

#[test]
fn a_mirror_that_fails_always_harms_nobody_and_is_not_judged() {
    let stable = Server::named("stable");
    let mirror = Server::start(|_| reply(500, "no"));
    let andon = Andon::start(&body(&stable, mirror.address, ""));
    for _ in 0..50 {
        assert_eq!(andon.exchange(get("/")).text(), "stable");
    }
    wait_for_copies(&andon, "different", 50.0);
    let shop = andon.shop();
    assert_eq!(
        (&shop["cord"], &shop["canaries"][0]["verdict"]["verdict"]),
        (&Value::Null, &"undecided".into())
    );
    assert_eq!(andon.metric("andon_harm_total", &[]), 0.0);
    assert_eq!(andon.metric("andon_upstream_errors_total", &[("variant", "mirror")]), 50.0);
}

#[test]
fn a_mirror_that_is_dead_or_silent_holds_nobody_up() {
    let stable = Server::named("stable");
    let dead = Andon::start(&body(&stable, port::free(), ""));
    assert_eq!(dead.exchange(get("/")).text(), "stable");
    wait_for_copies(&dead, "different", 1.0);

    let silent = Manual::start();
    let andon = Andon::start(&body(&stable, silent.address, "in_flight_max = 1"));
    assert_eq!(andon.exchange(get("/")).text(), "stable");
    let mut copy = silent.accept();
    assert_eq!(copy.request().first, "GET / HTTP/1.1");
    for _ in 0..3 {
        assert_eq!(andon.exchange(get("/")).text(), "stable");
    }
    assert_eq!(dropped(&andon, "busy"), 3.0);
    copy.send(OK);
    wait_for_copies(&andon, "same", 1.0);
    assert_eq!(andon.exchange(get("/")).text(), "stable");
    wait::until("there is room again", || (dropped(&andon, "busy") == 3.0).then_some(()));
}

#[test]
fn a_connection_that_the_mirror_has_given_up_is_no_different_answer() {
    let (stable, mirror) = (Server::named("stable"), Manual::start());
    let andon = Andon::start(&body(&stable, mirror.address, ""));
    for count in 1..=3 {
        assert_eq!(andon.exchange(get("/")).text(), "stable");
        let mut copy = mirror.accept();
        assert_eq!(copy.request().first, "GET / HTTP/1.1");
        // It says that it stays, and goes.
        copy.send(OK);
        wait_for_copies(&andon, "same", f64::from(count));
        drop(copy);
    }
    assert_eq!(copied(&andon, "different"), 0.0);
}

#[test]
fn what_changes_something_is_copied_only_if_the_file_says_so_and_whole_or_not_at_all() {
    let (stable, mirror) = (Server::named("stable"), Server::named("mirror"));
    let andon = Andon::start(&body(&stable, mirror.address, ""));
    assert_eq!(andon.exchange(post("an order")).text(), "stable");
    assert_eq!(andon.exchange(get("/")).text(), "stable");
    assert_eq!(mirror.request().first, "GET / HTTP/1.1", "the order is not placed twice");

    let keys = "methods = [\"POST\"]\nbody_max = \"10B\"";
    let andon = Andon::start(&body(&stable, mirror.address, keys));
    assert_eq!(andon.exchange(post("0123456789")).text(), "stable");
    assert_eq!(mirror.request().text(), "0123456789");
    let chunked = "POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = andon.connect();
    client.send(format!("{chunked}5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"));
    assert_eq!(client.response().text(), "stable");
    assert_eq!(mirror.request().text(), "helloworld");
    assert_eq!(andon.exchange(post("0123456789a")).text(), "stable");
    client.send(format!("{chunked}6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"));
    assert_eq!(client.response().text(), "stable");
    assert_eq!(dropped(&andon, "body"), 2.0);
    wait_for_copies(&andon, "same", 2.0);
}

#[test]
fn copies_stand_in_the_access_log_beside_what_they_are_copies_of() {
    let (stable, mirror) = (Server::named("stable"), Server::named("mirror"));
    let site = Site::new(&format!(
        "[access_log]\npath = \"access.log\"\nformat = \"json\"\n{}",
        body(&stable, mirror.address, "")
    ));
    let andon = site.start();
    assert_eq!(andon.exchange(get("/a")).text(), "stable");
    let lines = wait::until("both are logged", || {
        let text = std::fs::read_to_string(site.path("access.log")).unwrap_or_default();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() == 2).then_some(lines)
    });
    let said = |variant: &str| {
        let line = lines.iter().find(|line| line["variant"] == variant).expect("it is there");
        [&line["upstream"], &line["why"], &line["path"]].map(|value| value.as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(said("stable")[1], "weight");
    assert_eq!(said("mirror")[1], "mirror");
    assert_eq!(said("mirror")[2], said("stable")[2]);
}

#[test]
fn a_release_begins_with_copies_survives_a_kill_in_them_and_goes_on() {
    let (stable, canary) = (Server::named("stable"), Server::named("canary"));
    let plan = "\n[[plan]]\nname = \"quick\"\n\
                steps = [{ mirror = \"100%\", hold = \"2s\" }, { to = \"50%\", hold = \"1h\" }]\n";
    let site = Site::new(&split(stable.address, canary.address, "0%", plan));
    let andon = site.start();
    let start = r#"{"plan":"quick","why":"v2 is ready","by":"ann"}"#;
    assert_eq!(andon.ask("POST", "/api/v1/routes/shop/releases", start).status, 201);
    let release = |andon: &Andon| andon.shop()["release"].clone();
    wait::until("it mirrors", || (release(&andon)["state"] == "holding").then_some(()));
    assert_eq!(release(&andon)["steps"][0]["mirror"], "100%");
    assert!(release(&andon)["waits_for"].as_str().unwrap().starts_with("mirrors 100% for 2 s"));
    assert_eq!(andon.shop()["canaries"][0]["effective"], "0%");
    andon.kill();

    // Copies are not waited for in vain: without a request it stays where it is.
    let andon = site.start();
    wait::until("its time is over", || {
        release(&andon)["waits_for"].as_str()?.contains("goes on when a request was copied").then_some(())
    });
    assert_eq!(andon.shop()["mirror"]["upstream"], "next");
    assert_eq!(andon.exchange(get("/")).text(), "stable");
    assert_eq!(canary.request().first, "GET / HTTP/1.1");
    let load = Load::start(andon.address);
    let shop = wait::until("users follow", || {
        Some(andon.shop()).filter(|shop| shop["canaries"][0]["effective"] == "50%")
    });
    assert_eq!((&shop["release"]["step"], &shop["mirror"]), (&2.into(), &Value::Null));
    assert!(load.stop().keys().all(|status| *status == 200));
}

#[test]
fn copies_of_before_do_not_end_the_hold_of_a_step_that_mirrors() {
    let (stable, canary) = (Server::named("stable"), Server::named("canary"));
    let plan = "[[plan]]\nname = \"quick\"\n\
                steps = [{ mirror = \"100%\", hold = \"1s\" }, { to = \"50%\", hold = \"1h\" }]\n";
    let andon = Andon::start(&body(&stable, canary.address, plan));
    assert_eq!(andon.exchange(get("/before")).text(), "stable");
    assert_eq!(canary.request().first, "GET /before HTTP/1.1");
    wait_for_copies(&andon, "same", 1.0);
    let start = r#"{"plan":"quick","why":"v2 is ready","by":"ann"}"#;
    assert_eq!(andon.ask("POST", "/api/v1/routes/shop/releases", start).status, 201);
    wait::until("the hold is over, and a copy is waited for", || {
        let waits = andon.shop()["release"]["waits_for"].clone();
        waits.as_str()?.contains("goes on when a request was copied").then_some(())
    });
    assert_eq!(andon.exchange(get("/now")).text(), "stable");
    wait::until("users follow", || (andon.shop()["canaries"][0]["effective"] == "50%").then_some(()));
}

#[test]
fn an_aborted_release_copies_no_more() {
    let (stable, canary) = (Server::named("stable"), Server::named("canary"));
    let plan =
        "\n[[plan]]\nname = \"quick\"\nsteps = [{ mirror = \"100%\", approve = true }, { to = \"50%\" }]\n";
    let andon = Andon::start(&split(stable.address, canary.address, "0%", plan));
    let start = r#"{"plan":"quick","why":"v2 is ready","by":"ann"}"#;
    assert_eq!(andon.ask("POST", "/api/v1/routes/shop/releases", start).status, 201);
    wait::until("it mirrors", || (andon.shop()["mirror"]["upstream"] == "next").then_some(()));
    assert_eq!(andon.exchange(get("/first")).text(), "stable");
    assert_eq!(canary.request().first, "GET /first HTTP/1.1");
    let why = r#"{"why":"not today","by":"ann"}"#;
    andon.ask("POST", "/api/v1/routes/shop/releases/current/abort", why).ok();
    assert_eq!(andon.shop()["mirror"], Value::Null);
    assert_eq!(andon.exchange(get("/second")).text(), "stable");
    assert_eq!(andon.metric("andon_requests_total", &[("variant", "mirror")]), 1.0);
}
