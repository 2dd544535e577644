//! USR2: a new process takes over, and no client notices.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use crate::support::andon::{lone, split};
use crate::support::{Andon, Manual, OK, Server, Site, Wire, get, wait};

const UPGRADES: usize = 10;
const PACE: Duration = Duration::from_millis(2);

/// Clients that demand an answer to everything they send. One connects anew only if it was told that its connection
/// ends.
struct Clients {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(address: SocketAddr) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let start = |keep: bool| {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            std::thread::spawn(move || {
                let mut wire = None;
                while !stop.load(Ordering::SeqCst) {
                    let mut open: Wire = wire.take().unwrap_or_else(|| Wire::connect(address));
                    open.send(get("/"));
                    let answer = open.response();
                    assert!(answer.whole && answer.text() == "stable", "{answer:?}");
                    answers.fetch_add(1, Ordering::SeqCst);
                    if keep && answer.field("connection") != Some("close") {
                        wire = Some(open);
                    }
                    wait::pause(PACE);
                }
            })
        };
        let threads = [true, true, true, false, false, false].map(start).into();
        Self { stop, answers, threads }
    }

    /// Waits for more answers.
    #[track_caller]
    fn go_on(&self) {
        let before = self.answers.load(Ordering::SeqCst);
        wait::until("the clients go on", || {
            (self.answers.load(Ordering::SeqCst) > before + 50).then_some(())
        });
    }

    fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("every request is answered");
        }
        self.answers.load(Ordering::SeqCst)
    }
}

#[test]
fn ten_upgrades_under_load_lose_no_connection_and_no_request() {
    let server = Server::named("stable");
    let mut site = Site::new(&lone(server.address, ""));
    site.workers = 3;
    site.write(&lone(server.address, ""));
    let mut andon = site.start();
    let clients = Clients::start(andon.address);
    for round in 0..UPGRADES {
        clients.go_on();
        let old = andon.pid();
        // Fewer workers than sockets, as many, and more.
        site.workers = 1 + round % 4;
        site.write(&lone(server.address, ""));
        assert_eq!(andon.upgrade(), Ok(()), "round {round}");
        assert_ne!(andon.pid(), old);
        clients.go_on();
        assert_eq!(andon.ask("GET", "/readyz", "").status, 200);
        if round == 0 {
            assert_eq!(andon.ended().code(), Some(0));
        }
        wait::until("the old process ends", || (!Andon::runs(old)).then_some(()));
    }
    let answered = clients.stop();
    // What the clients count and what went upstream is the same, so nothing was repeated either.
    assert_eq!(server.requests(), answered);
}

#[test]
fn the_old_process_finishes_what_it_has_begun() {
    let upstream = Manual::start();
    let mut andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    client.send(get("/slow"));
    let mut first = upstream.accept();
    first.request();
    assert_eq!(andon.upgrade(), Ok(()));
    let mut other = andon.connect();
    other.send(get("/"));
    let mut second = upstream.accept();
    second.request();
    second.send(OK);
    assert_eq!(other.response().field("connection"), None);
    first.send(OK);
    let answer = client.response();
    assert_eq!((answer.text(), answer.field("connection")), ("ok", Some("close")));
    assert_eq!(andon.ended().code(), Some(0));
}

#[test]
fn cords_and_weights_pass_on_and_the_new_process_takes_commands() {
    let servers = [Server::named("stable"), Server::named("canary")];
    let site = Site::new(&split(servers[0].address, servers[1].address, "10%", ""));
    let mut andon = site.start();
    andon.set_weight("25%").ok();
    assert_eq!(andon.upgrade(), Ok(()));
    assert_eq!(andon.shop()["canaries"][0]["aim"], "25%");
    andon.ask("POST", "/api/v1/routes/shop/cord", r#"{"why": "a look first", "by": "ann"}"#).ok();
    assert_eq!(andon.upgrade(), Ok(()));
    let shop = andon.shop();
    assert_eq!((&shop["cord"]["by"], &shop["canaries"][0]["aim"]), (&json!("ann"), &json!("25%")), "{shop}");
    assert_eq!(andon.set_weight("30%").status, 409);
    andon.signal("TERM");
    let pid = andon.pid();
    wait::until("the last process ends", || (!Andon::runs(pid)).then_some(()));
}

#[test]
fn a_new_process_that_cannot_start_changes_nothing() {
    let servers = [Server::named("stable"), Server::named("canary")];
    let body = split(servers[0].address, servers[1].address, "10%", "");
    let site = Site::new(&body);
    let program = site.path("andon");
    std::fs::copy(env!("CARGO_BIN_EXE_andon"), &program).unwrap();
    let mut andon = site.start_command(site.command_of(&program));
    andon.set_weight("25%").ok();
    let replace = |script: &str| {
        std::fs::write(site.path("new"), script).unwrap();
        std::fs::set_permissions(site.path("new"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(site.path("new"), &program).unwrap();
    };
    let still_works = |andon: &Andon, weight: &str| {
        assert_eq!(andon.exchange(get("/")).status(), 200);
        andon.set_weight(weight).ok();
        assert_eq!(andon.shop()["canaries"][0]["aim"], weight);
        assert_eq!(andon.metric("andon_store_up", &[]), 1.0);
    };
    let old = andon.pid();

    replace("#!/bin/sh\nexit 3\n");
    assert_eq!(andon.upgrade(), Err("the new process ended; its log says why".to_owned()));
    still_works(&andon, "26%");

    std::fs::remove_file(&program).unwrap();
    assert!(andon.upgrade().unwrap_err().contains("cannot start"));
    still_works(&andon, "27%");

    // A new one that has the store already, and then dies.
    std::fs::copy(env!("CARGO_BIN_EXE_andon"), site.path("new")).unwrap();
    std::fs::rename(site.path("new"), &program).unwrap();
    let (kept, broken) = (site.store(), site.path("aside"));
    std::fs::rename(&kept, &broken).unwrap();
    std::fs::create_dir(&kept).unwrap();
    assert!(andon.upgrade().is_err());
    std::fs::remove_dir(&kept).unwrap();
    std::fs::rename(&broken, &kept).unwrap();
    wait::until("the store is ours again", || (andon.set_weight("28%").status == 200).then_some(()));

    site.write("nonsense = 1");
    assert!(andon.upgrade().is_err());
    still_works(&andon, "29%");
    site.write(&body);
    assert_eq!(andon.pid(), old);
    assert_eq!(andon.upgrade(), Ok(()));
    still_works(&andon, "30%");
}

#[test]
fn a_listener_that_is_gone_is_closed_and_one_that_is_new_is_open() {
    let server = Server::named("stable");
    let extra = |name: &str, address: &str| {
        format!("[[listener]]\nname = \"{name}\"\naddress = \"{address}\"\n{}", lone(server.address, ""))
    };
    let site = Site::new(&extra("first", "127.0.0.1:0"));
    let mut andon = site.start();
    let first = andon.listener("first");
    site.write(&extra("second", "127.0.0.2:0"));
    assert_eq!(andon.upgrade(), Ok(()));
    let second = andon.listener("second");
    let ask = |address| {
        let mut wire = Wire::connect(address);
        wire.send(get("/"));
        wire.response().text().to_owned()
    };
    assert_eq!((ask(andon.address), ask(second)), ("stable".to_owned(), "stable".to_owned()));
    wait::until("the first is closed", || std::net::TcpStream::connect(first).is_err().then_some(()));
}

#[test]
fn a_store_in_memory_is_not_thrown_away() {
    let server = Server::named("stable");
    let site = Site::new(&lone(server.address, ""));
    let text = std::fs::read_to_string(site.path("andon.toml")).unwrap();
    std::fs::write(site.path("andon.toml"), text.replace("andon.db", ":memory:")).unwrap();
    let mut andon = site.start();
    assert!(andon.upgrade().unwrap_err().contains(":memory:"));
    assert_eq!(andon.exchange(get("/")).status(), 200);
}

#[test]
fn an_upgrade_leaves_nothing_open_behind() {
    let mut andon = Andon::before(crate::support::port::free());
    let count = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    // An answer shows that the worker has opened whatever it needs.
    assert_eq!(andon.exchange(get("/")).status(), 502);
    let before = count(andon.pid());
    for _ in 0..3 {
        assert_eq!(andon.upgrade(), Ok(()));
        assert_eq!(andon.exchange(get("/")).status(), 502);
    }
    wait::until("as many descriptors as before", || (count(andon.pid()) <= before).then_some(()));
    let stdin = Command::new("readlink").arg(format!("/proc/{}/fd/0", andon.pid())).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stdin.stdout).trim(), "/dev/null");
}
