//! What a guard was given, in order, so that it can be judged again: with the same numbers, to the same verdicts bit for
//! bit; with others, to see what they would have done.
//!
//! A [`Segment`] begins with the guard as it was, and goes on with the [`Frame`]s that it was given. So each segment stands
//! alone, and old ones can be thrown away without touching what the others prove. Whatever happens to a guard from outside, a
//! restart, other numbers, begins a new segment.

use serde::{Deserialize, Serialize};

use super::guard::Guard;
use super::window::{Counts, Detail};
use crate::config::Judge;

/// A segment of more frames is cut: a minute of one-second ticks.
pub const FRAMES_MAX: usize = 60;
/// Calls of one tick beyond this are added to the last one. A tick is a minute at most, and a call 100 ms.
const CALLS_MAX: usize = 1_024;

/// One call: what was counted in a tenth of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub step_us: u64,
    pub canary: Counts,
    pub stable: Counts,
}

/// One tick: its calls, and what was read at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    pub calls: Vec<Call>,
    pub canary: Detail,
    pub stable: Detail,
    /// Ticks to be skipped, asked for before this one.
    pub skip: u32,
    /// False only for the last frame of a segment: its tick was not over yet.
    pub tick_is_over: bool,
}

impl Frame {
    pub fn call(&mut self, call: Call) {
        let is_full = self.calls.len() >= CALLS_MAX;
        match self.calls.last_mut() {
            Some(last) if is_full => last.add(call),
            _ => self.calls.push(call),
        }
    }

    /// Gives it all to a guard, as it was given the first time.
    pub fn play(&self, guard: &mut Guard) {
        if self.skip > 0 {
            guard.skip(self.skip);
        }
        for Call { step_us, canary, stable } in self.calls.iter().copied() {
            guard.call(step_us, canary, stable);
        }
        if self.tick_is_over {
            guard.tick(&self.canary, &self.stable);
        }
    }

    /// The time that passed in it.
    pub fn span_us(&self) -> u64 {
        self.calls.iter().fold(0, |sum, call| sum.saturating_add(call.step_us))
    }
}

impl Call {
    fn add(&mut self, more: Self) {
        self.step_us = self.step_us.saturating_add(more.step_us);
        self.canary.add(more.canary);
        self.stable.add(more.stable);
    }
}

/// A stretch of a guard's life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// Before the first frame.
    pub guard: Guard,
    pub frames: Vec<Frame>,
}

impl Segment {
    pub fn starting(guard: &Guard) -> Self {
        Self { guard: guard.clone(), frames: Vec::new() }
    }

    pub fn is_full(&self) -> bool {
        self.frames.len() >= FRAMES_MAX
    }

    /// The guard after each frame.
    pub fn replay(&self, mut visit: impl FnMut(&Frame, &Guard)) -> Guard {
        let mut guard = self.guard.clone();
        for frame in &self.frames {
            frame.play(&mut guard);
            visit(frame, &guard);
        }
        guard
    }

    /// A guard that judges by other numbers from here on, with the same memory of stable.
    pub fn with(&self, judge: &Judge) -> Guard {
        let mut guard = self.guard.clone();
        guard.reconfigure(judge);
        guard.restart();
        guard
    }
}
