//! When a tick is over: one pace for all guards of a route, so that they judge the same stretch of time.
//!
//! A clock that stands still or runs backwards adds nothing; one that jumps ahead cuts one tick early and ages a streak
//! by a quarter of a second at most. A late call is one longer tick: bets compare both variants within it, whatever its
//! length.

use std::time::Duration;

/// Two and a half calls. More cannot be told from a clock that jumps.
const STEP_US_MAX: u64 = 250_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    last_us: Option<u64>,
    /// Since the last tick was cut.
    elapsed_us: u64,
}

/// What has passed since the call before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// As far as it can be believed.
    pub us: u64,
    pub tick_is_over: bool,
}

impl Pace {
    /// To be called about ten times a second. `now_us` counts from anywhere.
    pub fn step(&mut self, now_us: u64, tick: Duration) -> Step {
        let step_us = self.last_us.map_or(0, |last_us| now_us.saturating_sub(last_us));
        self.last_us = Some(now_us);
        self.elapsed_us = self.elapsed_us.saturating_add(step_us);
        Step { us: step_us.min(STEP_US_MAX), tick_is_over: self.cut(tick) }
    }

    /// The remainder is kept, so ticks are right on average though calls come a little early or late.
    fn cut(&mut self, tick: Duration) -> bool {
        let tick_us = u64::try_from(tick.as_micros()).unwrap_or(u64::MAX).max(1);
        if self.elapsed_us < tick_us {
            return false;
        }
        self.elapsed_us %= tick_us;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(1);

    #[test]
    fn ticks_are_right_on_average_though_calls_are_late() {
        let mut pace = Pace::default();
        let over = (0..=1_000).filter(|call| pace.step(call * 130_000, TICK).tick_is_over).count();
        assert_eq!(over, 130);
    }

    #[test]
    fn a_clock_that_jumps_cuts_one_tick_and_ages_nothing() {
        let mut pace = Pace::default();
        assert_eq!(pace.step(u64::MAX / 2, TICK), Step { us: 0, tick_is_over: false });
        assert_eq!(pace.step(0, TICK), Step { us: 0, tick_is_over: false });
        assert_eq!(pace.step(100_000, TICK), Step { us: 100_000, tick_is_over: false });
        assert_eq!(pace.step(86_400_000_000, TICK), Step { us: STEP_US_MAX, tick_is_over: true });
        assert_eq!(pace.step(86_400_100_000, TICK), Step { us: 100_000, tick_is_over: false });
    }
}
