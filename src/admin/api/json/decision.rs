//! The shape of a decision: in pages, as a line of an export, and as an event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{timestamp, written};
use crate::store::record::{Decision, Recorded};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DecisionsJson {
    pub decisions: Vec<DecisionJson>,
    /// What `before` is for the next page; `null` where this page was not full, so there is none.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DecisionJson {
    pub id: String,
    pub at: Option<String>,
    pub at_ms: i64,
    pub route: String,
    pub canary: Option<String>,
    pub action: String,
    pub by: String,
    pub why: String,
    pub before: String,
    pub before_ppm: u32,
    pub after: String,
    pub after_ppm: u32,
    /// Its place in the record; `null`: it is not stored yet.
    #[serde(default)]
    pub seq: Option<i64>,
    /// The hash of the decision before it, and its own: SHA-256 in hex. `andon decisions --verify` looks at all of them.
    #[serde(default)]
    pub previous: Option<String>,
    #[serde(default)]
    pub hash: Option<String>,
    /// The last member, so that its text can be cut out of a line and hashed as it is.
    pub evidence: Option<serde_json::Value>,
}

impl From<&Decision> for DecisionJson {
    fn from(decision: &Decision) -> Self {
        let (before, before_ppm) = written(decision.before);
        let (after, after_ppm) = written(decision.after);
        Self {
            id: decision.id.to_string(),
            at: timestamp(decision.at_ms),
            at_ms: decision.at_ms,
            route: decision.route.to_string(),
            canary: decision.canary.as_ref().map(ToString::to_string),
            action: decision.action.label().to_owned(),
            by: decision.by.to_string(),
            why: decision.why.to_string(),
            before,
            before_ppm,
            after,
            after_ppm,
            seq: None,
            previous: None,
            hash: None,
            evidence: decision.evidence.clone(),
        }
    }
}

impl From<&Recorded> for DecisionJson {
    fn from(found: &Recorded) -> Self {
        let Recorded { decision, seq, previous, hash } = found;
        let (seq, previous, hash) = (Some(*seq), Some(previous.to_string()), Some(hash.to_string()));
        Self { seq, previous, hash, ..Self::from(decision) }
    }
}
