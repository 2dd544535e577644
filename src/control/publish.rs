//! The only place that puts a snapshot in force.
//!
//! A change of weights keeps the table and swaps the shares, which is cheap, and one of endpoints does the same; a
//! changed file or role brings a new table. Each snapshot that differs from the last gets the next generation; one that does not is not published.

use std::sync::Arc;

use crate::routing::{Live, Share, Snapshot, Table, Usable};

pub(super) struct Publisher {
    live: Live,
    generation: u64,
    table: Arc<Table>,
    snapshot: Arc<Snapshot>,
    /// Routes in the order of the file, their canaries in order: what the snapshot in force says.
    shares: Vec<Vec<Share>>,
    /// Upstreams in the order of the file.
    usable: Vec<Arc<Usable>>,
}

impl Publisher {
    /// Publishes the first snapshot.
    pub(super) fn new(
        live: Live,
        table: Arc<Table>,
        shares: Vec<Vec<Share>>,
        usable: Vec<Arc<Usable>>,
    ) -> Self {
        let generation = 1;
        let snapshot = Snapshot::with_endpoints(generation, Arc::clone(&table), &shares, usable.clone());
        let snapshot = Arc::new(snapshot);
        live.publish(Arc::clone(&snapshot));
        Self { live, generation, table, snapshot, shares, usable }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    #[cfg(test)]
    pub(super) fn live(&self) -> &Live {
        &self.live
    }

    #[cfg(test)]
    pub(super) fn shares(&self) -> &[Vec<Share>] {
        &self.shares
    }

    /// After a reload: everything is new.
    pub(super) fn replace(&mut self, table: Arc<Table>, shares: Vec<Vec<Share>>, usable: Vec<Arc<Usable>>) {
        self.table = table;
        self.shares = shares;
        self.usable = usable;
        self.publish_whole();
    }

    /// Other roles, on the same endpoints.
    pub(super) fn retable(&mut self, table: Arc<Table>, shares: Vec<Vec<Share>>) {
        let usable = self.usable.clone();
        self.replace(table, shares, usable);
    }

    /// After a change of weights, ceilings or cords. One route costs one route; several are published as one
    /// whole, so that a cord pulled on all of them takes hold on all of them at once.
    pub(super) fn update(&mut self, changes: Vec<(usize, Vec<Share>)>) {
        let (mut changed, mut closes) = (Vec::new(), false);
        for (route, shares) in changes {
            let Some(mine) = self.shares.get_mut(route) else { continue };
            if *mine != shares {
                closes |= mine.iter().zip(&shares).any(|(before, after)| before.open && !after.open);
                *mine = shares;
                changed.push(route);
            }
        }
        match changed.as_slice() {
            [] => {}
            [route] => {
                let next = self.generation + 1;
                let snapshot = self.snapshot.with_shares(next, *route, &self.shares[*route]);
                self.publish(snapshot);
            }
            _ => self.publish_whole(),
        }
        if closes {
            self.live.tell_closing();
        }
    }

    /// Some upstreams, by their place in the table, have other endpoints to use.
    pub(super) fn endpoints(&mut self, changes: Vec<(usize, Arc<Usable>)>) {
        for (group, usable) in &changes {
            if let Some(mine) = self.usable.get_mut(*group) {
                *mine = Arc::clone(usable);
            }
        }
        let snapshot = self.snapshot.with_usable(self.generation + 1, changes);
        self.publish(snapshot);
    }

    fn publish_whole(&mut self) {
        let next = self.generation + 1;
        let usable = self.usable.clone();
        self.publish(Snapshot::with_endpoints(next, Arc::clone(&self.table), &self.shares, usable));
    }

    fn publish(&mut self, snapshot: Snapshot) {
        self.generation += 1;
        self.snapshot = Arc::new(snapshot);
        self.live.publish(Arc::clone(&self.snapshot));
    }
}
