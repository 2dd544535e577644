//! The chance of one worker: a small generator, and one lot for each route.
//!
//! Pure: all of it follows from the seed, which the worker draws once when it starts. Nothing here is shared, and
//! a lot is kept by its route's slot, so a weight change, a reload or a promotion does not start it anew.

use crate::config::Upstream;
use crate::metrics::SlotId;
use crate::metrics::slots::Slots;

use super::lots::Lot;

/// A worker holds at most so many lots, 16 bytes each: slots are never more. It grows to the highest slot that drew.
const LOTS_MAX: usize = Slots::SLOTS_MAX;
/// As many as there may be upstreams.
const TURNS_MAX: usize = Upstream::UPSTREAMS_MAX;

#[derive(Clone, Debug)]
pub struct Dice {
    generator: Generator,
    seed: u64,
    lots: Vec<Lot>,
    /// One for each upstream that was used in turn.
    turns: Vec<u32>,
}

impl Dice {
    /// Workers and replicas must have different seeds, or they all send their first request to the canary.
    pub fn new(seed: u64) -> Self {
        Self { generator: Generator::new(seed), seed: mix(seed), lots: Vec::new(), turns: Vec::new() }
    }

    /// The next place on the ring for the route whose stable variant has this slot.
    pub fn position_ppm(&mut self, slot: SlotId) -> u32 {
        let index = slot.index() % LOTS_MAX;
        if index >= self.lots.len() {
            self.grow_to(index);
        }
        self.lots[index].next(&mut self.generator)
    }

    /// Counts up for each upstream by itself, from anywhere.
    pub(super) fn turn(&mut self, group: usize) -> u32 {
        let index = group % TURNS_MAX;
        if index >= self.turns.len() {
            let generator = &mut self.generator;
            self.turns.resize_with(index + 1, || (generator.draw() >> 32) as u32);
        }
        self.turns[index] = self.turns[index].wrapping_add(1);
        self.turns[index]
    }

    /// 64 random bits.
    pub(super) fn draw(&mut self) -> u64 {
        self.generator.draw()
    }

    /// Happens once for a slot in the life of the worker.
    #[cold]
    fn grow_to(&mut self, index: usize) {
        let seed = self.seed;
        self.lots.extend((self.lots.len()..=index).map(|slot| Lot::new(mix(seed ^ mix(slot as u64)))));
    }
}

/// SplitMix64: a counter and a mixing function. Good enough to shuffle and to choose, useless for secrets.
#[derive(Clone, Debug)]
pub(super) struct Generator(u64);

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }
}

pub(super) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
