//! Ten thousand routes change under load, and no request sees a mixture of the two files, nor the old one after the new.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crate::support::{Server, Site, Wire, get, wait};

const ROUTES: usize = 10_000;
const CLIENTS: usize = 4;
const RELOADS: usize = 3;

/// Every route with the same stable, which says its name; and the name in a header as the route has it.
fn body(servers: &[Server; 2], name: &str) -> String {
    let mut text = String::new();
    for (name, server) in ["blue", "green"].iter().zip(servers) {
        write!(text, "[[upstream]]\nname = \"{name}\"\nendpoints = [\"{}\"]\n", server.address)
            .expect("a string");
    }
    for route in 0..ROUTES {
        write!(
            text,
            "[[route]]\nname = \"r{route}\"\npath = \"/r{route}/\"\nstable = \"{name}\"\n\
             [route.response_headers]\nset = {{ x-file = \"{name}\" }}\n"
        )
        .expect("a string");
    }
    text
}

/// Whose answers have been seen: every request that begins later must get the same or a later file.
#[derive(Default)]
struct Seen {
    /// Of reloads, the last whose answer came.
    file: AtomicUsize,
    answers: AtomicUsize,
    stop: AtomicBool,
}

fn client(address: SocketAddr, seed: u64, seen: Arc<Seen>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut wire = Wire::connect(address);
        while !seen.stop.load(Ordering::SeqCst) {
            let (before, route) = (seen.file.load(Ordering::SeqCst), dice.usize(0..ROUTES));
            wire.send(get(&format!("/r{route}/")));
            let answer = wire.response();
            assert_eq!(answer.status(), 200, "route {route}");
            assert_eq!(
                answer.field("x-file"),
                Some(answer.text()),
                "a mixture at route {route}, seed {seed}"
            );
            // Blue is every second file, so the answer says whether it is of the file seen before or of the next one.
            let is_green = usize::from(answer.text() == "green");
            let file = before + (before + is_green) % 2;
            assert!(file <= RELOADS, "route {route} went back to the file before, seed {seed}");
            seen.file.fetch_max(file, Ordering::SeqCst);
            seen.answers.fetch_add(1, Ordering::SeqCst);
            if answer.field("connection") == Some("close") {
                wire = Wire::connect(address);
            }
        }
    })
}

#[test]
fn ten_thousand_routes_change_at_once_for_everybody() {
    let servers = [Server::named("blue"), Server::named("green")];
    let mut site = Site::new(&body(&servers, "blue"));
    site.workers = 2;
    site.write(&body(&servers, "blue"));
    let andon = site.start();
    let seen = Arc::new(Seen::default());
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| client(andon.address, fastrand::u64(..), Arc::clone(&seen))).collect();
    for reload in 1..=RELOADS {
        let answers = seen.answers.load(Ordering::SeqCst);
        wait::until("there is load", || (seen.answers.load(Ordering::SeqCst) > answers + 100).then_some(()));
        assert_eq!(
            seen.file.load(Ordering::SeqCst),
            reload - 1,
            "nobody has seen a file that is not there yet"
        );
        site.write(&body(&servers, ["blue", "green"][reload % 2]));
        andon.ask("POST", "/api/v1/config/reload", "").ok();
        wait::until("everybody sees the new file", || {
            (seen.file.load(Ordering::SeqCst) == reload).then_some(())
        });
    }
    seen.stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().expect("no client met a mixture"));
}
