//! Answers before the answer: `100 Continue` and `103 Early Hints`.
//!
//! hyper's server side cannot send a 103. So the hints are written as bytes, by the socket wrapper in `connection`, in the
//! only place where they can stand: after all of the previous answer, before the head of this one. A 100 is not relayed
//! as bytes: it opens the gate of the request body, and hyper's server then asks the client to go on.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use http::{HeaderMap, Request, StatusCode};

use super::replay::Spare;
use crate::routing::Decision;

/// Hints of one connection waiting to be written. More are dropped: they are advice.
const HINTS_MAX: usize = 16;

/// An upstream that sends more answers ahead of one answer than this is at fault.
pub(super) const ANSWERS_AHEAD_MAX: u32 = 64;

/// Whom answers ahead of the answer are for.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    gate: Option<&'a Gate>,
    hints: Option<&'a Hints>,
}

impl<'a> Ahead<'a> {
    pub(super) fn of(spare: &'a Spare, decision: &Decision) -> Self {
        // Hints of a canary that stable may stand in for are kept back: they would belong to an answer that never came.
        let hints = spare.hints.as_ref().filter(|_| decision.fallback.is_none());
        Self { gate: spare.gate.as_ref(), hints }
    }

    pub(super) fn tell(&self, status: StatusCode, headers: &HeaderMap) {
        tell(self.gate, self.hints, status, headers);
    }

    /// Has hyper's client tell of those to this request, and count them.
    pub(super) fn listen<B>(&self, request: &mut Request<B>) -> Arc<AtomicU32> {
        let (gate, hints) = (self.gate.cloned(), self.hints.cloned());
        let counted = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&counted);
        hyper::ext::on_informational(request, move |response| {
            if counter.fetch_add(1, Ordering::Relaxed) < ANSWERS_AHEAD_MAX {
                tell(gate.as_ref(), hints.as_ref(), response.status(), response.headers());
            }
        });
        counted
    }
}

fn tell(gate: Option<&Gate>, hints: Option<&Hints>, status: StatusCode, headers: &HeaderMap) {
    match (status, gate, hints) {
        (StatusCode::CONTINUE, Some(gate), _) => gate.open(),
        (StatusCode::EARLY_HINTS, _, Some(hints)) => hints.put(bytes_of_hint(headers)),
        _ => {}
    }
}

/// Where the hints of one connection are put.
#[derive(Clone, Debug)]
pub(super) struct Hints(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    /// Nearly always there are none, and the socket asks at each write: that costs it one load.
    any: AtomicBool,
    hints: SyncSender<Box<[u8]>>,
}

/// The socket's end.
#[derive(Debug)]
pub(super) struct HintsToWrite {
    queue: Hints,
    hints: Receiver<Box<[u8]>>,
}

impl Hints {
    pub(super) fn new() -> (Self, HintsToWrite) {
        let (sender, hints) = sync_channel(HINTS_MAX);
        let queue = Self(Arc::new(Queue { any: AtomicBool::new(false), hints: sender }));
        (queue.clone(), HintsToWrite { queue, hints })
    }

    /// A full queue drops the hint: the client loses advice, nothing else.
    fn put(&self, hint: Box<[u8]>) {
        let _ = self.0.hints.try_send(hint);
        self.0.any.store(true, Ordering::Release);
    }
}

impl HintsToWrite {
    pub(super) fn next(&self) -> Option<Box<[u8]>> {
        let any = &self.queue.0.any;
        if !any.load(Ordering::Acquire) {
            return None;
        }
        let hint = self.hints.try_recv().ok();
        if hint.is_none() {
            any.store(false, Ordering::Release);
        }
        hint
    }
}

/// Closed until the upstream says `100 Continue`.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `Link` and the like, never anything about framing or the connection.
fn bytes_of_hint(headers: &HeaderMap) -> Box<[u8]> {
    let mut text = String::from("HTTP/1.1 103 Early Hints\r\n");
    for (name, value) in headers {
        if let Ok(value) = value.to_str()
            && !super::headers::is_hop_by_hop(name)
            && name != http::header::CONTENT_LENGTH
        {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }
    text.push_str("\r\n");
    text.into_bytes().into()
}
