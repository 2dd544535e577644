//! One request, counted exactly once: at its start, and on drop.
//!
//! The record travels with the request: held by the journey until the response head, then by the response
//! body. Whoever drops it ends the request, so a client that vanishes, a task that is cancelled and a body that
//! is read to its end all come through here.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use super::access_log::{End, Line};
use super::clock::{self, micros};
use super::no_endpoint;
use super::retry::Kind;
use super::worker::Worker;
use super::{grpc, headers};
use crate::metrics::judged::Evidence;
use crate::metrics::shard::Finish;
use crate::metrics::{Blame, Outcome};
use crate::routing::harm::Seat;
use crate::routing::{Decision, Fallback, Holds};

/// What the record says of a client that left before it was answered (nginx's convention).
pub(super) const CLIENT_CLOSED_REQUEST: u16 = 499;

pub(super) struct Record {
    worker: Rc<Worker>,
    /// Where it is counted never changes; where it is served does, when it is retried or rescued.
    decision: Decision,
    holds: Holds,
    seat: Option<Seat>,
    started: Instant,
    head_us: Option<u64>,
    code: Option<u16>,
    /// Of a gRPC call: whether its status is a failure, as far as is known.
    failed_call: Option<bool>,
    /// When the body had passed, if it did.
    ended: Option<Instant>,
    counted: bool,
    /// What the first attempt came to, if there was another.
    first: Option<Outcome>,
    /// Stable has taken over.
    rescued: bool,
    /// Set when the end is known; a drop without it means that the client, or the drain, cut the request.
    outcome: Option<Outcome>,
    /// Of the body on its way down.
    bytes_down: u64,
    bytes_up: Option<Rc<Cell<u64>>>,
    /// `None`: neither access log nor span.
    line: Option<Box<Line>>,
}

impl Record {
    pub(super) fn start(
        worker: &Rc<Worker>,
        (decision, holds): (Decision, Holds),
        started: Instant,
        line: Option<Box<Line>>,
    ) -> Self {
        worker.shard.slot(decision.slot).start(micros(worker.epoch, started));
        worker.shard.draw(decision.lot);
        worker.pools.enter(decision.endpoint.id);
        no_endpoint::miss(worker, decision.instead_of, started);
        Self {
            worker: Rc::clone(worker),
            decision,
            holds,
            seat: None,
            started,
            head_us: None,
            code: None,
            failed_call: None,
            ended: None,
            counted: false,
            first: None,
            rescued: false,
            outcome: None,
            bytes_down: 0,
            bytes_up: line.as_ref().map(|_| Rc::default()),
            line,
        }
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn decision(&self) -> &Decision {
        &self.decision
    }

    pub(super) fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// Takes a place at the upstream. False: it has as many requests as it may have.
    pub(super) fn sit(&mut self) -> bool {
        if let Some(limit) = &self.holds.limit
            && self.seat.is_none()
        {
            self.seat = limit.take();
            return self.seat.is_some();
        }
        true
    }

    /// The attempt failed with `outcome`, and another endpoint of the same upstream is tried.
    pub(super) fn retry(&mut self, outcome: Outcome) {
        self.worker.shard.slot(self.decision.slot).retries.add(1);
        self.serve_by(self.decision.elsewhere(), outcome);
    }

    /// The attempt failed with `outcome`, and stable takes over.
    pub(super) fn rescue(&mut self, outcome: Outcome, fallback: Fallback) {
        self.rescued = true;
        self.seat = None;
        self.holds.limit = self.holds.fallback_limit.take();
        self.serve_by(self.decision.rescued(fallback), outcome);
    }

    fn serve_by(&mut self, decision: Decision, failed: Outcome) {
        self.first.get_or_insert(failed);
        no_endpoint::count(&self.worker, self.decision.endpoint.id, failed);
        self.worker.pools.leave(self.decision.endpoint.id);
        self.worker.pools.enter(decision.endpoint.id);
        self.decision = decision;
    }

    /// The upstream's response head is here.
    pub(super) fn head<B: Body>(&mut self, response: &Response<B>) {
        self.head_us = Some(micros(self.started, clock::now()));
        self.code = Some(response.status().as_u16());
        if headers::is_grpc(response.headers()) {
            // Until the trailers are here, unless the head is all there is.
            self.failed_call = Some(grpc::is_failure(response.headers()));
        }
    }

    /// What stands behind the response body.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if self.failed_call.is_some() {
            self.failed_call = Some(grpc::is_failure(trailers));
        }
    }

    /// We answer by ourselves, because of `outcome`.
    pub(super) fn answer(&mut self, outcome: Outcome, status: StatusCode) {
        self.outcome = Some(outcome);
        self.code = Some(status.as_u16());
    }

    /// The response body was passed on to its end.
    pub(super) fn complete(&mut self) -> Instant {
        let now = clock::now();
        self.ended = Some(now);
        self.outcome = Some(if self.answered_with_error() || self.failed_call == Some(true) {
            Outcome::ServerError
        } else {
            Outcome::Success
        });
        now
    }

    /// The response body broke off, because of `outcome`.
    pub(super) fn broken_off(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    pub(super) fn passed_down(&mut self, bytes: usize) {
        self.bytes_down += bytes as u64;
    }

    /// Where to count what the client sends. `None`: nobody wants to know.
    pub(super) fn uploaded(&self) -> Option<Rc<Cell<u64>>> {
        self.bytes_up.clone()
    }

    /// A tunnel has ended; its request was counted long ago.
    pub(super) fn tunnelled(&mut self, up: u64, down: u64) {
        self.bytes_down = down;
        self.bytes_up = Some(Rc::new(Cell::new(up)));
        self.ended = None;
    }

    /// The headers as they go upstream.
    pub(super) fn identify(&mut self, headers: &HeaderMap) {
        if let Some(line) = &mut self.line {
            line.identify(headers);
        }
    }

    fn answered_with_error(&self) -> bool {
        self.code.is_some_and(|code| code >= 500)
    }

    /// Dropped without a known end. An error status already was the upstream's failure, whoever left afterwards.
    fn cut(&self) -> Outcome {
        if self.answered_with_error() {
            Outcome::ServerError
        } else if self.worker.is_cut() {
            Outcome::Internal
        } else {
            Outcome::DownstreamGone
        }
    }
}

impl Record {
    /// Counts the end now. A tunnel does it at its start, or its route would count failed handshakes at once and
    /// the good ones hours later; all others leave it to the drop.
    pub(super) fn count(&mut self) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        let ended = self.outcome.unwrap_or_else(|| self.cut());
        self.settle(ended);
        let outcome = self.first.unwrap_or(ended);
        let now = self.ended.unwrap_or_else(clock::now);
        let by_lot = self.decision.why.by_lot();
        let evidence = Evidence::of(outcome, self.head_us).filter(|_| by_lot);
        no_endpoint::count(&self.worker, self.decision.endpoint.id, ended);
        self.worker.shard.slot(self.decision.slot).finish(&Finish {
            outcome,
            code: self.code.unwrap_or(CLIENT_CLOSED_REQUEST),
            duration_us: micros(self.started, now),
            evidence,
            now_us: micros(self.worker.epoch, now),
        });
        self.worker.shard.count_phantom(self.decision.phantom, evidence);
        if by_lot && evidence.is_none() {
            self.worker.shard.slot(self.decision.slot).unjudged.add(1);
        }
        if outcome.blame() != Blame::Nobody {
            tracing::debug!(%outcome, why = ?self.decision.why, endpoint = %self.decision.endpoint.address, "request ended");
        }
    }
}

impl Record {
    fn log(&self, mut line: Box<Line>) {
        line.status = self.code.unwrap_or(CLIENT_CLOSED_REQUEST);
        line.bytes_up = self.bytes_up.as_ref().map_or(0, |bytes| bytes.get());
        line.bytes_down = self.bytes_down;
        line.head_us = self.head_us;
        line.total_us = micros(self.started, self.ended.unwrap_or_else(clock::now));
        line.why = Some(self.decision.why);
        line.rescue = self.first.filter(|_| self.rescued);
        line.endpoint = Some(self.decision.endpoint.address);
        line.end = End::Outcome(self.outcome.unwrap_or_else(|| self.cut()));
        self.worker.report(line);
    }

    /// Who saw what: the permit is kept if the canary did harm, else given back.
    fn settle(&mut self, ended: Outcome) {
        let slot = self.worker.shard.slot(self.decision.slot);
        let permit = self.holds.permit.take();
        if self.rescued {
            if ended == Outcome::Success {
                slot.rescues.add(1);
                self.worker.budgets.give_back(self.decision.slot, Kind::Rescue);
            }
        } else if self.decision.canary && ended.blame() == Blame::Upstream {
            slot.harm.add(1);
            if let Some(permit) = permit {
                permit.did_harm();
            }
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.count();
        if let Some(line) = self.line.take() {
            self.log(line);
        }
        self.worker.pools.leave(self.decision.endpoint.id);
    }
}
