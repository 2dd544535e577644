//! The shapes of what is judged again: a decision with the ticks before it, and what other numbers would have done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::{DecisionJson, SignalJson, finite, timestamp};
use crate::control::explained::{Explanation, TickView};
use crate::control::what_if::{Judged, ReleaseView, WhatIfReport};
use crate::store::record::{Checked, Head, Recorded};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceJson {
    pub decision: DecisionJson,
    /// Whether the record, judged again, says the same to the last bit; `null`: it cannot be judged again.
    pub replayed: Option<bool>,
    /// Why there is less than one would expect.
    pub note: Option<String>,
    /// Up to ten minutes before the decision, oldest first.
    pub ticks: Vec<TickJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TickJson {
    /// When it was over.
    pub at: Option<String>,
    pub at_ms: i64,
    pub seconds: f64,
    pub canary: SeenJson,
    pub stable: SeenJson,
    pub odds: Option<f64>,
    pub odds_log10: Option<f64>,
    pub signals: Vec<SignalJson>,
    pub marks: Vec<MarkJson>,
    pub decided: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SeenJson {
    pub requests: u64,
    pub failed: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MarkJson {
    pub quantile: f64,
    pub stable_slow_seconds: f64,
    pub canary_slow_seconds: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WhatIfJson {
    pub releases: Vec<JudgedReleaseJson>,
    pub segments: u64,
    /// Damaged, or of another version of andon.
    pub unreadable: u64,
    /// There was more than is judged at once.
    pub truncated: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct JudgedReleaseJson {
    pub route: String,
    pub canary: String,
    pub upstream: String,
    pub from: Option<String>,
    pub from_ms: i64,
    pub to: Option<String>,
    pub to_ms: i64,
    /// Its beginning is in the record.
    pub whole: bool,
    pub seen: SeenJson,
    pub stable_seen: SeenJson,
    /// What was found then; `null`: nothing.
    pub was: Option<JudgedJson>,
    /// What these numbers find.
    pub would: Option<JudgedJson>,
    /// So much sooner these numbers find it; less than 0: later.
    pub sooner_seconds: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct JudgedJson {
    pub at: Option<String>,
    pub at_ms: i64,
    pub signal: String,
    pub sentence: String,
    pub odds: Option<f64>,
    /// Of the canary, from the beginning of the release until then.
    pub until_then: SeenJson,
}

/// The newest row of the record: whoever keeps it can tell later that nothing before it was changed or cut off.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeadJson {
    /// 0: there is none.
    pub seq: i64,
    pub hash: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CheckedJson {
    pub whole: bool,
    /// Rows that fit.
    pub rows: u64,
    /// Rows that were pruned before them.
    pub pruned: u64,
    /// The last row that fits.
    pub head: HeadJson,
    /// The first that does not.
    pub broken: Option<BrokenJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BrokenJson {
    pub seq: i64,
    pub id: Option<String>,
    pub found: String,
}

impl From<&Head> for HeadJson {
    fn from(head: &Head) -> Self {
        Self { seq: head.seq, hash: head.hash.to_string() }
    }
}

impl From<&Checked> for CheckedJson {
    fn from(checked: &Checked) -> Self {
        let broken = checked.broken.as_ref().map(|broken| BrokenJson {
            seq: broken.seq,
            id: broken.id.as_ref().map(ToString::to_string),
            found: broken.found.clone(),
        });
        let Checked { head, rows, pruned, .. } = checked;
        Self { whole: broken.is_none(), rows: *rows, pruned: *pruned, head: HeadJson::from(head), broken }
    }
}

impl EvidenceJson {
    pub(crate) fn of(decision: &Recorded, explanation: Explanation) -> Self {
        let Explanation { ticks, replayed, note } = explanation;
        let ticks = ticks.iter().map(TickJson::from).collect();
        Self { decision: DecisionJson::from(decision), replayed, note, ticks }
    }
}

impl From<&TickView> for TickJson {
    fn from(view: &TickView) -> Self {
        let signal = |(signal, odds): &(String, f64)| SignalJson {
            signal: signal.clone(),
            odds: finite(*odds),
            odds_log10: finite(odds.log10()),
        };
        Self {
            at: timestamp(view.at_ms),
            at_ms: view.at_ms,
            seconds: view.seconds,
            canary: SeenJson { requests: view.canary.requests, failed: view.canary.unlucky },
            stable: SeenJson { requests: view.stable.requests, failed: view.stable.unlucky },
            odds: finite(view.odds),
            odds_log10: finite(view.odds.log10()),
            signals: view.signals.iter().map(signal).collect(),
            marks: view
                .marks
                .iter()
                .map(|(quantile, mark)| MarkJson {
                    quantile: *quantile,
                    stable_slow_seconds: mark.stable_us() as f64 / 1e6,
                    canary_slow_seconds: mark.canary_us() as f64 / 1e6,
                })
                .collect(),
            decided: view.decided,
        }
    }
}

impl From<&WhatIfReport> for WhatIfJson {
    fn from(report: &WhatIfReport) -> Self {
        Self {
            releases: report.releases.iter().map(JudgedReleaseJson::from).collect(),
            segments: report.segments,
            unreadable: report.unreadable,
            truncated: report.truncated,
        }
    }
}

impl From<&ReleaseView> for JudgedReleaseJson {
    fn from(view: &ReleaseView) -> Self {
        let sooner_ms = match (&view.was, &view.would) {
            (Some(was), Some(would)) => Some(was.at_ms.saturating_sub(would.at_ms)),
            _ => None,
        };
        Self {
            route: view.route.to_string(),
            canary: view.canary.to_string(),
            upstream: view.upstream.to_string(),
            from: timestamp(view.from_ms),
            from_ms: view.from_ms,
            to: timestamp(view.to_ms),
            to_ms: view.to_ms,
            whole: view.whole,
            seen: SeenJson { requests: view.canary_seen.requests, failed: view.canary_seen.unlucky },
            stable_seen: SeenJson { requests: view.stable_seen.requests, failed: view.stable_seen.unlucky },
            was: view.was.as_ref().map(JudgedJson::from),
            would: view.would.as_ref().map(JudgedJson::from),
            sooner_seconds: sooner_ms.map(|ms| ms as f64 / 1e3),
        }
    }
}

impl From<&Judged> for JudgedJson {
    fn from(judged: &Judged) -> Self {
        Self {
            at: timestamp(judged.at_ms),
            at_ms: judged.at_ms,
            signal: judged.finding.signal.label().to_owned(),
            sentence: judged.finding.sentence(),
            odds: finite(judged.finding.odds),
            until_then: SeenJson { requests: judged.until_then.requests, failed: judged.until_then.unlucky },
        }
    }
}
