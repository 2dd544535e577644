//! `[drain]`: how the end goes, on a signal or when a new binary has taken over.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::reader::Section;
use super::values;

const DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(10);
const TIMEOUT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// `/readyz` fails for this long before connections are refused: load balancers look only now and then.
    pub delay: Duration,
    /// What is in flight then gets this long to finish. The rest is cut.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Duration::ZERO, timeout: Duration::from_secs(30) }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Drain {
    let default = Drain::default();
    let delay = section.or("delay", default.delay, values::duration(DELAY));
    let timeout = section.or("timeout", default.timeout, values::duration(TIMEOUT));
    section.finish();
    Drain { delay, timeout }
}
