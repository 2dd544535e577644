//! The split of a route: which variant owns which part of a ring of 1 000 000 places.
//!
//! A request has a place, by lot or by the hash of its sticky key; whoever owns the place serves it. A canary of
//! weight w owns exactly w places, stable the rest, so weight 0 sends nothing and 100% sends all.
//!
//! **One way.** Raising a canary must move users only from stable to that canary, never between canaries nor back.
//! So what a canary owns may depend on its own weight alone. For two canaries that is possible: the first grows from
//! the low end, `[0, w)`, the second from the high end, `[1 000 000 − w, 1 000 000)`, and they meet only at 100%.
//! For three it is not, in any layout: each of two canaries may grow to almost the whole ring while the other is
//! small, so whatever a third one owns, there are weights at which one of them must have it.
//! Further canaries therefore begin at fixed anchors, where the ends are farthest: 1/2 upwards, 1/2 downwards, 1/4 up,
//! 1/4 down, 3/4 up, and so on, and pass over what canaries earlier in the file own. Their shares are exact and
//! disjoint always, and one way as long as nobody's part runs into another's; when it does, the later canary in
//! the file gives way, and some of its users move.
//!
//! Weights that sum to more than the whole are refused elsewhere; here the last canaries would get what is left.

use crate::config::Weight;
use crate::config::units::WHOLE_PPM;

/// Index of the stable variant. The canary at index i of the route is variant i + 1.
pub const STABLE: usize = 0;

/// Scales 64 evenly spread bits to a place on the ring.
#[expect(clippy::cast_possible_truncation, reason = "less than 2^64 times a million, divided by 2^64")]
pub(super) fn position_ppm(point: u64) -> u32 {
    ((u128::from(point) * u128::from(WHOLE_PPM)) >> 64) as u32
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// In order, without gaps, the last one ends at the whole. At most three for each canary and one more.
    segments: Box<[Segment]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    end: u32,
    variant: usize,
}

impl Split {
    /// The weights of the canaries, in file order.
    pub fn new(weights: &[Weight]) -> Self {
        let mut ring = Ring { owned: Vec::new() };
        for (canary, weight) in weights.iter().enumerate() {
            ring.give(canary + 1, weight.ppm(), Start::of(canary));
        }
        Self { segments: ring.segments() }
    }

    /// `position_ppm` is below 1 000 000. One or two canaries: at most two comparisons.
    pub fn variant_at(&self, position_ppm: u32) -> usize {
        let segment = self.segments.partition_point(|segment| segment.end <= position_ppm);
        self.segments.get(segment).map_or(STABLE, |segment| segment.variant)
    }

    /// No canary takes part: no lot need be drawn.
    pub fn is_stable_only(&self) -> bool {
        matches!(*self.segments, [Segment { variant: STABLE, .. }])
    }
}

/// Where a canary's part begins, and which way it grows.
enum Start {
    UpFrom(u32),
    DownFrom(u32),
}

impl Start {
    fn of(canary: usize) -> Self {
        let anchor = match canary {
            0 => return Self::UpFrom(0),
            1 => return Self::DownFrom(WHOLE_PPM),
            _ => anchor(canary / 2),
        };
        if canary.is_multiple_of(2) { Self::UpFrom(anchor) } else { Self::DownFrom(anchor) }
    }
}

/// 1/2, 1/4, 3/4, 1/8, 3/8, … of the ring, for 1, 2, 3, 4, 5, …
#[expect(clippy::cast_possible_truncation, reason = "a fraction of the whole, which is a u32")]
fn anchor(nth: usize) -> u32 {
    let level = nth.ilog2();
    let (above, below) = (2 * (nth - (1 << level)) as u64 + 1, 2u64 << level);
    (u64::from(WHOLE_PPM) * above / below) as u32
}

struct Ring {
    /// In order, disjoint, never empty.
    owned: Vec<Piece>,
}

#[derive(Clone, Copy)]
struct Piece {
    start: u32,
    end: u32,
    variant: usize,
}

impl Ring {
    /// Gives `wanted` free places to `variant`, going once round the ring from `start`.
    fn give(&mut self, variant: usize, mut wanted: u32, start: Start) {
        for (free_start, free_end) in self.free_in_order_from(&start) {
            let taken = wanted.min(free_end - free_start);
            if taken == 0 {
                continue;
            }
            wanted -= taken;
            let (start, end) = match start {
                Start::UpFrom(_) => (free_start, free_start + taken),
                Start::DownFrom(_) => (free_end - taken, free_end),
            };
            self.owned.push(Piece { start, end, variant });
        }
        self.owned.sort_by_key(|piece| piece.start);
    }

    fn free_in_order_from(&self, start: &Start) -> Vec<(u32, u32)> {
        let (Start::UpFrom(anchor) | Start::DownFrom(anchor)) = *start;
        let (mut above, mut below) = (self.free_within(anchor, WHOLE_PPM), self.free_within(0, anchor));
        match start {
            Start::UpFrom(_) => {
                above.extend(below);
                above
            }
            Start::DownFrom(_) => {
                above.reverse();
                below.reverse();
                below.extend(above);
                below
            }
        }
    }

    /// What nobody owns between `low` and `high`, upwards.
    fn free_within(&self, low: u32, high: u32) -> Vec<(u32, u32)> {
        let mut free = Vec::new();
        let mut from = low;
        for piece in self.owned.iter().filter(|piece| piece.end > low && piece.start < high) {
            if piece.start > from {
                free.push((from, piece.start));
            }
            from = piece.end;
        }
        if from < high {
            free.push((from, high));
        }
        free
    }

    fn segments(&self) -> Box<[Segment]> {
        let mut segments = Vec::new();
        let mut from = 0;
        for piece in &self.owned {
            if piece.start > from {
                segments.push(Segment { end: piece.start, variant: STABLE });
            }
            segments.push(Segment { end: piece.end, variant: piece.variant });
            from = piece.end;
        }
        if from < WHOLE_PPM {
            segments.push(Segment { end: WHOLE_PPM, variant: STABLE });
        }
        segments.into()
    }
}

#[cfg(test)]
mod tests;
