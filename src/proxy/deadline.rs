//! Deadlines at the price of a slab entry instead of a timer each.
//!
//! One task a worker looks at all pending deadlines every [`Deadlines::tick`] and wakes those that are due, so a
//! deadline fires up to two ticks late: good enough for "no answer within 15 s", and arming one costs a push and
//! a removal. While nothing is pending the task sleeps. The number of deadlines is bounded by the number of
//! connections and requests.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;
use tokio::sync::Notify;

use super::clock;

#[derive(Debug)]
pub(super) struct Deadlines {
    entries: RefCell<Slab<Entry>>,
    /// The time of the last look, fresh to one tick while anything is pending.
    now: Cell<Instant>,
    tick: Duration,
    armed: Notify,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    fired: bool,
    waker: Waker,
}

impl Deadlines {
    pub(super) fn new(tick: Duration) -> Rc<Self> {
        Rc::new(Self {
            entries: RefCell::default(),
            now: Cell::new(clock::now()),
            tick,
            armed: Notify::new(),
        })
    }

    /// Runs as long as the worker does.
    pub(super) async fn run(self: Rc<Self>) {
        loop {
            if self.entries.borrow().is_empty() {
                self.armed.notified().await;
            }
            tokio::time::sleep(self.tick).await;
            self.look(clock::now());
        }
    }

    fn look(&self, now: Instant) {
        self.now.set(now);
        for (_, entry) in self.entries.borrow_mut().iter_mut() {
            if !entry.fired && entry.at <= now {
                entry.fired = true;
                entry.waker.wake_by_ref();
            }
        }
    }

    /// Wakes every task that waits here, due or not: the drain does it, and a canary that is closed.
    pub(super) fn wake_all(&self) {
        for (_, entry) in self.entries.borrow().iter() {
            entry.waker.wake_by_ref();
        }
    }

    fn insert(&self, span: Duration, waker: Waker) -> usize {
        let mut entries = self.entries.borrow_mut();
        if entries.is_empty() {
            // The task was asleep, so the last look may be long ago.
            self.now.set(clock::now());
            self.armed.notify_one();
        }
        entries.insert(Entry { at: self.now.get() + span + self.tick, fired: false, waker })
    }
}

/// One deadline. It counts from its first poll, which is when somebody first has to wait, and takes the time of
/// the last look for now, so it reads no clock. Pending until its drop; can be restarted.
#[derive(Debug)]
pub(super) struct Deadline {
    deadlines: Rc<Deadlines>,
    span: Duration,
    key: Option<usize>,
}

impl Deadline {
    pub(super) fn after(deadlines: &Rc<Deadlines>, span: Duration) -> Self {
        Self { deadlines: Rc::clone(deadlines), span, key: None }
    }

    /// Counts anew, from the time of the last look: no clock is read, and at most one tick is added.
    pub(super) fn restart(&mut self, span: Duration) {
        self.span = span;
        if let Some(key) = self.key {
            let entry = &mut self.deadlines.entries.borrow_mut()[key];
            entry.at = self.deadlines.now.get() + span + self.deadlines.tick;
            entry.fired = false;
        }
    }

    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let Some(key) = self.key else {
            self.key = Some(self.deadlines.insert(self.span, context.waker().clone()));
            return Poll::Pending;
        };
        let mut entries = self.deadlines.entries.borrow_mut();
        let entry = &mut entries[key];
        if entry.fired {
            return Poll::Ready(());
        }
        if !entry.waker.will_wake(context.waker()) {
            entry.waker = context.waker().clone();
        }
        Poll::Pending
    }
}

impl Deadline {
    /// The future's output, or `None` if the deadline comes first.
    pub(super) async fn bound<F: Future>(mut self, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(context).map(|()| None),
        })
        .await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.deadlines.entries.borrow_mut().remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(deadline: &mut Deadline) -> Poll<()> {
        deadline.poll(&Context::from_waker(Waker::noop()))
    }

    fn pending(span: Duration) -> (Rc<Deadlines>, Deadline, Instant) {
        let deadlines = Deadlines::new(Duration::from_millis(10));
        let mut deadline = Deadline::after(&deadlines, span);
        let before = clock::now();
        assert!(poll(&mut deadline).is_pending());
        (deadlines, deadline, before)
    }

    #[test]
    fn fires_at_the_first_look_after_its_time_and_not_before() {
        let (deadlines, mut deadline, before) = pending(Duration::from_secs(100));
        deadlines.look(before + Duration::from_secs(99));
        assert!(poll(&mut deadline).is_pending());
        deadlines.look(before + Duration::from_secs(200));
        assert!(poll(&mut deadline).is_ready());
    }

    #[test]
    fn a_restarted_deadline_counts_from_the_last_look() {
        let (deadlines, mut deadline, before) = pending(Duration::from_secs(100));
        deadlines.look(before + Duration::from_secs(200));
        deadline.restart(Duration::from_secs(100));
        assert!(poll(&mut deadline).is_pending());
        deadlines.look(before + Duration::from_secs(299));
        assert!(poll(&mut deadline).is_pending());
        deadlines.look(before + Duration::from_secs(301));
        assert!(poll(&mut deadline).is_ready());
    }

    #[test]
    fn a_dropped_deadline_leaves_nothing_behind() {
        let (deadlines, deadline, _) = pending(Duration::from_secs(1));
        drop(deadline);
        assert!(deadlines.entries.borrow().is_empty());
    }
}
