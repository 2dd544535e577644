//! Several endpoints an upstream: who is left out, who comes back, and what becomes of requests that nobody can take.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::name_server::NameServer;
use crate::support::{Andon, Load, Message, Server, Site, get, get_with, port, reply, wait};

const CHECKS: &str =
    "health = { path = \"/healthz\", interval = \"100ms\", healthy_after = 1, unhealthy_after = 1 }";

/// Says its name; its checks are answered as the flag says.
struct Checked {
    server: Server,
    well: Arc<AtomicBool>,
}

impl Checked {
    fn named(name: &'static str, is_well: bool) -> Self {
        let well = Arc::new(AtomicBool::new(is_well));
        let flag = Arc::clone(&well);
        let answer = move |request: &Message| {
            let check = request.first.starts_with("GET /healthz ");
            if check && !flag.load(Ordering::SeqCst) { reply(503, "ill") } else { reply(200, name) }
        };
        Self { server: Server::start(answer), well }
    }

    fn says(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }
}

fn upstream(name: &str, endpoints: &[SocketAddr], more: &str) -> String {
    let list: Vec<_> = endpoints.iter().map(|address| format!("\"{address}\"")).collect();
    format!("[[upstream]]\nname = \"{name}\"\nendpoints = [{}]\n{more}\n", list.join(", "))
}

fn lone(endpoints: &[SocketAddr], more: &str, of_route: &str) -> String {
    let route = format!("[[route]]\nname = \"shop\"\nstable = \"stable\"\n{of_route}\n");
    upstream("stable", endpoints, more) + &route
}

/// What the API says of an endpoint of the first upstream.
#[track_caller]
fn endpoint(andon: &Andon, address: SocketAddr) -> Value {
    let upstreams = andon.ask("GET", "/api/v1/upstreams", "").ok();
    let endpoints = upstreams["upstreams"][0]["endpoints"].as_array().expect("a list").clone();
    let found = endpoints.into_iter().find(|endpoint| endpoint["address"] == address.to_string());
    found.unwrap_or_else(|| panic!("no {address} in {upstreams}"))
}

#[track_caller]
fn wait_for_use(andon: &Andon, address: SocketAddr, used: bool) {
    wait::until(&format!("{address} is used: {used}"), || {
        (endpoint(andon, address)["used"] == used).then_some(())
    });
}

/// Who answers, over so many requests.
fn answers(andon: &Andon, requests: usize) -> BTreeSet<String> {
    (0..requests).map(|_| andon.exchange(get("/")).text().to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn an_endpoint_that_nobody_answers_on_is_ejected_and_nobody_fails_any_more() {
    let (good, dead) = (Server::named("good"), port::free());
    let ejection = "ejection = { failures = 3, hold = \"1h\", hold_max = \"1h\" }";
    let andon = Andon::start(&lone(&[good.address, dead], ejection, ""));
    let mut failed = 0;
    wait::until("the dead endpoint is ejected", || {
        failed += u32::from(andon.exchange(get("/")).status() == 502);
        (endpoint(&andon, dead)["ejected"] == true).then_some(())
    });
    // Most of those who met it were sent on to the good one.
    let sent_on = andon.metric("andon_retries_total", &[("variant", "stable")]);
    assert!(sent_on > 0.0 && sent_on + f64::from(failed) >= 3.0, "{sent_on} {failed}");
    assert_eq!(endpoint(&andon, dead)["used"], false);
    assert_eq!(answers(&andon, 50), set(&["good"]));
    assert_eq!(andon.metric("andon_endpoint_ejections_total", &[("upstream", "stable")]), 1.0);
    assert_eq!(andon.metric("andon_endpoint_up", &[("endpoint", &dead.to_string())]), 0.0);
    assert!(andon.log().contains("endpoint ejected"));
}

#[test]
fn an_ejected_endpoint_comes_back_when_it_works_again() {
    let (good, address) = (Server::named("good"), port::free());
    let andon =
        Andon::start(&lone(&[good.address, address], "ejection = { failures = 3, hold = \"500ms\" }", ""));
    wait::until("the dead endpoint is ejected", || {
        andon.exchange(get("/"));
        (andon.metric("andon_endpoint_ejections_total", &[]) >= 1.0).then_some(())
    });
    let _back = Server::start_at(address, |_| reply(200, "back"));
    wait::until("it is tried again and answers", || {
        (andon.exchange(get("/")).text() == "back").then_some(())
    });
    assert_eq!(answers(&andon, 50), set(&["back", "good"]));
}

#[test]
fn a_lone_endpoint_is_never_ejected() {
    let bad = Server::start(|_| reply(500, "no"));
    let andon = Andon::start(&lone(&[bad.address], "ejection = { failures = 1 }", ""));
    for _ in 0..50 {
        assert_eq!(andon.exchange(get("/")).status(), 500);
    }
    wait::while_holds(Duration::from_millis(300), "it is used", || {
        endpoint(&andon, bad.address)["used"] == true
    });
}

#[test]
fn checks_take_an_endpoint_out_and_in_and_are_no_requests() {
    let (one, other) = (Checked::named("one", true), Checked::named("other", true));
    let addresses = [one.server.address, other.server.address];
    let andon = Andon::start(&lone(&addresses, CHECKS, ""));
    wait::until("both are checked", || {
        addresses.iter().all(|address| endpoint(&andon, *address)["healthy"] == true).then_some(())
    });
    assert_eq!(answers(&andon, 50), set(&["one", "other"]));
    other.says(false);
    wait_for_use(&andon, addresses[1], false);
    assert_eq!(answers(&andon, 50), set(&["one"]));
    assert_eq!(andon.metric("andon_endpoint_up", &[("endpoint", &addresses[1].to_string())]), 0.0);
    other.says(true);
    wait_for_use(&andon, addresses[1], true);
    assert_eq!(answers(&andon, 50), set(&["one", "other"]));
    andon.wait_for_outcome("success", 150.0);
    assert!(andon.metric("andon_health_checks_total", &[("result", "failed")]) >= 1.0);
    assert!(andon.metric("andon_health_checks_total", &[("result", "passed")]) >= 3.0);
}

#[test]
fn a_canary_without_an_endpoint_harms_nobody_and_is_backed_off() {
    let stable = Server::named("stable");
    let canary = Checked::named("canary", false);
    let canary_address = canary.server.address;
    let route = "[[route]]\nname = \"shop\"\nstable = \"stable\"\n[[route.canary]]\nupstream = \"next\"\nweight = \"20%\"\n";
    let body =
        upstream("next", &[canary_address], CHECKS) + &upstream("stable", &[stable.address], "") + route;
    let andon = Andon::start(&body);
    wait_for_use(&andon, canary_address, false);
    let load = Load::start(andon.address);
    let shop =
        wait::until("the cord is pulled", || Some(andon.shop()).filter(|shop| !shop["cord"].is_null()));
    assert_eq!(shop["cord"]["by"], "immune system", "{shop}");
    let statuses = load.stop();
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200], "{statuses:?}");
    assert!(andon.metric("andon_canary_missed_total", &[("variant", "canary")]) >= 5.0);
    assert_eq!(andon.metric("andon_harm_total", &[("variant", "canary")]), 0.0);
    assert_eq!(andon.metric("andon_requests_total", &[("variant", "canary")]), 0.0);
    let record = andon.ask("GET", "/api/v1/decisions?route=shop", "").ok();
    let decisions = record["decisions"].as_array().expect("a list");
    let back_off = decisions.iter().find(|decision| decision["action"] == "back_off").expect("one");
    assert!(back_off["evidence"]["canary"]["failed"].as_u64() > Some(0), "{back_off}");
}

#[test]
fn stable_without_an_endpoint_is_answered_at_once() {
    let stable = Checked::named("stable", false);
    let andon = Andon::start(&lone(&[stable.server.address], CHECKS, ""));
    wait_for_use(&andon, stable.server.address, false);
    for _ in 0..10 {
        let answer = andon.exchange(get("/"));
        assert_eq!((answer.status(), answer.field("retry-after")), (503, Some("2")));
    }
    andon.wait_for_outcome("no_endpoint", 10.0);
    assert_eq!(andon.metric("andon_requests_total", &[("code", "503")]), 10.0);
    stable.says(true);
    wait_for_use(&andon, stable.server.address, true);
    assert_eq!(andon.exchange(get("/")).text(), "stable");
}

#[test]
fn round_robin_and_hash_do_what_they_say() {
    let servers = ["a", "b", "c"].map(Server::named);
    let addresses = [servers[0].address, servers[1].address, servers[2].address];
    let andon = Andon::start(&lone(&addresses, "balance = \"round-robin\"", ""));
    let first: Vec<_> = (0..3).map(|_| andon.exchange(get("/")).text().to_owned()).collect();
    assert_eq!(first.iter().cloned().collect::<BTreeSet<_>>(), set(&["a", "b", "c"]));
    for turn in 0..12 {
        assert_eq!(andon.exchange(get("/")).text(), first[turn % 3]);
    }

    let andon =
        Andon::start(&lone(&addresses, "balance = \"hash\"", "[route.sticky]\nheader = \"x-user\"\n"));
    let of_user = |user: usize| {
        let fields = format!("X-User: u{user}\r\n");
        andon.exchange(get_with("/", &fields)).text().to_owned()
    };
    let homes: Vec<_> = (0..40).map(of_user).collect();
    assert_eq!(homes.iter().cloned().collect::<BTreeSet<_>>(), set(&["a", "b", "c"]));
    assert!((0..40).all(|user| of_user(user) == homes[user]));
}

#[test]
fn names_are_looked_up_again_and_the_last_good_answer_stays() {
    let [first, second] = [2, 3].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let port = port::free().port();
    let _one = Server::start_at((first, port).into(), |_| reply(200, "one"));
    let _two = Server::start_at((second, port).into(), |_| reply(200, "two"));
    let names = NameServer::start(&[first]);
    let dns = format!("[dns]\nservers = [\"{}\"]\nttl_min = \"100ms\"\n", names.address);
    let upstream = format!("[[upstream]]\nname = \"stable\"\nendpoints = [\"dns://shop.test:{port}\"]\n");
    let route = "[[route]]\nname = \"shop\"\nstable = \"stable\"\n";
    let andon = Andon::start(&(dns + &upstream + route));
    assert_eq!(andon.exchange(get("/")).text(), "one", "known before the first request");

    names.says(&[first, second]);
    wait_for_address(&andon, second);
    assert_eq!(answers(&andon, 50), set(&["one", "two"]));
    names.says(&[second]);
    wait::until("the first has gone", || (andon.exchange(get("/")).text() == "two").then_some(()));
    wait::until("and stays away", || (answers(&andon, 20) == set(&["two"])).then_some(()));

    names.says(&[]);
    wait::until("a lookup fails", || {
        (andon.metric("andon_dns_lookups_total", &[("result", "failed")]) >= 2.0).then_some(())
    });
    assert_eq!(answers(&andon, 20), set(&["two"]));
}

#[track_caller]
fn wait_for_address(andon: &Andon, ip: Ipv4Addr) {
    wait::until(&format!("{ip} is used"), || {
        let upstreams = andon.ask("GET", "/api/v1/upstreams", "").ok();
        let endpoints = upstreams["upstreams"][0]["endpoints"].as_array()?.clone();
        let address = |endpoint: &Value| endpoint["address"].as_str()?.parse::<SocketAddr>().ok();
        let is_it = |one: &Value| address(one).is_some_and(|found| found.ip() == IpAddr::V4(ip));
        endpoints.iter().any(|one| is_it(one) && one["used"] == true).then_some(())
    });
}

#[test]
fn endpoints_are_checked_through_an_upgrade_and_through_one_that_fails() {
    let (first, second) = (Checked::named("first", true), Checked::named("second", false));
    let body = lone(&[first.server.address, second.server.address], CHECKS, "");
    let site = Site::new(&body);
    let mut andon = site.start();
    wait_for_use(&andon, second.server.address, false);

    site.write("nonsense = 1");
    assert!(andon.upgrade().is_err());
    site.write(&body);
    second.says(true);
    wait_for_use(&andon, second.server.address, true);

    second.says(false);
    wait_for_use(&andon, second.server.address, false);
    assert_eq!(andon.upgrade(), Ok(()));
    assert_eq!(andon.ended().code(), Some(0), "the old one stops asking, and ends");
    wait_for_use(&andon, second.server.address, false);
    assert_eq!(answers(&andon, 50), set(&["first"]));
    second.says(true);
    wait_for_use(&andon, second.server.address, true);
}
