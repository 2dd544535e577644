//! A rule that an operator can say aloud: "more than 5% of the canary's requests failed in the last minute", or "its p99
//! was above 500 ms", which is to say that more than 1% of them took longer.
//!
//! It counts only with odds of at least `hold_at` that the canary is the worse one. The obvious "unless stable is
//! above the ceiling too" is wrong: a shared incident passes through the ceiling, one variant always crosses first,
//! and a good canary is blamed (in simulation in every six hours of it). Where stable had no requests in the
//! window there is nothing to compare with, and the rule is taken literally.
//!
//! Counts are exact, in a ring of ticks: a burst weighs the same as the same failures spread out.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::{Tally, Window};
use crate::config::{self, CeilingLimit};

/// A day of one-second ticks. A window of more ticks is cut to this many.
pub const WINDOW_TICKS_MAX: usize = 86_400;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ceiling {
    limits: config::Ceiling,
    hold_at: f64,
    window_ticks: usize,
    ring: VecDeque<Tick>,
    /// The sum of `ring`.
    window: Window,
}

/// One tick in 16 bytes. Counts beyond 32 bits (4 billion requests in one tick) stop there, so that sums are exact.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Tick {
    canary: [u32; 2],
    stable: [u32; 2],
}

impl Ceiling {
    pub fn new(limits: config::Ceiling, tick: Duration, hold_at: f64) -> Self {
        let ticks = limits.window.as_micros().div_ceil(tick.as_micros().max(1));
        let window_ticks = usize::try_from(ticks).unwrap_or(WINDOW_TICKS_MAX).clamp(1, WINDOW_TICKS_MAX);
        Self { limits, hold_at, window_ticks, ring: VecDeque::new(), window: Window::default() }
    }

    /// What the window holds, if the canary is to be blamed for it. Unlucky is what the limit is about: failed, or slower
    /// than it says.
    pub fn tick(&mut self, canary: Tally, stable: Tally, odds: f64) -> Option<Window> {
        if self.ring.len() == self.window_ticks {
            self.forget_oldest();
        }
        self.remember(Tick { canary: packed(canary), stable: packed(stable) });
        let Tally { requests, unlucky } = self.window.canary;
        let over =
            requests >= self.limits.min_requests && unlucky as f64 > self.share_max() * requests as f64;
        let canary_is_worse = self.window.stable.requests == 0 || odds >= self.hold_at;
        (over && canary_is_worse).then_some(self.window)
    }

    /// The window holds something that could be held against the canary when other ticks have left it.
    pub fn may_trip(&self) -> bool {
        let Tally { requests, unlucky } = self.window.canary;
        unlucky > 0 && requests >= self.limits.min_requests
    }

    /// Of the requests, that may be unlucky.
    fn share_max(&self) -> f64 {
        match self.limits.limit {
            CeilingLimit::Errors(share) => share,
            CeilingLimit::Latency { percentile, .. } => 1.0 - percentile,
        }
    }

    pub fn limits(&self) -> config::Ceiling {
        self.limits
    }

    pub fn restart(&mut self) {
        self.ring.clear();
        self.window = Window::default();
    }

    fn remember(&mut self, tick: Tick) {
        self.ring.push_back(tick);
        self.window.add_tick(unpacked(tick.canary), unpacked(tick.stable));
    }

    fn forget_oldest(&mut self) {
        if let Some(tick) = self.ring.pop_front() {
            let (canary, stable) = (unpacked(tick.canary), unpacked(tick.stable));
            self.window = self.window.since(Window { ticks: 1, canary, stable });
        }
    }
}

fn packed(tally: Tally) -> [u32; 2] {
    [tally.requests, tally.unlucky].map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn unpacked([requests, unlucky]: [u32; 2]) -> Tally {
    Tally { requests: requests.into(), unlucky: unlucky.into() }
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;
    use crate::config::Mode;

    const TICK: Duration = Duration::from_secs(1);

    fn tally(requests: u64, unlucky: u64) -> Tally {
        Tally { requests, unlucky }
    }

    fn ceiling(window_s: u64, min_requests: u64) -> Ceiling {
        let limits = config::Ceiling {
            limit: CeilingLimit::Errors(0.05),
            window: Duration::from_secs(window_s),
            min_requests,
            mode: Mode::Act,
        };
        Ceiling::new(limits, TICK, 20.0)
    }

    #[test]
    fn golden_ceilings_are_reproduced() {
        for vector in vectors::of_kind("ceiling") {
            let config = &vector["config"];
            let limits = config::Ceiling {
                limit: CeilingLimit::Errors(config["max_rate"].as_f64().unwrap()),
                mode: Mode::Act,
                window: TICK * u32::try_from(vectors::whole(&config["window"])).unwrap(),
                min_requests: vectors::whole(&config["min_requests"]),
            };
            let mut ceiling = Ceiling::new(limits, TICK, config["hold_odds"].as_f64().unwrap());
            for (tick, trip) in vectors::list(&vector["ticks"]).iter().zip(vectors::list(&vector["trip"])) {
                let [n, x, m] = [0, 1, 2].map(|at| vectors::whole(&tick[at]));
                let tripped = ceiling.tick(tally(n, x), tally(m, 0), tick[3].as_f64().unwrap());
                assert_eq!(tripped.is_some(), trip.as_bool().unwrap(), "{}", vector["name"]);
            }
        }
    }

    #[test]
    fn no_requests_are_not_above_any_ceiling() {
        let mut ceiling = ceiling(60, 0);
        assert_eq!(ceiling.tick(tally(0, 0), tally(0, 0), 1e9), None);
        assert_eq!(ceiling.tick(tally(0, 0), tally(100, 0), 1e9), None);
    }

    #[test]
    fn too_few_requests_say_nothing() {
        let mut ceiling = ceiling(60, 100);
        assert_eq!(ceiling.tick(tally(99, 99), tally(100, 0), 1e9), None);
        assert!(ceiling.tick(tally(1, 0), tally(100, 0), 1e9).is_some());
    }

    #[test]
    fn restarting_forgets_the_window() {
        let mut ceiling = ceiling(60, 100);
        assert!(ceiling.tick(tally(100, 100), tally(100, 0), 1e9).is_some());
        ceiling.restart();
        assert_eq!(ceiling.tick(tally(99, 99), tally(100, 0), 1e9), None);
    }

    #[test]
    fn a_window_is_never_shorter_than_asked_and_never_longer_than_a_day_of_seconds() {
        let ticks = |window: Duration, tick: Duration| {
            let limit = CeilingLimit::Errors(0.05);
            let limits = config::Ceiling { limit, window, min_requests: 1, mode: Mode::Act };
            Ceiling::new(limits, tick, 20.0).window_ticks
        };
        assert_eq!(ticks(TICK * 60, TICK), 60);
        assert_eq!(ticks(TICK * 60, TICK * 7), 9);
        assert_eq!(ticks(TICK, TICK * 60), 1);
        assert_eq!(ticks(Duration::ZERO, Duration::ZERO), 1);
        assert_eq!(ticks(Duration::MAX, TICK), WINDOW_TICKS_MAX);
    }

    #[test]
    fn huge_counts_leave_the_window_exact() {
        let mut ceiling = ceiling(2, 1);
        for _ in 0..10 {
            let _ = ceiling.tick(tally(u64::MAX, u64::MAX), tally(u64::MAX, 0), 0.0);
        }
        for _ in 0..2 {
            let _ = ceiling.tick(tally(3, 0), tally(5, 0), 0.0);
        }
        assert_eq!(ceiling.window, Window { ticks: 2, canary: tally(6, 0), stable: tally(10, 0) });
    }
}
