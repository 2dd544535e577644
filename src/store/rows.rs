//! How rows become records: every value is checked on its way in.
//!
//! A hand or a bad disk may have changed the file while nobody looked, and a weight of 150% must not reach a
//! route. What is not as the schema promises is [`StoreError::Corrupt`], named by table and column; nothing is
//! rounded, defaulted or skipped, for a guess here would be traffic.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::StoreError;
use super::record::{
    Action, Announced, CanaryRecord, Cord, Decision, Evidence, Recorded, Role, RouteRecord, Strikes,
};
use crate::config::Weight;
use crate::release::Release;

/// Without its canaries, cord and release, which are rows of their own.
pub(super) fn route(fields: &Fields<'_>) -> Result<RouteRecord, StoreError> {
    let stable = Role {
        file_upstream: fields.text("stable_file_upstream")?,
        upstream: fields.text("stable_upstream")?,
    };
    Ok(RouteRecord {
        route: fields.text("route")?,
        stable,
        canaries: Vec::new(),
        cord: None,
        previous_stable: fields.text_or_null("previous_stable")?,
        release: None,
    })
}

pub(super) fn canary(fields: &Fields<'_>) -> Result<CanaryRecord, StoreError> {
    Ok(CanaryRecord {
        name: fields.text("name")?,
        role: Role { file_upstream: fields.text("file_upstream")?, upstream: fields.text("upstream")? },
        file_aim: fields.weight("file_aim_ppm")?,
        aim: fields.weight("aim_ppm")?,
        ceiling: fields.weight("ceiling_ppm")?,
        strikes: strikes(fields)?,
    })
}

fn strikes(fields: &Fields<'_>) -> Result<Option<Strikes>, StoreError> {
    let (count, since_ms) = (fields.integer("strikes")?, fields.integer_or_null("strikes_since_ms")?);
    match (u32::try_from(count), since_ms) {
        (Ok(0), None) => Ok(None),
        (Ok(count), Some(since_ms)) if count > 0 => Ok(Some(Strikes { count, since_ms })),
        _ => Err(fields.corrupt(
            "strikes",
            &format!("{count} with a time of {since_ms:?}"),
            "0 without a time or 1 to 4294967295 with one",
        )),
    }
}

pub(super) fn cord(fields: &Fields<'_>) -> Result<Cord, StoreError> {
    Ok(Cord {
        by: fields.text("by")?,
        why: fields.text("why")?,
        at_ms: fields.integer("at_ms")?,
        decision: fields.text("decision")?,
    })
}

pub(super) fn release(fields: &Fields<'_>) -> Result<Release, StoreError> {
    let text = fields.text("body")?;
    serde_json::from_str(&text).map_err(|error| fields.corrupt("body", &error.to_string(), "a release"))
}

fn decision(fields: &Fields<'_>) -> Result<Decision, StoreError> {
    Ok(Decision {
        id: fields.text("id")?,
        at_ms: fields.integer("at_ms")?,
        route: fields.text("route")?,
        canary: fields.text_or_null("canary")?,
        action: fields.action("action")?,
        by: fields.text("by")?,
        why: fields.text("why")?,
        before: fields.weight("before_ppm")?,
        after: fields.weight("after_ppm")?,
        evidence: fields.json_or_null("evidence")?,
    })
}

/// With the hash of the row before it, which the query brings along.
pub(super) fn recorded(fields: &Fields<'_>) -> Result<Recorded, StoreError> {
    Ok(Recorded {
        decision: decision(fields)?,
        seq: fields.integer("seq")?,
        previous: fields.text("previous")?,
        hash: fields.text("hash")?,
    })
}

/// Without its endpoints, which are rows of their own.
pub(super) fn announced(fields: &Fields<'_>) -> Result<Announced, StoreError> {
    Ok(Announced {
        upstream: fields.text("upstream")?,
        file: Vec::new(),
        live: Vec::new(),
        by: fields.text("by")?,
        why: fields.text("why")?,
        at_ms: fields.integer("at_ms")?,
        decision: fields.text("decision")?,
    })
}

pub(super) fn endpoint(fields: &Fields<'_>) -> Result<Arc<str>, StoreError> {
    fields.text("endpoint")
}

pub(super) fn evidence(fields: &Fields<'_>) -> Result<Evidence, StoreError> {
    let frames = fields.integer("frames")?;
    Ok(Evidence {
        route: fields.text("route")?,
        canary: fields.text("canary")?,
        upstream: fields.text("upstream")?,
        began_ms: fields.integer("began_ms")?,
        ended_ms: fields.integer("ended_ms")?,
        frames: u32::try_from(frames)
            .map_err(|_| fields.corrupt("frames", &frames.to_string(), "0 to 4294967295"))?,
        fresh: fields.integer("fresh")? != 0,
        blob: fields.blob("blob")?,
    })
}

/// One row, and where it was found.
pub(super) struct Fields<'a> {
    place: &'a Arc<str>,
    table: &'static str,
    row: &'a Row<'a>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(place: &'a Arc<str>, table: &'static str, row: &'a Row<'a>) -> Self {
        Self { place, table, row }
    }

    fn text(&self, column: &'static str) -> Result<Arc<str>, StoreError> {
        self.text_or_null(column)?.ok_or_else(|| self.corrupt(column, "NULL", "text"))
    }

    fn text_or_null(&self, column: &'static str) -> Result<Option<Arc<str>>, StoreError> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text.into())),
                Err(error) => Err(self.corrupt(column, &error.to_string(), "UTF-8")),
            },
            other => Err(self.corrupt(column, &other.data_type().to_string(), "text")),
        }
    }

    fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.integer_or_null(column)?.ok_or_else(|| self.corrupt(column, "NULL", "an integer"))
    }

    fn integer_or_null(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(integer) => Ok(Some(integer)),
            other => Err(self.corrupt(column, &other.data_type().to_string(), "an integer")),
        }
    }

    fn blob(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        match self.value(column)? {
            ValueRef::Blob(bytes) => Ok(bytes.to_vec()),
            other => Err(self.corrupt(column, &other.data_type().to_string(), "a blob")),
        }
    }

    fn weight(&self, column: &'static str) -> Result<Weight, StoreError> {
        let ppm = self.integer(column)?;
        let weight = u32::try_from(ppm).ok().and_then(Weight::from_ppm);
        weight.ok_or_else(|| self.corrupt(column, &ppm.to_string(), "0 to 1000000"))
    }

    fn action(&self, column: &'static str) -> Result<Action, StoreError> {
        let label = self.text(column)?;
        let labels = || Action::ALL.map(Action::label).join(", ");
        Action::from_label(&label).ok_or_else(|| self.corrupt(column, &format!("{label:?}"), &labels()))
    }

    fn json_or_null(&self, column: &'static str) -> Result<Option<serde_json::Value>, StoreError> {
        let Some(text) = self.text_or_null(column)? else { return Ok(None) };
        let parsed = serde_json::from_str(&text);
        parsed.map(Some).map_err(|error| self.corrupt(column, &error.to_string(), "JSON"))
    }

    fn value(&self, column: &'static str) -> Result<ValueRef<'_>, StoreError> {
        self.row.get_ref(column).map_err(|error| StoreError::of_sqlite(self.place, &error))
    }

    fn corrupt(&self, column: &str, found: &str, accepted: &str) -> StoreError {
        let found = format!("{}.{column} is {found}, where only {accepted} can be", self.table);
        StoreError::Corrupt { place: Arc::clone(self.place), found: found.into() }
    }
}
