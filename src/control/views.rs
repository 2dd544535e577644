//! What the controller shows of its routes: a look at the state in force, beside the last seconds.

use std::sync::Arc;

use super::command::{Command, Refusal, Reply};
use super::controller::Controller;
use super::forecasts::AskForecast;
use super::jobs::answer;
use super::routes::{STABLE, SplitLive};
use super::self_test::SelfTesting;
use super::state::{effective, effective_sum};
use super::view::{CanaryView, RouteView, SignalView, StableView, VerdictKind, VerdictView, WindowView};
use super::watched::CanaryLive;
use crate::config::Weight;
use crate::config::units::WHOLE_PPM;
use crate::immune::Verdict;
use crate::metrics::SlotId;
use crate::store::record::RouteRecord;

impl Controller {
    /// Whoever is shown a route at rest sees what it would be, had it been looked at all the time.
    pub(super) fn catch_up_for(&mut self, command: &Command) {
        match command {
            Command::Routes(_) | Command::Metrics(_) => self.routes.catch_up_all(),
            Command::Route(name, _) | Command::Forecast(AskForecast { route: name, .. }, _) => {
                if let Some(route) = self.routes.find(name) {
                    self.routes.catch_up(route);
                }
            }
            _ => {}
        }
    }

    pub(super) fn show_routes(&self, reply: Reply<Vec<RouteView>>) {
        let views = (0..self.routes.list.len()).filter_map(|route| self.view(route)).collect();
        answer(reply, Ok(views));
    }

    pub(super) fn show_route(&self, name: &Arc<str>, reply: Reply<RouteView>) {
        let view = self.routes.find(name).and_then(|route| self.view(route));
        let unknown = || Refusal::UnknownRoute { route: Arc::clone(name), known: self.routes.names() };
        answer(reply, view.ok_or_else(unknown));
    }

    pub(super) fn view(&self, route: usize) -> Option<RouteView> {
        let live = self.routes.list.get(route)?;
        let name = Arc::clone(&live.name);
        let Some(split) = &live.split else {
            let canaries = Vec::new();
            return Some(RouteView {
                name,
                revision: 0,
                deny: true,
                cord: None,
                unsaved: false,
                drifts: false,
                stable: None,
                canaries,
                self_test: None,
                drill: None,
                release: None,
                previous_stable: None,
                mirror: None,
            });
        };
        Some(RouteView {
            unsaved: self.saving.is_unsaved(&name),
            drifts: drifts(&split.state.record),
            name,
            revision: split.state.revision,
            deny: false,
            cord: split.state.record.cord.clone(),
            stable: Some(self.stable_view(split)),
            canaries: self.canary_views(split),
            self_test: split.self_test.as_ref().map(SelfTesting::view),
            drill: split.drill_view(),
            release: self.release_view(route, split),
            previous_stable: split.state.record.previous_stable.clone(),
            mirror: self.mirror_view(route, split),
        })
    }

    fn stable_view(&self, split: &SplitLive) -> StableView {
        let rest_ppm = WHOLE_PPM.saturating_sub(effective_sum(&split.state.record).ppm());
        StableView {
            upstream: Arc::clone(&split.state.record.stable.upstream),
            effective: Weight::from_ppm(rest_ppm).unwrap_or(Weight::WHOLE),
            window: self.window(split.stable.slot),
        }
    }

    fn canary_views(&self, split: &SplitLive) -> Vec<CanaryView> {
        let record = &split.state.record;
        let pairs = record.canaries.iter().zip(&split.canaries).enumerate();
        pairs
            .map(|(at, (canary, live))| CanaryView {
                name: Arc::clone(&canary.name),
                upstream: Arc::clone(&canary.role.upstream),
                aim: canary.aim,
                ceiling: canary.ceiling,
                effective: effective(record, canary),
                file_aim: canary.file_aim,
                back_off: self.back_off_view(split, at),
                verdict: self.verdict(split, at),
                window: self.window(live.watched.slot),
                lots: split.lots.as_ref().map(|_| live.lots.view()),
            })
            .collect()
    }

    pub(super) fn window(&self, slot: SlotId) -> WindowView {
        self.windows.view(slot, self.clock.now_us(), &self.shards)
    }

    fn verdict(&self, split: &SplitLive, canary: usize) -> VerdictView {
        let (live, now_us) = (&split.canaries[canary], self.clock.now_us());
        let guard = &live.guard;
        let signals = guard.odds_by_signal().into_iter().map(|(name, odds)| SignalView { name, odds });
        let other = live.compared_with.and_then(|at| split.state.record.canaries.get(at));
        let (kind, reason) = live.judged(now_us);
        VerdictView {
            kind,
            reason,
            odds: guard.odds(),
            holds: guard.holds(),
            signals: signals.collect(),
            outside: split.outside_views(canary, now_us),
            compared_with: other.map_or_else(|| STABLE.into(), |canary| Arc::clone(&canary.name)),
        }
    }
}

fn drifts(record: &RouteRecord) -> bool {
    let mut roles = record.canaries.iter().map(|canary| &canary.role).chain([&record.stable]);
    roles.any(|role| role.upstream != role.file_upstream)
        || record.canaries.iter().any(|canary| canary.aim != canary.file_aim)
}

impl CanaryLive {
    /// What holds, and why: the guard's word, and that of the outside signals that act. Those can make a canary unhealthy,
    /// and while they have not said that it is well it is not called healthy.
    pub(super) fn judged(&self, now_us: u64) -> (VerdictKind, String) {
        let verdict = self.guard.verdict();
        match (kind(&verdict), self.outside.unhealthy(), self.outside.missing(now_us)) {
            (VerdictKind::Healthy | VerdictKind::Undecided, Some(why), _) => (VerdictKind::Unhealthy, why),
            (VerdictKind::Healthy, None, Some(missing)) => (VerdictKind::Undecided, missing),
            (kind, ..) => (kind, verdict.sentence()),
        }
    }

    /// As [`CanaryLive::judged`], without the words: for `/metrics`, which asks of every canary at once.
    pub(super) fn verdict_kind(&self, now_us: u64) -> VerdictKind {
        match kind(&self.guard.verdict()) {
            VerdictKind::Unhealthy => VerdictKind::Unhealthy,
            _ if self.outside.unhealthy().is_some() => VerdictKind::Unhealthy,
            VerdictKind::Healthy if self.outside.missing(now_us).is_some() => VerdictKind::Undecided,
            kind => kind,
        }
    }
}

fn kind(verdict: &Verdict) -> VerdictKind {
    match verdict {
        Verdict::Healthy { .. } => VerdictKind::Healthy,
        Verdict::Unhealthy(_) => VerdictKind::Unhealthy,
        Verdict::Undecided { .. } => VerdictKind::Undecided,
    }
}
