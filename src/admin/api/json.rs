//! The shapes that the API answers with, in their order. A contract: fields are added, never renamed.
//!
//! Domain types cannot be serialised, on purpose: a field that is renamed inside must not rename itself here.
//! Shares are given twice, as people write them (`"5%"`) and in parts per million, times too (RFC 3339 and
//! milliseconds); durations are seconds. A number that is not finite is `null`. The command line reads the same
//! types, so it ignores fields that it does not know yet.

mod decision;
mod drill;
mod forecast;
mod mirror;
mod notify;
mod outside;
mod release;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use release::{EndedJson, HeldJson, PlanStepJson, ReleaseJson, ReleasesJson};

pub use forecast::{
    ForecastJson, HarmJson, SmallestSeenJson, SpreadJson, WeightNeededJson, figure, share, would_do,
};

use crate::config::Weight;
use crate::control::command::ReloadReport;
use crate::control::view::{
    BackOffView, CanaryView, LotsView, RouteView, SelfTestView, SignalView, StableView, VerdictView,
    WindowView,
};
use crate::store::record::Cord;

pub use decision::{DecisionJson, DecisionsJson};
pub use drill::DrillJson;
pub use mirror::MirrorJson;
pub use notify::ToldJson;
pub use outside::OutsideJson;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RoutesJson {
    pub routes: Vec<RouteJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RouteJson {
    pub name: String,
    pub revision: u64,
    pub deny: bool,
    /// The state in force is not stored yet: the store is down, and Andon keeps trying.
    pub unsaved: bool,
    /// Aims or roles are not what the file declares: `/drift` says which.
    #[serde(default)]
    pub drifts: bool,
    pub cord: Option<CordJson>,
    pub stable: Option<StableJson>,
    pub canaries: Vec<CanaryJson>,
    pub self_test: Option<SelfTestJson>,
    pub drill: Option<DrillJson>,
    /// The one under way, or the last one.
    #[serde(default)]
    pub release: Option<ReleaseJson>,
    /// The upstream to roll back to.
    #[serde(default)]
    pub previous_stable: Option<String>,
    #[serde(default)]
    pub mirror: Option<MirrorJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SelfTestJson {
    pub alarm: bool,
    /// What was found.
    pub reason: Option<String>,
    pub suspended: bool,
    pub share: String,
    pub share_ppm: u32,
    pub odds: Option<f64>,
    pub odds_log10: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CordJson {
    pub by: String,
    pub why: String,
    pub at: Option<String>,
    pub at_ms: i64,
    pub decision: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StableJson {
    pub upstream: String,
    pub effective: String,
    pub effective_ppm: u32,
    pub window: WindowJson,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CanaryJson {
    pub name: String,
    pub upstream: String,
    pub aim: String,
    pub aim_ppm: u32,
    pub ceiling: String,
    pub ceiling_ppm: u32,
    pub effective: String,
    pub effective_ppm: u32,
    pub file_aim: String,
    pub file_aim_ppm: u32,
    /// `null`: the ceiling was not cut.
    #[serde(default)]
    pub back_off: Option<BackOffJson>,
    pub verdict: VerdictJson,
    pub window: WindowJson,
    pub lots: Option<LotsJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LotsJson {
    pub drawn: u64,
    pub expected: f64,
    pub given: u64,
    pub mismatch: bool,
    pub ended: u64,
    pub unjudged: u64,
    pub unjudged_mismatch: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackOffJson {
    pub strikes: u32,
    pub strikes_max: Option<u32>,
    /// `null`: it waits for something else than time, which `sentence` says.
    pub next_step_seconds: Option<f64>,
    pub sentence: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VerdictJson {
    pub verdict: String,
    pub reason: String,
    /// Of all signals that act.
    pub odds: Option<f64>,
    pub odds_log10: Option<f64>,
    /// The odds are such that nothing should rise.
    #[serde(default)]
    pub holds: bool,
    /// What each family of signals would say alone.
    #[serde(default)]
    pub signals: Vec<SignalJson>,
    /// Numbers that others know.
    #[serde(default)]
    pub outside: Vec<OutsideJson>,
    #[serde(default)]
    pub compared_with: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignalJson {
    pub signal: String,
    pub odds: Option<f64>,
    pub odds_log10: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WindowJson {
    pub seconds: f64,
    pub requests: u64,
    pub requests_per_second: Option<f64>,
    pub failures: u64,
    pub error_ratio: Option<f64>,
    pub in_flight: u64,
    pub p50_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    pub p99_seconds: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReloadJson {
    pub generation: u64,
    pub changed: bool,
    pub notes: Vec<String>,
}

impl RoutesJson {
    pub(crate) fn of(views: &[RouteView]) -> Self {
        Self { routes: views.iter().map(RouteJson::from).collect() }
    }
}

impl RouteJson {
    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", self.revision)
    }
}

impl From<&RouteView> for RouteJson {
    fn from(view: &RouteView) -> Self {
        Self {
            name: view.name.to_string(),
            revision: view.revision,
            deny: view.deny,
            unsaved: view.unsaved,
            drifts: view.drifts,
            cord: view.cord.as_ref().map(CordJson::from),
            stable: view.stable.as_ref().map(StableJson::from),
            canaries: view.canaries.iter().map(CanaryJson::from).collect(),
            self_test: view.self_test.as_ref().map(SelfTestJson::from),
            drill: view.drill.as_ref().map(DrillJson::from),
            release: view.release.as_ref().map(ReleaseJson::from),
            previous_stable: view.previous_stable.as_ref().map(ToString::to_string),
            mirror: view.mirror.as_ref().map(MirrorJson::from),
        }
    }
}

impl From<&Cord> for CordJson {
    fn from(cord: &Cord) -> Self {
        Self {
            by: cord.by.to_string(),
            why: cord.why.to_string(),
            at: timestamp(cord.at_ms),
            at_ms: cord.at_ms,
            decision: cord.decision.to_string(),
        }
    }
}

impl From<&StableView> for StableJson {
    fn from(view: &StableView) -> Self {
        Self {
            upstream: view.upstream.to_string(),
            effective: view.effective.to_string(),
            effective_ppm: view.effective.ppm(),
            window: WindowJson::from(&view.window),
        }
    }
}

impl From<&CanaryView> for CanaryJson {
    fn from(view: &CanaryView) -> Self {
        let (aim, aim_ppm) = written(view.aim);
        let (ceiling, ceiling_ppm) = written(view.ceiling);
        let (effective, effective_ppm) = written(view.effective);
        let (file_aim, file_aim_ppm) = written(view.file_aim);
        Self {
            name: view.name.to_string(),
            upstream: view.upstream.to_string(),
            aim,
            aim_ppm,
            ceiling,
            ceiling_ppm,
            effective,
            effective_ppm,
            file_aim,
            file_aim_ppm,
            back_off: view.back_off.as_ref().map(BackOffJson::from),
            verdict: VerdictJson::from(&view.verdict),
            window: WindowJson::from(&view.window),
            lots: view.lots.as_ref().map(LotsJson::from),
        }
    }
}

impl From<&BackOffView> for BackOffJson {
    fn from(view: &BackOffView) -> Self {
        Self {
            strikes: view.strikes,
            strikes_max: view.strikes_max,
            next_step_seconds: view.next_step().map(|wait| wait.as_secs_f64()),
            sentence: view.sentence(),
        }
    }
}

impl From<&LotsView> for LotsJson {
    fn from(view: &LotsView) -> Self {
        let LotsView { drawn, expected, given, mismatch, ended, unjudged, unjudged_mismatch } = *view;
        Self { drawn, expected, given, mismatch, ended, unjudged, unjudged_mismatch }
    }
}

impl From<&SelfTestView> for SelfTestJson {
    fn from(view: &SelfTestView) -> Self {
        let (share, share_ppm) = written(view.share);
        Self {
            alarm: view.alarm.is_some(),
            reason: view.alarm.clone(),
            suspended: view.suspended,
            share,
            share_ppm,
            odds: finite(view.odds),
            odds_log10: finite(view.odds.log10()),
        }
    }
}

impl From<&VerdictView> for VerdictJson {
    fn from(view: &VerdictView) -> Self {
        Self {
            verdict: view.kind.label().to_owned(),
            reason: view.reason.clone(),
            odds: finite(view.odds),
            odds_log10: finite(view.odds.log10()),
            holds: view.holds,
            signals: view.signals.iter().map(SignalJson::from).collect(),
            outside: view.outside.iter().map(OutsideJson::from).collect(),
            compared_with: view.compared_with.to_string(),
        }
    }
}

impl From<&SignalView> for SignalJson {
    fn from(view: &SignalView) -> Self {
        Self { signal: view.name.clone(), odds: finite(view.odds), odds_log10: finite(view.odds.log10()) }
    }
}

impl From<&WindowView> for WindowJson {
    fn from(view: &WindowView) -> Self {
        let seconds = |us: Option<u64>| us.map(|us| us as f64 / 1e6);
        Self {
            seconds: view.seconds,
            requests: view.requests,
            requests_per_second: finite(view.requests_per_second()),
            failures: view.failures,
            error_ratio: view.error_ratio().and_then(finite),
            in_flight: view.in_flight,
            p50_seconds: seconds(view.p50_us),
            p95_seconds: seconds(view.p95_us),
            p99_seconds: seconds(view.p99_us),
        }
    }
}

impl From<ReloadReport> for ReloadJson {
    fn from(report: ReloadReport) -> Self {
        Self { generation: report.generation, changed: report.changed, notes: report.notes }
    }
}

/// `None`: not a time that a calendar knows.
pub(crate) fn timestamp(at_ms: i64) -> Option<String> {
    Timestamp::from_millisecond(at_ms).ok().map(|at| format!("{at:.3}"))
}

/// A share that may be more than the whole, as only a sum can be.
pub(crate) fn percent(ppm: u64) -> String {
    format!("{}%", ppm as f64 / 1e4)
}

fn written(weight: Weight) -> (String, u32) {
    (weight.to_string(), weight.ppm())
}

pub(super) fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}
