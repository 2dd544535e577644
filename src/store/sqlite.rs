//! All SQL: the schema, its versions, and how records become rows.
//!
//! The tables are made to be read by people with the `sqlite3` tool: one column a value, units in the names, no
//! packed state. `PRAGMA application_id` says that the file is ours, `PRAGMA user_version` how many of
//! [`MIGRATIONS`] it has seen.
//!
//! The schema refuses what [`super::rows`] would refuse to read. It repairs nothing: a damaged store is refused.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, ToSql, Transaction, TransactionBehavior, params};

use super::file::{self, Claim};
use super::record::{Change, Head, RouteRecord};
use super::releases;
use super::rows::{self, Fields};
use super::{StoreError, announced, chain};
use crate::config;

/// How long another program (a `sqlite3` in someone's terminal) may hold the lock before a save fails.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// "Andn" in ASCII; `file andon.db` shows it.
const APPLICATION_ID: i64 = 0x416e_646e;

/// Each is run once, in one transaction with the new `user_version`. Append; never change one that was released.
const MIGRATIONS: [Migration; 6] = [
    Migration::of(FIRST),
    Migration::of(STRIKES),
    Migration::of(super::evidence::MIGRATION),
    Migration { sql: chain::MIGRATION, then: chain::link },
    Migration::of(announced::MIGRATION),
    Migration::of(releases::MIGRATION),
];

struct Migration {
    sql: &'static str,
    /// What SQL cannot say.
    then: fn(&Transaction<'_>) -> rusqlite::Result<()>,
}

impl Migration {
    const fn of(sql: &'static str) -> Self {
        Self { sql, then: |_| Ok(()) }
    }
}

const FIRST: &str = "
CREATE TABLE route (
    route                TEXT NOT NULL PRIMARY KEY,
    stable_file_upstream TEXT NOT NULL, -- what the configuration file last said
    stable_upstream      TEXT NOT NULL  -- what serves now
) STRICT, WITHOUT ROWID;

CREATE TABLE canary (
    route         TEXT    NOT NULL REFERENCES route (route) ON DELETE CASCADE,
    position      INTEGER NOT NULL CHECK (position >= 0), -- order within the route
    name          TEXT    NOT NULL,
    file_upstream TEXT    NOT NULL,
    upstream      TEXT    NOT NULL,
    file_aim_ppm  INTEGER NOT NULL CHECK (file_aim_ppm BETWEEN 0 AND 1000000), -- 1000000 is 100%
    aim_ppm       INTEGER NOT NULL CHECK (aim_ppm BETWEEN 0 AND 1000000),
    ceiling_ppm   INTEGER NOT NULL CHECK (ceiling_ppm BETWEEN 0 AND 1000000),
    PRIMARY KEY (route, position),
    UNIQUE (route, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE cord ( -- a row: pulled
    route    TEXT    NOT NULL PRIMARY KEY REFERENCES route (route) ON DELETE CASCADE,
    by       TEXT    NOT NULL,
    why      TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL, -- since 1970-01-01T00:00:00Z
    decision TEXT    NOT NULL  -- decision.id, which may have been pruned
) STRICT, WITHOUT ROWID;

CREATE TABLE decision (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, even after pruning
    id         TEXT    NOT NULL UNIQUE,
    at_ms      INTEGER NOT NULL, -- since 1970-01-01T00:00:00Z
    route      TEXT    NOT NULL, -- outlives the route
    canary     TEXT,             -- NULL: the whole route
    action     TEXT    NOT NULL, -- no list here: a new kind would mean rewriting the record
    by         TEXT    NOT NULL,
    why        TEXT    NOT NULL,
    before_ppm INTEGER NOT NULL CHECK (before_ppm BETWEEN 0 AND 1000000),
    after_ppm  INTEGER NOT NULL CHECK (after_ppm BETWEEN 0 AND 1000000),
    evidence   TEXT CHECK (evidence IS NULL OR json_valid(evidence))
) STRICT;

CREATE INDEX decision_of_route ON decision (route); -- ends in seq by itself

-- Only UPDATE: what was decided is never rewritten, but the oldest rows must go some day.
CREATE TRIGGER decision_is_append_only BEFORE UPDATE ON decision
BEGIN
    SELECT RAISE(ABORT, 'the record of decisions is append-only: no row of it may be changed');
END;
";

/// Of `on_unhealthy = "back-off"`.
const STRIKES: &str = "
ALTER TABLE canary ADD COLUMN strikes INTEGER NOT NULL DEFAULT 0
    CHECK (strikes BETWEEN 0 AND 4294967295);
ALTER TABLE canary ADD COLUMN strikes_since_ms INTEGER -- when the ceiling moved last; since 1970-01-01T00:00:00Z
    CHECK ((strikes_since_ms IS NULL) = (strikes = 0));
";

const SAVE_ROUTE: &str = "INSERT INTO route VALUES (?1, ?2, ?3, ?4)";
const SAVE_CANARY: &str = "INSERT INTO canary VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const SAVE_CORD: &str = "INSERT INTO cord VALUES (?1, ?2, ?3, ?4, ?5)";
pub(super) struct Database {
    pub(super) connection: Connection,
    place: Arc<str>,
    /// Fields are dropped in this order: the connection closes while the file is still ours.
    claim: Option<Claim>,
    /// Of all evidence; `None`: not added up yet.
    pub(super) evidence_bytes: Option<u64>,
}

impl Database {
    pub(super) fn open(
        place: &config::Store,
        busy_timeout: Duration,
    ) -> Result<(Self, Vec<RouteRecord>), StoreError> {
        let mut database = match place {
            config::Store::Memory => Self::connect(Path::new(":memory:"), None)?,
            config::Store::File(path) => Self::connect(path, Some(file::claim(path)?))?,
        };
        database.prepare(busy_timeout)?;
        // The routes first: their errors name the column, those of the check only the table.
        let routes = database.routes()?;
        database.check()?;
        Ok((database, routes))
    }

    /// Beside an andon that may be running. Its schema must be ours: what is to be read was not there before.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let place: Arc<str> = path.display().to_string().into();
        if !path.is_file() {
            return Err(StoreError::NotAFile { place });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Self::connect_with(path, flags, None)?;
        database.connection.busy_timeout(BUSY_TIMEOUT).map_err(database.sqlite())?;
        let (found, known) = (database.version()?, MIGRATIONS.len());
        if found == known { Ok(database) } else { Err(StoreError::Older { place, found, known }) }
    }

    pub(super) fn place(&self) -> &Arc<str> {
        &self.place
    }

    /// Returns the newest row, if there is a new one.
    pub(super) fn save(&mut self, changes: &[Change]) -> Result<Option<Head>, StoreError> {
        self.write(|transaction| {
            let mut appended = false;
            for change in changes {
                replace_route(transaction, &change.record)?;
                if let Some(decision) = &change.decision {
                    appended |= chain::append(transaction, decision)?;
                }
            }
            if appended { chain::head(transaction).map(Some) } else { Ok(None) }
        })
    }

    /// All that `work` does, or nothing.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.check_claim()?;
        let written = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(
            |transaction| {
                let done = work(&transaction)?;
                transaction.commit().map(|()| done)
            },
        );
        written.map_err(self.sqlite())
    }

    pub(super) fn check_claim(&self) -> Result<(), StoreError> {
        match &self.claim {
            Some(claim) if !claim.holds() => Err(StoreError::Moved { place: Arc::clone(&self.place) }),
            _ => Ok(()),
        }
    }

    /// Writes the log back into the file, as far as other programs let it, and closes.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let Self { connection, place, claim: _claim, .. } = self;
        let checkpointed = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let closed = connection.close().map_err(|(_, error)| error);
        checkpointed.and(closed).map_err(|error| StoreError::of_sqlite(&place, &error))
    }

    /// A disk of so many pages; never less than are in use.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) -> rusqlite::Result<u32> {
        self.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get(0))
    }

    fn connect(path: &Path, claim: Option<Claim>) -> Result<Self, StoreError> {
        // Not SQLite's default flags: a file may be called `file:x?y`, that is no URI here.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::connect_with(path, flags, claim)
    }

    fn connect_with(path: &Path, flags: OpenFlags, claim: Option<Claim>) -> Result<Self, StoreError> {
        let place: Arc<str> = path.display().to_string().into();
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| StoreError::of_sqlite(&place, &error))?;
        Ok(Self { connection, place, claim, evidence_bytes: None })
    }

    fn prepare(&mut self, busy_timeout: Duration) -> Result<(), StoreError> {
        self.connection.busy_timeout(busy_timeout).map_err(self.sqlite())?;
        // Before anything is written, even the journal mode: the file may not be ours, or from a newer andon.
        let version = self.version()?;
        // Where the file system cannot have a WAL, another mode stays: slower, no less durable.
        self.pragma("PRAGMA journal_mode = WAL")?;
        self.connection
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
            .map_err(self.sqlite())?;
        if version < MIGRATIONS.len() {
            self.check()?;
            self.migrate(version)?;
        }
        Ok(())
    }

    /// How many migrations the file has seen.
    fn version(&self) -> Result<usize, StoreError> {
        let integer = |sql| self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let application = integer("PRAGMA application_id").map_err(self.sqlite())?;
        let version = integer("PRAGMA user_version").map_err(self.sqlite())?;
        let tables = integer("SELECT count(*) FROM sqlite_schema").map_err(self.sqlite())?;
        if application != APPLICATION_ID && (application, version, tables) != (0, 0, 0) {
            let found = format!("application_id {application}, user_version {version}, {tables} tables");
            return Err(StoreError::Foreign { place: Arc::clone(&self.place), found: found.into() });
        }
        let known = MIGRATIONS.len();
        match usize::try_from(version) {
            Ok(version) if version <= known => Ok(version),
            Ok(_) => Err(StoreError::Newer {
                place: Arc::clone(&self.place),
                found: version,
                known: i64::try_from(known).unwrap_or(i64::MAX),
            }),
            Err(_) => Err(self.corrupt(format!("PRAGMA user_version is {version}"))),
        }
    }

    fn migrate(&mut self, from: usize) -> Result<(), StoreError> {
        let migrated = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(
            |transaction| {
                for Migration { sql, then } in MIGRATIONS.iter().skip(from) {
                    transaction.execute_batch(sql)?;
                    then(&transaction)?;
                }
                transaction.execute_batch(&format!(
                    "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};",
                    MIGRATIONS.len()
                ))?;
                transaction.commit()
            },
        );
        migrated.map_err(self.sqlite())
    }

    /// Reads all that a start stands on: pages, types and CHECKs. Not the evidence: there may be much of it, and each
    /// piece of it is checked when it is read.
    fn check(&self) -> Result<(), StoreError> {
        for table in self.tables()? {
            match self.pragma(&format!("PRAGMA quick_check({table})"))?.as_str() {
                "ok" => {}
                found => return Err(self.corrupt(found.to_owned())),
            }
        }
        Ok(())
    }

    fn tables(&self) -> Result<Vec<String>, StoreError> {
        let list = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('evidence', 'sqlite_sequence')";
        let mut statement = self.connection.prepare(list).map_err(self.sqlite())?;
        let names = statement.query_map([], |row| row.get(0)).map_err(self.sqlite())?;
        names.collect::<Result<_, _>>().map_err(self.sqlite())
    }

    fn routes(&self) -> Result<Vec<RouteRecord>, StoreError> {
        let mut routes = self.read("route", "SELECT * FROM route ORDER BY route", &[], rows::route)?;
        for record in &mut routes {
            let name: &dyn ToSql = &&*record.route;
            let canaries = "SELECT * FROM canary WHERE route = ?1 ORDER BY position";
            record.canaries = self.read("canary", canaries, &[name], rows::canary)?;
            record.cord =
                self.read("cord", "SELECT * FROM cord WHERE route = ?1", &[name], rows::cord)?.pop();
            record.release = self.releases(&record.route, 1)?.pop();
        }
        Ok(routes)
    }

    pub(super) fn read<T>(
        &self,
        table: &'static str,
        sql: &str,
        values: &[&dyn ToSql],
        parse: impl Fn(&Fields<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(self.sqlite())?;
        let mut rows = statement.query(values).map_err(self.sqlite())?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            records.push(parse(&Fields::new(&self.place, table, row))?);
        }
        Ok(records)
    }

    fn pragma(&self, sql: &str) -> Result<String, StoreError> {
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(self.sqlite())
    }

    pub(super) fn sqlite(&self) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
        let place = Arc::clone(&self.place);
        move |error| StoreError::of_sqlite(&place, &error)
    }

    fn corrupt(&self, found: String) -> StoreError {
        StoreError::Corrupt { place: Arc::clone(&self.place), found: found.into() }
    }
}

fn replace_route(transaction: &Transaction<'_>, record: &RouteRecord) -> rusqlite::Result<()> {
    let route = &*record.route;
    // Takes the canaries and the cord with it.
    transaction.prepare_cached("DELETE FROM route WHERE route = ?1")?.execute([route])?;
    transaction.prepare_cached(SAVE_ROUTE)?.execute(params![
        route,
        &*record.stable.file_upstream,
        &*record.stable.upstream,
        record.previous_stable.as_deref()
    ])?;
    for (canary, position) in record.canaries.iter().zip(0_i64..) {
        transaction.prepare_cached(SAVE_CANARY)?.execute(params![
            route,
            position,
            &*canary.name,
            &*canary.role.file_upstream,
            &*canary.role.upstream,
            canary.file_aim.ppm(),
            canary.aim.ppm(),
            canary.ceiling.ppm(),
            canary.strikes.map_or(0, |strikes| strikes.count),
            canary.strikes.map(|strikes| strikes.since_ms),
        ])?;
    }
    if let Some(cord) = &record.cord {
        let values = params![route, &*cord.by, &*cord.why, cord.at_ms, &*cord.decision];
        transaction.prepare_cached(SAVE_CORD)?.execute(values)?;
    }
    match &record.release {
        Some(release) => releases::save(transaction, route, release),
        None => Ok(()),
    }
}
