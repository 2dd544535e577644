//! What a guard was given, in order, so that it can be judged again: with the same numbers, to the same verdicts bit for
//! bit; with others, to see what they would have done.
//!
//! A [`Segment`] begins with the guard as it was, and goes on with the [`Frame`]s that it was given. So each segment stands
//! alone, and old ones can be thrown away without touching what the others prove. Whatever happens to a guard from outside, a
//! restart, other numbers, a step down, begins a new segment.
//!
//! A segment is written while it grows ([`Writer`]): a byte that says in which form, a checksum, the guard, the frames one
//! after another. So a canary holds a few dozen KiB at most, and not its minute of histograms. What does not have this form, or
//! not this checksum, is refused before it is looked at ([`Unreadable`]): a guard that was guessed together could say anything.

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::guard::Guard;
use super::window::{Counts, Detail};
use crate::config::Judge;

/// A segment of more frames is full: a minute of one-second ticks.
pub const FRAMES_MAX: u32 = 60;
/// A segment of more bytes is full. Ordinary ones have a tenth of that.
pub const BYTES_MAX: usize = 512 << 10;
/// Calls of one frame; with more the tick is cut into two frames. A tick is a minute at most, and a call 100 ms.
pub const CALLS_MAX: usize = 1_024;
/// Changes with whatever [`Guard`] or [`Frame`] are made of: a segment of another form cannot be judged again.
pub const FORM: u8 = 2;

/// The form and the checksum.
const HEAD_BYTES: usize = 1 + 8;

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
    /// False only for the last frame of a segment: its tick was not over yet.
    pub tick_is_over: bool,
}

/// As [`Frame`] is written, of parts that lie elsewhere.
#[derive(Serialize)]
struct Parts<'a> {
    calls: &'a [Call],
    canary: &'a Detail,
    stable: &'a Detail,
    tick_is_over: bool,
}

/// A stretch of a guard's life.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Before the first frame.
    pub guard: Guard,
    pub frames: Vec<Frame>,
}

/// A segment that grows.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    frames: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it was written by another version of andon: it has form {0}, and this one reads form {FORM}")]
    Form(u8),
    #[error("it is damaged")]
    Damaged,
}

impl Frame {
    /// Gives it all to a guard, as it was given the first time.
    pub fn play(&self, guard: &mut Guard) {
        for Call { step_us, canary, stable } in self.calls.iter().copied() {
            guard.call(step_us, canary, stable);
        }
        if self.tick_is_over {
            guard.tick(&self.canary, &self.stable);
        }
    }

    /// The time that passed in it.
    pub fn span_us(&self) -> u64 {
        span_us(&self.calls)
    }
}

pub fn span_us(calls: &[Call]) -> u64 {
    calls.iter().fold(0, |sum, call| sum.saturating_add(call.step_us))
}

impl Segment {
    /// The guard after each frame.
    pub fn replay(&self, mut visit: impl FnMut(&Frame, &mut Guard)) -> Guard {
        let mut guard = self.guard.clone();
        for frame in &self.frames {
            frame.play(&mut guard);
            visit(frame, &mut guard);
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

    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes.first() {
            Some(&FORM) => {}
            Some(form) => return Err(Unreadable::Form(*form)),
            None => return Err(Unreadable::Damaged),
        }
        let (head, body) = bytes.split_at_checked(HEAD_BYTES).ok_or(Unreadable::Damaged)?;
        if head[1..] != checksum(body) {
            return Err(Unreadable::Damaged);
        }
        let damaged = |_| Unreadable::Damaged;
        let (guard, mut rest) = postcard::take_from_bytes(body).map_err(damaged)?;
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let frame;
            (frame, rest) = postcard::take_from_bytes(rest).map_err(damaged)?;
            frames.push(frame);
        }
        Ok(Self { guard, frames })
    }
}

impl Writer {
    /// `guard`: before the first frame.
    pub fn new(guard: &Guard) -> Self {
        let mut writer = Self { bytes: vec![0; HEAD_BYTES], frames: 0 };
        writer.bytes[0] = FORM;
        writer.write(guard);
        writer
    }

    pub fn push(&mut self, calls: &[Call], canary: &Detail, stable: &Detail, tick_is_over: bool) {
        self.write(&Parts { calls, canary, stable, tick_is_over });
        self.frames += 1;
    }

    pub fn frames(&self) -> u32 {
        self.frames
    }

    pub fn is_full(&self) -> bool {
        self.frames >= FRAMES_MAX || self.bytes.len() >= BYTES_MAX
    }

    pub fn finish(mut self) -> Vec<u8> {
        let checksum = checksum(&self.bytes[HEAD_BYTES..]);
        self.bytes[1..HEAD_BYTES].copy_from_slice(&checksum);
        self.bytes.shrink_to_fit();
        self.bytes
    }

    fn write(&mut self, value: &impl Serialize) {
        let written = postcard::to_extend(value, std::mem::take(&mut self.bytes));
        self.bytes = written.expect("a vector takes all, and each list knows its length");
    }
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    XxHash3_64::oneshot(bytes).to_le_bytes()
}

#[cfg(test)]
mod tests;
