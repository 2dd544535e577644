//! What a proxied request costs in allocations, pinned to the number, and what a connection holds that rests.
//!
//! Andon runs in this process, everything on: two variants, guard, metrics, request id, forwarded headers. The allocator
//! counts for all threads, so client and upstream use buffers of their own and allocate nothing, and the batch with the
//! fewest counts: what the control thread does ten times a second then falls into other batches.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// For a request over kept connections, with the head of a browser. Fewer is better: then lower it. More needs a reason.
const ALLOCATIONS_PER_REQUEST: usize = 4;
/// Of those and of what they grew by.
const BYTES_PER_REQUEST_MAX: usize = 1_024;

/// Connections, pools, histograms, and the tables that grow until they are as large as they stay.
const WARM_UP: usize = 2_000;
const BATCHES: usize = 100;
/// A few milliseconds: most batches lie between two ticks of the control thread.
const BATCH: usize = 50;
/// Of our allocator; the kernel's share of a socket is not in it.
const BYTES_AT_REST_MAX: usize = 384;
const RESTING: usize = 512;
/// A request between two looks: some ten seconds of them, where a connection rests after a second without any.
const LOOKS_MAX: u32 = 40_000;
const PATIENCE: Duration = Duration::from_secs(30);

const REQUEST: &[u8] = b"GET /api/v1/items/42?page=2 HTTP/1.1\r\n\
    Host: shop.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Cookie: theme=dark; session=8f14e45fceea167a; uid=user-4711\r\n\
    Connection: keep-alive\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/plain\r\n\
    Cache-Control: no-store\r\n\
    Content-Length: 5\r\n\r\nhello";

#[test]
fn a_request_allocates_exactly_so_often() {
    let _alone = alone();
    let mut andon = start();
    let mut client = Client::connect(andon.listeners[0].1);
    client.ask(WARM_UP);
    let (allocations, bytes) = fewest(&mut client);
    drop(client);
    andon.drain();
    andon.finish();

    eprintln!("{allocations} allocations and {bytes} bytes for a batch of {BATCH} requests");
    let each = |count: usize| count as f64 / BATCH as f64;
    assert_eq!(
        allocations,
        BATCH * ALLOCATIONS_PER_REQUEST,
        "{} allocations a request, not {ALLOCATIONS_PER_REQUEST}; if it is fewer, lower ALLOCATIONS_PER_REQUEST",
        each(allocations)
    );
    let bytes_max = BATCH * BYTES_PER_REQUEST_MAX;
    assert!(bytes <= bytes_max, "{} bytes a request, more than {BYTES_PER_REQUEST_MAX}", each(bytes));
}

#[test]
fn a_connection_that_rests_holds_little() {
    let _alone = alone();
    let mut andon = start();
    let address = andon.listeners[0].1;
    let mut resting = Vec::with_capacity(RESTING);
    let mut busy = Client::connect(address);
    busy.ask(WARM_UP);
    let before = held();
    for _ in 0..RESTING {
        let mut client = Client::connect(address);
        client.ask(1);
        resting.push(client.stream);
    }
    let mut each = usize::MAX;
    for _ in 0..LOOKS_MAX {
        busy.ask(1);
        each = held().saturating_sub(before) / RESTING;
        if each <= BYTES_AT_REST_MAX {
            break;
        }
    }
    eprintln!("{each} bytes for a connection at rest");
    assert!(each <= BYTES_AT_REST_MAX, "{each} bytes for a connection at rest, not {BYTES_AT_REST_MAX}");
    drop(resting);
    andon.drain();
    andon.finish();
}

/// Bytes of the whole process that nobody has freed yet.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The allocator counts for the whole process, and some ways to run tests run them all in one.
#[expect(clippy::disallowed_types, reason = "of the test alone")]
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn start() -> andon::app::Running {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("andon.toml");
    std::fs::write(&file, site(upstream(), upstream())).expect("the directory is ours");
    let config = andon::config::load(&file).expect("a good file");
    andon::app::start(config, None).expect("ports and threads for one more andon")
}

/// Allocations, those that grew something included, and bytes, each of its best batch.
fn fewest(client: &mut Client) -> (usize, usize) {
    let (mut allocations, mut bytes) = (usize::MAX, usize::MAX);
    for _ in 0..BATCHES {
        let region = Region::new(ALLOCATOR);
        client.ask(BATCH);
        let change = region.change();
        allocations = allocations.min(change.allocations + change.reallocations);
        bytes = bytes.min(change.bytes_allocated);
    }
    (allocations, bytes)
}

fn site(stable: SocketAddr, canary: SocketAddr) -> String {
    format!(
        "[workers]\ncount = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \":memory:\"\n\
         [[listener]]\nname = \"public\"\naddress = \"127.0.0.1:0\"\nkeep_alive_timeout = \"1h\"\n\
         [[upstream]]\nname = \"v1\"\nendpoints = [\"{stable}\"]\n\
         [[upstream]]\nname = \"v2\"\nendpoints = [\"{canary}\"]\n\
         [[route]]\nname = \"shop\"\nstable = \"v1\"\n[[route.canary]]\nupstream = \"v2\"\nweight = \"5%\"\n"
    )
}

/// Answers every request on every connection with [`ANSWER`]. Its threads end with the process.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer_all(stream));
        }
    });
    address
}

/// Requests come one at a time, so what ends with an empty line is a whole one.
fn answer_all(mut stream: TcpStream) {
    let (mut buffer, mut filled) = ([0; 8_192], 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer[filled..]) {
        filled += read;
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    }
}

struct Client {
    stream: TcpStream,
    buffer: [u8; 8_192],
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("andon listens");
        stream.set_nodelay(true).expect("it is a TCP socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is a TCP socket");
        Self { stream, buffer: [0; 8_192] }
    }

    /// One after another, each answered before the next.
    fn ask(&mut self, requests: usize) {
        for _ in 0..requests {
            self.stream.write_all(REQUEST).expect("andon reads");
            let mut filled = 0;
            while !self.buffer[..filled].ends_with(b"\r\n\r\nhello") {
                let read = self.stream.read(&mut self.buffer[filled..]).expect("andon answers in time");
                assert!(read > 0, "andon closed a kept connection");
                filled += read;
            }
            assert!(self.buffer.starts_with(b"HTTP/1.1 200 "), "andon answers with the upstream's status");
        }
    }
}
