//! Whether the file is open here, or lent to the process that is to follow this one.
//!
//! Two processes never have it open at once: the lock of [`super::file`] would refuse the second one. So the first
//! closes it, the second opens it, and should the second one fail, the first opens it again.

use std::sync::Arc;

use super::StoreError;
use super::sqlite::{self, Database};
use crate::config;

pub(super) struct Held {
    state: State,
    /// To open it again.
    file: config::Store,
    place: Arc<str>,
}

enum State {
    Open(Database),
    Lent,
    /// Ours again, but it could not be opened yet.
    Closed,
}

impl Held {
    pub(super) fn new(database: Database, file: config::Store) -> Self {
        Self { place: Arc::clone(database.place()), state: State::Open(database), file }
    }

    pub(super) fn place(&self) -> &Arc<str> {
        &self.place
    }

    pub(super) fn open(&mut self) -> Result<&mut Database, StoreError> {
        if matches!(self.state, State::Closed) {
            let (database, _routes) = Database::open(&self.file, sqlite::BUSY_TIMEOUT)?;
            self.state = State::Open(database);
        }
        match &mut self.state {
            State::Open(database) => Ok(database),
            State::Lent | State::Closed => Err(StoreError::Lent { place: Arc::clone(&self.place) }),
        }
    }

    pub(super) fn lend(&mut self) -> Result<(), StoreError> {
        self.shut(State::Lent)
    }

    /// What it holds is not read: the live state of this process is the newer one.
    pub(super) fn take_back(&mut self) -> Result<(), StoreError> {
        if matches!(self.state, State::Lent) {
            self.state = State::Closed;
        }
        self.open().map(|_| ())
    }

    pub(super) fn close(mut self) -> Result<(), StoreError> {
        self.shut(State::Closed)
    }

    fn shut(&mut self, then: State) -> Result<(), StoreError> {
        match std::mem::replace(&mut self.state, then) {
            State::Open(database) => database.close(),
            State::Lent | State::Closed => Ok(()),
        }
    }
}
