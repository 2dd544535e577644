//! What the immune system sees of a variant: what its slot counted since the last look, and for a canary its guard.

use std::sync::Arc;

use crate::config::{self, Judge, Service};
use crate::immune::journal::Call;
use crate::immune::{Counts, Detail, Guard};
use crate::metrics::judged::Seen;
use crate::metrics::users::Users;
use crate::metrics::{Shards, SlotId, SlotTotals};
use crate::routing::Table;
use crate::routing::harm::HarmBudget;

use super::climbing::Rung;
use super::lots::CanaryLots;
use super::outside::CanaryOutside;
use super::recorder::{Look, Recorded};
use super::routes::{Routes, SplitLive};
use super::self_test::Phantom;
use super::state::effective;

/// One slot, and how much of it has been seen.
pub(super) struct Watched {
    pub(super) slot: SlotId,
    counts: Counts,
    seen: Seen,
    /// Requests at the last reading of details.
    read_at: u64,
}

pub(super) struct CanaryLive {
    pub(super) watched: Watched,
    pub(super) guard: Recorded,
    /// Stable's version, freshly started, for the others to be compared with. It is judged, and never acted on.
    pub(super) is_baseline: bool,
    /// With which variant it is compared: the place of the baseline, else stable.
    pub(super) compared_with: Option<usize>,
    /// The finding that holds has been recorded; not again until the guard starts anew.
    pub(super) recorded: bool,
    /// The one that the workers take their permits from.
    pub(super) harm: Option<HarmBudget>,
    /// That it is used up has been recorded; not again until there is a fresh one.
    pub(super) harm_recorded: bool,
    /// Where it stands since its ceiling moved; `None`: it has no strikes, or nobody has looked yet.
    pub(super) rung: Option<Rung>,
    /// Until then its guard hears nothing of it: see [`SplitLive::settle`].
    pub(super) settles_until_us: u64,
    /// Who has left the evidence; the same for all variants of the route. `None`: users are not the unit.
    pub(super) users: Option<Arc<Users>>,
    pub(super) lots: CanaryLots,
    pub(super) outside: CanaryOutside,
}

/// Room for what one tick reads, used again and again.
#[derive(Default)]
pub(super) struct Details {
    /// The date, for the record.
    pub(super) now_ms: i64,
    counts: Vec<Counts>,
    stable: Detail,
    canaries: Vec<Detail>,
    phantom: Phantom,
}

impl Watched {
    pub(super) fn from_now_on(slot: SlotId, shards: &Shards) -> Self {
        let mut watched = Self { slot, counts: Counts::default(), seen: Seen::default(), read_at: 0 };
        watched.counts(shards);
        watched.detail(shards, &mut Detail::default());
        watched
    }

    /// Requests by lot that have ended, as far as they have been seen.
    pub(super) fn requests(&self) -> u64 {
        self.counts.requests
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

    /// What came since the last tick. Nothing is read where nothing was counted, so that idle routes cost nothing.
    pub(super) fn detail(&mut self, shards: &Shards, detail: &mut Detail) {
        detail.clear();
        if std::mem::replace(&mut self.read_at, self.counts.requests) == self.counts.requests {
            return;
        }
        shards.judged_since(self.slot, &mut self.seen, &mut detail.latency, &mut detail.events);
    }
}

impl CanaryLive {
    pub(super) fn new(watched: Watched, judge: &Judge) -> Self {
        Self {
            watched,
            guard: Recorded::new(judge),
            is_baseline: false,
            compared_with: None,
            recorded: false,
            harm: None,
            harm_recorded: false,
            rung: None,
            settles_until_us: 0,
            users: None,
            lots: CanaryLots::new(judge),
            outside: CanaryOutside::default(),
        }
    }

    pub(super) fn restart(&mut self) {
        self.guard.restart();
        self.recorded = false;
        self.harm_recorded = false;
        self.lots.restart();
        self.outside = CanaryOutside::default();
        if let Some(harm) = &self.harm {
            harm.permits.renew();
        }
        if let Some(users) = &self.users {
            users.renew();
        }
    }
}

impl Routes {
    /// After a reload: where users are the unit of evidence, and who of them has left it.
    pub(super) fn take_users(&mut self, table: &Table, shards: &Shards) {
        for (route, entry) in self.list.iter_mut().zip(table.routes()) {
            let (Some(split), Some(serving)) = (&mut route.split, &entry.serving) else { continue };
            let users = (serving.sticky.is_some() && !split.canaries.is_empty()).then(|| {
                let slots: Vec<SlotId> = serving.variants.iter().map(|variant| variant.slot).collect();
                shards.share_users(&slots)
            });
            for live in &mut split.canaries {
                // Whoever left before is not held against a release that did not know users.
                if let Some(users) = users.as_ref().filter(|_| live.users.is_none()) {
                    users.renew();
                }
                live.users = users.clone();
            }
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
        let record = &self.state.record;
        for (at, (live, role)) in self.canaries.iter_mut().zip(&record.canaries).enumerate() {
            let other = live.compared_with.map_or(stable, |baseline| counts[baseline]);
            // What the old weight sent says nothing of the new one.
            let settles = now_us < live.settles_until_us;
            let canary = if settles { Counts::default() } else { counts[at] };
            let in_race = !effective(record, role).is_zero();
            let asks = live.outside.has_signals();
            let look = Look { now_ms: details.now_ms, in_race, asks, upstream: &role.role.upstream };
            live.guard.call(look, Call { step_us: step.us, canary, stable: other });
        }
        if step.tick_is_over {
            self.judge_tick(now_us, shards, details);
            self.rest.tick_is_over();
        }
    }

    fn judge_tick(&mut self, now_us: u64, shards: &Shards, details: &mut Details) {
        self.look_at_unjudged(shards);
        let users = self.canaries.iter().find_map(|live| live.users.as_ref());
        if let Some(users) = users {
            users.turn(now_us);
            if users.lost_many() {
                users.renew();
            }
        }
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
            if now_us < live.settles_until_us {
                detail.clear();
            }
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
                if !live.guard.is_unhealthy() {
                    live.guard.replace(Guard::new(live.guard.judge()));
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

#[cfg(test)]
mod tests;
