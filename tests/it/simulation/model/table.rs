//! What the method is known to do, from the study that it comes from: medians of 200 runs. Ours must do the same.

use super::chance::Chance;
use super::play::{Calls, Outcome, Play, median};
use super::worlds::{Traffic, independent, turning_bad};
use andon::config::{Judge, Tolerate};
use andon::immune::Guard;
use std::time::Duration;

/// A canary that is bad, and what it takes to find it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) traffic: Traffic,
    /// The canary's failure rate, and stable's.
    pub(crate) rates: [f64; 2],
    pub(crate) delay_s: f64,
    /// Canary requests that failed until then.
    pub(crate) failed: f64,
}

const fn case(per_s: f64, weight: f64, rates: [f64; 2], delay_s: f64, failed: f64) -> Case {
    Case { traffic: Traffic { per_s, weight }, rates, delay_s, failed }
}

/// Bad from the start.
pub(crate) const FROM_START: [Case; 30] = [
    case(1_000.0, 0.01, [1.0, 0.001], 2.0, 20.0),
    case(1_000.0, 0.05, [0.5, 0.001], 3.0, 73.0),
    case(1_000.0, 0.05, [0.05, 0.001], 4.0, 10.0),
    case(1_000.0, 0.05, [0.01, 0.001], 23.0, 11.0),
    case(1_000.0, 0.05, [0.003, 0.001], 256.0, 39.0),
    case(1_000.0, 0.001, [1.0, 0.001], 4.0, 4.0),
    case(1_000.0, 0.001, [0.05, 0.001], 73.0, 4.0),
    case(1_000.0, 0.001, [0.01, 0.001], 734.0, 8.5),
    case(1_000.0, 0.001, [0.01, 0.0], 318.0, 4.0),
    case(1_000.0, 0.01, [0.05, 0.001], 9.0, 5.0),
    case(1_000.0, 0.01, [0.01, 0.001], 86.0, 9.0),
    case(1_000.0, 0.01, [0.01, 0.0], 33.0, 4.0),
    case(1_000.0, 0.05, [1.0, 0.001], 3.0, 150.0),
    case(1_000.0, 0.05, [0.01, 0.0], 8.5, 5.0),
    case(1_000.0, 0.25, [1.0, 0.001], 4.0, 958.0),
    case(1_000.0, 0.25, [0.05, 0.001], 4.0, 47.0),
    case(1_000.0, 0.25, [0.01, 0.001], 8.0, 23.0),
    case(1_000.0, 0.25, [0.01, 0.0], 5.0, 14.0),
    case(1_000.0, 0.5, [1.0, 0.001], 4.0, 2_028.0),
    case(1_000.0, 0.5, [0.05, 0.001], 4.0, 104.0),
    case(1_000.0, 0.5, [0.01, 0.001], 10.0, 50.0),
    case(1_000.0, 0.5, [0.01, 0.0], 6.0, 30.0),
    case(50.0, 0.01, [1.0, 0.001], 8.0, 4.0),
    case(50.0, 0.01, [0.05, 0.001], 154.0, 4.0),
    case(50.0, 0.01, [0.01, 0.001], 1_620.0, 9.0),
    case(50.0, 0.01, [0.01, 0.0], 780.0, 4.0),
    case(50.0, 0.05, [1.0, 0.001], 3.0, 8.0),
    case(50.0, 0.05, [0.05, 0.001], 42.0, 5.0),
    case(50.0, 0.05, [0.01, 0.001], 352.0, 10.0),
    case(50.0, 0.05, [0.01, 0.0], 198.0, 5.0),
];

/// Good for six hours, then bad. After one hour it is the same: capital put down hours ago has long been lost.
pub(crate) const LATE: [Case; 5] = [
    case(1_000.0, 0.01, [1.0, 0.001], 2.7, 27.0),
    case(1_000.0, 0.05, [0.5, 0.001], 3.4, 88.0),
    case(1_000.0, 0.05, [0.05, 0.001], 7.2, 18.0),
    case(1_000.0, 0.05, [0.01, 0.001], 39.0, 21.0),
    case(1_000.0, 0.05, [0.003, 0.001], 432.0, 64.0),
];

/// The bets alone, without the operator's own rules.
pub(crate) fn bets() -> Judge {
    Judge { fast_trip: None, ceilings: Vec::new(), ..Judge::default() }
}

/// What the study tolerated of latency; the defaults are looser.
pub(crate) fn as_studied() -> Judge {
    let tolerate = Tolerate { latency: 1.25, slack: Duration::from_millis(1), ..Tolerate::default() };
    Judge { tolerate, warm_up: Duration::ZERO, ..bets() }
}

/// How long a run may take at most.
const PATIENCE_S: u64 = 20_000;

impl Case {
    pub(crate) fn at_once(&self, seed: u64, judge: &Judge, calls: Calls) -> Outcome {
        let world = independent(self.traffic, self.rates);
        Play::new(judge).run(PATIENCE_S, calls, &mut Chance::new(seed), world)
    }

    /// `guard` has seen the good hours. The fault begins somewhere within a second.
    pub(crate) fn late(&self, seed: u64, guard: &Guard) -> Outcome {
        let mut chance = Chance::new(seed);
        let at_s = chance.unit();
        let world = turning_bad(self.traffic, self.rates, at_s);
        let mut outcome = Play::with(guard.clone()).run(PATIENCE_S, Calls::Once, &mut chance, world);
        outcome.unhealthy_s = outcome.unhealthy_s.map(|delay_s| delay_s - at_s);
        outcome
    }
}

/// A guard of a canary that has been as good as stable for so long.
pub(crate) fn after_good(traffic: Traffic, rate: f64, seconds: u64, seed: u64) -> Guard {
    let mut play = Play::new(&bets());
    let outcome = play.run(seconds, Calls::Once, &mut Chance::new(seed), independent(traffic, [rate; 2]));
    assert_eq!(outcome.unhealthy_s, None, "a good canary was aborted, seed {seed}");
    play.guard
}

/// Of many runs: what half of them do not exceed.
#[derive(Clone, Debug)]
pub(crate) struct Medians {
    pub(crate) delays_s: Vec<f64>,
    pub(crate) failed: Vec<f64>,
}

impl Medians {
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let sorted = |value: &dyn Fn(&Outcome) -> f64| {
            let mut values: Vec<f64> = outcomes.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        Self {
            delays_s: sorted(&|outcome| outcome.unhealthy_s.unwrap_or(f64::INFINITY)),
            failed: sorted(&|outcome| outcome.canary.1 as f64),
        }
    }

    pub(crate) fn delay_s(&self) -> f64 {
        median(self.delays_s.clone())
    }

    pub(crate) fn failed(&self) -> f64 {
        median(self.failed.clone())
    }
}
