//! What the controller adds to `/metrics`.

use std::collections::HashMap;
use std::sync::Arc;

use super::controller::Controller;
use super::releases::BY_PLAN;
use super::routes::BackOff;
use super::state::{BY_FILE, BY_IMMUNE, effective};
use crate::immune::Guard;
use crate::metrics::exposition::{CanaryGauges, Gauges};
use crate::metrics::releases::ReleaseGauges;
use crate::store::record::{Action, Decision, RouteRecord};

/// Decisions that have taken effect since the process started.
#[derive(Default)]
pub(super) struct DecisionCounts {
    /// In the order of [`CAN_OCCUR`], of routes that had any.
    counts: HashMap<Arc<str>, Vec<u64>>,
}

/// Names of people are no label: there may be many, and they are nobody's business there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ByClass {
    Immune,
    Person,
    File,
    Plan,
}

/// Every combination that can occur, so that its series starts at 0; others are not shown.
const CAN_OCCUR: [(Action, ByClass); 21] = [
    (Action::Weight, ByClass::Person),
    (Action::Weight, ByClass::File),
    (Action::BackOff, ByClass::Immune),
    (Action::Raise, ByClass::Immune),
    (Action::Watch, ByClass::Immune),
    (Action::SelfTest, ByClass::Immune),
    (Action::CordPull, ByClass::Person),
    (Action::Drill, ByClass::Person),
    (Action::CordReset, ByClass::Person),
    (Action::Role, ByClass::Person),
    (Action::Role, ByClass::File),
    (Action::ReleaseStart, ByClass::Person),
    (Action::ReleaseStep, ByClass::Plan),
    (Action::ReleaseHold, ByClass::Person),
    (Action::ReleaseHold, ByClass::Plan),
    (Action::ReleaseResume, ByClass::Person),
    (Action::ReleaseApprove, ByClass::Person),
    (Action::ReleasePromote, ByClass::Person),
    (Action::ReleasePromote, ByClass::Plan),
    (Action::ReleaseAbort, ByClass::Person),
    (Action::RollBack, ByClass::Person),
];

impl ByClass {
    fn of(by: &str) -> Self {
        match by {
            BY_IMMUNE => Self::Immune,
            BY_FILE => Self::File,
            BY_PLAN => Self::Plan,
            _ => Self::Person,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Immune => "immune",
            Self::Person => "person",
            Self::File => "file",
            Self::Plan => "plan",
        }
    }
}

impl DecisionCounts {
    pub(super) fn add(&mut self, decision: &Decision) {
        let kind = (decision.action, ByClass::of(&decision.by));
        let Some(at) = CAN_OCCUR.iter().position(|can| *can == kind) else { return };
        let none = || vec![0; CAN_OCCUR.len()];
        self.counts.entry(Arc::clone(&decision.route)).or_insert_with(none)[at] += 1;
    }
}

#[cfg(test)]
impl DecisionCounts {
    /// Of all routes.
    pub(super) fn of(&self, action: Action) -> u64 {
        let kinds = || CAN_OCCUR.iter().map(|(kind, _)| *kind == action);
        self.counts
            .values()
            .flat_map(|counts| kinds().zip(counts))
            .filter(|(is, _)| *is)
            .map(|(_, count)| count)
            .sum()
    }
}

fn odds_log10(guard: &Guard) -> Vec<(String, f64)> {
    let all = ("all".to_owned(), guard.odds());
    let each = guard.odds_by_signal().into_iter().chain([all]);
    each.map(|(signal, odds)| (signal, odds.log10())).collect()
}

fn release(record: &RouteRecord) -> ReleaseGauges {
    let release = record.release.as_ref();
    ReleaseGauges {
        route: Arc::clone(&record.route),
        state: release.map(|release| release.state()),
        step: release.filter(|release| release.is_running()).map_or(0, |release| release.step + 1),
    }
}

impl Controller {
    pub(super) fn gauges(&self) -> Gauges {
        let mut gauges = Gauges {
            config_last_reload_successful: self.reload_works,
            store_up: self.saving.down().is_none(),
            evidence_dropped: self.evidence.dropped(),
            tls: self.tls.loaded().gauges(),
            upstreams: self.upstream_gauges(),
            load: self.memory.load(),
            notify: self.messenger.gauges(),
            decision_kinds: CAN_OCCUR.map(|(action, by)| (action.label(), by.label())).to_vec(),
            decisions: self.counts.counts.clone(),
            ..Gauges::default()
        };
        let now_us = self.clock.now_us();
        for route in &self.routes.list {
            let Some(split) = &route.split else { continue };
            let record = &split.state.record;
            gauges.cords.push((Arc::clone(&route.name), record.cord.is_some()));
            if split.canaries.is_empty() {
                continue;
            }
            gauges.releases.push(release(record));
            gauges.self_tests.extend(split.self_test.as_ref().map(|test| test.gauges(&route.name)));
            if let Some(BackOff::Took { seconds }) = split.back_off {
                gauges.back_off_seconds.push((Arc::clone(&route.name), seconds));
            }
            for (at, (canary, live)) in record.canaries.iter().zip(&split.canaries).enumerate() {
                if split.lots.is_some() {
                    gauges.splits.push(live.lots.gauges(&route.name, &canary.name));
                }
                gauges.notify.outside.extend(self.outside_gauges(split, at));
                gauges.canaries.push(CanaryGauges {
                    route: Arc::clone(&route.name),
                    variant: Arc::clone(&canary.name),
                    aim: canary.aim.ratio(),
                    ceiling: canary.ceiling.ratio(),
                    effective: effective(record, canary).ratio(),
                    verdict: live.verdict_kind(now_us).label(),
                    odds_log10: odds_log10(&live.guard),
                    holds: live.guard.holds(),
                    harm_left: live.harm_left(),
                });
            }
        }
        gauges
    }
}
