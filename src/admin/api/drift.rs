//! `/drift`: where file and live state differ.

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Face;
use super::super::problem::Problem;
use super::answer;
use super::json::timestamp;
use crate::control::drift::{Difference, DriftView};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DriftJson {
    pub differences: Vec<DifferenceJson>,
    /// Differences that are not listed: there are too many.
    pub more: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceJson {
    /// `aim`, `role`, `ceiling`, `cord`, `endpoints`, `restart` or `file`.
    pub kind: String,
    pub route: Option<String>,
    pub canary: Option<String>,
    pub upstream: Option<String>,
    pub file: String,
    pub live: String,
    pub since: Option<String>,
    pub since_ms: Option<i64>,
    pub by: Option<String>,
    pub why: Option<String>,
    pub decision: Option<String>,
    /// How they can agree again.
    pub remedy: String,
}

pub(super) async fn show(State(face): State<Face>) -> Result<Response, Problem> {
    Ok(answer(&DriftJson::from(&face.handle.drift().await?)))
}

impl From<&DriftView> for DriftJson {
    fn from(view: &DriftView) -> Self {
        Self { differences: view.differences.iter().map(DifferenceJson::from).collect(), more: view.more }
    }
}

impl From<&Difference> for DifferenceJson {
    fn from(one: &Difference) -> Self {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_ref().map(ToString::to_string);
        let origin = one.origin.as_ref();
        Self {
            kind: one.kind.label().to_owned(),
            route: text(&one.route),
            canary: text(&one.canary),
            upstream: text(&one.upstream),
            file: one.file.clone(),
            live: one.live.clone(),
            since: origin.and_then(|origin| timestamp(origin.since_ms)),
            since_ms: origin.map(|origin| origin.since_ms),
            by: origin.map(|origin| origin.by.to_string()),
            why: origin.map(|origin| origin.why.to_string()),
            decision: origin.and_then(|origin| text(&origin.decision)),
            remedy: one.remedy.clone(),
        }
    }
}
