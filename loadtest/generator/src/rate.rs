//! Requests at a constant rate, whatever the answers do: an open loop.
//!
//! A load that waits for an answer before it sends the next request stops asking exactly while the proxy stalls, and so
//! never sees the stall (coordinated omission). Here every request has an intended moment, its latency counts from then,
//! and it waits in a queue if no connection is free. A thread keeps the time, since a timer of tokio is good for a
//! millisecond only; the kernel wakes it up to some 60 µs late, which is part of every figure, of all proxies alike.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::exchange::{Connection, name_of, request};
use crate::figures::Figures;
use crate::target::Target;

const ANSWER_MAX: Duration = Duration::from_secs(5);
const START_AFTER: Duration = Duration::from_millis(100);

struct Run {
    target: Target,
    request: Vec<u8>,
    figures: Figures,
    /// Connections that wait for a request; one that broke is opened again by the next request.
    free: VecDeque<Option<Connection>>,
    /// Intended moments that wait for a connection. Bounded by the rate and the length of the run.
    waiting: VecDeque<Instant>,
    busy: usize,
}

pub async fn run(target: Target, rate: u32, seconds: u32, connections: usize) -> io::Result<Value> {
    let mut free = VecDeque::with_capacity(connections);
    for _ in 0..connections {
        free.push_back(Some(Connection::open(&target).await?));
    }
    let request = request(&target, "keep-alive");
    let figures = Figures::new();
    let run =
        Rc::new(RefCell::new(Run { target, request, figures, free, waiting: VecDeque::new(), busy: 0 }));
    let began = Instant::now() + START_AFTER;
    let mut moments = moments(began, rate, seconds);
    while let Some(intended) = moments.recv().await {
        run.borrow_mut().figures.was_late(intended.elapsed());
        let free = run.borrow_mut().free.pop_front();
        match free {
            Some(connection) => {
                run.borrow_mut().busy += 1;
                spawn_local(serve(run.clone(), connection, intended));
            }
            None => run.borrow_mut().waiting.push_back(intended),
        }
    }
    // Every request has its own deadline, so this ends.
    while run.borrow().busy > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(run.borrow().figures.to_json(began.elapsed()))
}

/// The intended moments, each when it has come.
fn moments(began: Instant, rate: u32, seconds: u32) -> mpsc::UnboundedReceiver<Instant> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for number in 0..u64::from(rate) * u64::from(seconds) {
            let intended = began + Duration::from_nanos(number * 1_000_000_000 / u64::from(rate));
            thread::sleep(intended.saturating_duration_since(Instant::now()));
            if sender.send(intended).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Sends the request, and those that wait, until none does.
async fn serve(run: Rc<RefCell<Run>>, mut connection: Option<Connection>, mut intended: Instant) {
    let (target, request) = {
        let run = run.borrow();
        (run.target.clone(), run.request.clone())
    };
    loop {
        let result = match timeout(ANSWER_MAX, ask(&target, &request, &mut connection)).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::other("no answer within 5 s")),
        };
        if result.is_err() {
            connection = None;
        }
        let mut run = run.borrow_mut();
        run.figures.answered(intended.elapsed());
        if let Some(why) = name_of(result) {
            run.figures.failed(why);
        }
        match run.waiting.pop_front() {
            Some(next) => intended = next,
            None => {
                run.busy -= 1;
                run.free.push_back(connection);
                return;
            }
        }
    }
}

async fn ask(target: &Target, request: &[u8], connection: &mut Option<Connection>) -> io::Result<u16> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(target).await?),
    };
    open.exchange(request).await
}
