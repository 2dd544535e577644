//! Routes on which nothing happens rest: no look reads, judges or records them, so a look costs what has happened and not how
//! many routes there are.
//!
//! A route goes to rest after a whole tick in which none of its slots was written, if nothing is left that time alone would
//! bring to an end: a cooldown, a drill, a release, a question to others, a window with failures in it. It wakes with the
//! first request, told by the marks of [`crate::metrics::stir`], or when anything touches it ([`Routes::split_mut`]).
//!
//! What it missed is made up for before anything else is done to it. Each look leaves its time here, and a route that wakes
//! goes through those that it missed, with nothing counted in them: its pace, its guards and their memory of stable are then
//! to the last bit what they would be had it been looked at all the time, and its next request is judged as the first after a
//! silence. That the debt stays small, every route is woken once in [`NAP_LOOKS`]; a canary in the race then leaves a sign
//! of life in the record, which a restart goes on from.

use std::collections::VecDeque;

use super::routes::{BackOff, Routes, SplitLive};
use crate::metrics::stir::Seen;
use crate::metrics::{Shards, SlotId};

/// Four minutes of looks.
const NAP_LOOKS: usize = 2_400;
pub(super) const NAP_MS: i64 = 240_000;

/// Who is awake, and what the others have missed.
#[derive(Default)]
pub(super) struct Rota {
    /// Places of routes with a canary, in the order of the file.
    awake: Vec<usize>,
    /// Times of the last looks, at most [`NAP_LOOKS`]. The first has the number `gone`.
    looks: VecDeque<u64>,
    gone: u64,
    /// Places of the routes that slots belong to, by slot; [`NOBODY`]: of no route with a canary.
    owners: Vec<usize>,
    seen: Seen,
    /// What this look found written.
    stirred: Vec<SlotId>,
}

const NOBODY: usize = usize::MAX;

/// Of one route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// The number of the first look that it missed. `None`: it is awake.
    since: Option<u64>,
    /// Something was counted, or touched, since the last tick.
    is_stirred: bool,
    /// Nothing was, in the whole of the last tick and since.
    is_still: bool,
    /// When something was counted last.
    counted_us: u64,
}

impl Default for Rest {
    fn default() -> Self {
        Self { since: None, is_stirred: true, is_still: false, counted_us: 0 }
    }
}

impl Rest {
    fn stir(&mut self) {
        (self.is_stirred, self.is_still) = (true, false);
    }

    pub(super) fn tick_is_over(&mut self) {
        self.is_still = !std::mem::replace(&mut self.is_stirred, false);
    }
}

impl Rota {
    /// In the order of the file.
    pub(super) fn awake(&self) -> &[usize] {
        &self.awake
    }

    /// The number of the next look.
    fn next(&self) -> u64 {
        self.gone + self.looks.len() as u64
    }

    fn missed(&self, since: u64) -> impl Iterator<Item = u64> {
        let before = usize::try_from(since.saturating_sub(self.gone)).unwrap_or(usize::MAX);
        self.looks.iter().skip(before).copied()
    }

    fn note(&mut self, now_us: u64) {
        if self.looks.len() >= NAP_LOOKS {
            self.looks.pop_front();
            self.gone += 1;
        }
        self.looks.push_back(now_us);
    }
}

impl Routes {
    /// After a new file: everybody is awake.
    pub(super) fn rouse(&mut self) {
        self.rota.awake.clone_from(&self.judged);
        self.rota.owners.clear();
        for route in &self.judged {
            let Some(split) = self.list[*route].split.as_ref() else { continue };
            for slot in split.slots() {
                let owners = &mut self.rota.owners;
                owners.resize(owners.len().max(slot.index() + 1), NOBODY);
                owners[slot.index()] = *route;
            }
        }
    }

    /// Before a look: who has something to be seen, and whose nap is over. Returns the slots that were written.
    pub(super) fn begin_look(&mut self, slots: usize, now_us: u64, shards: &Shards) -> &[SlotId] {
        let mut stirred = std::mem::take(&mut self.rota.stirred);
        stirred.clear();
        shards.stirred(slots, &mut self.rota.seen, |slot| stirred.push(slot));
        for slot in &stirred {
            let owner = self.rota.owners.get(slot.index()).copied().unwrap_or(NOBODY);
            self.wake(owner);
            if let Some(split) = self.awake_mut(owner) {
                split.rest.counted_us = now_us;
            }
        }
        let first = usize::try_from(self.rota.next() % NAP_LOOKS as u64).unwrap_or(0);
        for at in (first..self.judged.len()).step_by(NAP_LOOKS) {
            self.wake(self.judged[at]);
        }
        self.rota.awake.sort_unstable();
        self.rota.stirred = stirred;
        &self.rota.stirred
    }

    /// For looks themselves, which are nothing that a route would have to be awake for.
    pub(super) fn awake_mut(&mut self, route: usize) -> Option<&mut SplitLive> {
        self.list.get_mut(route)?.split.as_mut()
    }

    /// Whoever changes anything of a route comes through here.
    pub(super) fn wake(&mut self, route: usize) {
        let Some(split) = self.list.get_mut(route).and_then(|route| route.split.as_mut()) else { return };
        split.rest.stir();
        if let Some(since) = split.rest.since.take() {
            split.make_up(self.rota.missed(since));
            self.rota.awake.push(route);
        }
    }

    pub(super) fn wake_all(&mut self) {
        (0..self.list.len()).for_each(|route| self.wake(route));
    }

    /// For whoever only looks at a route: it is as if it had been awake, and rests on.
    pub(super) fn catch_up(&mut self, route: usize) {
        let Some(split) = self.list.get_mut(route).and_then(|route| route.split.as_mut()) else { return };
        if let Some(since) = split.rest.since {
            split.make_up(self.rota.missed(since));
            split.rest.since = Some(self.rota.next());
        }
    }

    pub(super) fn catch_up_all(&mut self) {
        (0..self.list.len()).for_each(|route| self.catch_up(route));
    }

    /// After a look. Those that go to rest have ended their segments, and are awake until [`Routes::end_look`].
    pub(super) fn lie_down(&mut self, now_us: u64) {
        self.rota.note(now_us);
        let next = self.rota.next();
        for route in &self.rota.awake {
            let split = self.list.get_mut(*route).and_then(|route| route.split.as_mut());
            if let Some(split) = split.filter(|split| split.may_rest(now_us)) {
                split.canaries.iter_mut().for_each(|live| live.guard.cut());
                split.rest.since = Some(next);
            }
        }
    }

    pub(super) fn end_look(&mut self) {
        let list = &self.list;
        let is_awake = |route: &usize| {
            list.get(*route)
                .and_then(|route| route.split.as_ref())
                .is_some_and(|split| split.rest.since.is_none())
        };
        self.rota.awake.retain(is_awake);
    }
}

impl SplitLive {
    /// All that is written of the route where it is judged.
    fn slots(&self) -> impl Iterator<Item = SlotId> {
        let canaries = self.canaries.iter().map(|live| live.watched.slot);
        let phantom = self.self_test.as_ref().map(|test| test.slot());
        [self.stable.slot].into_iter().chain(canaries).chain(phantom)
    }

    /// Looks in which nothing was counted.
    fn make_up(&mut self, missed: impl Iterator<Item = u64>) {
        let (mut span_us, mut ticks) = (0_u64, 0);
        let users = self.canaries.iter().find_map(|live| live.users.clone());
        for now_us in missed {
            let step = self.pace.step(now_us, self.tick);
            span_us = span_us.saturating_add(step.us);
            if step.tick_is_over {
                ticks += 1;
                users.iter().for_each(|users| users.pass(now_us));
            }
        }
        self.self_test.iter_mut().for_each(|test| test.pass(span_us, ticks));
        self.canaries.iter_mut().for_each(|live| live.guard.pass(span_us, ticks));
        self.pass_lots(ticks);
    }

    /// Whether time alone brings nothing to an end here.
    fn may_rest(&self, now_us: u64) -> bool {
        let is_measuring = matches!(self.back_off, Some(BackOff::Measuring { .. }));
        self.rest.is_still
            && !is_measuring
            && self.outside.is_empty()
            && self.state.release().is_none()
            && self.drill.as_ref().is_none_or(|drill| drill.may_rest())
            && self.self_test.as_ref().is_none_or(|test| test.may_rest())
            && self.lots_may_rest()
            && self.canaries_may_rest(now_us)
    }

    fn canaries_may_rest(&self, now_us: u64) -> bool {
        let records = &self.state.record.canaries;
        records.iter().zip(&self.canaries).all(|(record, live)| {
            // Whoever has been counted just now may be counted again only after the next turn.
            let users = live.users.as_ref().is_none_or(|users| users.turned_us() >= self.rest.counted_us);
            users && record.strikes.is_none() && now_us >= live.settles_until_us && live.guard.may_rest()
        })
    }
}

#[cfg(test)]
mod tests;
