//! The opinion on one endpoint, from one check to the next. Pure.

/// The first check decides alone; then it takes several in a row to change the opinion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    healthy: Option<bool>,
    /// Checks in a row that say otherwise.
    against: u32,
}

impl Standing {
    /// The new opinion, if it has changed.
    pub(super) fn checked(&mut self, passed: bool, healthy_after: u32, unhealthy_after: u32) -> Option<bool> {
        if self.healthy == Some(passed) {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = if passed { healthy_after } else { unhealthy_after };
        if self.healthy.is_some() && self.against < needed {
            return None;
        }
        *self = Self { healthy: Some(passed), against: 0 };
        self.healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_check_decides_and_then_it_takes_a_row() {
        for first in [true, false] {
            let mut standing = Standing::default();
            assert_eq!(standing.checked(first, 2, 3), Some(first));
            assert_eq!(standing.checked(first, 2, 3), None);
        }
        let mut standing = Standing::default();
        let mut says = |passed| standing.checked(passed, 2, 3);
        assert_eq!([true, false, false, true, false, false].map(&mut says)[1..], [None; 5]);
        assert_eq!(
            [false, true, false, true, true].map(&mut says),
            [Some(false), None, None, None, Some(true)]
        );
    }
}
