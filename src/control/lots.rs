//! Do lots fall where the weights say, and is what they gave also seen? What [`crate::immune::ratio`] asks, read from the
//! counters.
//!
//! Only on routes where a lot is drawn for each request: sticky users differ in how much they ask, so their requests need
//! not be split as the users are. After a weight has moved, nothing is believed for as long as a worker may still act on
//! the weight before. Nothing follows from what is found but a warning, once, and what people and metrics are shown.

use std::sync::Arc;

use tracing::warn;

use super::routes::SplitLive;
use super::state::effective;
use super::view::LotsView;
use crate::config::{Judge, Weight};
use crate::immune::Tally;
use crate::immune::ratio::{Ratio, Unjudged};
use crate::metrics::self_test::SplitGauges;
use crate::metrics::{Shards, SlotId};

/// Half a second: as long as a back-off is given to reach the last request.
const LOOKS_TO_SETTLE: u32 = 5;

/// Of a route.
pub(super) struct Lots {
    /// Looks that are still to be passed over.
    settling: u32,
    /// As at the last look.
    weights: Vec<Weight>,
    stable: Counted,
}

impl Default for Lots {
    fn default() -> Self {
        Self { settling: LOOKS_TO_SETTLE, weights: Vec::new(), stable: Counted::default() }
    }
}

/// Of a canary.
pub(super) struct CanaryLots {
    counted: Counted,
    /// Lots at this look.
    given: u64,
    ratio: Ratio,
    unjudged: Unjudged,
    /// That the split is off, that requests are lost.
    told: [bool; 2],
}

/// What a variant's slot said at the last look, and at the last tick.
#[derive(Default)]
struct Counted {
    lots: u64,
    ended: Tally,
}

impl Counted {
    /// Lots since the last call.
    fn lots(&mut self, slot: SlotId, shards: &Shards) -> u64 {
        let now = shards.sum(slot, |counters| &counters.lots);
        now.saturating_sub(std::mem::replace(&mut self.lots, now))
    }

    /// By lot and ended since the last call, those without evidence as unlucky.
    fn ended(&mut self, slot: SlotId, shards: &Shards) -> Tally {
        let unlucky = shards.sum(slot, |counters| &counters.unjudged);
        let requests = unlucky + shards.sum(slot, |counters| &counters.judged.requests);
        let before = std::mem::replace(&mut self.ended, Tally { requests, unlucky });
        Tally {
            requests: requests.saturating_sub(before.requests),
            unlucky: unlucky.saturating_sub(before.unlucky),
        }
    }
}

impl CanaryLots {
    pub(super) fn new(judge: &Judge) -> Self {
        let (counted, ratio, told) = (Counted::default(), Ratio::default(), [false; 2]);
        Self { counted, given: 0, ratio, unjudged: Unjudged::new(judge), told }
    }

    pub(super) fn restart(&mut self) {
        self.ratio = Ratio::default();
        self.unjudged.restart();
        self.told = [false; 2];
    }

    pub(super) fn gauges(&self, route: &Arc<str>, variant: &Arc<str>) -> SplitGauges {
        let (lots, evidence) = (self.ratio.is_mismatch(), self.unjudged.is_mismatch());
        SplitGauges { route: Arc::clone(route), variant: Arc::clone(variant), lots, evidence }
    }

    pub(super) fn view(&self) -> LotsView {
        let ended = self.unjudged.total().canary;
        LotsView {
            drawn: self.ratio.requests(),
            expected: self.ratio.expected(),
            given: self.ratio.reached(),
            mismatch: self.ratio.is_mismatch(),
            ended: ended.requests,
            unjudged: ended.unlucky,
            unjudged_mismatch: self.unjudged.is_mismatch(),
        }
    }
}

impl SplitLive {
    /// About every 100 ms.
    pub(super) fn look_at_lots(&mut self, step_us: u64, shards: &Shards) {
        let Some(lots) = &mut self.lots else { return };
        let record = &self.state.record;
        let weights = record.canaries.iter().map(|canary| effective(record, canary));
        if !weights.clone().eq(lots.weights.iter().copied()) {
            lots.settling = LOOKS_TO_SETTLE;
            lots.weights.clear();
            lots.weights.extend(weights);
        }
        let is_settled = lots.settling == 0;
        lots.settling = lots.settling.saturating_sub(1);
        let mut drawn = lots.stable.lots(self.stable.slot, shards);
        for live in &mut self.canaries {
            live.lots.given = live.lots.counted.lots(live.watched.slot, shards);
            drawn += live.lots.given;
        }
        if is_settled {
            for (live, weight) in self.canaries.iter_mut().zip(&lots.weights) {
                live.lots.ratio.add(step_us, drawn, live.lots.given, weight.ratio());
            }
        }
    }

    /// A tick is over.
    pub(super) fn look_at_unjudged(&mut self, shards: &Shards) {
        let Some(lots) = &mut self.lots else { return };
        let stable = lots.stable.ended(self.stable.slot, shards);
        for live in &mut self.canaries {
            let canary = live.lots.counted.ended(live.watched.slot, shards);
            live.lots.unjudged.tick(canary, stable);
        }
    }

    /// So many ticks in which nothing was counted.
    pub(super) fn pass_lots(&mut self, ticks: u64) {
        if self.lots.is_some() {
            self.canaries.iter_mut().for_each(|live| live.lots.unjudged.pass(ticks));
        }
    }

    /// No weight has moved so lately that lots are not believed.
    pub(super) fn lots_may_rest(&self) -> bool {
        self.lots.as_ref().is_none_or(|lots| lots.settling == 0)
    }

    /// Once each.
    pub(super) fn tell_of_lots(&mut self) {
        let record = &self.state.record;
        for (canary, CanaryLots { ratio, unjudged, told, .. }) in
            record.canaries.iter().zip(self.canaries.iter_mut().map(|live| &mut live.lots))
        {
            let (route, variant) = (&record.route, &canary.name);
            if ratio.is_mismatch() && !std::mem::replace(&mut told[0], true) {
                warn!(%route, %variant, given = ratio.reached(), expected = ratio.expected().round(), drawn = ratio.requests(),
                    "requests are not split as the weights say: what is concluded from the split is in doubt");
            }
            if unjudged.is_mismatch() && !std::mem::replace(&mut told[1], true) {
                let Tally { requests, unlucky } = unjudged.total().canary;
                warn!(%route, %variant, requests, left = unlucky,
                    "clients leave this canary more often than stable: its failures and latencies are of those that stayed");
            }
        }
    }
}

#[cfg(test)]
mod tests;
