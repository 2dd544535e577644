//! `[workers]`: how many data-plane threads.

use std::thread::available_parallelism;

use super::reader::Section;
use super::values;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// 1 to [`Workers::COUNT_MAX`]; default one a core.
    pub count: usize,
}

impl Workers {
    pub const COUNT_MAX: usize = 256;
}

impl Default for Workers {
    fn default() -> Self {
        Self { count: available_parallelism().map_or(1, usize::from).min(Self::COUNT_MAX) }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Workers {
    let count = section.optional("count", values::whole(1..=Workers::COUNT_MAX as u64));
    section.finish();
    match count.and_then(|count| usize::try_from(count).ok()) {
        Some(count) => Workers { count },
        None => Workers::default(),
    }
}
