//! The permanent self-test: a random slice of stable's own requests, the phantom, is judged as if it were a canary.
//!
//! Nothing can be wrong with it but the judge. The phantom is served by stable, by the same endpoints at the same time,
//! and only the lot tells it from the rest; so if a guard finds it worse, then what the guard takes for granted does not
//! hold for this traffic (users so few, and so different, that chance does not even them out; a count that goes wrong),
//! and what it says of a canary is worth as little. It runs also while no canary has weight: who starts a release wants to
//! know before.
//!
//! The guard of the phantom is the canary's in all that rests on statistics. The operator's own rules (ceilings, the fast
//! trip) are left out, since they promise nothing about chance, and so are events, which are judged as errors are.
//!
//! An alarm is recorded once and changes no weight. It lasts until the cord of the route is reset, which is possible for
//! this reason also where the cord is not pulled, or until a reload changes how the route is judged. With
//! `on_alarm = "suspend"` the guard meanwhile records what it finds and does not act on it. What it does not suspend is
//! the harm budget, which counts users and leaves nothing to chance.

use std::sync::Arc;

use serde_json::json;
use tracing::warn;

use super::controller::Controller;
use super::routes::SplitLive;
use super::state::{BY_IMMUNE, Change as Said, route_decision};
use super::view::SelfTestView;
use super::watched::{CanaryLive, Watched};
use crate::config::{self, Judge, OnAlarm, OnUnhealthy, SelfTest, Service};
use crate::immune::{Counts, Detail, Finding, Guard};
use crate::metrics::self_test::SelfTestGauges;
use crate::metrics::slots::Slots;
use crate::metrics::{Shards, SlotId};
use crate::store::record::{Action, Change};

pub(super) struct SelfTesting {
    watched: Watched,
    guard: Guard,
    file: SelfTest,
    /// The alarm has been recorded.
    recorded: bool,
}

/// Room for what one tick reads of the phantom and of the rest of stable.
#[derive(Default)]
pub(super) struct Phantom {
    phantom: Detail,
    rest: Detail,
}

impl SelfTesting {
    /// After a reload: goes on where nothing changed. Other ways of judging end an alarm.
    pub(super) fn of(
        file: &config::Route,
        before: Option<Self>,
        slots: &mut Slots,
        shards: &Shards,
    ) -> Option<Self> {
        let wanted = file.guard.self_test?;
        let Service::Split { canaries, .. } = &file.service else { return None };
        if canaries.is_empty() {
            return None;
        }
        let judge = without_rules(&file.guard.judge);
        match before {
            Some(before) if *before.guard.judge() == judge && before.file == wanted => Some(before),
            _ => Some(Self {
                watched: Watched::from_now_on(slots.phantom(&file.name)?, shards),
                guard: Guard::new(&judge),
                file: wanted,
                recorded: false,
            }),
        }
    }

    /// What came since the last call. To be read before stable's.
    pub(super) fn counts(&mut self, shards: &Shards) -> Counts {
        self.watched.counts(shards)
    }

    pub(super) fn call(&mut self, step_us: u64, phantom: Counts, stable: Counts) {
        let rest = Counts {
            requests: stable.requests.saturating_sub(phantom.requests),
            failed: stable.failed.saturating_sub(phantom.failed),
            connect_errors: stable.connect_errors.saturating_sub(phantom.connect_errors),
        };
        self.guard.call(step_us, phantom, rest);
    }

    /// What came since the last tick. To be read before stable's.
    pub(super) fn read(&mut self, shards: &Shards, room: &mut Phantom) {
        self.watched.detail(shards, &mut room.phantom);
    }

    pub(super) fn tick(&mut self, room: &mut Phantom, stable: &Detail) {
        stable.latency.without(&room.phantom.latency, &mut room.rest.latency);
        self.guard.tick(&room.phantom, &room.rest);
    }

    /// As [`Guard::pass`].
    pub(super) fn pass(&mut self, span_us: u64, ticks: u64) {
        self.guard.pass(span_us, ticks);
    }

    pub(super) fn may_rest(&self) -> bool {
        self.guard.may_rest() && (self.recorded || !self.alarm())
    }

    #[cfg(test)]
    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }

    pub(super) fn slot(&self) -> SlotId {
        self.watched.slot
    }

    pub(super) fn restart(&mut self) {
        self.guard.restart();
        self.recorded = false;
    }

    fn finding(&self) -> Option<&Finding> {
        self.guard.finding()
    }

    fn alarm(&self) -> bool {
        self.finding().is_some()
    }

    fn suspends(&self) -> bool {
        self.alarm() && self.file.on_alarm == OnAlarm::Suspend
    }

    pub(super) fn gauges(&self, route: &Arc<str>) -> SelfTestGauges {
        let odds_log10 = self.guard.odds().log10();
        SelfTestGauges { route: Arc::clone(route), alarm: self.alarm(), odds_log10 }
    }

    pub(super) fn view(&self) -> SelfTestView {
        SelfTestView {
            alarm: self.finding().map(sentence),
            suspended: self.suspends(),
            share: self.file.share,
            odds: self.guard.odds(),
        }
    }
}

impl SplitLive {
    /// What the guard does about a canary now.
    pub(super) fn reaction(&self) -> OnUnhealthy {
        if self.is_suspended() { OnUnhealthy::Watch } else { self.on_unhealthy }
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.self_test.as_ref().is_some_and(SelfTesting::suspends)
    }

    /// There is an alarm that was not dealt with.
    pub(super) fn alarms(&self) -> bool {
        self.self_test.as_ref().is_some_and(|test| test.alarm() && !test.recorded)
    }

    /// Somebody may want to end it.
    pub(super) fn has_alarm(&self) -> bool {
        self.self_test.as_ref().is_some_and(SelfTesting::alarm)
    }

    /// A person has looked, and lets the line go on.
    pub(super) fn end_alarm(&mut self) {
        if self.has_alarm() {
            self.self_test.iter_mut().for_each(SelfTesting::restart);
            self.start_anew();
        }
    }

    /// What was found of canaries while nobody could rely on it is not held against them.
    pub(super) fn start_anew(&mut self) {
        self.canaries.iter_mut().for_each(CanaryLive::restart);
    }
}

impl Controller {
    /// One decision for each alarm; no weight changes.
    pub(super) fn alarm(&mut self, route: usize) {
        let Some(split) = self.routes.split_mut(route) else { return };
        let Some(test) = &mut split.self_test else { return };
        let Some(finding) = test.finding() else { return };
        let (why, mut evidence) = (Arc::from(sentence(finding)), finding.evidence());
        let suspended = test.suspends();
        evidence["self_test"] = json!({ "share": test.file.share.to_string(), "suspended": suspended });
        test.recorded = true;
        let record = split.state.record.clone();
        let by = Arc::from(BY_IMMUNE);
        let said = Said { action: Action::SelfTest, by: &by, why: &why };
        let mut decision = route_decision(&record, &record, said, self.clock.stamp());
        decision.evidence = Some(evidence);
        warn!(route = %decision.route, reason = %why, suspended,
            "the immune system finds stable worse than itself: what it says of this route's canaries is in doubt");
        self.note(&decision);
        self.saving.owe(Change { record, decision: Some(decision) });
    }
}

fn without_rules(judge: &Judge) -> Judge {
    Judge { fast_trip: None, ceilings: Vec::new(), events: Vec::new(), ..judge.clone() }
}

/// The finding, told of what it was found on.
fn sentence(finding: &Finding) -> String {
    format!(
        "stable is worse than itself: {}",
        finding.sentence().replacen("canary", "a random slice of it", 1)
    )
}

#[cfg(test)]
mod tests;
