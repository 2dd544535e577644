//! The one place of the data plane that reads the clock.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "the data plane's one clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Whole microseconds from `earlier` to `later`, 0 if they are the wrong way round.
pub(super) fn micros(earlier: Instant, later: Instant) -> u64 {
    u64::try_from(later.saturating_duration_since(earlier).as_micros()).unwrap_or(u64::MAX)
}
