//! The chain of decisions: what shows that none was changed, taken out or put in.
//!
//! Each row of `decision` carries the SHA-256 of what it says and of the hash of the row before it. What is hashed are
//! bytes that anyone can put together from the row:
//!
//! 1. the hash of the row before, as its 64 hex digits; before the first row stand 64 zeros;
//! 2. then `seq`, `id`, `at_ms`, `route`, `canary`, `action`, `by`, `why`, `before_ppm`, `after_ppm`, `evidence` in this
//!    order, each as a netstring: how many bytes, `:`, the bytes, `,`. Integers are written in decimal, text is UTF-8 as
//!    it is stored, and NULL is `-,`.
//!
//! Pruning takes the oldest rows and leaves the number and the hash of the last one that it took in the table `chain`,
//! so what is left can still be checked. The database itself lets no other row go.
//!
//! What it cannot show: that somebody who may write the file has cut off its end, or written all of it anew with
//! hashes that fit. Whoever keeps a head (a number and its hash) elsewhere can: it is in the log with every save, in
//! the API, and a check can be told to find it.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::record::{Broken, Checked, Decision, Hash, Head};

pub(super) const MIGRATION: &str = "
DROP TRIGGER decision_is_append_only; -- it comes back when the rows there are have their hashes
ALTER TABLE decision ADD COLUMN hash TEXT NOT NULL DEFAULT ''; -- SHA-256 in hex of the row and of the hash before it

CREATE TABLE chain ( -- one row: where pruning has come to
    one          INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    pruned_seq   INTEGER NOT NULL, -- decision.seq of the last row that is gone; 0: none is
    pruned_hash  TEXT    NOT NULL, -- its hash
    pruned_count INTEGER NOT NULL
) STRICT;
INSERT INTO chain VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000', 0);
";

const TRIGGERS: &str = "
CREATE TRIGGER decision_is_append_only BEFORE UPDATE ON decision
BEGIN
    SELECT RAISE(ABORT, 'the record of decisions is append-only: no row of it may be changed');
END;

CREATE TRIGGER decision_goes_oldest_first BEFORE DELETE ON decision
WHEN OLD.seq > (SELECT pruned_seq FROM chain)
BEGIN
    SELECT RAISE(ABORT, 'the record of decisions is append-only: only pruning takes rows, the oldest first');
END;

UPDATE sqlite_sequence SET seq = coalesce((SELECT max(seq) FROM decision), 0) WHERE name = 'decision';
";

const ROWS: &str = "SELECT * FROM decision WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const APPEND: &str = "
    INSERT INTO decision (seq, id, at_ms, route, canary, action, by, why, before_ppm, after_ppm, evidence, hash)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
const LAST: &str = "SELECT seq, hash FROM decision ORDER BY seq DESC LIMIT 1";
const PRUNED: &str = "SELECT pruned_seq, pruned_hash, pruned_count FROM chain";
const OLDEST: &str = "SELECT seq, hash, at_ms FROM decision ORDER BY seq LIMIT ?1";

/// Rows that are checked at once, so that a save never waits for long.
const CHECKED_MAX: u32 = 2_000;
/// Rows that are pruned at once.
const PRUNED_MAX: u32 = 500;
/// Rows that get their hashes at once when a file is brought up to date.
const LINKED_MAX: u32 = 1_000;

/// Stands before the first row.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What a row says, as it is hashed. `None` is NULL.
struct Said<'a> {
    seq: i64,
    fields: [Option<&'a [u8]>; 10],
}

impl Said<'_> {
    fn hash(&self, previous: &str) -> String {
        let seq = self.seq.to_string();
        let mut digest = Context::new(&SHA256);
        digest.update(previous.as_bytes());
        for field in [Some(seq.as_bytes())].into_iter().chain(self.fields) {
            match field {
                Some(bytes) => {
                    digest.update(format!("{}:", bytes.len()).as_bytes());
                    digest.update(bytes);
                    digest.update(b",");
                }
                None => digest.update(b"-,"),
            }
        }
        HEXLOWER.encode(digest.finish().as_ref())
    }
}

/// Where the next row is to be linked: to the newest one, or to what was pruned.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    let last = connection.prepare_cached(LAST)?.query_row([], as_head).optional()?;
    match last {
        Some(head) => Ok(head),
        None => pruned(connection).map(|(head, _)| head),
    }
}

fn pruned(connection: &Connection) -> rusqlite::Result<(Head, u64)> {
    let mut statement = connection.prepare_cached(PRUNED)?;
    statement.query_row([], |row| Ok((as_head(row)?, row.get::<_, i64>(2)?.unsigned_abs())))
}

fn as_head(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head { seq: row.get(0)?, hash: Hash::from(row.get::<_, String>(1)?) })
}

/// False: it is in the record already, and is not appended again.
pub(super) fn append(transaction: &Transaction<'_>, decision: &Decision) -> rusqlite::Result<bool> {
    let known = "SELECT 1 FROM decision WHERE id = ?1";
    if transaction.prepare_cached(known)?.exists([&*decision.id])? {
        return Ok(false);
    }
    let head = head(transaction)?;
    let seq = head.seq + 1;
    let evidence = decision.evidence.as_ref().filter(|found| !found.is_null()).map(|found| found.to_string());
    let numbers = [decision.at_ms, decision.before.ppm().into(), decision.after.ppm().into()];
    let [at_ms, before, after] = numbers.map(|number| number.to_string());
    let said = Said {
        seq,
        fields: [
            Some(decision.id.as_bytes()),
            Some(at_ms.as_bytes()),
            Some(decision.route.as_bytes()),
            decision.canary.as_deref().map(str::as_bytes),
            Some(decision.action.label().as_bytes()),
            Some(decision.by.as_bytes()),
            Some(decision.why.as_bytes()),
            Some(before.as_bytes()),
            Some(after.as_bytes()),
            evidence.as_deref().map(str::as_bytes),
        ],
    };
    transaction.prepare_cached(APPEND)?.execute(params![
        seq,
        &*decision.id,
        decision.at_ms,
        &*decision.route,
        decision.canary.as_deref(),
        decision.action.label(),
        &*decision.by,
        &*decision.why,
        decision.before.ppm(),
        decision.after.ppm(),
        evidence,
        said.hash(&head.hash),
    ])?;
    Ok(true)
}

/// Takes the oldest rows as far as they were decided before `before_ms`, a bounded number of them. A row that is younger
/// protects all after it, whatever the clock said.
pub(super) fn prune(transaction: &Transaction<'_>, before_ms: i64) -> rusqlite::Result<u64> {
    let (mut last, mut count) = (None, 0_u32);
    let mut oldest = transaction.prepare_cached(OLDEST)?;
    let mut rows = oldest.query([PRUNED_MAX])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>("at_ms")? >= before_ms {
            break;
        }
        last = Some(as_head(row)?);
        count += 1;
    }
    let Some(head) = last else { return Ok(0) };
    // First where pruning has come to: the database lets only rows go that this covers.
    let cover = "UPDATE chain SET pruned_seq = ?1, pruned_hash = ?2, pruned_count = pruned_count + ?3";
    transaction.prepare_cached(cover)?.execute(params![head.seq, &*head.hash, count])?;
    transaction.prepare_cached("DELETE FROM decision WHERE seq <= ?1")?.execute([head.seq])?;
    Ok(count.into())
}

/// Gives every row that there is its hash: for a file from before there was a chain.
pub(super) fn link(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut head = Head { seq: 0, hash: ZEROS.into() };
    loop {
        let mut linked = Vec::new();
        let mut statement = transaction.prepare_cached(ROWS)?;
        let mut rows = statement.query(params![head.seq, LINKED_MAX])?;
        while let Some(row) = rows.next()? {
            let hash = hash_of(row, &head.hash)?;
            head = Head { seq: row.get("seq")?, hash: hash.into() };
            linked.push(head.clone());
        }
        if linked.is_empty() {
            return transaction.execute_batch(TRIGGERS);
        }
        let mut update = transaction.prepare_cached("UPDATE decision SET hash = ?2 WHERE seq = ?1")?;
        for Head { seq, hash } in &linked {
            update.execute(params![seq, &**hash])?;
        }
    }
}

fn hash_of(row: &Row<'_>, previous: &str) -> rusqlite::Result<String> {
    let seq = row.get("seq")?;
    let number = |name| row.get::<_, i64>(name).map(|number| number.to_string());
    let (at_ms, before, after) = (number("at_ms")?, number("before_ppm")?, number("after_ppm")?);
    let text = |name| {
        row.get_ref(name).map(|value| match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
            _ => None,
        })
    };
    let fields = [
        text("id")?,
        Some(at_ms.as_bytes()),
        text("route")?,
        text("canary")?,
        text("action")?,
        text("by")?,
        text("why")?,
        Some(before.as_bytes()),
        Some(after.as_bytes()),
        text("evidence")?,
    ];
    Ok(Said { seq, fields }.hash(previous))
}

/// Looks at the next stretch of rows; `None` begins at the beginning. `wanted` must be met on the way.
pub(super) fn check(
    connection: &Connection,
    from: Option<Checked>,
    wanted: Option<&Head>,
) -> rusqlite::Result<Checked> {
    let (anchor, pruned) = pruned(connection)?;
    let start = Checked { head: anchor.clone(), rows: 0, pruned, broken: None, is_done: false };
    // What was pruned since the stretch before was looked at needs no second look.
    let mut checked = from.filter(|from| from.head.seq >= anchor.seq).unwrap_or(start);
    checked.miss(wanted, &anchor);
    let mut statement = connection.prepare_cached(ROWS)?;
    let mut rows = statement.query(params![checked.head.seq, CHECKED_MAX])?;
    let mut seen = 0;
    while let Some(row) = rows.next()?.filter(|_| checked.broken.is_none()) {
        seen += 1;
        checked.take(row, wanted)?;
    }
    checked.is_done = seen < CHECKED_MAX || checked.broken.is_some();
    if checked.is_done && checked.broken.is_none() {
        let given = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'decision'";
        checked.end(connection.query_row(given, [], |row| row.get(0))?, wanted);
    }
    Ok(checked)
}

impl Checked {
    /// What is wanted was pruned: of the last row that was, the hash is left.
    fn miss(&mut self, wanted: Option<&Head>, anchor: &Head) {
        let Some(wanted) = wanted.filter(|wanted| wanted.seq <= anchor.seq) else { return };
        if wanted.seq < anchor.seq {
            self.breaks(wanted.seq, None, |text| {
                text.write_str("it was pruned, so its hash cannot be compared")
            });
        } else if wanted.hash != anchor.hash {
            self.breaks(wanted.seq, None, |text| {
                write!(text, "the last row that was pruned has hash {}, not {}", anchor.hash, wanted.hash)
            });
        }
    }

    fn take(&mut self, row: &Row<'_>, wanted: Option<&Head>) -> rusqlite::Result<()> {
        let (seq, found): (i64, String) = (row.get("seq")?, row.get("hash")?);
        let id: Option<Arc<str>> = row.get::<_, String>("id").ok().map(Into::into);
        let due = hash_of(row, &self.head.hash)?;
        if found != due {
            let gap = seq - self.head.seq - 1;
            self.breaks(seq, id, |text| {
                if gap > 0 {
                    write!(text, "{gap} rows before it are missing; ")?;
                }
                write!(text, "it carries hash {found}, but what it says and the row before it give {due}")
            });
        } else if wanted.is_some_and(|wanted| wanted.seq == seq && *wanted.hash != *found) {
            let wanted = wanted.map_or("", |wanted| &wanted.hash);
            self.breaks(seq, id, |text| write!(text, "it carries hash {found}, and should carry {wanted}"));
        } else {
            self.head = Head { seq, hash: found.into() };
            self.rows += 1;
        }
        Ok(())
    }

    /// After the last row. `given` is the highest number that any row was ever given.
    fn end(&mut self, given: i64, wanted: Option<&Head>) {
        let last = wanted.map_or(given, |wanted| given.max(wanted.seq));
        let seq = self.head.seq;
        if last > seq {
            self.breaks(seq + 1, None, |text| {
                write!(
                    text,
                    "the record ends after row {seq}, but had rows up to {last}: its end was cut off"
                )
            });
        }
    }

    fn breaks(&mut self, seq: i64, id: Option<Arc<str>>, say: impl FnOnce(&mut String) -> std::fmt::Result) {
        let mut found = String::new();
        // Writing to a string cannot fail.
        let _ = say(&mut found);
        self.broken = Some(Broken { seq, id, found });
    }
}
