//! Releases played to their end: the real guard, and requests drawn by lot.
//!
//! A release is played in steps. A step is one tick of the guard, or several played as one, where that changes little: if
//! the canary hardly ever fails twice in the longer step, clipping does not notice, and what is put down afresh is as much
//! in a given time. Only that makes a forecast for a day as quick as one for a minute. Where rare harms would take more
//! than [`STEPS_MAX`] steps to be seen, steps are made longer still, and the delay comes out a few percent too long.

use std::time::Duration;

use super::super::Guard;
use super::super::chance::{Poisson, SplitMix};
use super::super::window::{Counts, Detail};
use super::{RUNS_MAX, Traffic};
use crate::config::{Judge, Weight};

/// Steps of one release.
const STEPS_MAX: u64 = 1_200;
/// Steps of all releases that are played for one harm, after at least `RUNS_MIN` of them.
const STEPS_SUM_MAX: u64 = 60_000;
const RUNS_MIN: usize = 40;
/// Canary failures in a step that is longer than a tick.
const FAILURES_MAX: f64 = 0.05;
/// A longer step is at most such a part of the time looked at.
const STEPS_MIN: u64 = 100;
/// By so much are steps made longer where that does not do.
const LONGER: u64 = 4;
/// Of the releases, that may go unfinished before steps are made longer.
const UNFINISHED_MAX: usize = RUNS_MAX / 100;

/// A canary that fails less often hardly fails ten times in a row: the fast rule need not see each call.
const STREAKS_FROM: f64 = 0.25;
const CALLS_PER_TICK: u64 = 10;

/// Guards to whom stable is known already, each in its own way; releases take turns.
const WARM: usize = 8;
/// One half-life of what is remembered.
const WARM_STEPS: usize = 300;

/// What stays the same whatever is tried.
pub(super) struct Stage<'a> {
    pub(super) judge: &'a Judge,
    pub(super) traffic: Traffic,
    pub(super) within: Duration,
    pub(super) seed: u64,
}

/// How a release ended: the guard acted.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) seconds: f64,
    /// Of the canary.
    pub(super) requests: u64,
    pub(super) failed: u64,
}

/// A release that can be played again and again.
struct Play {
    warm: Vec<Guard>,
    canary: Requests,
    stable: Requests,
    nothing: Detail,
    steps: u64,
    calls: u64,
    call_us: u64,
}

/// Of one variant, in one call.
struct Requests {
    answered: Poisson,
    failed: Poisson,
}

impl Stage<'_> {
    /// How releases end. `None`: the guard did not act in time.
    pub(super) fn until_seen(&self, weight: Weight, worse: f64) -> Vec<Option<End>> {
        let whole = self.whole_stride();
        let mut stride = self.fine_stride(weight, worse).min(whole);
        loop {
            let play = Play::new(self, weight, worse, stride);
            let unfinished_max = if stride == whole { RUNS_MAX } else { UNFINISHED_MAX };
            let ends = play.runs(self.seed, RUNS_MAX, unfinished_max);
            if stride == whole || ends.iter().filter(|end| end.is_none()).count() <= UNFINISHED_MAX {
                return ends;
            }
            stride = (stride * LONGER).min(whole);
        }
    }

    /// In how many of `runs` the guard does not act in time; counted up to the first beyond `misses_max`.
    pub(super) fn misses(&self, weight: Weight, worse: f64, runs: usize, misses_max: usize) -> usize {
        let stride = self.fine_stride(weight, worse).max(self.whole_stride());
        let ends = Play::new(self, weight, worse, stride).runs(self.seed, runs, misses_max);
        ends.iter().filter(|end| end.is_none()).count()
    }

    /// Ticks in a step, if all of the time is to fit.
    fn whole_stride(&self) -> u64 {
        self.ticks().div_ceil(STEPS_MAX)
    }

    /// Ticks in a step, if nothing is to be lost by it.
    fn fine_stride(&self, weight: Weight, worse: f64) -> u64 {
        let failures = self.traffic.rps * weight.ratio() * worse * self.judge.tick.as_secs_f64();
        let longest = (self.ticks() / STEPS_MIN).max(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let without_loss = (FAILURES_MAX / failures) as u64;
        without_loss.clamp(1, longest)
    }

    fn ticks(&self) -> u64 {
        let ticks = self.within.as_micros() / self.judge.tick.as_micros().max(1);
        u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
    }
}

impl Play {
    fn new(stage: &Stage<'_>, weight: Weight, worse: f64, stride: u64) -> Self {
        let tick = stage.judge.tick * u32::try_from(stride).unwrap_or(u32::MAX);
        let calls = if stride == 1 && worse >= STREAKS_FROM { CALLS_PER_TICK } else { 1 };
        let Traffic { rps, base, .. } = stage.traffic;
        let per_call = rps * tick.as_secs_f64() / calls as f64;
        let (canary, stable) = (weight.ratio(), stage.traffic.share_beside(weight).ratio());
        let mut play = Self {
            warm: Vec::new(),
            canary: Requests::new(per_call * canary, worse),
            stable: Requests::new(per_call * stable, base),
            nothing: Detail::default(),
            steps: (stage.ticks() / stride).clamp(1, STEPS_MAX),
            calls,
            call_us: u64::try_from(tick.as_micros()).unwrap_or(u64::MAX) / calls,
        };
        let guard = Guard::new(&Judge { tick, ..stage.judge.clone() });
        play.warm = (0..WARM as u64).map(|number| play.learn(guard.clone(), stage.seed, number)).collect();
        play
    }

    /// Stable alone for a while, then the release begins.
    fn learn(&self, mut guard: Guard, seed: u64, number: u64) -> Guard {
        let mut chance = SplitMix::numbered(!seed, number);
        for _ in 0..WARM_STEPS {
            for _ in 0..self.calls {
                guard.call(self.call_us, Counts::default(), self.stable.draw(&mut chance));
            }
            guard.tick(&self.nothing, &self.nothing);
        }
        guard.restart();
        guard
    }

    /// Ends early where more than `unfinished_max` did not end.
    fn runs(&self, seed: u64, runs_max: usize, unfinished_max: usize) -> Vec<Option<End>> {
        let (mut ends, mut unfinished, mut steps) = (Vec::new(), 0, 0);
        while ends.len() < runs_max && unfinished <= unfinished_max {
            let (end, took) = self.run(seed, ends.len());
            unfinished += usize::from(end.is_none());
            ends.push(end);
            steps += took;
            if steps >= STEPS_SUM_MAX && ends.len() >= RUNS_MIN {
                break;
            }
        }
        ends
    }

    /// And how many steps it took.
    fn run(&self, seed: u64, number: usize) -> (Option<End>, u64) {
        let mut guard = self.warm[number % WARM].clone();
        let mut chance = SplitMix::numbered(seed, number as u64);
        let (mut requests, mut failed) = (0, 0);
        for step in 0..self.steps {
            for call in 0..self.calls {
                let (canary, stable) = (self.canary.draw(&mut chance), self.stable.draw(&mut chance));
                requests += canary.requests;
                failed += canary.failed;
                guard.call(self.call_us, canary, stable);
                let step_is_over = call + 1 == self.calls;
                if step_is_over {
                    guard.tick(&self.nothing, &self.nothing);
                }
                if guard.is_unhealthy() {
                    let calls = step * self.calls + call + 1;
                    let seconds = calls as f64 * self.call_us as f64 / 1e6;
                    return (Some(End { seconds, requests, failed }), step + 1);
                }
            }
        }
        (None, self.steps)
    }
}

impl Requests {
    fn new(requests: f64, failing: f64) -> Self {
        Self { answered: Poisson::new(requests * (1.0 - failing)), failed: Poisson::new(requests * failing) }
    }

    fn draw(&self, chance: &mut SplitMix) -> Counts {
        let (answered, failed) = (self.answered.draw(chance), self.failed.draw(chance));
        Counts { requests: answered + failed, failed, connect_errors: 0 }
    }
}
