//! A guard whose life is written down: every call and every tick that it is given, and when somebody touches it.
//!
//! The guard can be reached in no other way, so nothing that changes it is left out of the record. What it is given goes
//! into a [`Segment`](crate::immune::journal::Segment), which is cut when it is full, when the guard is touched from outside
//! (restart, other numbers, a step down, another guard in its place), and when something is decided on it, so that the deciding
//! tick is stored beside the decision. The cuts lie here until the controller takes them, after each look.
//!
//! Only a canary in the race is written down: one with weight, or with requests that are still under way. An idle one
//! costs nothing, nor does one on whose route nothing happens: [`super::rest`] ends its segment, and what passes until the
//! next one begins is nothing but time.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use crate::config::Judge;
use crate::immune::journal::{CALLS_MAX, Call, Writer};
use crate::immune::{Detail, Finding, Guard};

/// Cuts that nobody has taken. They are taken ten times a second; beyond it the oldest is dropped, and counted.
const CUTS_MAX: usize = 8;

pub(super) struct Recorded {
    guard: Guard,
    open: Option<Open>,
    /// Capital starts anew: a mark is left in the record before the next segment.
    fresh: bool,
    cuts: VecDeque<Cut>,
    dropped: u64,
}

/// A segment that grows.
struct Open {
    writer: Writer,
    /// Of the tick that is not over yet. At most [`CALLS_MAX`].
    calls: Vec<Call>,
    /// Only as long as it has weight, or requests.
    in_race: bool,
    upstream: Arc<str>,
    began_ms: i64,
    /// Of the last frame.
    ended_ms: i64,
    now_ms: i64,
}

/// A segment that is over, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Which upstream played the canary.
    pub(super) upstream: Arc<str>,
    pub(super) began_ms: i64,
    pub(super) ended_ms: i64,
    pub(super) frames: u32,
    /// A mark, without frames: capital starts anew here.
    pub(super) fresh: bool,
    pub(super) blob: Vec<u8>,
}

/// What the record says beside the counts of a call.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) now_ms: i64,
    pub(super) in_race: bool,
    /// It may be decided by what others say, also without a request.
    pub(super) asks: bool,
    pub(super) upstream: &'a Arc<str>,
}

/// Where the tick that decided stands in the record: the segment that began then, and the place of the frame in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) began_ms: i64,
    pub(super) frame: u32,
}

impl Deref for Recorded {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}

impl Recorded {
    pub(super) fn new(judge: &Judge) -> Self {
        Self { guard: Guard::new(judge), open: None, fresh: true, cuts: VecDeque::new(), dropped: 0 }
    }

    /// As [`Guard::call`].
    pub(super) fn call(&mut self, look: Look<'_>, call: Call) {
        if self.open.is_none() && self.is_worth(look, call) {
            self.begin(look, call.step_us);
        }
        if let Some(open) = &mut self.open {
            open.in_race = look.in_race;
            open.now_ms = look.now_ms;
            open.calls.push(call);
        }
        self.guard.call(call.step_us, call.canary, call.stable);
        if self.open.as_ref().is_some_and(|open| open.calls.len() >= CALLS_MAX) {
            self.cut();
        }
    }

    /// As [`Guard::tick`].
    pub(super) fn tick(&mut self, canary: &Detail, stable: &Detail) {
        let mut is_over = false;
        if let Some(open) = &mut self.open {
            let is_idle = open.is_idle();
            open.push(canary, stable, true);
            is_over = is_idle || open.writer.is_full();
        }
        self.guard.tick(canary, stable);
        if is_over {
            self.cut();
        }
    }

    /// A guard that was told of nobody yet says nothing that a new one would not.
    fn is_worth(&self, look: Look<'_>, call: Call) -> bool {
        let counted = call.canary.requests > 0 || call.stable.requests > 0;
        call.canary.requests > 0 || look.in_race && (counted || look.asks || !self.guard.is_blank())
    }

    /// As [`Guard::pass`]. Nothing of it is written down.
    pub(super) fn pass(&mut self, span_us: u64, ticks: u64) {
        self.cut();
        self.guard.pass(span_us, ticks);
    }

    /// Something was decided on the last frame. Where it stands; `None`: the canary was not in the race.
    pub(super) fn decided(&mut self) -> Option<Place> {
        let cuts = self.cuts.len();
        self.cut();
        // The tick that filled a segment has cut it already, in the same look.
        let cut = self.cuts.get(cuts).or_else(|| self.cuts.back())?;
        Some(Place { began_ms: cut.began_ms, frame: cut.frames.checked_sub(1)? })
    }

    pub(super) fn restart(&mut self) {
        self.cut();
        self.guard.restart();
        self.fresh = true;
    }

    pub(super) fn reconfigure(&mut self, judge: &Judge) {
        if judge != self.guard.judge() {
            self.cut();
            self.guard.reconfigure(judge);
        }
    }

    pub(super) fn skip(&mut self, ticks: u32) {
        self.cut();
        self.guard.skip(ticks);
    }

    pub(super) fn replace(&mut self, guard: Guard) {
        self.cut();
        self.guard = guard;
        self.fresh = true;
    }

    /// Goes on from a guard that an earlier process has left in the record.
    pub(super) fn resume(&mut self, mut guard: Guard) {
        // What it noticed was told by that process.
        guard.take_noticed();
        self.guard = guard;
        self.fresh = false;
    }

    pub(super) fn take_noticed(&mut self) -> Vec<Finding> {
        self.guard.take_noticed()
    }

    /// Ends the segment that is open, even in the middle of a tick.
    pub(super) fn cut(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        if !open.calls.is_empty() {
            open.push(&Detail::default(), &Detail::default(), false);
        }
        if open.writer.frames() > 0 {
            self.keep(open.cut(false));
        }
    }

    /// What was cut since the last time, oldest first.
    pub(super) fn take_cuts(&mut self) -> impl Iterator<Item = Cut> {
        self.cuts.drain(..)
    }

    /// How many cuts were dropped since the last time.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn begin(&mut self, look: Look<'_>, step_us: u64) {
        let began_ms = look.now_ms.saturating_sub_unsigned(step_us / 1_000);
        let open = |began_ms| Open {
            writer: Writer::new(&self.guard),
            calls: Vec::new(),
            in_race: look.in_race,
            upstream: Arc::clone(look.upstream),
            began_ms,
            ended_ms: began_ms,
            now_ms: look.now_ms,
        };
        let mark = self.fresh.then(|| open(began_ms).cut(true));
        self.open = Some(open(began_ms));
        if let Some(mark) = mark {
            self.keep(mark);
            self.fresh = false;
        }
    }

    fn keep(&mut self, cut: Cut) {
        if self.cuts.len() >= CUTS_MAX {
            self.cuts.pop_front();
            self.dropped += 1;
        }
        self.cuts.push_back(cut);
    }
}

impl Open {
    /// Nothing in this tick was of the canary.
    fn is_idle(&self) -> bool {
        !self.in_race && self.calls.iter().all(|call| call.canary.requests == 0)
    }

    fn push(&mut self, canary: &Detail, stable: &Detail, tick_is_over: bool) {
        self.writer.push(&self.calls, canary, stable, tick_is_over);
        self.calls.clear();
        self.ended_ms = self.now_ms;
    }

    fn cut(self, fresh: bool) -> Cut {
        let Self { writer, upstream, began_ms, ended_ms, .. } = self;
        Cut { upstream, began_ms, ended_ms, frames: writer.frames(), fresh, blob: writer.finish() }
    }
}

#[cfg(test)]
mod tests;
