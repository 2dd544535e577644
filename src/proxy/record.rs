//! One request, counted exactly once: at its start, and on drop.
//!
//! The record travels with the request: held by the journey until the response head, then by the response
//! body. Whoever drops it ends the request, so a client that vanishes, a task that is cancelled and a body that
//! is read to its end all come through here.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use http_body::Body;

use super::access_log::{End, Line};
use super::clock::{self, micros};
use super::grpc;
use super::headers::Content;
use super::message::Response;
use super::no_endpoint;
use super::retry::Kind;
use super::worker::Worker;
use crate::config::CountsAs;
use crate::metrics::judged::Evidence;
use crate::metrics::shard::Finish;
use crate::metrics::{Blame, Outcome};
use crate::routing::harm::Seat;
use crate::routing::{Answered, Decision, Fallback, Holds, Meant};

/// What the record says of a client that left before it was answered (nginx's convention).
pub(super) const CLIENT_CLOSED_REQUEST: u16 = 499;

pub(super) struct Record {
    worker: Rc<Worker>,
    /// Where it is counted never changes; where it is served does, when it is retried or rescued.
    decision: Box<Decision>,
    holds: Holds,
    seat: Option<Seat>,
    started: Instant,
    head_us: Option<u64>,
    code: Option<u16>,
    /// Of a gRPC call, as far as is known.
    call: Option<u8>,
    /// What the route's own rules say of the answer. `None`: none of them is about this request.
    meant: Option<Meant>,
    /// Of the request.
    content: Content,
    /// Which events the answer is, a bit for each.
    events: u8,
    /// When the body had passed, if it did.
    ended: Option<Instant>,
    counted: bool,
    /// It was late, and has counted as evidence; the rest of it is none.
    late: Cell<bool>,
    /// What the first attempt came to, if there was another.
    first: Option<First>,
    /// Stable has taken over, after this.
    rescued: Option<Outcome>,
    /// Set when the end is known; a drop without it means that the client, or the drain, cut the request.
    outcome: Option<Outcome>,
    /// Of the body on its way down.
    bytes_down: u64,
    bytes_up: Option<Rc<Cell<u64>>>,
    /// `None`: neither access log nor span.
    line: Option<Box<Line>>,
}

/// An attempt that another one followed.
#[derive(Clone, Copy)]
struct First {
    /// Why another one followed.
    failed: Outcome,
    /// What a rule says of its answer.
    counts_as: Option<CountsAs>,
}

impl First {
    /// A status that `rescue` repairs and a rule calls a success is repaired, and a success.
    fn outcome(self) -> Outcome {
        if self.counts_as == Some(CountsAs::Success) { Outcome::Success } else { self.failed }
    }
}

impl Record {
    /// In a box: it goes from hand to hand more often than anything else of a request.
    pub(super) fn start(
        worker: &Rc<Worker>,
        (decision, holds): (Box<Decision>, Holds),
        (content, meant): (Content, Option<Meant>),
        started: Instant,
        line: Option<Box<Line>>,
    ) -> Box<Self> {
        worker.shard.slot(decision.slot).start(micros(worker.epoch, started));
        worker.shard.draw(decision.lot);
        worker.pools.enter(decision.endpoint.id);
        no_endpoint::miss(worker, decision.instead_of, started);
        Box::new(Self {
            worker: Rc::clone(worker),
            decision,
            holds,
            seat: None,
            started,
            head_us: None,
            code: None,
            call: None,
            meant,
            content,
            events: 0,
            ended: None,
            counted: false,
            late: Cell::new(false),
            first: None,
            rescued: None,
            outcome: None,
            bytes_down: 0,
            bytes_up: line.as_ref().map(|_| Rc::default()),
            line,
        })
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn decision(&self) -> &Decision {
        &self.decision
    }

    pub(super) fn content(&self) -> Content {
        self.content
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
        self.serve_by(self.decision.elsewhere(), First { failed: outcome, counts_as: None });
    }

    /// The attempt failed with `outcome`, be it by the status of its answer, and stable takes over.
    pub(super) fn rescue(&mut self, outcome: Outcome, answered: Option<StatusCode>, fallback: Fallback) {
        let counts_as = answered.and_then(|status| self.meant.as_ref()?.counts_as(Answered::Status(status)));
        self.rescued = Some(outcome);
        if outcome == Outcome::Recalled {
            self.worker.shard.slot(self.decision.slot).recalls.add(1);
        }
        self.seat = None;
        self.holds.limit = self.holds.fallback_limit.take();
        self.serve_by(self.decision.rescued(fallback), First { failed: outcome, counts_as });
    }

    fn serve_by(&mut self, decision: Decision, attempt: First) {
        self.first.get_or_insert(attempt);
        no_endpoint::count(&self.worker, self.decision.endpoint.id, attempt.outcome());
        self.worker.pools.leave(self.decision.endpoint.id);
        self.worker.pools.enter(decision.endpoint.id);
        *self.decision = decision;
    }

    /// After so long without a head the request is [`Record::late`]. `None`: it tells nothing of the variant, or has told it.
    pub(super) fn verdict_timeout(&self) -> Option<Duration> {
        let tells = self.decision.why.by_lot() && self.first.is_none() && !self.late.get();
        tells.then(|| Duration::from_millis(self.decision.verdict_timeout_ms.into()))
    }

    /// The guard is not to wait any longer for a variant that hangs. Clients and users do: how the request ends is
    /// counted when it ends.
    pub(super) fn late(&self) {
        self.late.set(true);
        let slot = self.worker.shard.slot(self.decision.slot);
        let now_us = micros(self.worker.epoch, clock::now());
        let evidence = slot.judged.admit(self.decision.user, Evidence::Failure, now_us);
        slot.late(evidence, now_us);
        self.worker.shard.count_phantom(self.decision.phantom, evidence);
    }

    /// The upstream's response head is here, and says what follows.
    pub(super) fn head<B: Body>(&mut self, response: &Response<B>) -> Content {
        self.head_us = Some(micros(self.started, clock::now()));
        self.code = Some(response.status().as_u16());
        let content = Content::of(response.headers());
        if content == Content::Grpc {
            // Until the trailers are here, unless the head is all there is.
            self.call = Some(grpc::code(response.headers()));
        }
        if let Some(meant) = self.meant.as_ref().filter(|_| self.first.is_none()) {
            self.events = meant.events(response.status(), response.headers());
        }
        content
    }

    /// What stands behind the response body.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if self.call.is_some() {
            self.call = Some(grpc::code(trailers));
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
        let is_failure = self.is_failure_by_rule();
        let is_failure = is_failure
            .unwrap_or_else(|| self.answered_with_error() || self.call.is_some_and(grpc::is_failure));
        self.outcome = Some(if is_failure { Outcome::ServerError } else { Outcome::Success });
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

    /// How the upstream answered. `None`: it did not.
    fn answered(&self) -> Option<Answered> {
        self.head_us?;
        let status = StatusCode::from_u16(self.code?).ok()?;
        Some(match self.call {
            Some(code) if status == StatusCode::OK => Answered::Call { code },
            _ => Answered::Status(status),
        })
    }

    /// What a rule of the route says of the answer.
    fn counts_as(&self) -> Option<CountsAs> {
        self.meant.as_ref()?.counts_as(self.answered()?)
    }

    /// Whether a rule calls the answer a failure. `None`: its status says what it is.
    fn is_failure_by_rule(&self) -> Option<bool> {
        match self.counts_as()? {
            CountsAs::Failure => Some(true),
            CountsAs::Success => Some(false),
            CountsAs::Nothing => None,
        }
    }

    fn answered_with_error(&self) -> bool {
        self.code.is_some_and(|code| code >= 500)
    }

    /// Dropped without a known end. An error status already was the upstream's failure, whoever left afterwards; the
    /// code of a call is not known before its end.
    fn cut(&self) -> Outcome {
        let by_rule = match self.answered() {
            Some(Answered::Status(_)) => self.is_failure_by_rule(),
            Some(Answered::Call { .. }) | None => None,
        };
        if by_rule.unwrap_or_else(|| self.answered_with_error()) {
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
        let now = self.ended.unwrap_or_else(clock::now);
        let now_us = micros(self.worker.epoch, now);
        let (outcome, evidence) = self.evidence(ended);
        let slot = self.worker.shard.slot(self.decision.slot);
        if self.decision.why.by_lot() && evidence.is_none() && !self.late.get() {
            slot.unjudged.add(1);
        }
        // Whatever becomes of its request: an order is one, though its user has been counted just now.
        if self.events != 0 && evidence.is_some() {
            slot.judged.count_events(self.events);
        }
        let evidence = evidence.and_then(|evidence| slot.judged.admit(self.decision.user, evidence, now_us));
        no_endpoint::count(&self.worker, self.decision.endpoint.id, ended);
        slot.finish(&Finish {
            outcome,
            code: self.code.unwrap_or(CLIENT_CLOSED_REQUEST),
            duration_us: micros(self.started, now),
            evidence,
            now_us,
        });
        self.worker.shard.count_phantom(self.decision.phantom, evidence);
        if outcome.blame() != Blame::Nobody {
            tracing::debug!(%outcome, why = ?self.decision.why, endpoint = %self.decision.endpoint.address, "request ended");
        }
    }
}

impl Record {
    /// What the first attempt came to, and what that says of the variant, if anything.
    fn evidence(&self, ended: Outcome) -> (Outcome, Option<Evidence>) {
        let (outcome, counts_as, head_us) = match self.first {
            Some(first) => (first.outcome(), first.counts_as, None),
            None => (ended, self.counts_as(), self.head_us),
        };
        let tells = self.decision.why.by_lot() && !self.late.get() && counts_as != Some(CountsAs::Nothing);
        (outcome, if tells { Evidence::of(outcome, head_us) } else { None })
    }

    fn log(&self, mut line: Box<Line>) {
        line.status = self.code.unwrap_or(CLIENT_CLOSED_REQUEST);
        line.bytes_up = self.bytes_up.as_ref().map_or(0, |bytes| bytes.get());
        line.bytes_down = self.bytes_down;
        line.head_us = self.head_us;
        line.total_us = micros(self.started, self.ended.unwrap_or_else(clock::now));
        line.why = Some(self.decision.why);
        line.rescue = self.first.filter(|_| self.rescued.is_some()).map(|first| first.failed);
        line.endpoint = Some(self.decision.endpoint.address);
        line.end = End::Outcome(self.outcome.unwrap_or_else(|| self.cut()));
        self.worker.report(line);
    }

    /// Who saw what: the permit is kept if the canary did harm, else given back.
    fn settle(&mut self, ended: Outcome) {
        let slot = self.worker.shard.slot(self.decision.slot);
        let permit = self.holds.permit.take();
        if let Some(failed) = self.rescued {
            if ended == Outcome::Success && failed != Outcome::Recalled {
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
