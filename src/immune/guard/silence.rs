//! What time alone does to a guard.

use super::{Ceiling, Detail, Guard, Tally, Window};

impl Guard {
    /// Time in which nothing was counted of either variant: to the last bit what so many empty ticks, and the empty calls between
    /// them, would have done.
    pub fn pass(&mut self, span_us: u64, ticks: u64) {
        self.streak_us = self.streak_us.saturating_add(span_us);
        let nothing = Detail::default();
        (0..ticks).for_each(|_| self.tick(&nothing, &nothing));
    }

    /// Time alone changes no verdict: all that was counted has been judged, and no window holds failures that weigh more once
    /// the rest has left it.
    pub fn may_rest(&self) -> bool {
        let nothing = Tally::default();
        let judged = self.canary == nothing && self.stable == nothing && self.skip == 0;
        judged && !self.ceilings.iter().any(Ceiling::may_trip)
    }

    /// It has been told of no request yet, of either variant.
    pub fn is_blank(&self) -> bool {
        let Window { canary, stable, .. } = self.errors.total();
        let counted = [canary, stable, self.canary, self.stable];
        counted.iter().all(|tally| tally.requests == 0) && self.errors.remembered().is_none()
    }
}
