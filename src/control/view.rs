//! What the controller shows of a route and of an upstream. Plain values; the admin API turns them into JSON.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Weight;
use crate::immune::forecast::{Forecast, Traffic, Untold, WeightNeeded};
use crate::store::record::Cord;

#[derive(Clone, Debug, PartialEq)]
pub struct RouteView {
    pub name: Arc<str>,
    /// Grows with every change of the route's live state; the `ETag`.
    pub revision: u64,
    /// Answered 403, no variants.
    pub deny: bool,
    pub cord: Option<Cord>,
    /// What is in force could not be stored yet: it would not survive a crash.
    pub unsaved: bool,
    /// `None` where the route denies.
    pub stable: Option<StableView>,
    pub canaries: Vec<CanaryView>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StableView {
    pub upstream: Arc<str>,
    pub effective: Weight,
    pub window: WindowView,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CanaryView {
    pub name: Arc<str>,
    pub upstream: Arc<str>,
    pub aim: Weight,
    pub ceiling: Weight,
    pub effective: Weight,
    /// What the file declares, if a live decision differs from it.
    pub file_aim: Weight,
    pub verdict: VerdictView,
    pub window: WindowView,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerdictKind {
    Healthy,
    Unhealthy,
    Undecided,
}

impl VerdictKind {
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Unhealthy, Self::Undecided];

    pub fn label(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Undecided => "undecided",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct VerdictView {
    pub kind: VerdictKind,
    /// One line with the numbers.
    pub reason: String,
    /// The odds against chance that the canary is worse.
    pub odds: f64,
}

/// What was seen of a variant in the last seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowView {
    /// How long the window really is; 0 until there are two samples.
    pub seconds: f64,
    pub requests: u64,
    /// Ended with upstream blame.
    pub failures: u64,
    pub in_flight: u64,
    /// Of successful answers, to the response head.
    pub p50_us: Option<u64>,
    pub p95_us: Option<u64>,
    pub p99_us: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamView {
    pub name: Arc<str>,
    pub endpoints: Vec<EndpointView>,
    /// Since the process started.
    pub ejections: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointView {
    pub address: SocketAddr,
    pub used: bool,
    /// What its checks say; `None`: nothing, or not yet.
    pub healthy: Option<bool>,
    /// Left out because it failed requests.
    pub ejected: bool,
}

/// What the immune system would see of a canary with this weight.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastView {
    /// `None`: of no route, only of numbers.
    pub route: Option<Arc<str>>,
    pub canary: Option<Arc<str>>,
    /// An unhealthy canary is taken back, and not only noticed.
    pub acts: bool,
    pub weight: Weight,
    pub within: Duration,
    pub traffic: Traffic,
    /// `None`: not asked for, or not to be told.
    pub told: Option<Forecast>,
    /// A gross harm that would go unseen, and the weight at which it would not.
    pub blind_spot: Option<WeightNeeded>,
    /// Why nothing can be told.
    pub untold: Option<Untold>,
}

impl WindowView {
    pub fn requests_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.requests as f64 / self.seconds } else { 0.0 }
    }

    /// `None`: no requests, no ratio.
    pub fn error_ratio(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.failures as f64 / self.requests as f64)
    }
}
