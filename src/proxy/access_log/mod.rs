//! The access log: a line a request, when it has ended.
//!
//! A worker fills a [`Line`] and puts it in a queue of bounded length; it neither formats nor writes nor waits. One
//! thread takes the lines out, formats and writes them: see [`writer`]. What the queue cannot take is dropped and
//! counted. A line owns copies of what it shows, each cut to a bound: a header value that pointed into the buffer of
//! its connection would keep all of that buffer alive.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use http::{HeaderMap, HeaderName, Version, header};

use super::message::Request;
use super::trace::TraceId;
use super::{clock, headers, spans};
use crate::config;
use crate::metrics::shard::Refused;
use crate::metrics::totals::LogCounters;
use crate::metrics::{Blame, Outcome, Shard};
use crate::routing::{Answer, Names, Place, Snapshot, Why};

mod format;
mod writer;

pub use writer::Writer;

/// Lines that wait for the writer, of all workers together. More are dropped.
const QUEUE_LINES_MAX: usize = 8_192;

/// A worker's end of the queue.
#[derive(Clone)]
pub struct AccessLog(SyncSender<Box<Line>>);

/// Opens the log and starts its thread.
pub fn start(config: &config::AccessLog, counters: Arc<LogCounters>) -> io::Result<(AccessLog, Writer)> {
    let (sender, lines) = sync_channel(QUEUE_LINES_MAX);
    Ok((AccessLog(sender), Writer::start(config, lines, counters)?))
}

impl AccessLog {
    /// A request that has just ended.
    pub(super) fn send(&self, mut line: Box<Line>, shard: &Shard) {
        let total_ms = i64::try_from(line.total_us / 1_000).unwrap_or(0);
        line.unix_ms = clock::unix_ms() - total_ms;
        if self.0.try_send(line).is_err() {
            shard.access_log_dropped.add(1);
        }
    }
}

/// Everything that a line says, and a span.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) text: Text,
    pub(super) client: IpAddr,
    pub(super) version: Version,
    /// When the request began.
    pub(super) unix_ms: i64,
    pub(super) status: u16,
    /// Of the bodies.
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) head_us: Option<u64>,
    pub(super) total_us: u64,
    pub(super) route: Route,
    pub(super) why: Option<Why>,
    pub(super) endpoint: Option<SocketAddr>,
    /// How the canary failed, if stable answered in its place.
    pub(super) rescue: Option<Outcome>,
    pub(super) end: End,
    pub(super) trace: Option<TraceId>,
    /// Somebody keeps the request's span.
    pub(super) span: Option<spans::Context>,
}

/// How far the request came.
#[derive(Clone)]
pub(super) enum Route {
    None,
    Named(Arc<str>),
    Served(Arc<Names>),
}

impl Route {
    pub(super) fn of(snapshot: &Snapshot, answer: &Answer) -> Self {
        match answer {
            Answer::Forward(decision) => Self::at(snapshot, decision.place),
            Answer::NoEndpoint(found) => Self::at(snapshot, found.place),
            _ => {
                let route = answer.route().and_then(|route| snapshot.table().routes().get(route));
                route.map_or(Self::None, |route| Self::Named(Arc::clone(&route.name)))
            }
        }
    }

    pub(super) fn at(snapshot: &Snapshot, place: Place) -> Self {
        snapshot.names(place).map_or(Self::None, |names| Self::Served(Arc::clone(names)))
    }
}

/// How it ended.
#[derive(Clone, Copy)]
pub(super) enum End {
    Outcome(Outcome),
    /// It reached no variant, for this reason.
    Refused(&'static str),
}

impl End {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Outcome(outcome) => outcome.label(),
            Self::Refused(reason) => reason,
        }
    }

    pub(super) fn blame(self) -> Blame {
        match self {
            Self::Outcome(outcome) => outcome.blame(),
            Self::Refused(_) => Blame::Nobody,
        }
    }
}

impl Line {
    /// What the client asked for. The rest is not known yet.
    pub(super) fn of<B>(request: &Request<B>, client: IpAddr, span: Option<spans::Context>) -> Box<Self> {
        let fields = request.headers();
        let target = request.uri().path_and_query().map_or("", |target| target.as_str());
        let host = headers::host(request.uri(), fields);
        let mut line = Self::empty(client);
        (line.version, line.span) = (request.version(), span);
        line.text.put(Field::Method, request.method().as_str().as_bytes());
        line.text.put(Field::Target, target.as_bytes());
        line.text.put(Field::Host, host.as_bytes());
        line.text.put(Field::UserAgent, value(fields, header::USER_AGENT));
        line.text.put(Field::Referer, value(fields, header::REFERER));
        line.identify(fields);
        line
    }

    /// Of a head that never was read, or not to its end.
    pub(super) fn unread(client: IpAddr, status: u16, reason: Refused) -> Box<Self> {
        let mut line = Self::empty(client);
        (line.status, line.end) = (status, End::Refused(reason.label()));
        line
    }

    fn empty(client: IpAddr) -> Box<Self> {
        Box::new(Self {
            text: Text::default(),
            client,
            version: Version::HTTP_11,
            unix_ms: 0,
            status: 0,
            bytes_up: 0,
            bytes_down: 0,
            head_us: None,
            total_us: 0,
            route: Route::None,
            why: None,
            endpoint: None,
            rescue: None,
            end: End::Refused(""),
            trace: None,
            span: None,
        })
    }

    /// By the headers that the client sent, and again by those that go upstream: an id may have been made.
    pub(super) fn identify(&mut self, fields: &HeaderMap) {
        self.text.put(Field::RequestId, value(fields, headers::X_REQUEST_ID));
        self.trace = super::trace::id_of(fields);
    }
}

fn value(fields: &HeaderMap, name: HeaderName) -> &[u8] {
    fields.get(name).map_or(b"", |value| value.as_bytes())
}

/// Bytes of the request, in one allocation.
#[derive(Clone, Default)]
pub(super) struct Text {
    bytes: Vec<u8>,
    /// Where each field ends.
    ends: [u16; Field::COUNT],
}

/// In the order in which they are put.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Method,
    Target,
    Host,
    UserAgent,
    Referer,
    RequestId,
}

impl Field {
    const COUNT: usize = 6;

    /// The rest is cut off. All together they fit a `u16`.
    fn bytes_max(self) -> usize {
        match self {
            Self::Method => 32,
            Self::Target => 4_096,
            Self::Host => 256,
            Self::UserAgent | Self::Referer => 1_024,
            Self::RequestId => 128,
        }
    }
}

impl Text {
    /// And empties all fields behind it.
    fn put(&mut self, field: Field, value: &[u8]) {
        self.bytes.truncate(self.start(field));
        let value = &value[..value.len().min(field.bytes_max())];
        self.bytes.extend_from_slice(value);
        let end = u16::try_from(self.bytes.len()).unwrap_or(u16::MAX);
        self.ends[field as usize..].fill(end);
    }

    /// Empty if the request has none.
    pub(super) fn get(&self, field: Field) -> &[u8] {
        &self.bytes[self.start(field)..usize::from(self.ends[field as usize])]
    }

    fn start(&self, field: Field) -> usize {
        (field as usize).checked_sub(1).map_or(0, |before| usize::from(self.ends[before]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_cut_to_its_bound_and_none_runs_into_another() {
        let long = "x".repeat(70_000);
        let request = http::Request::get(format!("/{}", &long[..5_000]))
            .header("host", "a")
            .header("referer", long)
            .body(())
            .unwrap();
        let mut line = Line::of(&request.into(), IpAddr::from([192, 0, 2, 1]), None);
        assert_eq!(line.text.get(Field::Method), b"GET");
        assert_eq!(line.text.get(Field::Target).len(), 4_096);
        assert_eq!(line.text.get(Field::Host), b"a");
        assert_eq!(line.text.get(Field::UserAgent), b"");
        assert_eq!(line.text.get(Field::Referer).len(), 1_024);
        assert_eq!(line.text.get(Field::RequestId), b"");
        let ids = HeaderMap::from_iter([(headers::X_REQUEST_ID, "id-1".parse().unwrap())]);
        line.identify(&ids);
        assert_eq!(line.text.get(Field::RequestId), b"id-1");
        assert!(line.text.bytes.len() < usize::from(u16::MAX));
    }
}
