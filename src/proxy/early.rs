//! Answers before the answer: `100 Continue` and `103 Early Hints`.
//!
//! Those of an upstream that speaks HTTP/1: hyper's HTTP/2 client passes over them, however many there are.
//!
//! Hints of HTTP/1 clients alone: hyper's HTTP/2 server cannot send them. They go out between two answers, where nothing else
//! does. A 100 is not relayed as bytes: it opens the gate of the request body, and who reads that asks the client to go on.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;

use http::{HeaderMap, StatusCode};

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
        match (status, self.gate, self.hints) {
            (StatusCode::CONTINUE, Some(gate), _) => gate.open(),
            (StatusCode::EARLY_HINTS, _, Some(hints)) => hints.put(bytes_of_hint(headers)),
            _ => {}
        }
    }
}

/// As it goes out.
type Hint = Box<[u8]>;

/// The hints of one connection, for those who put them and for the socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints(Rc<RefCell<VecDeque<Hint>>>);

impl Hints {
    /// A full queue drops the hint: the client loses advice, nothing else.
    fn put(&self, hint: Hint) {
        let mut hints = self.0.borrow_mut();
        if hints.len() < HINTS_MAX {
            hints.push_back(hint);
        }
    }

    pub(super) fn next(&self) -> Option<Hint> {
        let mut hints = self.0.borrow_mut();
        let hint = hints.pop_front()?;
        if hints.is_empty() {
            // Most connections never have one, so it holds nothing while there is none.
            *hints = VecDeque::new();
        }
        Some(hint)
    }
}

/// Closed until the upstream says `100 Continue`.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Rc<Cell<bool>>);

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        self.0.get()
    }

    pub(super) fn open(&self) {
        self.0.set(true);
    }
}

/// `Link` and the like, never anything about framing or the connection.
fn bytes_of_hint(headers: &HeaderMap) -> Hint {
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
