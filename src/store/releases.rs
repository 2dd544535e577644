//! Releases: the one under way on each route, and those before it.
//!
//! A release is one value in JSON, since nothing in it is asked for by SQL; beside it stands what a person with `sqlite3` looks
//! for. The oldest of a route go when there are more than [`RELEASES_MAX`]; what they decided stays in the record.

use rusqlite::{Transaction, params};

use super::StoreError;
use super::rows;
use super::sqlite::Database;
use crate::release::Release;

/// Of one route.
pub(super) const RELEASES_MAX: u32 = 100;

pub(super) const MIGRATION: &str = "
ALTER TABLE route ADD COLUMN previous_stable TEXT; -- NULL: nothing to roll back to

CREATE TABLE release (
    id         TEXT    NOT NULL PRIMARY KEY, -- sorts by time
    route      TEXT    NOT NULL, -- outlives the route
    state      TEXT    NOT NULL, -- a phase, held, promoted, aborted, backed_off
    started_ms INTEGER NOT NULL, -- since 1970-01-01T00:00:00Z
    ended_ms   INTEGER,          -- NULL: under way
    body       TEXT    NOT NULL CHECK (json_valid(body))
) STRICT, WITHOUT ROWID;

CREATE INDEX release_of_route ON release (route, id);
";

const SAVE: &str = "
    INSERT INTO release VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended_ms = excluded.ended_ms, body = excluded.body";
const PRUNE: &str = "
    DELETE FROM release
    WHERE route = ?1 AND id <= (SELECT id FROM release WHERE route = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
const NEWEST: &str = "SELECT * FROM release WHERE route = ?1 ORDER BY id DESC LIMIT ?2";

pub(super) fn save(transaction: &Transaction<'_>, route: &str, release: &Release) -> rusqlite::Result<()> {
    let ended_ms = release.ended.as_ref().map(|ended| ended.at_ms);
    let body = serde_json::to_string(release).expect("a release is made of numbers and text");
    let values = params![&*release.id, route, release.state(), release.started_ms, ended_ms, body];
    transaction.prepare_cached(SAVE)?.execute(values)?;
    transaction.prepare_cached(PRUNE)?.execute(params![route, RELEASES_MAX])?;
    Ok(())
}

impl Database {
    /// Newest first.
    pub(super) fn releases(&self, route: &str, limit: u32) -> Result<Vec<Release>, StoreError> {
        self.read("release", NEWEST, &[&route, &limit], rows::release)
    }
}
