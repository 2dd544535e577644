//! What is stored: the live state of each route, and the decisions that made it.
//!
//! Plain types without behaviour: the controller fills them, the store keeps them, the admin API shows them.
//! Times are milliseconds since the Unix epoch, weights parts per million.

use std::sync::Arc;

use crate::config::Weight;

/// The live state of one route: one unit of saving and loading.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteRecord {
    pub route: Arc<str>,
    pub stable: Role,
    pub canaries: Vec<CanaryRecord>,
    pub cord: Option<Cord>,
}

/// Which upstream plays a part: what the file last said, and what is true now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub file_upstream: Arc<str>,
    pub upstream: Arc<str>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CanaryRecord {
    pub name: Arc<str>,
    pub role: Role,
    /// The weight that the file declared when it was last applied.
    pub file_aim: Weight,
    pub aim: Weight,
    pub ceiling: Weight,
}

/// A pulled cord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cord {
    pub by: Arc<str>,
    pub why: Arc<str>,
    pub at_ms: i64,
    /// The decision that pulled it.
    pub decision: DecisionId,
}

/// A UUID version 7 in its usual text form: sorts by time.
pub type DecisionId = Arc<str>;

/// One recorded change of weight, ceiling, cord or role: who or what, why, and the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub id: DecisionId,
    pub at_ms: i64,
    pub route: Arc<str>,
    /// `None`: the whole route.
    pub canary: Option<Arc<str>>,
    pub action: Action,
    /// A person, `file`, or `immune system`.
    pub by: Arc<str>,
    pub why: Arc<str>,
    /// Effective weight before and after, of the canary (of all canaries together if `canary` is `None`).
    pub before: Weight,
    pub after: Weight,
    /// The numbers behind an automatic decision.
    pub evidence: Option<serde_json::Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A person or the file set the aim.
    Weight,
    /// The immune system lowered the ceiling and pulled the cord.
    BackOff,
    /// The immune system would have, but was told to watch.
    Watch,
    CordPull,
    CordReset,
    /// Another upstream became stable or canary.
    Role,
    /// The immune system found stable to be worse than itself.
    SelfTest,
    /// A person had a canary fail on purpose.
    Drill,
}

impl Action {
    pub const ALL: [Self; 8] = [
        Self::Weight,
        Self::BackOff,
        Self::Watch,
        Self::CordPull,
        Self::CordReset,
        Self::Role,
        Self::SelfTest,
        Self::Drill,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::BackOff => "back_off",
            Self::Watch => "watch",
            Self::CordPull => "cord_pull",
            Self::CordReset => "cord_reset",
            Self::Role => "role",
            Self::SelfTest => "self_test",
            Self::Drill => "drill",
        }
    }

    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.label() == label)
    }
}

/// What is saved as one: the whole new state of a route, and the decision that made it, if one did.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub record: RouteRecord,
    pub decision: Option<Decision>,
}

/// Which decisions to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    pub route: Option<Arc<str>>,
    /// Only decisions older than this one: the next page. One that is not in the record gives an empty page: the
    /// record loses its oldest decisions first, so nothing older than a forgotten one is left.
    pub before: Option<DecisionId>,
    /// Newest first, at most this many; 1 to [`DecisionFilter::LIMIT_MAX`]. What lies outside is taken as the
    /// nearer of the two.
    pub limit: u32,
}

impl DecisionFilter {
    pub const LIMIT_MAX: u32 = 1_000;
}
