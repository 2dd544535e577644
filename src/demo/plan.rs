//! When what happens: the phases of the story for a given length. Arithmetic only.
//!
//! The phases scale with the length, except that the last one, in which the canary is bad, never gets shorter
//! than [`BAD_MIN`]: the evidence needs its ticks however short the show is.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What `--for` accepts.
pub const LENGTHS: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(600);

/// Three to five ticks of a second find a canary that fails as much as ours; the rest is for a busy machine.
const BAD_MIN: Duration = Duration::from_secs(6);

/// All from the start of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The canary gets its first users.
    pub(super) first_weight: Duration,
    /// It gets more.
    pub(super) second_weight: Duration,
    /// It begins to fail and to slow down.
    pub(super) bad: Duration,
    pub(super) end: Duration,
}

impl Plan {
    /// `length` is one of [`LENGTHS`].
    pub(super) fn of(length: Duration) -> Self {
        let bad = length.mul_f64(0.55).min(length.saturating_sub(BAD_MIN));
        Self { first_weight: bad.mul_f64(0.15), second_weight: bad.mul_f64(0.55), bad, end: length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(length_s: u64, expected_s: [f64; 3]) {
        let plan = Plan::of(Duration::from_secs(length_s));
        for (phase, expected) in [plan.first_weight, plan.second_weight, plan.bad].into_iter().zip(expected_s)
        {
            assert!(
                (phase.as_secs_f64() - expected).abs() < 0.001,
                "{length_s} s: {phase:?}, not {expected}"
            );
        }
        assert_eq!(plan.end, Duration::from_secs(length_s));
    }

    #[test]
    fn phases_scale_with_the_length() {
        check(30, [2.475, 9.075, 16.5]);
        check(600, [49.5, 181.5, 330.0]);
    }

    #[test]
    fn the_shortest_show_leaves_time_to_be_judged() {
        check(10, [0.6, 2.2, 4.0]);
    }

    #[test]
    fn phases_come_in_order_at_every_length() {
        for length_s in 10..=600 {
            let plan = Plan::of(Duration::from_secs(length_s));
            assert!(plan.first_weight < plan.second_weight && plan.second_weight < plan.bad, "{length_s} s");
            assert!(plan.end - plan.bad >= BAD_MIN, "{length_s} s");
        }
    }
}
