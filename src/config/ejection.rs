//! `upstream.ejection`: when an endpoint that fails its requests is left out, for how long, and how many at once.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::Weight;
use super::reader::Section;
use super::values;

const FAILURES: RangeInclusive<u64> = 1..=1_000_000;
const HOLD: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(24);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// So many one after another: answers of 500 or above or what a rule calls failure, connection errors, timeouts.
    pub failures: u32,
    /// The first time for so long, the second time twice, and so on.
    pub hold: Duration,
    pub hold_max: Duration,
    /// Of the endpoints of one upstream at one time; one may always be, if another is left.
    pub share_max: Weight,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: 5,
            hold: Duration::from_secs(10),
            hold_max: Duration::from_mins(5),
            share_max: Weight::from_ppm(500_000).unwrap_or(Weight::ZERO),
        }
    }
}

/// `false`, or a table. Left out: on, with its defaults.
pub(super) fn read(upstream: &mut Section<'_>) -> Option<Ejection> {
    let written = upstream.optional("ejection", |value| match value.item {
        DeValue::Boolean(false) => Ok(None),
        DeValue::Table(table) => Ok(Some((table, value.span.clone()))),
        _ => Err(value.wrong_kind("write false, or a table such as { failures = 5, hold = \"10s\" }")),
    });
    let default = Ejection::default();
    let mut section = match written {
        None => return Some(default),
        Some(None) => return None,
        Some(Some((table, place))) => upstream.table("ejection", table, place),
    };
    let failures = section.or("failures", default.failures.into(), values::whole(FAILURES));
    let hold = section.or("hold", default.hold, values::duration(HOLD));
    let hold_max = section.or("hold_max", default.hold_max.max(hold), |value| {
        let hold_max = values::duration(HOLD)(value)?;
        if hold_max < hold {
            return Err(value.wrong("less than hold", "write at least as much as hold"));
        }
        Ok(hold_max)
    });
    let share_max = section.or("share_max", default.share_max, values::weight);
    section.finish();
    Some(Ejection { failures: u32::try_from(failures).unwrap_or(u32::MAX), hold, hold_max, share_max })
}
