//! Endpoints that were set at run time: which, and what the file said then.

use std::sync::Arc;

use rusqlite::{Transaction, params};

use super::record::{Announced, Decision, Head};
use super::rows;
use super::sqlite::Database;
use super::{StoreError, chain};

pub(super) const MIGRATION: &str = "
CREATE TABLE announced ( -- a row: the endpoints of this upstream were set at run time
    upstream TEXT    NOT NULL PRIMARY KEY,
    by       TEXT    NOT NULL,
    why      TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL, -- since 1970-01-01T00:00:00Z
    decision TEXT    NOT NULL  -- decision.id, which may have been pruned
) STRICT, WITHOUT ROWID;

CREATE TABLE announced_endpoint (
    upstream TEXT    NOT NULL REFERENCES announced (upstream) ON DELETE CASCADE,
    source   TEXT    NOT NULL CHECK (source IN ('file', 'live')), -- file: what it said when they were set
    position INTEGER NOT NULL CHECK (position >= 0),
    endpoint TEXT    NOT NULL, -- as in the file: IP:port or dns://name:port
    PRIMARY KEY (upstream, source, position)
) STRICT, WITHOUT ROWID;
";

impl Database {
    pub(super) fn announced(&self) -> Result<Vec<Announced>, StoreError> {
        let sql = "SELECT * FROM announced ORDER BY upstream";
        let mut list = self.read("announced", sql, &[], rows::announced)?;
        let sql =
            "SELECT endpoint FROM announced_endpoint WHERE upstream = ?1 AND source = ?2 ORDER BY position";
        for one in &mut list {
            let of = |source| {
                self.read("announced_endpoint", sql, params![&*one.upstream, source], rows::endpoint)
            };
            let (file, live) = (of("file")?, of("live")?);
            (one.file, one.live) = (file, live);
        }
        Ok(list)
    }

    pub(super) fn announce(
        &mut self,
        upstream: &Arc<str>,
        announced: Option<&Announced>,
        decision: Option<&Decision>,
    ) -> Result<Option<Head>, StoreError> {
        self.write(|transaction| {
            // Takes the endpoints with it.
            transaction
                .prepare_cached("DELETE FROM announced WHERE upstream = ?1")?
                .execute([&**upstream])?;
            if let Some(announced) = announced {
                insert(transaction, announced)?;
            }
            match decision {
                Some(decision) if chain::append(transaction, decision)? => chain::head(transaction).map(Some),
                _ => Ok(None),
            }
        })
    }
}

fn insert(transaction: &Transaction<'_>, announced: &Announced) -> rusqlite::Result<()> {
    let Announced { upstream, file, live, by, why, at_ms, decision } = announced;
    let row = "INSERT INTO announced VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![&**upstream, &**by, &**why, at_ms, &**decision];
    transaction.prepare_cached(row)?.execute(values)?;
    let mut endpoint =
        transaction.prepare_cached("INSERT INTO announced_endpoint VALUES (?1, ?2, ?3, ?4)")?;
    for (source, list) in [("file", file), ("live", live)] {
        for (one, position) in list.iter().zip(0_i64..) {
            endpoint.execute(params![&**upstream, source, position, &**one])?;
        }
    }
    Ok(())
}
