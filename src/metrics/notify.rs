//! How it goes with those who are told of decisions, and what those say who are asked.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::exposition::Family;
use super::outside::{self, OutsideGauges};
use super::shard::Counter;

/// Of one receiver. Written by the thread that tells, but for [`NotifyCounts::unsent`].
#[derive(Debug, Default)]
pub struct NotifyCounts {
    /// All that it should hear.
    pub taken: Counter,
    pub delivered: Counter,
    /// After the last attempt.
    pub failed: Counter,
    pub refused: Counter,
    /// The oldest of a full queue.
    pub dropped: Counter,
    /// Never reached the thread, because it did not keep up. Written by the controller.
    pub unsent: Counter,
}

impl NotifyCounts {
    pub fn pending(&self) -> u64 {
        let done = [&self.delivered, &self.failed, &self.refused, &self.dropped].map(Counter::get);
        self.taken.get().saturating_sub(done.iter().sum())
    }
}

/// All that is said to others, and by others.
#[derive(Clone, Debug, Default)]
pub struct NotifyGauges {
    /// By name, in the order of the file.
    pub receivers: Vec<(Arc<str>, Arc<NotifyCounts>)>,
    pub outside: Vec<OutsideGauges>,
}

pub(super) fn families(gauges: &NotifyGauges) -> Vec<MetricFamily> {
    let mut notices =
        Family::counter("andon_notifications_total", "Notices of decisions, by what became of them");
    let mut dropped = Family::counter(
        "andon_notifications_dropped_total",
        "Notices that were dropped because too many waited for their receiver",
    );
    let mut pending = Family::gauge("andon_notifications_pending", "Notices that wait for their receiver");
    for (name, counts) in &gauges.receivers {
        let receiver = ("receiver", &**name);
        let results =
            [("delivered", &counts.delivered), ("failed", &counts.failed), ("refused", &counts.refused)];
        for (result, counter) in results {
            notices.count(&[receiver, ("result", result)], counter.get());
        }
        dropped.count(&[receiver], counts.dropped.get() + counts.unsent.get());
        pending.set(&[receiver], counts.pending() as f64);
    }
    let told = [notices, dropped, pending].into_iter().filter_map(Family::done);
    told.chain(outside::families(&gauges.outside)).collect()
}
