//! The counters of one worker. The worker is the only writer; anybody may read.
//!
//! Because there is one writer, adding is a load and a store, not an atomic read-modify-write: no bus lock on
//! the way of a request. Stores are `Release` and loads `Acquire` (free on x86), and a part is written before
//! its whole is read.
//!
//! Slots come in chunks made on first use, so ten thousand idle routes cost little.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::copies::Copies;
use super::endpoints::Endpoints;
use super::judged::{Evidence, Judged};
use super::slots::{SlotId, Slots};
use super::stir::{Marks, Writing};
use super::{Blame, Outcome};

pub(super) const CHUNK: usize = 64;
const CHUNKS_MAX: usize = Slots::SLOTS_MAX / CHUNK;

/// Upper bounds of the exported duration histogram, in microseconds.
pub const DURATION_BOUNDS_US: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];

/// Status codes counted by name; all others are `other`.
pub const CODES: [u16; 40] = [
    101, 200, 201, 202, 203, 204, 205, 206, 207, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404,
    405, 406, 408, 409, 410, 411, 412, 413, 415, 416, 422, 425, 428, 429, 499, 500, 501, 502, 503,
];
/// 504 and `other` follow the table, so that the table stays a round size.
pub const CODE_504: usize = CODES.len();
pub const CODE_OTHER: usize = CODES.len() + 1;
pub const CODE_SLOTS: usize = CODES.len() + 2;

pub fn code_index(code: u16) -> usize {
    match code {
        200 => 1,
        504 => CODE_504,
        _ => CODES.binary_search(&code).unwrap_or(CODE_OTHER),
    }
}

/// The label value of a code's index.
pub fn code_label(index: usize) -> &'static str {
    const LABELS: [&str; CODE_SLOTS] = [
        "101", "200", "201", "202", "203", "204", "205", "206", "207", "300", "301", "302", "303", "304",
        "307", "308", "400", "401", "402", "403", "404", "405", "406", "408", "409", "410", "411", "412",
        "413", "415", "416", "422", "425", "428", "429", "499", "500", "501", "502", "503", "504", "other",
    ];
    LABELS[index]
}

/// A number with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What one worker counts of one (route, variant). Grouped by when it is written.
#[derive(Debug)]
pub struct SlotCounters {
    // at the start
    /// Requests that the lot gave to this variant, whoever served them in the end.
    pub lots: Counter,
    pub started: Counter,
    /// Microseconds since the process started.
    pub last_start_us: Counter,
    // at the end
    pub outcomes: [Counter; Outcome::COUNT],
    pub codes: [Counter; CODE_SLOTS],
    /// One for each bound, and one for all beyond.
    pub durations: [Counter; DURATION_BOUNDS_US.len() + 1],
    pub duration_sum_us: Counter,
    pub last_failure_us: Counter,
    // where something was repaired, or was not
    pub retries: Counter,
    pub rescues: Counter,
    pub recalls: Counter,
    pub harm: Counter,
    /// Requests that stable had in its place, because none of its endpoints could be used.
    pub missed: Counter,
    // at the end, if the request was assigned by lot and its outcome is evidence
    pub judged: Judged,
    /// Assigned by lot, and its outcome is no evidence.
    pub unjudged: Counter,
    // where it gets copies of requests
    pub copies: Copies,
}

impl Default for SlotCounters {
    fn default() -> Self {
        Self {
            lots: Counter::default(),
            started: Counter::default(),
            last_start_us: Counter::default(),
            outcomes: Default::default(),
            codes: std::array::from_fn(|_| Counter::default()),
            durations: Default::default(),
            duration_sum_us: Counter::default(),
            last_failure_us: Counter::default(),
            retries: Counter::default(),
            rescues: Counter::default(),
            recalls: Counter::default(),
            harm: Counter::default(),
            missed: Counter::default(),
            judged: Judged::default(),
            unjudged: Counter::default(),
            copies: Copies::default(),
        }
    }
}

/// How one request ended, as its worker saw it.
#[derive(Clone, Copy, Debug)]
pub struct Finish {
    pub outcome: Outcome,
    /// What the client was answered; 499 if it left before.
    pub code: u16,
    /// To the end of the body.
    pub duration_us: u64,
    /// `None`: it is none, or was counted before.
    pub evidence: Option<Evidence>,
    /// Microseconds since the process started.
    pub now_us: u64,
}

impl SlotCounters {
    pub fn start(&self, now_us: u64) {
        self.last_start_us.set(now_us);
        self.started.add(1);
    }

    fn in_flight(&self) -> u64 {
        // What ended is read first, so that the difference is never negative.
        let ended: u64 = self.outcomes.iter().map(Counter::get).sum();
        self.started.get().saturating_sub(ended)
    }

    pub fn finish(&self, finish: &Finish) {
        let blame = finish.outcome.blame();
        self.codes[code_index(finish.code)].add(1);
        self.duration_sum_us.add(finish.duration_us);
        self.durations[DURATION_BOUNDS_US.partition_point(|bound| *bound < finish.duration_us)].add(1);
        if blame == Blame::Upstream {
            self.last_failure_us.set(finish.now_us);
        }
        if let Some(evidence) = finish.evidence {
            self.judged.count(evidence);
        }
        self.outcomes[finish.outcome as usize].add(1);
    }

    /// This canary had no endpoint for a request, and stable has it now. A failure for the guard, if it is evidence; the
    /// request itself is counted where it is served, once.
    pub fn miss(&self, evidence: Option<Evidence>, now_us: u64) {
        self.missed.add(1);
        self.last_failure_us.set(now_us);
        if let Some(evidence) = evidence {
            self.judged.count(evidence);
        }
    }

    /// A request is late: a failure, if it is evidence, though how it ends is still to be counted.
    pub fn late(&self, evidence: Option<Evidence>, now_us: u64) {
        if let Some(evidence) = evidence {
            self.last_failure_us.set(now_us);
            self.judged.count(evidence);
        }
    }
}

/// Requests that never reached a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NoRoute,
    Denied,
    BadRequest,
    SlowHead,
    /// The route leads elsewhere.
    Redirected,
    /// Memory is very short.
    Overload,
    /// On a connection that was opened to another host.
    Misdirected,
}

impl Refused {
    pub const ALL: [Self; 7] = [
        Self::NoRoute,
        Self::Denied,
        Self::BadRequest,
        Self::SlowHead,
        Self::Redirected,
        Self::Overload,
        Self::Misdirected,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::Denied => "denied",
            Self::BadRequest => "bad_request",
            Self::SlowHead => "slow_head",
            Self::Redirected => "redirected",
            Self::Overload => "overload",
            Self::Misdirected => "misdirected",
        }
    }
}

/// How a TLS handshake with a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    Full,
    /// By a ticket of an earlier connection.
    Resumed,
    /// No common version, no certificate where one is needed, no TLS at all, …
    Failed,
    /// Not done within `handshake_timeout`.
    Timeout,
}

impl Handshake {
    pub const ALL: [Self; 4] = [Self::Full, Self::Resumed, Self::Failed, Self::Timeout];

    pub fn label(self) -> &'static str {
        match self {
            Self::Full => "ok",
            Self::Resumed => "resumed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
        }
    }
}

#[derive(Debug, Default)]
struct Chunk {
    slots: Box<[SlotCounters]>,
    marks: Marks,
}

/// All that one worker counts.
#[derive(Debug)]
pub struct Shard {
    chunks: Box<[OnceLock<Box<Chunk>>]>,
    pub connections_opened: Counter,
    pub connections_closed: Counter,
    pub upstream_opened: Counter,
    pub upstream_closed: Counter,
    pub refused: [Counter; Refused::ALL.len()],
    /// Lines that did not fit the queue of the access log.
    pub access_log_dropped: Counter,
    /// Spans that did not fit the queue of the export.
    pub spans_dropped: Counter,
    pub endpoints: Endpoints,
    pub handshakes: [Counter; Handshake::ALL.len()],
    /// The last beat of the watchdog that the worker answered.
    pub pulse: Counter,
    /// Cut when the drain deadline passed.
    pub cut_connections: Counter,
    pub cut_requests: Counter,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            chunks: (0..CHUNKS_MAX).map(|_| OnceLock::new()).collect(),
            connections_opened: Counter::default(),
            connections_closed: Counter::default(),
            upstream_opened: Counter::default(),
            upstream_closed: Counter::default(),
            refused: Default::default(),
            access_log_dropped: Counter::default(),
            spans_dropped: Counter::default(),
            endpoints: Endpoints::default(),
            handshakes: Default::default(),
            pulse: Counter::default(),
            cut_connections: Counter::default(),
            cut_requests: Counter::default(),
        }
    }
}

impl Shard {
    /// For the worker itself, to write.
    pub fn slot(&self, id: SlotId) -> Writing<'_> {
        let (chunk, place) = (self.chunk(id), id.index() % CHUNK);
        Writing::new(&chunk.slots[place], &chunk.marks, place)
    }

    /// For whoever prepares a slot, and counts nothing.
    pub(super) fn prepared(&self, id: SlotId) -> &SlotCounters {
        &self.chunk(id).slots[id.index() % CHUNK]
    }

    fn chunk(&self, id: SlotId) -> &Chunk {
        self.chunks[id.index() / CHUNK].get_or_init(|| {
            let slots = (0..CHUNK).map(|_| SlotCounters::default()).collect();
            Box::new(Chunk { slots, marks: Marks::default() })
        })
    }

    pub fn draw(&self, lot: Option<SlotId>) {
        if let Some(lot) = lot {
            self.slot(lot).lots.add(1);
        }
    }

    /// What was counted of stable is counted there, too. After it, so that the phantom never has what stable has not.
    pub fn count_phantom(&self, phantom: Option<SlotId>, evidence: Option<Evidence>) {
        if let (Some(phantom), Some(evidence)) = (phantom, evidence) {
            self.slot(phantom).judged.count(evidence);
        }
    }

    /// For readers: `None` if this worker never served the slot's chunk.
    pub fn peek(&self, id: SlotId) -> Option<&SlotCounters> {
        self.chunks[id.index() / CHUNK].get().map(|chunk| &chunk.slots[id.index() % CHUNK])
    }

    /// `None` if this worker never served the chunk.
    pub(super) fn marks(&self, chunk: usize) -> Option<&Marks> {
        self.chunks.get(chunk)?.get().map(|chunk| &chunk.marks)
    }

    /// Requests begun and not ended.
    pub fn in_flight(&self) -> u64 {
        let slots = self.chunks.iter().filter_map(OnceLock::get).flat_map(|chunk| &chunk.slots);
        slots.map(SlotCounters::in_flight).sum()
    }

    pub fn refuse(&self, refused: Refused) {
        self.refused[refused as usize].add(1);
    }
}

#[cfg(test)]
mod tests;
