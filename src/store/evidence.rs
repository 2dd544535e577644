//! What guards were given: appended, read back by time, and thrown away when it is old or too much.
//!
//! A row is a minute of one canary. The blob in it is not read here. What cannot be read as a row is
//! [`StoreError::Corrupt`], like everywhere; but it keeps nothing from starting, since no traffic stands on it.

use std::sync::Arc;

use rusqlite::{Transaction, TransactionBehavior, params};

use super::StoreError;
use super::record::{Evidence, EvidenceFilter, EvidencePage};
use super::rows::{self, Fields};
use super::sqlite::Database;
use crate::config::EvidenceKept;

pub(super) const MIGRATION: &str = "
CREATE TABLE evidence ( -- what the guards of canaries were given
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    route    TEXT    NOT NULL,
    canary   TEXT    NOT NULL,
    upstream TEXT    NOT NULL, -- which played the canary
    began_ms INTEGER NOT NULL, -- since 1970-01-01T00:00:00Z
    ended_ms INTEGER NOT NULL,
    frames   INTEGER NOT NULL CHECK (frames >= 0), -- ticks; 0: only a mark
    fresh    INTEGER NOT NULL CHECK (fresh IN (0, 1)), -- 1: capital starts anew here
    bytes    INTEGER NOT NULL CHECK (bytes >= 0), -- of blob
    form     INTEGER NOT NULL, -- of blob: its first byte, which changes with the guard
    blob     BLOB    NOT NULL
) STRICT;

-- What was appended already is not appended again.
CREATE UNIQUE INDEX evidence_of_canary ON evidence (route, canary, began_ms, ended_ms, frames);
CREATE INDEX evidence_by_age ON evidence (ended_ms, bytes);
";

const APPEND: &str = "
    INSERT INTO evidence (route, canary, upstream, began_ms, ended_ms, frames, fresh, bytes, form, blob)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
const PAGE: &str = "
    SELECT * FROM evidence
    WHERE seq > ?1 AND route = ?2 AND (?3 IS NULL OR canary = ?3) AND ended_ms >= ?4 AND began_ms <= ?5
    ORDER BY seq LIMIT ?6";
const NEWEST: &str = "
    SELECT * FROM evidence
    WHERE seq IN (SELECT max(seq) FROM evidence WHERE ended_ms >= ?1 GROUP BY route, canary) ORDER BY seq LIMIT ?2";
const OLDEST: &str = "SELECT seq, ended_ms, bytes FROM evidence ORDER BY seq LIMIT ?1";

/// Rows that one append throws away at most, so that it never takes long. It brings fewer, so they become fewer.
const PRUNED_MAX: u32 = 64;
/// Canaries whose newest evidence is read at once.
const NEWEST_MAX: u32 = 10_000;

impl Database {
    /// All or none, and then throws away what is too old or too much.
    pub(super) fn append(
        &mut self,
        list: &[Arc<Evidence>],
        kept: EvidenceKept,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.check_claim()?;
        let mut bytes = self.evidence_bytes()?;
        let done = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(
            |transaction| {
                let mut append = transaction.prepare_cached(APPEND)?;
                for one in list {
                    let Evidence { route, canary, upstream, began_ms, ended_ms, frames, fresh, blob } =
                        &**one;
                    let form = blob.first().copied().unwrap_or(0);
                    let size = i64::try_from(blob.len()).unwrap_or(i64::MAX);
                    let names = (&**route, &**canary, &**upstream);
                    let values = params![
                        names.0, names.1, names.2, began_ms, ended_ms, frames, fresh, size, form, blob
                    ];
                    if append.execute(values)? > 0 {
                        bytes += size.unsigned_abs();
                    }
                }
                drop(append);
                bytes = prune(&transaction, bytes, kept, now_ms)?;
                transaction.commit()
            },
        );
        done.map_err(self.sqlite())?;
        self.evidence_bytes = Some(bytes);
        Ok(())
    }

    pub(super) fn evidence(&self, filter: &EvidenceFilter) -> Result<EvidencePage, StoreError> {
        let EvidenceFilter { route, canary, from_ms, to_ms, after } = filter;
        let mut statement = self.connection.prepare_cached(PAGE).map_err(self.sqlite())?;
        let limit = i64::try_from(EvidencePage::SEGMENTS_MAX).unwrap_or(i64::MAX).saturating_add(1);
        let values = params![after, &**route, canary.as_deref(), from_ms, to_ms, limit];
        let mut rows = statement.query(values).map_err(self.sqlite())?;
        let (mut page, mut bytes, mut last) = (EvidencePage::default(), 0, *after);
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            if bytes >= EvidencePage::BYTES_MAX || page.list.len() >= EvidencePage::SEGMENTS_MAX {
                page.next = Some(last);
                break;
            }
            last = row.get("seq").map_err(self.sqlite())?;
            let evidence = rows::evidence(&Fields::new(self.place(), "evidence", row))?;
            bytes += evidence.blob.len();
            page.list.push(evidence);
        }
        Ok(page)
    }

    /// Of each canary the newest, if it ended no earlier than `since_ms`.
    pub(super) fn newest_evidence(&self, since_ms: i64) -> Result<Vec<Evidence>, StoreError> {
        self.read("evidence", NEWEST, &[&since_ms, &NEWEST_MAX], rows::evidence)
    }

    fn evidence_bytes(&self) -> Result<u64, StoreError> {
        if let Some(bytes) = self.evidence_bytes {
            return Ok(bytes);
        }
        let sum = "SELECT coalesce(sum(bytes), 0) FROM evidence";
        let bytes: i64 = self.connection.query_row(sum, [], |row| row.get(0)).map_err(self.sqlite())?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }
}

/// The oldest first. Returns how many bytes are left.
fn prune(
    transaction: &Transaction<'_>,
    mut bytes: u64,
    kept: EvidenceKept,
    now_ms: i64,
) -> rusqlite::Result<u64> {
    let age_ms = i64::try_from(kept.age.as_millis()).unwrap_or(i64::MAX);
    let oldest_ms = now_ms.saturating_sub(age_ms);
    let mut last = None;
    let mut oldest = transaction.prepare_cached(OLDEST)?;
    let mut rows = oldest.query([PRUNED_MAX])?;
    while let Some(row) = rows.next()? {
        let (seq, ended_ms, size): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if bytes <= kept.bytes_max && ended_ms >= oldest_ms {
            break;
        }
        last = Some(seq);
        bytes = bytes.saturating_sub(size.unsigned_abs());
    }
    if let Some(last) = last {
        transaction.prepare_cached("DELETE FROM evidence WHERE seq <= ?1")?.execute([last])?;
    }
    Ok(bytes)
}
