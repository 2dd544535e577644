//! Reload when the configuration file changes, without a signal.
//!
//! The file is looked at once a second instead of being watched by inotify: that also sees a Kubernetes
//! mount that swaps a linked directory, a network file system, and an editor that renames. What a look
//! compares is cheap, and a reload of an unchanged file does nothing.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{Handle, Refusal};

const LOOK: Duration = Duration::from_secs(1);

/// What tells one version of a file from another: inode, length, time of the last change in nanoseconds.
type Mark = (u64, u64, i64, i64);

/// Runs until the controller is gone. Without a path there is nothing to look at.
pub async fn run(path: Option<PathBuf>, handle: Handle) {
    let Some(path) = path else { return };
    let mut seen = look(&path).await;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = look(&path).await;
        // A file that is missing for a moment is being replaced; one that stays away changes nothing.
        if now.is_none() || now == seen {
            continue;
        }
        match handle.reload().await {
            Err(Refusal::Gone) => return,
            // Not for the file's sake: it is tried again at the next look.
            Err(Refusal::StoreDown(_)) => {}
            Ok(_) | Err(_) => seen = now,
        }
    }
}

async fn look(path: &Path) -> Option<Mark> {
    let path = path.to_owned();
    let metadata = tokio::task::spawn_blocking(move || std::fs::metadata(path)).await.ok()?.ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}
