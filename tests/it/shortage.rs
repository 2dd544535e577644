//! When descriptors or the disk run out: traffic goes on, and the admin API answers.

use std::process::Command;

use serde_json::json;

use crate::support::andon::{lone, split};
use crate::support::{Andon, End, Server, Site, Wire, get, wait};

/// A shell that sets limits and becomes the andon.
fn limited(site: &Site, limits: &str) -> Andon {
    let script = format!("{limits}; exec \"$0\" \"$@\"");
    site.start_command(site.command_through("sh", &["-c", &script]))
}

#[test]
fn clients_that_use_up_the_descriptors_wait_and_shut_nobody_out_of_the_admin_api() {
    const CLIENTS: usize = 150;
    let server = Server::named("stable");
    let andon = limited(&Site::new(&lone(server.address, "")), "ulimit -n 64");
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| andon.connect()).collect();
    wait::until("clients have to wait", || {
        andon.log().contains("few file descriptors are left").then_some(())
    });
    for _ in 0..20 {
        assert_eq!(andon.ask("GET", "/readyz", "").status, 200);
        assert_eq!(andon.metric("process_max_fds", &[]), 64.0);
    }
    let mut last = clients.pop().unwrap();
    last.send(get("/"));
    clients[0].send(get("/"));
    assert_eq!(clients[0].response().text(), "stable", "descriptors are left for the upstream side");
    assert!(last.is_silent());
    drop(clients);
    assert_eq!(last.response().text(), "stable");
    assert_eq!(andon.metric("andon_outcomes_total", &[("outcome", "internal")]), 0.0);
}

#[test]
fn who_is_beyond_a_limit_is_refused_at_once_and_waits_for_no_descriptor() {
    let server = Server::named("stable");
    let narrow = "[[listener]]\nname = \"narrow\"\naddress = \"127.0.0.1:0\"\nconnections_max = 1\n";
    let site = Site::new(&format!("{narrow}{}", lone(server.address, "")));
    let andon = limited(&site, "ulimit -n 64");
    let mut inside = Wire::connect(andon.listener("narrow"));
    inside.send(get("/"));
    assert_eq!(inside.response().text(), "stable");
    let _crowd: Vec<_> = (0..100).map(|_| andon.connect()).collect();
    wait::until("clients have to wait", || {
        andon.log().contains("few file descriptors are left").then_some(())
    });
    assert_eq!(Wire::connect(andon.listener("narrow")).rest().1, End::Reset);
    let labels = [("listener", "narrow"), ("reason", "listener")];
    assert_eq!(andon.metric("andon_connections_refused_total", &labels), 1.0);
}

#[test]
fn only_an_operator_who_asked_for_too_many_connections_is_told_so() {
    let server = Server::named("stable");
    let log_with = |limits: &str| {
        let site = Site::new(&format!("{limits}{}", lone(server.address, "")));
        limited(&site, "ulimit -n 512").log()
    };
    let told = "limits.connections_max is more than";
    assert!(!log_with("").contains(told));
    assert!(log_with("[limits]\nconnections_max = 1000\n").contains(told));
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_to_the_hard_one() {
    let server = Server::named("stable");
    let andon = limited(&Site::new(&lone(server.address, "")), "ulimit -S -n 64; ulimit -H -n 512");
    assert_eq!(andon.metric("process_max_fds", &[]), 512.0);
}

#[test]
fn on_a_full_disk_traffic_goes_on_and_only_what_lowers_takes_effect() {
    let servers = [Server::named("stable"), Server::named("canary")];
    let site = Site::new(&split(servers[0].address, servers[1].address, "0.0001%", ""));
    // No file may grow beyond half a megabyte or a quarter, as the shell counts. The signal would end the process.
    let andon = limited(&site, "trap '' XFSZ; ulimit -S -f 512");
    let raise = |step: usize| andon.set_weight(&format!("{}.{:04}%", 1 + step / 10_000, step % 10_000));
    let full = (1..2_000).find(|step| raise(*step).status != 200).expect("the disk is full some day");
    let refused = raise(full);
    assert_eq!(refused.status, 503, "{}", refused.message.text());
    assert_eq!(andon.metric("andon_store_up", &[]), 0.0);
    assert_eq!(andon.exchange(get("/")).status(), 200);

    let lowered = andon.set_weight("0.5%").ok();
    assert_eq!(lowered["canaries"][0]["effective"], "0.5%", "{lowered}");
    assert_eq!(lowered["unsaved"], true, "{lowered}");
    andon.ask("POST", "/api/v1/routes/shop/cord", r#"{"why": "a look first", "by": "ann"}"#).ok();
    assert_eq!(andon.shop()["canaries"][0]["effective_ppm"], 0);
    assert_eq!(andon.exchange(get("/")).text(), "stable");

    let lift = ["--fsize=unlimited:unlimited", "--pid", &andon.pid().to_string()].map(str::to_owned);
    assert!(Command::new("prlimit").args(lift).status().expect("util-linux is there").success());
    wait::until("there is room again", || (andon.metric("andon_store_up", &[]) == 1.0).then_some(()));
    let whole = |andon: &Andon| {
        let checked = andon.ask("GET", "/api/v1/decisions/verify", "").ok();
        assert_eq!(checked["whole"], true, "{checked}");
    };
    whole(&andon);
    assert_eq!(andon.shop()["unsaved"], false);
    andon.kill();
    let andon = site.start();
    whole(&andon);
    let shop = andon.shop();
    assert_eq!((&shop["cord"]["by"], &shop["canaries"][0]["aim"]), (&json!("ann"), &json!("0.5%")), "{shop}");
}
