//! What follows when an attempt comes to nothing: stable takes over, or it is tried once more, or that was it.
//!
//! **Rescue.** A canary request that fails before a byte of its answer went down is given to stable, if it may be
//! sent twice or was never sent. What came of the canary's answer is thrown away with its connection, which never goes
//! back to the pool: a rescued answer cannot have a byte of the canary's in it.
//!
//! **Retry.** A request that found no connection goes to another endpoint of the same upstream; one whose connection
//! broke is sent again if that is asked for and safe (RFC 9110, 9.2.2). A canary that stable can stand in for is not
//! retried: one second attempt is enough, and stable is the one that works.
//!
//! **Drill.** The same for a failure that was asked for: the request goes to stable before the canary has seen it.
//!
//! # How such a request is counted
//!
//! Once, where the lot sent it, so that `andon_requests_total` adds up to what clients asked. Its *code* is what the
//! client saw, its *outcome* what the first attempt came to: a canary that lives on retries and rescues is as bad as
//! it is, while a graph of codes shows what users met. `andon_retries_total` counts each retry,
//! `andon_rescues_total` each request that stable answered well in the canary's place, `andon_harm_total` each that
//! the canary spoiled and nobody repaired. Where stable was asked and failed as well it is neither: the user would have
//! met that failure without a canary, too. Stable's own counts hear nothing of a rescue, good or bad: it was not sent
//! there by lot, and would make stable look like the canary.

use std::time::Duration;

use super::clock;
use super::exchange::Again;
use super::message::Request;
use super::record::Record;
use super::replay::Spare;
use super::retry::{Income, Kind, RESCUES_PER_SECOND, pause};
use crate::config::Retry;
use crate::metrics::{Blame, Outcome};
use crate::routing::Fallback;

pub(super) enum Next {
    Rescue(Fallback),
    /// After a pause.
    Retry(Duration),
}

/// `None`: what the attempt came to is the answer. Takes from the budgets. `retries` were made already.
pub(super) fn next(
    record: &Record,
    outcome: Outcome,
    again: &Again,
    spare: &Spare,
    retries: u8,
) -> Option<Next> {
    if outcome == Outcome::Recalled {
        return record.decision().fallback.map(Next::Rescue);
    }
    if outcome.blame() != Blame::Upstream {
        return None;
    }
    let decision = record.decision();
    if let Some(fallback) = decision.fallback
        && may_rescue(&fallback, again, spare)
        && rescue_is_granted(record, &fallback)
    {
        return Some(Next::Rescue(fallback));
    }
    let retry = decision.retry.filter(|retry| retries < retry.attempts)?;
    let possible = match again {
        Again::Unsent(_) => retry.on.connect && decision.other.is_some() && outcome != Outcome::Overflow,
        Again::Sent(head) => {
            let safe = head.method().is_idempotent() && spare.is_whole();
            retry.on.reset && outcome == Outcome::Reset && safe
        }
    };
    let worker = record.worker();
    (possible && retry_is_granted(record, retry))
        .then(|| Next::Retry(pause(retry.backoff, worker.random_u64())))
}

/// Who has the request in place of a canary that is to fail it on purpose. Only what would be rescued if the canary failed
/// it by itself: a drill is to show what happens then, and to harm nobody.
pub(super) fn in_drill<B>(record: &Record, request: &Request<B>, spare: &Spare) -> Option<Fallback> {
    let fallback = record.decision().fallback.filter(|_| record.decision().drill)?;
    let may = fallback.rescue.methods.contains(request.method()) && spare.is_whole();
    (may && rescue_is_granted(record, &fallback)).then_some(fallback)
}

/// What was never sent may go to stable whatever its method.
fn may_rescue(fallback: &Fallback, again: &Again, spare: &Spare) -> bool {
    match again {
        Again::Unsent(_) => true,
        Again::Sent(head) => fallback.rescue.methods.contains(head.method()) && spare.is_whole(),
    }
}

fn rescue_is_granted(record: &Record, fallback: &Fallback) -> bool {
    let (worker, canary) = (record.worker(), record.decision().slot);
    let income = Income {
        share: fallback.rescue.budget,
        per_second: RESCUES_PER_SECOND,
        live: worker.shard.slot(canary).started.get() + worker.shard.slot(fallback.slot).started.get(),
        now: clock::now(),
    };
    worker.budgets.take(canary, Kind::Rescue, income)
}

fn retry_is_granted(record: &Record, retry: Retry) -> bool {
    let (worker, slot) = (record.worker(), record.decision().slot);
    let income = Income {
        share: retry.budget,
        per_second: retry.per_second_min,
        live: worker.shard.slot(slot).started.get(),
        now: clock::now(),
    };
    worker.budgets.take(slot, Kind::Retry, income)
}
