//! Steady requests in the background, so that the immune system has something to judge.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::wire::Wire;
use super::{get, wait};

pub(crate) const CLIENTS: usize = 4;
const PACE: Duration = Duration::from_millis(3);

/// How many answers of each status came.
pub(crate) type Statuses = HashMap<u16, usize>;

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Statuses>>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = || {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || ask_until(address, &stop))
        };
        Self { clients: (0..CLIENTS).map(|_| client()).collect(), stop }
    }

    pub(crate) fn stop(mut self) -> Statuses {
        self.stop.store(true, Ordering::SeqCst);
        let mut sum = Statuses::new();
        for client in self.clients.drain(..) {
            for (status, count) in client.join().expect("every request is answered") {
                *sum.entry(status).or_default() += count;
            }
        }
        sum
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn ask_until(address: SocketAddr, stop: &AtomicBool) -> Statuses {
    let mut statuses = Statuses::new();
    let mut wire = Wire::connect(address);
    while !stop.load(Ordering::SeqCst) {
        wire.send(get("/"));
        let answer = wire.response();
        *statuses.entry(answer.status()).or_default() += 1;
        if answer.field("connection") == Some("close") {
            wire = Wire::connect(address);
        }
        wait::pause(PACE);
    }
    statuses
}
