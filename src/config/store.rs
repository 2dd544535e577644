//! `[store]`: what must survive a restart, and where.

use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A SQLite file. A relative path is relative to the configuration file.
    File(PathBuf),
    /// `path = ":memory:"`: nothing survives a restart (demo, tests).
    Memory,
}
