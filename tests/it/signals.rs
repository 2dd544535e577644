//! TERM drains, HUP reloads, and a file that cannot be read changes nothing.

use crate::support::andon::split;
use crate::support::{Andon, End, Manual, OK, Server, Site, get, wait};

#[test]
fn a_drain_lets_what_is_in_flight_finish_and_takes_nothing_new() {
    let upstream = Manual::start();
    let mut andon = Andon::before(upstream.address);
    let mut idle = andon.connect();
    idle.send(get("/"));
    let mut first = upstream.accept();
    first.request();
    first.send(OK);
    idle.response();

    let mut client = andon.connect();
    client.send(get("/slow"));
    first.request();
    andon.signal("TERM");
    assert_eq!(idle.rest(), (Vec::new(), End::Closed));
    let refused = || std::net::TcpStream::connect(andon.address).is_err().then_some(());
    wait::until("new connections are refused", refused);
    assert_eq!(andon.ask("GET", "/readyz", "").status, 503);
    first.send(OK);
    let answer = client.response();
    assert!(answer.whole && answer.text() == "ok", "{answer:?}");
    assert_eq!(client.rest().1, End::Closed);
    assert_eq!(andon.ended().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let upstream = Manual::start();
    let mut andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    andon.signal("INT");
    wait::until("it drains", || (andon.ask("GET", "/readyz", "").status == 503).then_some(()));
    andon.signal("INT");
    assert_eq!(client.rest().0, b"");
    assert_eq!(andon.ended().code(), Some(0));
}

fn site() -> (Site, [Server; 2]) {
    let servers = [Server::named("stable"), Server::named("canary")];
    (Site::new(&split(servers[0].address, servers[1].address, "0%", "")), servers)
}

#[test]
fn hup_takes_a_good_file_and_keeps_the_connections() {
    let (site, servers) = site();
    let andon = site.start();
    let mut client = andon.connect();
    client.send(get("/"));
    assert_eq!(client.response().text(), "stable");
    site.write(&split(servers[0].address, servers[1].address, "100%", ""));
    andon.signal("HUP");
    wait::until("the canary serves", || {
        client.send(get("/"));
        (client.response().text() == "canary").then_some(())
    });
}

#[test]
fn hup_with_a_bad_file_changes_nothing_and_says_why() {
    let (site, servers) = site();
    let andon = site.start();
    andon.set_weight("30%").ok();
    let before = andon.shop();
    site.write(&split(servers[0].address, servers[1].address, "150%", ""));
    andon.signal("HUP");
    let failed = || (andon.metric("andon_config_last_reload_successful", &[]) == 0.0).then_some(());
    wait::until("the reload is refused", failed);
    let after = andon.shop();
    assert_eq!(
        (&after["revision"], &after["canaries"][0]["aim"]),
        (&before["revision"], &before["canaries"][0]["aim"])
    );
    assert_eq!(andon.exchange(get("/")).status(), 200);
    assert!(andon.log().contains("150%"), "{}", andon.log());

    site.write(&split(servers[0].address, servers[1].address, "40%", ""));
    let aim = || (andon.shop()["canaries"][0]["aim"] == "40%").then_some(());
    wait::until("a file that is good again is taken without a signal", aim);
}
