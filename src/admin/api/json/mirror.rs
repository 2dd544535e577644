//! Copies of requests, and what came of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{WindowJson, written};
use crate::control::view::MirrorView;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MirrorJson {
    /// Who gets copies.
    pub upstream: String,
    /// Of the requests that stable answers.
    pub share: String,
    pub share_ppm: u32,
    /// Of the copies.
    pub window: WindowJson,
    /// Since the process started: answered with the status that stable had for the request, with another one or not at all.
    pub same: u64,
    pub different: u64,
    /// Drawn, and not made.
    pub dropped: u64,
}

impl From<&MirrorView> for MirrorJson {
    fn from(view: &MirrorView) -> Self {
        let (share, share_ppm) = written(view.share);
        Self {
            upstream: view.upstream.to_string(),
            share,
            share_ppm,
            window: WindowJson::from(&view.window),
            same: view.same,
            different: view.different,
            dropped: view.dropped,
        }
    }
}
