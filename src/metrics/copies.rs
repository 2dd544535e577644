//! What came of copies of requests, counted and as Prometheus families. What is counted of every variant is there of `mirror` as well.

use prometheus::proto::MetricFamily;

use super::exposition::Family;
use super::shard::Counter;
use super::slots::SlotName;
use super::{Shards, SlotId};

/// What came of copies, beside what is counted of every variant.
#[derive(Debug, Default)]
pub struct Copies {
    /// Answered with the status that stable had for it.
    pub same: Counter,
    /// With another, or not at all.
    pub different: Counter,
    /// Drawn, and not made, by [`Uncopied`].
    pub uncopied: [Counter; Uncopied::ALL.len()],
}

/// Why a copy was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Uncopied {
    /// Longer than is kept, or not through when stable answered.
    Body,
    /// As many as may be are under way, or memory is short.
    Busy,
    NoEndpoint,
}

impl Uncopied {
    pub const ALL: [Self; 3] = [Self::Body, Self::Busy, Self::NoEndpoint];

    pub fn label(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Busy => "busy",
            Self::NoEndpoint => "no_endpoint",
        }
    }
}

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
