//! What is counted of every variant, as Prometheus families, and from when on.
//!
//! `increase()` sees nothing of a series that begins with its first event, so a series should be there before it, at 0. All of
//! a route are 10 KB of text, which is little for some routes and much for ten thousand on which nothing happens. So:
//!
//! - of the first [`FROM_START_MAX`] routes that the process knew, every series is there from the start;
//! - of any further one, the counters of its variants appear, all of them, when it has its first request. A canary that
//!   begins on a route with traffic is counted from its first request like any other. What a canary harms is there from the
//!   start, and so is all that is no counter.

use std::collections::{HashMap, HashSet};

use prometheus::proto::{Bucket, Histogram, MetricFamily};

use super::exposition::{Family, Label, with};
use super::shard::{self, CODE_SLOTS, DURATION_BOUNDS_US};
use super::slots::SlotName;
use super::{Blame, Outcome, Shards, SlotId};

/// Routes, in the order in which the process heard of them.
const FROM_START_MAX: usize = 500;

/// Status codes that a variant shows from the start; others appear with their first answer.
const CODES_FROM_START: [&str; 8] = ["200", "204", "302", "304", "400", "404", "499", "500"];

/// The routes of which every series is shown.
pub(super) struct Shown<'a>(HashSet<&'a str>);

impl<'a> Shown<'a> {
    pub(super) fn of(slots: &'a [(SlotId, SlotName)], shards: &Shards) -> Self {
        let mut order = HashMap::new();
        let mut shown = HashSet::new();
        for (slot, name) in slots {
            let next = order.len();
            let place = *order.entry(&*name.route).or_insert(next);
            if place < FROM_START_MAX || was_asked(*slot, shards) {
                shown.insert(&*name.route);
            }
        }
        Self(shown)
    }

    pub(super) fn has(&self, route: &str) -> bool {
        self.0.contains(route)
    }
}

fn was_asked(slot: SlotId, shards: &Shards) -> bool {
    shards.slots(slot).any(|counters| counters.started.get() > 0 || counters.missed.get() > 0)
}

pub(super) fn families(
    slots: &[(SlotId, SlotName)],
    shards: &Shards,
    shown: &Shown<'_>,
) -> Vec<MetricFamily> {
    let mut requests = Family::counter(
        "andon_requests_total",
        "Requests answered, by status code; 499: the client left first",
    );
    let mut outcomes = Family::counter("andon_outcomes_total", "How requests ended");
    let mut errors =
        Family::counter("andon_upstream_errors_total", "Requests that failed by the upstream's doing");
    let mut harm =
        Family::counter("andon_harm_total", "Requests that a user saw fail because they went to a canary");
    let mut missed = Family::counter(
        "andon_canary_missed_total",
        "Requests that stable served because the canary had no usable endpoint",
    );
    let mut retries = Family::counter(
        "andon_retries_total",
        "Attempts at another endpoint, or on another connection, after a failed one",
    );
    let mut rescues =
        Family::counter("andon_rescues_total", "Requests that a canary failed and stable answered");
    let mut recalls = Family::counter(
        "andon_recalls_total",
        "Requests taken from a canary that was backed off before it began to answer",
    );
    let mut flight = Family::gauge("andon_requests_in_flight", "Requests begun and not ended");
    let mut durations =
        Family::histogram("andon_request_duration_seconds", "From the request head to the end of the answer");
    for (slot, name) in slots {
        let labels = [("route", &*name.route), ("variant", &*name.variant)];
        let is_stable = &*name.variant == "stable";
        if !is_stable {
            harm.count(&labels, shards.sum(*slot, |counters| &counters.harm));
        }
        if !shown.has(&name.route) {
            continue;
        }
        for index in 0..CODE_SLOTS {
            let count = shards.sum(*slot, |counters| &counters.codes[index]);
            let label = shard::code_label(index);
            if count > 0 || CODES_FROM_START.contains(&label) {
                requests.count(&with(labels, ("code", label)), count);
            }
        }
        for outcome in Outcome::ALL {
            let count = shards.sum(*slot, |counters| &counters.outcomes[outcome as usize]);
            outcomes.count(&with(labels, ("outcome", outcome.label())), count);
            if outcome.blame() == Blame::Upstream {
                errors.count(&with(labels, ("kind", outcome.label())), count);
            }
        }
        retries.count(&labels, shards.sum(*slot, |counters| &counters.retries));
        if !is_stable {
            rescues.count(&labels, shards.sum(*slot, |counters| &counters.rescues));
            recalls.count(&labels, shards.sum(*slot, |counters| &counters.recalls));
            missed.count(&labels, shards.sum(*slot, |counters| &counters.missed));
        }
        let totals = shards.totals(*slot);
        flight.set(&labels, totals.in_flight() as f64);
        observe(&mut durations, &labels, *slot, shards);
    }
    [requests, outcomes, errors, harm, missed, retries, rescues, recalls, flight, durations]
        .into_iter()
        .filter_map(Family::done)
        .collect()
}

fn observe(durations: &mut Family, labels: &[Label<'_>], slot: SlotId, shards: &Shards) {
    let mut histogram = Histogram::default();
    let mut cumulative = 0;
    let mut buckets = Vec::with_capacity(DURATION_BOUNDS_US.len());
    for (index, bound_us) in DURATION_BOUNDS_US.into_iter().enumerate() {
        cumulative += shards.sum(slot, |counters| &counters.durations[index]);
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(cumulative);
        bucket.set_upper_bound(bound_us as f64 / 1e6);
        buckets.push(bucket);
    }
    let beyond = shards.sum(slot, |counters| &counters.durations[DURATION_BOUNDS_US.len()]);
    histogram.set_bucket(buckets);
    histogram.set_sample_count(cumulative + beyond);
    histogram.set_sample_sum(shards.sum(slot, |counters| &counters.duration_sum_us) as f64 / 1e6);
    durations.sample(labels).set_histogram(histogram);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metrics::exposition::{Gauges, render};
    use crate::metrics::releases::ReleaseGauges;
    use crate::metrics::slots::Slots;

    /// As many routes as are shown from the start, and one more.
    fn many() -> (Vec<(SlotId, SlotName)>, Gauges) {
        let mut slots = Slots::default();
        let mut gauges = Gauges { decision_kinds: vec![("back_off", "immune")], ..Gauges::default() };
        for route in (0..=FROM_START_MAX).map(|route| Arc::from(format!("shop{route}"))) {
            for variant in ["stable", "canary"] {
                slots.slot(&route, &variant.into()).unwrap();
            }
            gauges.releases.push(ReleaseGauges { route, state: None, step: 0 });
        }
        (slots.iter().map(|(slot, name)| (slot, name.clone())).collect(), gauges)
    }

    fn has(text: &str, name: &str, route: usize, variant: &str) -> bool {
        let labels = if variant.is_empty() { String::new() } else { format!(",variant=\"{variant}\"") };
        let start = format!("{name}{{route=\"shop{route}\"{labels}");
        text.lines().any(|line| line.starts_with(&start) && line.ends_with(" 0"))
    }

    const COUNTED: [&str; 6] = [
        "andon_requests_total",
        "andon_outcomes_total",
        "andon_upstream_errors_total",
        "andon_retries_total",
        "andon_requests_in_flight",
        "andon_request_duration_seconds_bucket",
    ];

    #[test]
    fn a_route_beyond_the_first_ones_is_shown_in_full_from_its_first_request_on() {
        let (slots, gauges) = many();
        let shards = Shards::new(1);
        let last = FROM_START_MAX;
        let before = render(&slots, &shards, &gauges);
        for name in COUNTED {
            assert!(has(&before, name, 0, "stable") && has(&before, name, last - 1, "canary"), "{name}");
            assert!(!has(&before, name, last, "stable") && !has(&before, name, last, "canary"), "{name}");
        }
        assert!(has(&before, "andon_harm_total", last, "canary"));
        assert!(
            has(&before, "andon_decisions_total", 0, "") && !has(&before, "andon_decisions_total", last, "")
        );
        let stable = slots.iter().find(|(_, name)| *name.route == *format!("shop{last}")).unwrap().0;
        shards.worker(0).slot(stable).start(1);
        let after = render(&slots, &shards, &gauges);
        for name in COUNTED.into_iter().chain(["andon_rescues_total", "andon_recalls_total"]) {
            assert!(has(&after, name, last, "canary"), "{name}: before the canary has any request");
        }
        assert!(has(&after, "andon_decisions_total", last, ""));
    }

    #[test]
    fn what_was_decided_of_a_route_without_requests_is_shown() {
        let (slots, mut gauges) = many();
        let last = format!("shop{FROM_START_MAX}");
        gauges.decisions.insert(last.as_str().into(), vec![3]);
        let text = render(&slots, &Shards::new(1), &gauges);
        let line = format!("andon_decisions_total{{route=\"{last}\",action=\"back_off\",by=\"immune\"}} 3");
        assert!(text.contains(&line));
    }
}
