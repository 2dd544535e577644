//! What is stored: the live state of each route, and the decisions that made it.
//!
//! Plain types without behaviour: the controller fills them, the store keeps them, the admin API shows them.
//! Times are milliseconds since the Unix epoch, weights parts per million.

use std::sync::Arc;

use crate::config::Weight;
use crate::release::Release;

/// The live state of one route: one unit of saving and loading.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteRecord {
    pub route: Arc<str>,
    pub stable: Role,
    pub canaries: Vec<CanaryRecord>,
    pub cord: Option<Cord>,
    /// The upstream that was stable before the last promotion; `None`: there is nothing to roll back to.
    pub previous_stable: Option<Arc<str>>,
    /// The last one, also when it has ended.
    pub release: Option<Release>,
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
    /// `None`: the immune system has nothing against it, or has given it up with the cord.
    pub strikes: Option<Strikes>,
}

/// How often the immune system has cut the ceiling, while it lets the canary climb back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strikes {
    /// At least 1.
    pub count: u32,
    /// When the ceiling moved last, down or up.
    pub since_ms: i64,
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
    /// The immune system lowered the ceiling; if to 0, it pulled the cord.
    BackOff,
    /// The immune system raised a ceiling that it had lowered.
    Raise,
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
    ReleaseStart,
    /// The plan raised the aim.
    ReleaseStep,
    ReleaseHold,
    ReleaseResume,
    ReleaseApprove,
    /// The canary became stable, or a person wants it to.
    ReleasePromote,
    ReleaseAbort,
    /// The stable version of before is stable again.
    RollBack,
    /// An upstream of the route got other endpoints.
    Upstream,
}

impl Action {
    pub const ALL: [Self; 18] = [
        Self::Weight,
        Self::BackOff,
        Self::Raise,
        Self::Watch,
        Self::CordPull,
        Self::CordReset,
        Self::Role,
        Self::SelfTest,
        Self::Drill,
        Self::ReleaseStart,
        Self::ReleaseStep,
        Self::ReleaseHold,
        Self::ReleaseResume,
        Self::ReleaseApprove,
        Self::ReleasePromote,
        Self::ReleaseAbort,
        Self::RollBack,
        Self::Upstream,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::BackOff => "back_off",
            Self::Raise => "raise",
            Self::Watch => "watch",
            Self::CordPull => "cord_pull",
            Self::CordReset => "cord_reset",
            Self::Role => "role",
            Self::SelfTest => "self_test",
            Self::Drill => "drill",
            Self::ReleaseStart => "release_start",
            Self::ReleaseStep => "release_step",
            Self::ReleaseHold => "release_hold",
            Self::ReleaseResume => "release_resume",
            Self::ReleaseApprove => "release_approve",
            Self::ReleasePromote => "release_promote",
            Self::ReleaseAbort => "release_abort",
            Self::RollBack => "roll_back",
            Self::Upstream => "upstream",
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

/// A decision as it stands in the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub decision: Decision,
    /// Its place in the record: each row has the number after the one before it.
    pub seq: i64,
    /// Of the row before it.
    pub previous: Hash,
    /// Of what it says and of `previous`.
    pub hash: Hash,
}

/// A SHA-256 in 64 hex digits.
pub type Hash = Arc<str>;

/// A row of the record, by which all before it are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// 0: there is none.
    pub seq: i64,
    pub hash: Hash,
}

impl Head {
    pub const ACCEPTED: &'static str = "a row and its hash, such as 42:9f86d081… with all 64 hex digits";

    /// `42:9f86d081…`
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, hash) = text.split_once(':')?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let seq = seq.parse().ok().filter(|seq| *seq > 0 && is_hash)?;
        Some(Self { seq, hash: hash.to_ascii_lowercase().into() })
    }
}

/// What looking at the record, row by row, came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The last row that fits.
    pub head: Head,
    /// Rows that fit.
    pub rows: u64,
    /// Rows that were pruned before the first one.
    pub pruned: u64,
    /// `None`: all fit.
    pub broken: Option<Broken>,
    /// False: there are more rows.
    pub is_done: bool,
}

/// The first row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub seq: i64,
    pub id: Option<DecisionId>,
    /// One sentence for a person.
    pub found: String,
}

/// Which decisions to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    pub route: Option<Arc<str>>,
    pub action: Option<Action>,
    /// No earlier than this.
    pub since_ms: Option<i64>,
    /// Earlier than this.
    pub until_ms: Option<i64>,
    pub part: Part,
    /// At most this many; 1 to [`DecisionFilter::LIMIT_MAX`]. What lies outside is taken as the nearer of the two.
    pub limit: u32,
}

/// Where to read on, and which way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// From the newest back.
    #[default]
    Newest,
    /// Back from this one, without it. One that is not in the record gives an empty page: the record loses its oldest
    /// decisions first, so nothing older than a forgotten one is left.
    OlderThan(DecisionId),
    /// Back from this number, without it.
    Before(i64),
    /// Oldest first, from this number on, without it.
    After(i64),
    /// This one alone.
    Only(DecisionId),
}

impl DecisionFilter {
    pub const LIMIT_MAX: u32 = 1_000;
}

/// What one look at the record found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionPage {
    pub list: Vec<Recorded>,
    /// Where there may be more.
    pub next: Option<Part>,
}

/// Of which the newest decision is asked for: that is where the present state came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub route: Arc<str>,
    pub canary: Option<Arc<str>>,
    /// Of either kind.
    pub actions: [Action; 2],
}

/// Endpoints of an upstream that were set at run time, in the words of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    pub upstream: Arc<str>,
    /// What the file said when they were set. When it says something else, it wins.
    pub file: Vec<Arc<str>>,
    pub live: Vec<Arc<str>>,
    pub by: Arc<str>,
    pub why: Arc<str>,
    pub at_ms: i64,
    pub decision: DecisionId,
}

/// A stretch of what the guard of a canary was given. What the blob says is the immune system's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub route: Arc<str>,
    pub canary: Arc<str>,
    /// Which upstream played the canary.
    pub upstream: Arc<str>,
    pub began_ms: i64,
    pub ended_ms: i64,
    /// 0: only a mark.
    pub frames: u32,
    /// Capital starts anew here: a new release, a reset cord, or a process that knew nothing of the one before.
    pub fresh: bool,
    pub blob: Vec<u8>,
}

/// Which evidence to read: of a route, what overlaps a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceFilter {
    pub route: Arc<str>,
    pub canary: Option<Arc<str>>,
    pub from_ms: i64,
    pub to_ms: i64,
    /// Only what was recorded after this one: the next page. 0: from the oldest on.
    pub after: i64,
}

/// In the order of recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvidencePage {
    pub list: Vec<Evidence>,
    /// What `after` is for the next page; `None`: this is the last one.
    pub next: Option<i64>,
}

impl EvidencePage {
    /// A page ends with the segment that reaches it.
    pub const BYTES_MAX: usize = 4 << 20;
    pub const SEGMENTS_MAX: usize = 1_000;
}
