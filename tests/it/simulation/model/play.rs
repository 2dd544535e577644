//! A guard, a world and a virtual clock.

use andon::config::Judge;
use andon::immune::{Counts, Detail, Guard, Pace, Verdict};

use super::chance::Chance;

/// What the canary and stable did in a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Both {
    pub(crate) canary: Counts,
    pub(crate) stable: Counts,
}

/// Time of a world, in seconds since the guard was first played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) at_s: f64,
    pub(crate) long_s: f64,
}

pub(crate) fn counts(requests: u64, failed: u64) -> Counts {
    Counts { requests, failed, connect_errors: 0 }
}

/// How often the guard is called in a second. In production it is ten times; once is cheaper, and the bets see the
/// same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Calls {
    Once,
    TenTimes,
}

/// What came of one canary.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Seconds until the verdict was unhealthy.
    pub(crate) unhealthy_s: Option<f64>,
    /// Canary requests and failures until then.
    pub(crate) canary: (u64, u64),
    /// The highest odds ever.
    pub(crate) top: f64,
}

pub(crate) struct Play {
    pub(crate) guard: Guard,
    pace: Pace,
    now_us: u64,
    pub(crate) details: (Detail, Detail),
}

impl Play {
    pub(crate) fn new(judge: &Judge) -> Self {
        Self::with(Guard::new(judge))
    }

    pub(crate) fn with(guard: Guard) -> Self {
        let mut pace = Pace::default();
        pace.step(0, guard.judge().tick);
        Self { guard, pace, now_us: 0, details: Default::default() }
    }

    /// Until it is unhealthy, or so many seconds have passed.
    pub(crate) fn run(
        &mut self,
        seconds: u64,
        calls: Calls,
        chance: &mut Chance,
        mut world: impl FnMut(&mut Chance, Span) -> Both,
    ) -> Outcome {
        let (steps, long_s) = match calls {
            Calls::Once => (seconds, 1.0),
            Calls::TenTimes => (seconds * 10, 0.1),
        };
        let mut outcome = Outcome::default();
        let began_s = self.now_us as f64 / 1e6;
        for step in 0..steps {
            let both = world(chance, Span { at_s: began_s + step as f64 * long_s, long_s });
            outcome.canary.0 += both.canary.requests;
            outcome.canary.1 += both.canary.failed;
            self.step(both, calls);
            outcome.top = outcome.top.max(self.guard.odds());
            if self.guard.is_unhealthy() {
                outcome.unhealthy_s = Some((step + 1) as f64 * long_s);
                break;
            }
        }
        outcome
    }

    pub(crate) fn step(&mut self, both: Both, calls: Calls) -> Verdict {
        self.now_us += match calls {
            Calls::Once => 1_000_000,
            Calls::TenTimes => 100_000,
        };
        let step = self.pace.step(self.now_us, self.guard.judge().tick);
        self.guard.call(step.us, both.canary, both.stable);
        if step.tick_is_over {
            self.guard.tick(&self.details.0, &self.details.1);
        }
        self.guard.verdict()
    }
}

/// The one in the middle; of nothing, nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
