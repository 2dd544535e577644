//! The two upstreams: real sockets on loopback, HTTP/1.1, on a thread of their own.
//!
//! Both think a few milliseconds, the same for both, drawn from the number of the request so that every show is alike.
//! The canary can be turned bad; then it fails often and is slow. Refuses to know that it is being watched.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep};

/// The header by which an answer says who made it, so that a failure is blamed on the right one.
pub(super) const SERVED_BY: &str = "x-served-by";

const THINK_MIN_MS: u64 = 3;
const THINK_MAX_MS: u64 = 8;
/// Of a bad canary's answers.
pub(super) const BAD_FAILS_PERCENT: u64 = 30;
pub(super) const BAD_SLOWER: Duration = Duration::from_millis(80);
/// After a failed accept: one that fails at once must not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Stable,
    Canary,
}

impl Version {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
        }
    }
}

pub(super) struct Upstreams {
    pub(super) stable: SocketAddr,
    pub(super) canary: SocketAddr,
    pub(super) log: Arc<CanaryLog>,
    /// Dropped to end the thread.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What only the canary itself knows. Times count from `epoch`.
#[derive(Debug)]
pub(super) struct CanaryLog {
    epoch: Instant,
    is_bad: AtomicBool,
    requests: AtomicU64,
    failed: AtomicU64,
    first_failure_us: AtomicU64,
    last_request_us: AtomicU64,
}

/// The canary's own account at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) requests: u64,
    /// Answered with 500.
    pub(super) failed: u64,
    /// When the first failing answer was sent.
    pub(super) first_failure: Option<Duration>,
    /// When the latest request came in.
    pub(super) last_request: Option<Duration>,
}

impl Upstreams {
    pub(super) fn start(epoch: Instant) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let bind = || runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let (stable, canary) = (bind()?, bind()?);
        let (stable_address, canary_address) = (stable.local_addr()?, canary.local_addr()?);
        let log = Arc::new(CanaryLog::new(epoch));
        let (stop, stopped) = oneshot::channel();
        let served = log.clone();
        let thread = thread::Builder::new().name("upstreams".into()).spawn(move || {
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = accept(stable, Version::Stable, served.clone()) => {}
                    () = accept(canary, Version::Canary, served) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { stable: stable_address, canary: canary_address, log, stop, thread })
    }

    /// Connections still open are cut.
    pub(super) fn stop(self) {
        drop(self.stop);
        // A panic has already said on stderr what it was.
        let _ = self.thread.join();
    }
}

impl CanaryLog {
    fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            is_bad: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first_failure_us: AtomicU64::new(NEVER),
            last_request_us: AtomicU64::new(NEVER),
        }
    }

    pub(super) fn turn_bad(&self) {
        self.is_bad.store(true, Ordering::Relaxed);
    }

    pub(super) fn account(&self) -> Account {
        Account {
            requests: self.requests.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            first_failure: moment(&self.first_failure_us),
            last_request: moment(&self.last_request_us),
        }
    }

    fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.last_request_us.store(self.now_us(), Ordering::Relaxed);
    }

    fn failure(&self) {
        if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first_failure_us.store(self.now_us(), Ordering::Relaxed);
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(NEVER - 1)
    }
}

const NEVER: u64 = u64::MAX;

fn moment(us: &AtomicU64) -> Option<Duration> {
    Some(us.load(Ordering::Relaxed)).filter(|us| *us != NEVER).map(Duration::from_micros)
}

async fn accept(listener: TcpListener, version: Version, log: Arc<CanaryLog>) {
    let numbers = Rc::new(Cell::new(0));
    loop {
        match listener.accept().await {
            Ok((socket, _)) => drop(spawn_local(serve(socket, version, log.clone(), numbers.clone()))),
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(socket: TcpStream, version: Version, log: Arc<CanaryLog>, numbers: Rc<Cell<u64>>) {
    // Without it a small answer may wait for an acknowledgement, and the picture would show that as latency.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |_: Request<Incoming>| {
        let (log, number) = (log.clone(), numbers.replace(numbers.get() + 1));
        async move {
            let status = match version {
                Version::Stable => stable(number).await,
                Version::Canary => canary(number, &log).await,
            };
            Ok::<_, Infallible>(answer(version, status))
        }
    });
    // The proxy may cut its connections when it ends; nobody is left to be told.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn stable(number: u64) -> StatusCode {
    sleep(think_time(number)).await;
    StatusCode::OK
}

async fn canary(number: u64, log: &CanaryLog) -> StatusCode {
    log.request();
    if !log.is_bad.load(Ordering::Relaxed) {
        return stable(number).await;
    }
    sleep(think_time(number) + BAD_SLOWER).await;
    if !bad_one_fails(number) {
        return StatusCode::OK;
    }
    log.failure();
    StatusCode::INTERNAL_SERVER_ERROR
}

fn answer(version: Version, status: StatusCode) -> Response<Full<Bytes>> {
    let text = match (version, status) {
        (Version::Stable, _) => "Hello from stable.\n",
        (Version::Canary, StatusCode::OK) => "Hello from the canary.\n",
        (Version::Canary, _) => "The canary is not well.\n",
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(SERVED_BY, http::HeaderValue::from_static(version.name()));
    response
}

fn think_time(number: u64) -> Duration {
    Duration::from_millis(THINK_MIN_MS + draw(number, 1) % (THINK_MAX_MS - THINK_MIN_MS + 1))
}

fn bad_one_fails(number: u64) -> bool {
    draw(number, 2) % 100 < BAD_FAILS_PERCENT
}

/// The same for the same number, and without a pattern from one number to the next: an even one could fall in step
/// with the split. SplitMix64.
fn draw(number: u64, stream: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(stream << 32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_thinks_three_to_eight_milliseconds() {
        let times: Vec<u128> = (0..1_000).map(|number| think_time(number).as_millis()).collect();
        assert_eq!((times.iter().min(), times.iter().max()), (Some(&3), Some(&8)));
    }

    #[test]
    fn a_bad_canary_fails_three_of_ten_and_never_ten_in_a_row() {
        let fails: Vec<bool> = (0..20_000).map(bad_one_fails).collect();
        let failed = fails.iter().filter(|failed| **failed).count();
        assert!((5_700..6_300).contains(&failed), "{failed}");
        // Ten in a row would trip the fast rule instead of the odds, and the story would be another one.
        assert!(!fails.windows(10).any(|ten| ten.iter().all(|failed| *failed)));
    }

    #[test]
    fn the_canary_keeps_the_time_of_its_first_failure_and_of_its_last_request() {
        let log = CanaryLog::new(Instant::now());
        assert_eq!(log.account(), Account::default());
        log.request();
        log.failure();
        let first = log.account();
        log.request();
        log.failure();
        let second = log.account();
        assert_eq!((second.requests, second.failed), (2, 2));
        assert!(first.first_failure.is_some() && second.first_failure == first.first_failure);
        assert!(second.last_request >= first.last_request);
    }
}
