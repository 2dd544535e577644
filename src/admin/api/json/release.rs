//! A release, as the API shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{timestamp, written};
use crate::control::view::{Ended, Held, Phase, Release, ReleaseView};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReleasesJson {
    /// Newest first.
    pub releases: Vec<ReleaseJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseJson {
    pub id: String,
    pub plan: String,
    pub canary: String,
    /// That plays the canary.
    pub upstream: String,
    pub by: String,
    pub why: String,
    pub started: Option<String>,
    pub started_ms: i64,
    /// A phase (`raising`, `holding`, `proving`, `approving`, `ready`, `promoting`), `held`, or an end (`promoted`, `aborted`,
    /// `backed_off`).
    pub state: String,
    /// Also while it is held.
    pub phase: String,
    /// Since when it is in this phase.
    pub since: Option<String>,
    pub since_ms: i64,
    /// From 1 on.
    pub step: usize,
    pub steps: Vec<PlanStepJson>,
    pub held: Option<HeldJson>,
    pub ended: Option<EndedJson>,
    /// In words; `null` for one of before.
    pub waits_for: Option<String>,
    pub until: Option<String>,
    pub until_ms: Option<i64>,
    /// Only in the answer to its start: steps at which a bad canary would go unseen.
    #[serde(default)]
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlanStepJson {
    pub to: String,
    pub to_ppm: u32,
    /// Of stable's requests, so many are copied to the canary; nobody is on it then.
    #[serde(default)]
    pub mirror: Option<String>,
    pub ramp_seconds: f64,
    pub hold_seconds: f64,
    pub proof: bool,
    pub approve: bool,
    pub within_seconds: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeldJson {
    pub by: String,
    pub why: String,
    pub at: Option<String>,
    pub at_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EndedJson {
    pub how: String,
    pub by: String,
    pub why: String,
    pub at: Option<String>,
    pub at_ms: i64,
}

impl From<&ReleaseView> for ReleaseJson {
    fn from(view: &ReleaseView) -> Self {
        let release = &view.release;
        let waiting = view.waiting.as_ref();
        let until_ms = waiting.and_then(|waiting| waiting.until_ms);
        Self {
            id: release.id.to_string(),
            plan: release.plan.name.to_string(),
            canary: release.canary.to_string(),
            upstream: release.upstream.to_string(),
            by: release.by.to_string(),
            why: release.why.to_string(),
            started: timestamp(release.started_ms),
            started_ms: release.started_ms,
            state: release.state().to_owned(),
            phase: Phase::label(release.phase).to_owned(),
            since: timestamp(release.since_ms),
            since_ms: release.since_ms,
            step: release.step + 1,
            steps: steps(release),
            held: release.held.as_ref().map(HeldJson::from),
            ended: release.ended.as_ref().map(EndedJson::from),
            waits_for: waiting.map(|waiting| waiting.sentence.clone()),
            until: until_ms.and_then(timestamp),
            until_ms,
            warnings: Vec::new(),
        }
    }
}

fn steps(release: &Release) -> Vec<PlanStepJson> {
    let steps = release.plan.steps.iter().map(|step| {
        let (to, to_ppm) = written(step.to);
        PlanStepJson {
            to,
            to_ppm,
            mirror: step.mirror.map(|share| share.to_string()),
            ramp_seconds: step.ramp.as_secs_f64(),
            hold_seconds: step.hold.as_secs_f64(),
            proof: step.proof,
            approve: step.approve,
            within_seconds: step.within.as_secs_f64(),
        }
    });
    steps.collect()
}

impl From<&Held> for HeldJson {
    fn from(held: &Held) -> Self {
        let Held { by, why, at_ms } = held;
        Self { by: by.to_string(), why: why.to_string(), at: timestamp(*at_ms), at_ms: *at_ms }
    }
}

impl From<&Ended> for EndedJson {
    fn from(ended: &Ended) -> Self {
        let Ended { how, by, why, at_ms } = ended;
        Self {
            how: how.label().to_owned(),
            by: by.to_string(),
            why: why.to_string(),
            at: timestamp(*at_ms),
            at_ms: *at_ms,
        }
    }
}
