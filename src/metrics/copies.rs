//! What came of copies of requests, as Prometheus families. What is counted of every variant is there of `mirror` as well.

use prometheus::proto::MetricFamily;

use super::exposition::Family;
use super::shard::Uncopied;
use super::slots::SlotName;
use super::{Shards, SlotId};

pub(super) fn families<'a>(
    mirrors: impl Iterator<Item = &'a (SlotId, SlotName)>,
    shards: &Shards,
) -> Vec<MetricFamily> {
    let mut answers = Family::counter(
        "andon_mirror_answers_total",
        "Copies answered, by whether the status was the one that stable had for the request",
    );
    let mut dropped = Family::counter("andon_mirror_dropped_total", "Copies drawn and not made, by reason");
    for (slot, name) in mirrors {
        let route = ("route", &*name.route);
        let same = shards.sum(*slot, |counters| &counters.copies.same);
        answers.count(&[route, ("status", "same")], same);
        let different = shards.sum(*slot, |counters| &counters.copies.different);
        answers.count(&[route, ("status", "different")], different);
        for reason in Uncopied::ALL {
            let count = shards.sum(*slot, |counters| &counters.copies.uncopied[reason as usize]);
            dropped.count(&[route, ("reason", reason.label())], count);
        }
    }
    [answers, dropped].into_iter().filter_map(Family::done).collect()
}
