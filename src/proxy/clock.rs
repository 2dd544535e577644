//! The one place of the data plane that reads the clock.

use std::cell::{Cell, Ref, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

#[expect(clippy::disallowed_methods, reason = "the data plane's one clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The date, for people: nothing is measured by it.
#[expect(clippy::disallowed_methods, reason = "the data plane's one reading of the date")]
pub(super) fn unix_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn unix_ms() -> i64 {
    unix_us() / 1_000
}

/// The date as HTTP writes it (RFC 9110, 5.6.7), written anew when it is another.
#[derive(Default)]
pub(super) struct Date {
    second: Cell<u64>,
    text: RefCell<String>,
}

impl Date {
    pub(super) fn now(&self) -> Ref<'_, String> {
        let second = unix_us().unsigned_abs() / 1_000_000;
        if self.second.replace(second) != second {
            let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
            *self.text.borrow_mut() = date.to_string();
        }
        self.text.borrow()
    }
}

/// Whole microseconds from `earlier` to `later`, 0 if they are the wrong way round.
pub(super) fn micros(earlier: Instant, later: Instant) -> u64 {
    u64::try_from(later.saturating_duration_since(earlier).as_micros()).unwrap_or(u64::MAX)
}
