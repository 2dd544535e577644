//! The snapshot in force: the one thing that workers and the control thread share.
//!
//! A worker reads through a [`Reader`] of its own, which costs one comparison while nothing has changed. A reader
//! keeps the snapshot that it saw last until it is asked again, so an idle worker may hold an old one in memory;
//! it never decides by it.
//!
//! One thing does not wait until a worker asks: that a canary was closed. Whoever waits for its answer is to hear of it,
//! so the generation that did it is told, too.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use tokio::sync::watch;

use super::Snapshot;

pub type LiveSnapshot = ArcSwap<Snapshot>;

/// Cheap to clone; all clones are the same one.
#[derive(Clone, Debug)]
pub struct Live {
    swap: Arc<LiveSnapshot>,
    /// The generation that closed a canary last.
    closings: watch::Sender<u64>,
}

impl Live {
    pub fn new(first: Snapshot) -> Self {
        Self { swap: Arc::new(ArcSwap::from_pointee(first)), closings: watch::Sender::default() }
    }

    /// For the control thread and for tests; a worker has a [`Reader`].
    pub fn load(&self) -> Arc<Snapshot> {
        self.swap.load_full()
    }

    pub fn reader(&self) -> Reader {
        Reader { cache: Cache::new(Arc::clone(&self.swap)) }
    }

    /// From here on every decision is made by `next`. Only `control/publish.rs` may call this.
    #[expect(clippy::disallowed_methods, reason = "the one store; its only caller is control/publish.rs")]
    pub fn publish(&self, next: Arc<Snapshot>) {
        self.swap.store(next);
    }

    /// The snapshot in force has closed a canary that was open before.
    pub fn tell_closing(&self) {
        self.closings.send_replace(self.swap.load().generation());
    }

    /// When something is heard here, the snapshot in force is that one or a newer one.
    pub fn closings(&self) -> watch::Receiver<u64> {
        self.closings.subscribe()
    }
}

/// One worker's view of the snapshot in force.
#[derive(Clone, Debug)]
pub struct Reader {
    cache: Cache<Arc<LiveSnapshot>, Arc<Snapshot>>,
}

impl Reader {
    pub fn snapshot(&mut self) -> &Snapshot {
        self.cache.load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::testing;

    #[test]
    fn a_reader_sees_what_was_published_last() {
        let first = testing::snapshot(vec![testing::route("shop")], &[]);
        let live = Live::new(first.clone());
        let mut reader = live.reader();
        assert_eq!(reader.snapshot().generation(), 1);
        live.publish(Arc::new(first.with_shares(2, 0, &[])));
        assert_eq!(reader.snapshot().generation(), 2);
        assert_eq!(live.load().generation(), 2);
    }
}
