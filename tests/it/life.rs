//! What the service manager is told, the sockets that it opens for us, and an end that load balancers notice.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::andon::lone;
use crate::support::wait::PATIENCE;
use crate::support::{Andon, Manual, OK, Server, Site, get, wait};

/// The manager's end of `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _dir: TempDir,
}

impl Manager {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path, _dir: dir }
    }

    fn next(&self) -> io::Result<String> {
        let mut bytes = [0; 4_096];
        let count = self.socket.recv(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
    }

    /// Reads on until a message has this line; returns that message.
    #[track_caller]
    fn hears(&self, line: &str) -> String {
        loop {
            let message = self.next().unwrap_or_else(|error| panic!("no {line}: {error}"));
            if message.lines().any(|found| found == line) {
                return message;
            }
        }
    }
}

/// With more in its environment. Its own `command` says what comes before the arguments.
fn start_with(site: &Site, set: &[(&str, &str)]) -> Andon {
    let mut command = site.command();
    command.envs(set.iter().copied());
    site.start_command(command)
}

#[test]
fn systemd_is_told_of_every_turn() {
    let (manager, server) = (Manager::start(), Server::named("stable"));
    let site = Site::new(&lone(server.address, ""));
    let socket = manager.path.to_str().unwrap();
    let mut andon = start_with(&site, &[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "100000")]);
    let ready = manager.hears("READY=1");
    assert!(ready.contains("STATUS=serving: 1 listeners"), "{ready}");
    for _ in 0..5 {
        manager.hears("WATCHDOG=1");
    }
    andon.signal("HUP");
    let reloading = manager.hears("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.hears("READY=1");
    site.write("nonsense = 1");
    andon.signal("HUP");
    manager.hears("RELOADING=1");
    let ready = manager.hears("READY=1");
    assert!(ready.contains("the last reload was refused"), "{ready}");
    andon.signal("TERM");
    let stopping = manager.hears("STOPPING=1");
    assert!(stopping.contains("STATUS=draining"), "{stopping}");
    assert_eq!(andon.ended().code(), Some(0));
}

#[test]
fn a_watchdog_of_another_process_is_not_ours() {
    let (manager, server) = (Manager::start(), Server::named("stable"));
    let site = Site::new(&lone(server.address, ""));
    let socket = manager.path.to_str().unwrap();
    let set = [("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "1")];
    let mut andon = start_with(&site, &set);
    manager.hears("READY=1");
    andon.exchange(get("/"));
    andon.signal("TERM");
    assert!(manager.next().unwrap().contains("STOPPING=1"), "it comes next, so there was no beat");
    andon.ended();
}

#[test]
fn load_balancers_have_time_to_notice_the_end_and_a_reload_says_how_long() {
    let server = Server::named("stable");
    let site = Site::new(&lone(server.address, ""));
    let mut andon = site.start();
    site.write(&format!("[drain]\ndelay = \"10m\"\n{}", lone(server.address, "")));
    andon.ask("POST", "/api/v1/config/reload", "").ok();
    andon.signal("TERM");
    wait::until("readyz fails", || (andon.ask("GET", "/readyz", "").status == 503).then_some(()));
    for _ in 0..20 {
        assert_eq!(andon.exchange(get("/")).text(), "stable");
    }
    andon.signal("TERM");
    assert_eq!(andon.ended().code(), Some(0));
}

#[test]
fn what_the_deadline_cuts_is_counted() {
    let upstream = Manual::start();
    let site = Site::new(&format!("[drain]\ntimeout = \"1ms\"\n{}", lone(upstream.address, "")));
    let mut andon = site.start();
    let mut busy = [andon.connect(), andon.connect()];
    let peers = busy.each_mut().map(|client| {
        client.send(get("/"));
        let mut peer = upstream.accept();
        peer.request();
        peer
    });
    let mut idle = andon.connect();
    idle.send(get("/"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    idle.response();
    andon.signal("TERM");
    assert_eq!(andon.ended().code(), Some(0));
    let log = andon.log();
    assert!(log.contains(r#""connections":3,"requests":2"#), "{log}");
    assert!(log.contains("the drain deadline passed"), "{log}");
    drop(peers);
}

/// Opens sockets as systemd does, and becomes the program.
const ACTIVATE: &str = "
import os, socket, sys
for number in (3, 4, 5):
    one = socket.create_server(('127.0.0.1', 0))
    os.dup2(one.fileno(), number + 10)
for number in (3, 4, 5):
    os.dup2(number + 10, number)
    os.close(number + 10)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='3', LISTEN_FDNAMES='admin:other:public')
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn sockets_of_systemd_are_taken_by_name_and_pass_on_to_the_next_process() {
    let server = Server::named("stable");
    let mut site = Site::new(&lone(server.address, ""));
    site.workers = 3;
    // Could it be used, binding it would fail.
    site.address = "192.0.2.1:80".to_owned();
    site.write(&lone(server.address, ""));
    let mut andon = site.start_command(site.command_through("python3", &["-c", ACTIVATE]));
    let address = andon.address;
    assert_ne!(address.port(), 80);
    for _ in 0..10 {
        assert_eq!(andon.exchange(get("/")).text(), "stable");
    }
    assert!(andon.log().contains("no listener takes this socket of systemd"), "{}", andon.log());
    assert_eq!(andon.upgrade(), Ok(()));
    assert_eq!(andon.listener("public"), address);
    for _ in 0..10 {
        assert_eq!(andon.exchange(get("/")).text(), "stable");
    }
    assert_eq!(andon.ask("GET", "/readyz", "").status, 200);
}
