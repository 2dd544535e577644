//! The immune system tests itself: a random slice of stable is judged as if it were a canary, all the time.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{Andon, Load, Server, get_with, reply, wait};

/// So few that chance does not even them out.
const USERS: usize = 8;
/// That none of them has a given user among the phantom's has a chance of 1 in 64, and is the same in each run.
const ROUTES: usize = 6;

#[test]
fn the_self_test_is_on_and_shows_no_variant_of_its_own() {
    let (stable, canary) = (Server::named("stable"), Server::named("canary"));
    let andon = Andon::between(stable.address, canary.address, "0%");
    let load = Load::start(andon.address);
    wait::until("there is traffic", || (stable.requests() > 200).then_some(()));
    load.stop();
    let shop = andon.shop();
    assert_eq!(
        (&shop["self_test"]["alarm"], &shop["self_test"]["share"]),
        (&false.into(), &"5%".into()),
        "{shop}"
    );
    assert_eq!(andon.metric("andon_self_test_alarm", &[("route", "shop")]), 0.0);
    assert!(andon.metric("andon_self_test_log10", &[("route", "shop")]) < 1.0);
    let text = andon.metrics();
    assert!(!text.contains("phantom"), "{text}");
    assert_eq!(andon.metric("andon_decisions_total", &[("action", "self_test")]), 0.0);
}

#[test]
fn a_route_without_canaries_tests_nothing() {
    let stable = Server::named("stable");
    let andon = Andon::before(stable.address);
    assert!(andon.shop()["self_test"].is_null());
    assert!(!andon.metrics().contains("andon_self_test"));
}

#[test]
fn what_the_lots_gave_is_what_the_weights_say() {
    let (stable, canary) = (Server::named("stable"), Server::named("canary"));
    let andon = Andon::between(stable.address, canary.address, "20%");
    let load = Load::start(andon.address);
    let lots = wait::until("lots are drawn, and seen", || {
        let lots = andon.shop()["canaries"][0]["lots"].clone();
        (lots["drawn"].as_u64() > Some(500) && lots["ended"].as_u64() > Some(100)).then_some(lots)
    });
    load.stop();
    let (given, expected) = (lots["given"].as_f64().unwrap(), lots["expected"].as_f64().unwrap());
    assert!((given - expected).abs() <= 16.0, "one worker is off by 8 at most, at each end: {lots}");
    assert_eq!((&lots["mismatch"], &lots["unjudged_mismatch"]), (&false.into(), &false.into()), "{lots}");
    assert_eq!(andon.metric("andon_split_mismatch", &[("route", "shop"), ("variant", "canary")]), 0.0);
}

/// Half of stable's users are the phantom's, and others on each route. One user's requests fail always: the lot has nothing
/// to do with it, but with so few users it looks as if it had, and that is what the test must find.
#[test]
fn users_too_few_to_be_judged_by_raise_an_alarm_and_suspend_the_guard() {
    let stable = Server::start(|request| match request.field("x-user") {
        Some("user-0") => reply(500, "no"),
        _ => reply(200, "stable"),
    });
    let andon = Andon::start(&few_users(stable.address));
    let mut wire = andon.connect();
    let shop = wait::until("there is an alarm", || {
        for (user, route) in (0..USERS).flat_map(|user| (0..ROUTES).map(move |route| (user, route))) {
            wire.send(get_with(&format!("/{route}"), &format!("X-User: user-{user}\r\n")));
            wire.response();
        }
        let all = andon.ask("GET", "/api/v1/routes", "").ok();
        all["routes"].as_array()?.iter().find(|route| route["self_test"]["alarm"] == true).cloned()
    });
    assert_eq!(shop["self_test"]["suspended"], true, "{shop}");
    assert!(shop["cord"].is_null(), "{shop}");
    let name = shop["name"].as_str().unwrap();
    assert_eq!(andon.metric("andon_self_test_alarm", &[("route", name)]), 1.0);
    let decided = wait::until("it is recorded", || {
        let record = andon.ask("GET", &format!("/api/v1/decisions?route={name}"), "").ok();
        let all = record["decisions"].as_array()?;
        all.iter().find(|decision| decision["action"] == "self_test").cloned()
    });
    assert_eq!((&decided["by"], &decided["canary"]), (&"immune system".into(), &Value::Null), "{decided}");
    assert_eq!(decided["why"], shop["self_test"]["reason"]);
    assert!(decided["evidence"]["canary"]["failed"].as_u64() > Some(0), "{decided}");

    let cord = format!("/api/v1/routes/{name}/cord");
    let reset = r#"{"why": "few users: told to watch from now on", "by": "ann"}"#;
    let shop = andon.ask("DELETE", &cord, reset).ok();
    assert_eq!(shop["self_test"]["suspended"], false, "{shop}");
    assert_eq!(andon.ask("DELETE", &cord, reset).status, 409, "there is nothing more to reset");
}

fn few_users(stable: SocketAddr) -> String {
    let upstream = |name: &str| format!("[[upstream]]\nname = \"{name}\"\nendpoints = [\"{stable}\"]\n");
    let route = |n: usize| {
        format!(
            "[[route]]\nname = \"r{n}\"\npath = \"/{n}\"\nstable = \"v1\"\n\
             [[route.canary]]\nupstream = \"v2\"\nweight = \"0%\"\n\
             [route.sticky]\nheader = \"x-user\"\n\
             [route.guard]\nself_test = {{ share = \"50%\", on_alarm = \"suspend\" }}\n"
        )
    };
    ["v1", "v2"].map(upstream).into_iter().chain((0..ROUTES).map(route)).collect()
}
