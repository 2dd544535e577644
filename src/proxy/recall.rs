//! Calling a request back from a canary that has just been closed: its cord was pulled, or its ceiling put to 0.
//!
//! What was sent to the canary before, and has not been answered with a byte, would wait for the answer of a version that
//! is known to be bad, perhaps for as long as `response_timeout`. Where stable may stand in, it is asked at once instead.
//! That is nobody's failure: the request ends as `recalled`, which is no evidence and no harm, and takes nothing from
//! the rescue budget, for it can happen to a request only once, and no more of them come.
//!
//! # How little it costs
//!
//! The control plane says that a canary was closed, and which generation of the snapshot did it; each worker notes the
//! number and wakes whoever waits. A request knows the generation that decided for it, so all that an ordinary poll asks
//! is whether its own number is the smaller one. Only then the snapshot is looked at. And a request that began to wait
//! after the call, having been decided for before it, sees the number too: nobody is missed.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::watch;

use super::replay::Spare;
use super::worker::Worker;
use crate::routing::Decision;

/// Whoever waits is woken when a canary is closed, and sees for itself whether it was its own. Ends when the control
/// plane does.
pub(super) async fn follow(worker: Rc<Worker>, mut closings: watch::Receiver<u64>) {
    while closings.changed().await.is_ok() {
        worker.last_closing.set(*closings.borrow_and_update());
        worker.deadlines.wake_all();
    }
}

/// A request on its way to a canary, as long as it can be called back.
pub(super) struct Recall<'a> {
    worker: &'a Worker,
    decision: &'a Decision,
    spare: &'a Spare,
    /// Generations up to this one have been looked at.
    seen: Cell<u64>,
}

impl<'a> Recall<'a> {
    /// `None`: nobody would stand in, or the route does not want it.
    pub(super) fn of(worker: &'a Worker, decision: &'a Decision, spare: &'a Spare) -> Option<Self> {
        decision.fallback.filter(|fallback| fallback.recall)?;
        Some(Self { worker, decision, spare, seen: Cell::new(decision.generation) })
    }

    /// The canary was closed, and nothing of the request has been sent. True at most once for each closing.
    pub(super) fn is_due(&self) -> bool {
        let closed = self.worker.last_closing.get();
        if closed <= self.seen.get() {
            return false;
        }
        self.seen.set(closed);
        self.worker.has_closed(self.decision)
    }

    /// The same for a request that was sent, as far as it has come, and may be sent twice.
    pub(super) fn is_due_after_sending(&self) -> bool {
        self.is_due() && self.spare.is_whole()
    }
}
