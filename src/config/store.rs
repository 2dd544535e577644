//! `[store]`: what must survive a restart, and where; and how much of what guards were given is kept there.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::Section;
use super::values;

/// The SQLite file when the configuration names none.
const PATH_DEFAULT: &str = "andon.db";
const EVIDENCE_AGE: RangeInclusive<Duration> = Duration::from_hours(1)..=Duration::from_hours(365 * 24);
const EVIDENCE_BYTES: RangeInclusive<u64> = (1 << 20)..=(1 << 40);
/// A day to ten years.
const DECISIONS_AGE: RangeInclusive<Duration> =
    Duration::from_hours(24)..=Duration::from_hours(10 * 365 * 24);
/// Two years: an auditor looks at the last one, and the one before it.
pub const DECISIONS_AGE_DEFAULT: Duration = Duration::from_hours(2 * 365 * 24);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A SQLite file. A relative path is relative to the configuration file.
    File(PathBuf),
    /// `path = ":memory:"`: nothing survives a restart (demo, tests).
    Memory,
}

/// How long what guards were given is kept, so that their decisions can be judged again: until either is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceKept {
    /// 1 h to a year.
    pub age: Duration,
    /// Of all routes together: 1 MiB to 1 TiB.
    pub bytes_max: u64,
}

impl Default for EvidenceKept {
    fn default() -> Self {
        Self { age: Duration::from_hours(168), bytes_max: 256 << 20 }
    }
}

/// `[store]`, read.
pub(super) struct Read {
    pub(super) store: Store,
    pub(super) evidence: EvidenceKept,
    pub(super) decisions_age: Duration,
}

pub(super) fn read(mut section: Section<'_>, base: &Path) -> Read {
    let path = section.or("path", PATH_DEFAULT.into(), values::text);
    let default = EvidenceKept::default();
    let age = section.or("evidence_age", default.age, values::duration(EVIDENCE_AGE));
    let bytes_max = section.or("evidence_max", default.bytes_max, values::bytes(EVIDENCE_BYTES));
    let decisions_age = section.or("decisions_age", DECISIONS_AGE_DEFAULT, values::duration(DECISIONS_AGE));
    section.finish();
    let store = match &*path {
        ":memory:" => Store::Memory,
        path => Store::File(base.join(path)),
    };
    Read { store, evidence: EvidenceKept { age, bytes_max }, decisions_age }
}
