//! Whether files have changed: inode, length, time of change. The same look as at the configuration file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::tls::{KeyPair, ListenerTls, NamedFile, UpstreamTls};

/// Inode, length, time of the last change in nanoseconds. The links on the way are followed, so a swapped one shows.
type Mark = (u64, u64, i64, i64);

/// Files, and how they looked when they were last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, Option<Mark>)>);

impl Files {
    pub(super) fn of_listener(tls: &ListenerTls) -> Self {
        let authority = tls.clients.iter().map(|clients| &clients.ca);
        Self::look_at(tls.certificates.iter().flat_map(both).chain(authority))
    }

    pub(super) fn of_upstream(tls: &UpstreamTls) -> Self {
        Self::look_at(tls.identity.iter().flat_map(both).chain(&tls.ca))
    }

    fn look_at<'a>(files: impl Iterator<Item = &'a NamedFile>) -> Self {
        Self(files.map(|file| (file.path.clone(), mark(&file.path))).collect())
    }

    /// How they look now.
    pub(super) fn again(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), mark(path))).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A file that is missing for a moment is being replaced; there is nothing to read until it is back.
    pub(super) fn are_all_there(&self) -> bool {
        self.0.iter().all(|(_, mark)| mark.is_some())
    }
}

fn both(pair: &KeyPair) -> [&NamedFile; 2] {
    [&pair.cert, &pair.key]
}

fn mark(path: &Path) -> Option<Mark> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}
