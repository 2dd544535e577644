//! The record, as the controller sees to it: read beside the loop, and its oldest decisions thrown away in time.

use super::command::Reply;
use super::controller::Controller;
use crate::store::record::{Checked, DecisionFilter, Head, Recorded};

/// How often old decisions are looked for. One look takes a bounded number of them (500), so a long record that is to
/// become short does so in hours, and no save waits for it.
const PRUNE_EVERY_US: u64 = 60_000_000;

#[derive(Default)]
pub(super) struct Pruning {
    due_us: u64,
}

impl Controller {
    pub(super) fn read_decisions(&self, filter: DecisionFilter, reply: Reply<Vec<Recorded>>) {
        self.read_store(reply, |store| async move { store.decisions(filter).await });
    }

    pub(super) fn check_record(&self, wanted: Option<Head>, reply: Reply<Checked>) {
        self.read_store(reply, |store| async move { store.check(wanted).await });
    }

    pub(super) fn show_head(&self, reply: Reply<Head>) {
        self.read_store(reply, |store| async move { store.head().await });
    }

    pub(super) fn prune_record(&mut self) {
        let now_us = self.clock.now_us();
        if self.frozen || self.saving.down().is_some() || now_us < self.pruning.due_us {
            return;
        }
        self.pruning.due_us = now_us.saturating_add(PRUNE_EVERY_US);
        let age_ms = i64::try_from(self.config.decisions_age.as_millis()).unwrap_or(i64::MAX);
        // Nobody waits for it: what could not be pruned is tried again at the next look.
        drop(self.saving.store().prune(self.clock.unix_ms().saturating_sub(age_ms)));
    }
}
