//! `[store]`: what must survive a restart, and where.

use std::path::{Path, PathBuf};

use super::reader::Section;
use super::values;

/// The SQLite file when the configuration names none.
const PATH_DEFAULT: &str = "andon.db";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A SQLite file. A relative path is relative to the configuration file.
    File(PathBuf),
    /// `path = ":memory:"`: nothing survives a restart (demo, tests).
    Memory,
}

pub(super) fn read(mut section: Section<'_>, base: &Path) -> Store {
    let path = section.or("path", PATH_DEFAULT.into(), values::text);
    section.finish();
    match &*path {
        ":memory:" => Store::Memory,
        path => Store::File(base.join(path)),
    }
}
