//! Counters by variant and class of status, shown as Prometheus reads them; and the access log, written by a thread of its own.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;

/// Lines that may wait for the writer; those that come when it is full are dropped.
const WAITING_LINES_MAX: usize = 65_536;

/// Requests by variant and by the hundreds of their status; 0 is no answer at all.
#[derive(Default)]
pub struct Metrics {
    requests: [[AtomicU64; 6]; 2],
}

impl Metrics {
    pub fn count(&self, is_canary: bool, status: u16) {
        self.requests[usize::from(is_canary)][usize::from(status / 100).min(5)].fetch_add(1, Relaxed);
    }

    fn text(&self) -> String {
        let mut text = "# TYPE requests_total counter\n".to_string();
        for (variant, classes) in ["stable", "canary"].iter().zip(&self.requests) {
            for (class, count) in classes.iter().enumerate() {
                let count = count.load(Relaxed);
                text += &format!("requests_total{{variant=\"{variant}\",status=\"{class}xx\"}} {count}\n");
            }
        }
        text
    }
}

/// The page of the counters.
pub struct Shown(pub Arc<Metrics>);

#[async_trait]
impl ServeHttp for Shown {
    async fn response(&self, _session: &mut ServerSession) -> http::Response<Vec<u8>> {
        let body = self.0.text().into_bytes();
        let length = body.len();
        let mut response = http::Response::new(body);
        let headers = response.headers_mut();
        headers
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; version=0.0.4"));
        headers.insert(http::header::CONTENT_LENGTH, length.into());
        response
    }
}

pub struct AccessLog {
    lines: SyncSender<String>,
}

impl AccessLog {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let (lines, waiting) = sync_channel(WAITING_LINES_MAX);
        std::thread::Builder::new().name("access-log".into()).spawn(move || write_all(&waiting, file))?;
        Ok(Self { lines })
    }

    pub fn write(&self, session: &Session, status: u16) {
        let client = session
            .client_addr()
            .and_then(|address| address.as_inet())
            .map(|address| address.ip().to_string());
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let request = session.req_header();
        let line = format!(
            "{} [{at:.3}] \"{} {} {:?}\" {status} {}\n",
            client.as_deref().unwrap_or("-"),
            request.method,
            request.uri,
            request.version,
            session.body_bytes_sent(),
        );
        // A full queue costs lines of the log, never requests.
        let _ = self.lines.try_send(line);
    }
}

/// Writes what waits in one go, and flushes when nothing waits any more.
fn write_all(waiting: &Receiver<String>, file: File) {
    let mut file = BufWriter::new(file);
    while let Ok(first) = waiting.recv() {
        let written = std::iter::once(first)
            .chain(waiting.try_iter())
            .try_for_each(|line| file.write_all(line.as_bytes()));
        if let Err(problem) = written.and_then(|()| file.flush()) {
            eprintln!("pingora-peer: the access log cannot be written: {problem}");
            return;
        }
    }
}
