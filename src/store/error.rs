//! What can be wrong with the store, in the words of the operator who must put it right.
//!
//! Each error says where, what was found, and what to do. Its kind is fixed where it is made, because the
//! controller asks only one thing of it: is it worth trying again? Nothing here repairs, and nothing panics.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;

use super::thread::STORE_QUEUE_MAX;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error(
        "store {place}: the directory {directory} does not exist; create it, or set store.path to a file in a \
         directory that exists"
    )]
    DirectoryMissing { place: Arc<str>, directory: Arc<str> },

    #[error(
        "store {place}: cannot be written: {found}; let Andon's user write the file and its directory, or set \
         store.path to another place"
    )]
    Denied { place: Arc<str>, found: Arc<str> },

    #[error("store {place}: is not a regular file; set store.path to a file, such as \"andon.db\"")]
    NotAFile { place: Arc<str> },

    #[error(
        "store {place}: another andon uses it and holds {lock}; stop that one, or set store.path to a file of \
         its own"
    )]
    InUse { place: Arc<str>, lock: Arc<str> },

    #[error("store {place}: busy: {cause}")]
    Busy { place: Arc<str>, cause: BusyCause },

    #[error(
        "store {place}: damaged: {found}; put a backup in its place, or move it away together with its -wal and \
         -shm files to start without live decisions (pulled cords are forgotten then)"
    )]
    Corrupt { place: Arc<str>, found: Arc<str> },

    #[error(
        "store {place}: is a SQLite database of another program ({found}); set store.path to a file of its own"
    )]
    Foreign { place: Arc<str>, found: Arc<str> },

    #[error(
        "store {place}: was written by a newer andon: its schema is {found}, this one knows up to {known}; run \
         the newer andon, or put an older backup in its place"
    )]
    Newer { place: Arc<str>, found: i64, known: i64 },

    #[error(
        "store {place}: was written by an older andon: its schema is {found}, this one's is {known}; start this \
         andon with it once"
    )]
    Older { place: Arc<str>, found: usize, known: usize },

    #[error(
        "store {place}: the file was deleted or replaced while andon was running; put it back, or restart andon \
         to begin a new one (pulled cords are forgotten then)"
    )]
    Moved { place: Arc<str> },

    #[error("store {place}: the disk is full: {found}; free some space, nothing was changed")]
    Full { place: Arc<str>, found: Arc<str> },

    #[error("store {place}: cannot be read or written: {found}; look at the disk and the kernel's log")]
    Io { place: Arc<str>, found: Arc<str> },

    /// The database was asked for something that its schema does not allow: a hand was at work, or we are wrong.
    #[error(
        "store {place}: SQLite refused: {found}; put a backup in its place if the file was changed by hand, \
         otherwise report this as a defect of Andon"
    )]
    Refused { place: Arc<str>, found: Arc<str> },

    #[error("store {place}: lent to the new process that is taking over; try again in a moment")]
    Lent { place: Arc<str> },

    #[error("store {place}: closed; it takes no more requests, restart andon")]
    Gone { place: Arc<str> },
}

/// Who is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusyCause {
    #[error("{STORE_QUEUE_MAX} requests wait for the disk already; try again when it has caught up")]
    QueueFull,
    #[error("another program keeps the database locked; end its transaction, such as in an open sqlite3")]
    HeldByProgram,
}

impl StoreError {
    /// May the same request succeed later, with nobody changing the configuration or the file's contents?
    pub fn retryable(&self) -> bool {
        match self {
            Self::Busy { .. }
            | Self::Full { .. }
            | Self::Io { .. }
            | Self::Moved { .. }
            | Self::Lent { .. } => true,
            Self::DirectoryMissing { .. }
            | Self::Denied { .. }
            | Self::NotAFile { .. }
            | Self::InUse { .. }
            | Self::Corrupt { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Refused { .. }
            | Self::Gone { .. } => false,
        }
    }

    pub(super) fn of_io(path: &Path, error: &io::Error) -> Self {
        use io::ErrorKind;
        let place: Arc<str> = path.display().to_string().into();
        let found: Arc<str> = error.to_string().into();
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                Self::DirectoryMissing { directory: directory_of(path), place }
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied { place, found },
            ErrorKind::IsADirectory => Self::NotAFile { place },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { place, found },
            _ => Self::Io { place, found },
        }
    }

    pub(super) fn of_sqlite(place: &Arc<str>, error: &rusqlite::Error) -> Self {
        let place = Arc::clone(place);
        let found: Arc<str> = error.to_string().into();
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Busy { place, cause: BusyCause::HeldByProgram },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Corrupt { place, found },
            Some(ErrorCode::DiskFull) => Self::Full { place, found },
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => Self::Denied { place, found },
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory) => {
                Self::Io { place, found }
            }
            _ => Self::Refused { place, found },
        }
    }
}

fn directory_of(path: &Path) -> Arc<str> {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory.display().to_string().into(),
        _ => ".".into(),
    }
}
