//! The record of decisions: read in stretches, checked, pruned.
//!
//! Whatever is asked, one request looks at [`SCANNED_MAX`] rows at most, so that a save never waits for long; who
//! wants more asks again.

use rusqlite::{OptionalExtension, params};

use super::record::{Checked, DecisionFilter, DecisionPage, Head, Part, Recorded, Wanted};
use super::rows;
use super::sqlite::Database;
use super::{StoreError, chain};

/// Rows that one request looks at.
const SCANNED_MAX: i64 = 10_000;

/// `?1` and `?2` are the ends of a stretch of rows, both within it.
const STRETCH: &str = "
    SELECT *, coalesce(
        (SELECT hash FROM decision AS before WHERE before.seq < decision.seq ORDER BY before.seq DESC LIMIT 1),
        (SELECT pruned_hash FROM chain)
    ) AS previous
    FROM decision
    WHERE seq BETWEEN ?1 AND ?2 AND (?3 IS NULL OR route = ?3) AND (?4 IS NULL OR action = ?4)
        AND (?5 IS NULL OR at_ms >= ?5) AND (?6 IS NULL OR at_ms < ?6)";

/// Rows, and which way through them.
#[derive(Clone, Copy)]
struct Stretch {
    first: i64,
    last: i64,
    backwards: bool,
}

impl Database {
    pub(super) fn decisions(&self, filter: &DecisionFilter) -> Result<DecisionPage, StoreError> {
        let Some((lowest, highest)) = self.ends().map_err(self.sqlite())? else {
            return Ok(DecisionPage::default());
        };
        let all = Stretch { first: lowest, last: highest, backwards: true };
        let wanted = match &filter.part {
            Part::Newest => all,
            Part::Before(seq) => Stretch { last: seq.saturating_sub(1), ..all },
            Part::After(seq) => Stretch { first: seq.saturating_add(1), backwards: false, ..all },
            Part::OlderThan(id) | Part::Only(id) => match self.seq_of(id)? {
                None => return Ok(DecisionPage::default()),
                Some(seq) if matches!(filter.part, Part::Only(_)) => Stretch { first: seq, last: seq, ..all },
                Some(seq) => Stretch { last: seq - 1, ..all },
            },
        };
        self.stretch(filter, wanted)
    }

    fn stretch(&self, filter: &DecisionFilter, wanted: Stretch) -> Result<DecisionPage, StoreError> {
        let Stretch { first, last, backwards } = wanted;
        let scanned = match backwards {
            true => Stretch { first: first.max(last.saturating_sub(SCANNED_MAX - 1)), ..wanted },
            false => Stretch { last: last.min(first.saturating_add(SCANNED_MAX - 1)), ..wanted },
        };
        let order = if backwards { "DESC" } else { "ASC" };
        let limit = filter.limit.clamp(1, DecisionFilter::LIMIT_MAX);
        let list = self.read(
            "decision",
            &format!("{STRETCH} ORDER BY seq {order} LIMIT ?7"),
            params![
                scanned.first,
                scanned.last,
                filter.route.as_deref(),
                filter.action.map(|action| action.label()),
                filter.since_ms,
                filter.until_ms,
                limit
            ],
            rows::recorded,
        )?;
        let is_full = list.len() >= limit as usize;
        let next = match (backwards, list.last()) {
            (true, Some(last)) if is_full => (last.seq > first).then_some(Part::Before(last.seq)),
            (false, Some(read)) if is_full => (read.seq < last).then_some(Part::After(read.seq)),
            (true, _) => (scanned.first > first).then_some(Part::Before(scanned.first)),
            (false, _) => (scanned.last < last).then_some(Part::After(scanned.last)),
        };
        Ok(DecisionPage { list, next })
    }

    /// Of each of these routes and canaries the newest decision of one of these actions.
    pub(super) fn newest_of(&self, wanted: &[Wanted]) -> Result<Vec<Option<Recorded>>, StoreError> {
        wanted.iter().map(|wanted| self.newest(wanted)).collect()
    }

    fn newest(&self, wanted: &Wanted) -> Result<Option<Recorded>, StoreError> {
        // The index on the route ends in the number, so this reads back from the newest and stops at the first.
        let sql = "
            SELECT *, '' AS previous FROM decision
            WHERE route = ?1 AND canary IS ?2 AND action IN (?3, ?4) ORDER BY seq DESC LIMIT 1";
        let [first, second] = wanted.actions.map(|action| action.label());
        let values = params![&*wanted.route, wanted.canary.as_deref(), first, second];
        self.read("decision", sql, values, rows::recorded).map(|mut found| found.pop())
    }

    pub(super) fn check_chain(
        &self,
        from: Option<Checked>,
        wanted: Option<&Head>,
    ) -> Result<Checked, StoreError> {
        chain::check(&self.connection, from, wanted).map_err(self.sqlite())
    }

    pub(super) fn head(&self) -> Result<Head, StoreError> {
        chain::head(&self.connection).map_err(self.sqlite())
    }

    /// Returns how many went.
    pub(super) fn prune(&mut self, before_ms: i64) -> Result<u64, StoreError> {
        self.write(|transaction| chain::prune(transaction, before_ms))
    }

    fn ends(&self) -> rusqlite::Result<Option<(i64, i64)>> {
        let ends = "SELECT (SELECT min(seq) FROM decision), (SELECT max(seq) FROM decision)";
        let ends: (Option<i64>, Option<i64>) =
            self.connection.prepare_cached(ends)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(ends.0.zip(ends.1))
    }

    fn seq_of(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT seq FROM decision WHERE id = ?1";
        self.connection.query_row(sql, [id], |row| row.get(0)).optional().map_err(self.sqlite())
    }
}
