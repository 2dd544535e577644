//! The file before SQLite sees it: is it one, may we write it, does another andon have it?
//!
//! Asked here, because the answers of the operating system are precise where SQLite says only "unable to open".
//! The lock is a file of its own: closing any handle of the database file itself would drop SQLite's own locks.
//! The lock file is left behind on purpose; removing it would let two processes lock two files of one name.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::StoreError;

/// The file is ours until this is dropped.
pub(super) struct Claim {
    _lock: File,
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Claim {
    /// Does the path still name the file that was opened? SQLite goes on writing to a deleted one without a word,
    /// and all of it would be gone with the process.
    pub(super) fn holds(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Locks the file for this process and makes sure that it exists and can be written.
pub(super) fn claim(path: &Path) -> Result<Claim, StoreError> {
    refuse_what_is_no_file(path)?;
    // Two names of one file, by a symbolic link, must meet at one lock; SQLite names its log in the same way.
    let real_path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let lock = lock(path, &beside(&real_path, ".lock"))?;
    refuse_lost_contents(path, &beside(&real_path, "-wal"))?;
    open(path)?;
    let identity = identity(path).map_err(|error| StoreError::of_io(path, &error))?;
    Ok(Claim { _lock: lock, path: path.to_owned(), identity })
}

fn refuse_what_is_no_file(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            Err(StoreError::NotAFile { place: path.display().to_string().into() })
        }
        // What is missing will be created, and what else is wrong shows then.
        _ => Ok(()),
    }
}

fn lock(path: &Path, lock_path: &Path) -> Result<File, StoreError> {
    let file = open(lock_path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            place: path.display().to_string().into(),
            lock: lock_path.display().to_string().into(),
        }),
        Err(TryLockError::Error(error)) => Err(StoreError::of_io(lock_path, &error)),
    }
}

/// An empty file is a new store, but not if a log lies beside it: SQLite would throw the log away without a word.
fn refuse_lost_contents(path: &Path, log_path: &Path) -> Result<(), StoreError> {
    let bytes = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.len());
    if bytes(path) == Some(0) && bytes(log_path).is_some_and(|log_bytes| log_bytes > 0) {
        let found = format!("it is empty, while {} is not", log_path.display()).into();
        return Err(StoreError::Corrupt { place: path.display().to_string().into(), found });
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| StoreError::of_io(path, &error))
}

/// `andon.db` and `.lock` make `andon.db.lock`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}
