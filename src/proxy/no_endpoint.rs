//! Requests that meet an upstream without a usable endpoint, and what is counted of endpoints.
//!
//! A canary without one fails for the guard's eyes, but nobody is harmed: stable has the request, and only there it
//! is counted as one. Where stable has none either, the answer is 503, at once.

use std::time::Instant;

use http::{HeaderValue, StatusCode, header};

use super::access_log::{End, Line};
use super::body::ResponseBody;
use super::clock::{self, micros};
use super::error::answer;
use super::message::Response;
use super::worker::Worker;
use crate::metrics::judged::Evidence;
use crate::metrics::shard::Finish;
use crate::metrics::{Blame, Outcome};
use crate::routing::{EndpointId, Missed, NoEndpoint};

/// Seconds. Endpoints are looked at about as often.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// Our 503, counted as the one outcome of the request.
pub(super) fn refuse(
    worker: &Worker,
    found: &NoEndpoint,
    started: Instant,
    line: Option<Box<Line>>,
) -> Response<ResponseBody> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let slot = worker.shard.slot(found.slot);
    slot.start(micros(worker.epoch, started));
    worker.shard.draw(found.lot);
    miss(worker, found.instead_of, started);
    let now = clock::now();
    let (duration_us, now_us) = (micros(started, now), micros(worker.epoch, now));
    let evidence = found.why.by_lot().then_some(Evidence::ConnectError);
    let evidence = evidence.and_then(|evidence| slot.judged.admit(found.user, evidence, now_us));
    slot.finish(&Finish {
        outcome: Outcome::NoEndpoint,
        code: status.as_u16(),
        duration_us,
        evidence,
        now_us,
    });
    worker.shard.count_phantom(found.phantom, evidence);
    let mut response = answer(status, "no endpoint of the upstream can be used just now");
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    if let Some(mut line) = line {
        (line.status, line.total_us, line.why) = (status.as_u16(), duration_us, Some(found.why));
        line.bytes_down = response.body().own_len() as u64;
        line.end = End::Outcome(Outcome::NoEndpoint);
        worker.report(line);
    }
    response
}

/// A canary that could not have its request.
pub(super) fn miss(worker: &Worker, missed: Option<Missed>, started: Instant) {
    if let Some(missed) = missed {
        let (slot, now_us) = (worker.shard.slot(missed.slot), micros(worker.epoch, started));
        let evidence = missed.by_lot.then_some(Evidence::ConnectError);
        slot.miss(evidence.and_then(|evidence| slot.judged.admit(missed.user, evidence, now_us)), now_us);
    }
}

/// For the ejection of endpoints that fail. What the client did, or we, says nothing of the endpoint.
pub(super) fn count(worker: &Worker, endpoint: EndpointId, outcome: Outcome) {
    if matches!(outcome, Outcome::Overflow | Outcome::Drill) {
        // It never saw the request.
        return;
    }
    let Some(counters) = worker.shard.endpoints.at(endpoint.0 as usize) else { return };
    match outcome.blame() {
        Blame::Nobody => counters.good(),
        Blame::Upstream => counters.failed(),
        Blame::Downstream | Blame::Andon => {}
    }
}
