//! The users: requests at a constant rate through the real proxy, over kept-alive connections, on one thread.
//!
//! Open loop: when a request is due does not depend on how earlier ones went, and its latency counts from when it was
//! due. A proxy that stalls is thus seen as slow by everyone who would have waited, not by the few who were in it.
//! Counts what users saw, by the name that the answer carries. Refuses to retry: a user's failure is a failure.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until, timeout};

use super::upstreams::{SERVED_BY, Version};
use crate::metrics::histogram::{self, BUCKETS};

/// Requests a second: enough to see a quarter of it judged in seconds, far from what two cores can carry.
pub(super) const RATE: u32 = 400;
/// A bad canary keeps about ten of them busy; the others are there for a proxy that stalls.
const CONNECTIONS: usize = 32;
/// A user who waits longer has gone, and counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Load {
    pub(super) seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What users saw so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    stable: Counts,
    canary: Counts,
    /// The answer did not say who made it, or there was none.
    nobody: Counts,
}

#[derive(Debug)]
struct Counts {
    requests: AtomicU64,
    failed: AtomicU64,
    latency: [AtomicU64; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) stable: Tally,
    pub(super) canary: Tally,
    pub(super) nobody: Tally,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) failed: u64,
    /// Of all answers, from when the request was due.
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
}

impl Load {
    /// Begins at once, against `proxy`.
    pub(super) fn start(proxy: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seen = Arc::new(Seen::default());
        let stop = Arc::new(AtomicBool::new(false));
        let (counted, stopped) = (seen.clone(), stop.clone());
        let thread = thread::Builder::new().name("load".into()).spawn(move || {
            LocalSet::new().block_on(&runtime, all_users(proxy, counted, stopped));
        })?;
        Ok(Self { seen, stop, thread })
    }

    /// No further request begins; what is in flight may finish.
    pub(super) fn stop(self) -> Totals {
        self.stop.store(true, Ordering::Relaxed);
        // A panic has already said on stderr what it was; what was counted still holds.
        let _ = self.thread.join();
        self.seen.totals()
    }
}

impl Seen {
    pub(super) fn totals(&self) -> Totals {
        Totals { stable: self.stable.tally(), canary: self.canary.tally(), nobody: self.nobody.tally() }
    }

    fn count(&self, answer: Answer, latency: Duration) {
        let counts = match answer.by {
            Some(Version::Stable) => &self.stable,
            Some(Version::Canary) => &self.canary,
            None => &self.nobody,
        };
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        counts.requests.fetch_add(1, Ordering::Relaxed);
        counts.failed.fetch_add(u64::from(!answer.succeeded), Ordering::Relaxed);
        counts.latency[histogram::bucket_of(us)].fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            latency: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl Counts {
    fn tally(&self) -> Tally {
        let latency: Vec<u64> = self.latency.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Tally {
            requests: self.requests.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            p50_us: histogram::quantile(&latency, 0.5),
            p99_us: histogram::quantile(&latency, 0.99),
        }
    }
}

impl Totals {
    pub(super) fn requests(&self) -> u64 {
        self.stable.requests + self.canary.requests + self.nobody.requests
    }

    pub(super) fn failed(&self) -> u64 {
        self.stable.failed + self.canary.failed + self.nobody.failed
    }
}

async fn all_users(proxy: SocketAddr, seen: Arc<Seen>, stop: Arc<AtomicBool>) {
    // Connected before the first request is due: opening all at once would count as latency of the first ones.
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(connect(proxy).await);
    }
    let line = Rc::new(Line { proxy, start: Instant::now(), next: Cell::new(0), seen, stop });
    let users: Vec<_> =
        connections.into_iter().map(|connection| spawn_local(user(connection, line.clone()))).collect();
    for user in users {
        // A user who panicked stays away; the others are counted on.
        let _ = user.await;
    }
}

/// Where users take their numbers. Whoever is free takes the next one, so a slow answer delays nobody else.
struct Line {
    proxy: SocketAddr,
    start: Instant,
    next: Cell<u64>,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
}

async fn user(mut connection: Option<Connection>, line: Rc<Line>) {
    loop {
        let due = line.start + due_after(line.next.replace(line.next.get() + 1));
        sleep_until(due).await;
        if line.stop.load(Ordering::Relaxed) {
            return;
        }
        let asked = timeout(PATIENCE, ask(connection, line.proxy)).await;
        let (answer, kept) = asked.unwrap_or((UNANSWERED, None));
        connection = kept;
        line.seen.count(answer, due.elapsed());
    }
}

/// When the request with this number is due, from the start. Not a sum of intervals, which would drift.
fn due_after(number: u64) -> Duration {
    let rate = u64::from(RATE);
    let below_a_second = number % rate * 1_000_000_000 / rate;
    Duration::from_secs(number / rate) + Duration::from_nanos(below_a_second)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    by: Option<Version>,
    succeeded: bool,
}

const UNANSWERED: Answer = Answer { by: None, succeeded: false };

type Connection = SendRequest<Empty<Bytes>>;

/// Gives the connection back if it can be used again.
async fn ask(connection: Option<Connection>, proxy: SocketAddr) -> (Answer, Option<Connection>) {
    let mut kept = connection;
    if let Some(sender) = &mut kept
        && sender.ready().await.is_err()
    {
        // The proxy has closed it, as it does after so many requests.
        kept = None;
    }
    let open = match kept {
        Some(open) => Some(open),
        None => connect(proxy).await,
    };
    let Some(mut sender) = open else { return (UNANSWERED, None) };
    let mut request = Request::new(Empty::new());
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("shop.example"));
    if sender.ready().await.is_err() {
        return (UNANSWERED, None);
    }
    let Ok(response) = sender.send_request(request).await else { return (UNANSWERED, None) };
    let by = named(response.headers().get(SERVED_BY));
    let is_ok = response.status() == StatusCode::OK;
    match response.into_body().collect().await {
        Ok(_) => (Answer { by, succeeded: is_ok }, Some(sender)),
        Err(_) => (Answer { by, succeeded: false }, None),
    }
}

async fn connect(proxy: SocketAddr) -> Option<Connection> {
    let socket = TcpStream::connect(proxy).await.ok()?;
    socket.set_nodelay(true).ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await.ok()?;
    // Its errors come back to whoever sends a request.
    drop(spawn_local(async { drop(connection.await) }));
    Some(sender)
}

fn named(header: Option<&HeaderValue>) -> Option<Version> {
    [Version::Stable, Version::Canary]
        .into_iter()
        .find(|version| header.is_some_and(|name| name == version.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_a_constant_rate_that_never_drifts() {
        assert_eq!(due_after(0), Duration::ZERO);
        assert_eq!(due_after(1), Duration::from_micros(2_500));
        assert_eq!(due_after(u64::from(RATE)), Duration::from_secs(1));
        assert_eq!(due_after(u64::from(RATE) * 600), Duration::from_secs(600));
        for number in 0..5_000 {
            assert_eq!(due_after(number + 1) - due_after(number), Duration::from_micros(2_500), "{number}");
        }
    }

    #[test]
    fn failures_are_counted_where_they_belong() {
        let seen = Seen::default();
        let by = |by, succeeded| Answer { by, succeeded };
        seen.count(by(Some(Version::Stable), true), Duration::from_micros(10));
        seen.count(by(Some(Version::Canary), false), Duration::from_micros(20));
        seen.count(by(None, false), Duration::from_micros(30));
        let totals = seen.totals();
        assert_eq!((totals.stable.requests, totals.stable.failed, totals.stable.p50_us), (1, 0, Some(10)));
        assert_eq!((totals.canary.requests, totals.canary.failed, totals.canary.p99_us), (1, 1, Some(20)));
        assert_eq!((totals.nobody.requests, totals.nobody.failed), (1, 1));
        assert_eq!((totals.requests(), totals.failed()), (3, 2));
    }

    #[test]
    fn an_answer_says_who_made_it() {
        assert_eq!(named(Some(&HeaderValue::from_static("canary"))), Some(Version::Canary));
        assert_eq!(named(Some(&HeaderValue::from_static("stable"))), Some(Version::Stable));
        assert_eq!(named(Some(&HeaderValue::from_static("andon"))), None);
        assert_eq!(named(None), None);
    }
}
