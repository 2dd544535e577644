//! What the immune system sees of a variant: what its slot counted since the last look, and for a canary its guard.

use crate::config::{self, Judge, Service};
use crate::immune::{Counts, Detail, Guard};
use crate::metrics::judged::Seen;
use crate::metrics::{Shards, SlotId, SlotTotals};
use crate::routing::harm::HarmBudget;

use super::lots::CanaryLots;
use super::routes::SplitLive;
use super::self_test::Phantom;
use super::state::effective;

/// One slot, and how much of it has been seen.
pub(super) struct Watched {
    pub(super) slot: SlotId,
    counts: Counts,
    seen: Seen,
}

pub(super) struct CanaryLive {
    pub(super) watched: Watched,
    pub(super) guard: Guard,
    /// Stable's version, freshly started, for the others to be compared with. It is judged, and never acted on.
    pub(super) is_baseline: bool,
    /// With which variant it is compared: the place of the baseline, else stable.
    compared_with: Option<usize>,
    /// The finding that holds has been recorded; not again until the guard starts anew.
    pub(super) recorded: bool,
    /// The one that the workers take their permits from.
    pub(super) harm: Option<HarmBudget>,
    /// That it is used up has been recorded; not again until there is a fresh one.
    pub(super) harm_recorded: bool,
    pub(super) lots: CanaryLots,
}

/// Room for what one tick reads, used again and again.
#[derive(Default)]
pub(super) struct Details {
    counts: Vec<Counts>,
    stable: Detail,
    canaries: Vec<Detail>,
    phantom: Phantom,
}

impl Watched {
    pub(super) fn from_now_on(slot: SlotId, shards: &Shards) -> Self {
        let mut watched = Self { slot, counts: Counts::default(), seen: Seen::default() };
        watched.counts(shards);
        watched.detail(shards, &mut Detail::default());
        watched
    }

    /// What came since the last call.
    pub(super) fn counts(&mut self, shards: &Shards) -> Counts {
        let now = judged(&shards.totals(self.slot));
        let new = Counts {
            requests: now.requests.saturating_sub(self.counts.requests),
            failed: now.failed.saturating_sub(self.counts.failed),
            connect_errors: now.connect_errors.saturating_sub(self.counts.connect_errors),
        };
        self.counts = now;
        new
    }

    /// What came since the last tick.
    pub(super) fn detail(&mut self, shards: &Shards, detail: &mut Detail) {
        detail.clear();
        shards.judged_since(self.slot, &mut self.seen, &mut detail.latency, &mut detail.events);
    }
}

impl CanaryLive {
    pub(super) fn new(watched: Watched, judge: &Judge) -> Self {
        Self {
            watched,
            guard: Guard::new(judge),
            is_baseline: false,
            compared_with: None,
            recorded: false,
            harm: None,
            harm_recorded: false,
            lots: CanaryLots::new(judge),
        }
    }

    pub(super) fn restart(&mut self) {
        self.guard.restart();
        self.recorded = false;
        self.harm_recorded = false;
        self.lots.restart();
        if let Some(harm) = &self.harm {
            harm.permits.renew();
        }
    }
}

impl SplitLive {
    /// Feeds every guard of the route with what was counted since the last call.
    pub(super) fn judge(&mut self, now_us: u64, shards: &Shards, details: &mut Details) {
        let step = self.pace.step(now_us, self.tick);
        self.look_at_lots(step.us, shards);
        // Before stable's: what the phantom has, stable has.
        let phantom = self.self_test.as_mut().map(|test| test.counts(shards));
        let stable = self.stable.counts(shards);
        if let (Some(test), Some(phantom)) = (&mut self.self_test, phantom) {
            test.call(step.us, phantom, stable);
        }
        let counts = &mut details.counts;
        counts.clear();
        counts.extend(self.canaries.iter_mut().map(|live| live.watched.counts(shards)));
        for (live, canary) in self.canaries.iter_mut().zip(counts.iter()) {
            let other = live.compared_with.map_or(stable, |baseline| counts[baseline]);
            live.guard.call(step.us, *canary, other);
        }
        if step.tick_is_over {
            self.judge_tick(shards, details);
        }
    }

    fn judge_tick(&mut self, shards: &Shards, details: &mut Details) {
        self.look_at_unjudged(shards);
        let Details { stable, canaries, phantom, .. } = details;
        canaries.resize_with(canaries.len().max(self.canaries.len()), Detail::default);
        if let Some(test) = &mut self.self_test {
            test.read(shards, phantom);
        }
        self.stable.detail(shards, stable);
        if let Some(test) = &mut self.self_test {
            test.tick(phantom, stable);
        }
        for (live, detail) in self.canaries.iter_mut().zip(canaries.iter_mut()) {
            live.watched.detail(shards, detail);
        }
        for (at, live) in self.canaries.iter_mut().enumerate() {
            let other = live.compared_with.map_or(&*stable, |baseline| &canaries[baseline]);
            live.guard.tick(&canaries[at], other);
        }
    }

    /// Which canary the file calls the baseline.
    pub(super) fn take_baseline(&mut self, file: &config::Route) {
        let Service::Split { canaries, .. } = &file.service else { return };
        for (record, live) in self.state.record.canaries.iter().zip(&mut self.canaries) {
            live.is_baseline = canaries.iter().any(|canary| canary.name == record.name && canary.baseline);
        }
        self.choose_comparison();
    }

    /// While the baseline has traffic it stands for stable. Who is compared with somebody else from now on starts anew:
    /// what is remembered is of the other one.
    pub(super) fn choose_comparison(&mut self) {
        let record = &self.state.record;
        let has_traffic =
            |at: &usize| record.canaries.get(*at).is_some_and(|canary| !effective(record, canary).is_zero());
        let baseline = self.canaries.iter().position(|live| live.is_baseline).filter(has_traffic);
        for live in &mut self.canaries {
            let wanted = if live.is_baseline { None } else { baseline };
            if live.compared_with != wanted {
                live.compared_with = wanted;
                if !live.guard.verdict().is_unhealthy() {
                    live.guard = Guard::new(&live.guard.judge().clone());
                }
            }
        }
    }
}

/// What the guard may see: only requests assigned by lot.
fn judged(totals: &SlotTotals) -> Counts {
    Counts {
        requests: totals.judged,
        failed: totals.judged_failed,
        connect_errors: totals.judged_connect_errors,
    }
}
