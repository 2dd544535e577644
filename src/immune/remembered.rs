//! What is remembered of stable, decayed: how often it is unlucky, and how burstily.
//!
//! Past ticks only, so that dividing or clipping evidence by it keeps the promise. Fed also while there is no canary,
//! and kept from release to release.

use serde::{Deserialize, Serialize};

use super::window::Tally;

/// Half-life in ticks.
pub(super) const MEMORY_TICKS: f64 = 300.0;
/// The burst factor starts as if this many ticks had shown no more than chance.
const PRIOR_TICKS: f64 = 60.0;
/// No single tick of stable says more than this about burstiness, or one incident would blind the guard for long.
const Z2_MAX: f64 = 50.0;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    decay: f64,
    requests: f64,
    events: f64,
    /// Sum of squared z-scores of a tick against the tick before it, and how many there were.
    z2: f64,
    ticks: f64,
    last: Option<Tally>,
}

/// By which everything remembered shrinks each tick.
pub(super) fn decay(half_life_ticks: f64) -> f64 {
    0.5_f64.powf(1.0 / half_life_ticks)
}

impl Remembered {
    pub(super) fn new(half_life_ticks: f64) -> Self {
        let decay = decay(half_life_ticks);
        Self { decay, requests: 0.0, events: 0.0, z2: PRIOR_TICKS, ticks: PRIOR_TICKS, last: None }
    }

    pub(super) fn learn(&mut self, stable: Tally) {
        self.requests = self.requests * self.decay + stable.requests as f64;
        self.events = self.events * self.decay + stable.unlucky as f64;
        if let Some(z2) = self.last.and_then(|last| z_squared(last, stable)) {
            self.z2 = self.z2 * self.decay + z2.min(Z2_MAX);
            self.ticks = self.ticks * self.decay + 1.0;
        }
        self.last = Some(stable);
    }

    pub(super) fn forget_last(&mut self) {
        self.last = None;
    }

    pub(super) fn is_known(&self) -> bool {
        self.requests > 0.0
    }

    pub(super) fn rate(&self) -> f64 {
        if self.is_known() { self.events / self.requests } else { 0.0 }
    }

    pub(super) fn burstiness(&self) -> f64 {
        self.z2 / self.ticks
    }
}

/// Which of two neighbouring ticks an event fell in is a coin too, with the share of requests as its bias.
fn z_squared(last: Tally, now: Tally) -> Option<f64> {
    let (before_n, now_n) = (last.requests as f64, now.requests as f64);
    let both = last.unlucky as f64 + now.unlucky as f64;
    if both == 0.0 || before_n == 0.0 || now_n == 0.0 {
        return None;
    }
    // Both shares are computed: 1 - share would round to 0 beside a huge tick, and 0/0 is not a number.
    let (share, other_share) = (now_n / (now_n + before_n), before_n / (now_n + before_n));
    let off = now.unlucky as f64 - both * share;
    Some(off * off / (both * share * other_share))
}
