//! The shape of a drill.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{timestamp, written};
use crate::control::view::DrillView;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DrillJson {
    pub canary: String,
    pub share: String,
    pub share_ppm: u32,
    pub by: String,
    pub why: String,
    pub at: Option<String>,
    pub at_ms: i64,
    pub until: Option<String>,
    pub until_ms: i64,
    pub decision: String,
    pub injected: u64,
    /// `back_off`, `time`, `stopped` or `overtaken`; `null` while it goes on.
    pub ended: Option<String>,
    /// From the first failure; at most a tenth of a second too long.
    pub back_off_seconds: Option<f64>,
    /// From the deciding failure.
    pub last_request_seconds: Option<f64>,
}

impl From<&DrillView> for DrillJson {
    fn from(view: &DrillView) -> Self {
        let (share, share_ppm) = written(view.share);
        Self {
            canary: view.canary.to_string(),
            share,
            share_ppm,
            by: view.by.to_string(),
            why: view.why.to_string(),
            at: timestamp(view.at_ms),
            at_ms: view.at_ms,
            until: timestamp(view.until_ms),
            until_ms: view.until_ms,
            decision: view.decision.to_string(),
            injected: view.injected,
            ended: view.ended.map(str::to_owned),
            back_off_seconds: view.back_off_seconds,
            last_request_seconds: view.last_request_seconds,
        }
    }
}
