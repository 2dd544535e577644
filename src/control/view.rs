//! What the controller shows of a route and of an upstream. Plain values; the admin API turns them into JSON.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Weight;
use crate::immune::forecast::{Forecast, Traffic, Untold, WeightNeeded};
pub use crate::release::{End, Ended, Held, Phase, Release, Waiting};
use crate::store::record::{Announced, Cord, DecisionId};

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
    /// Aims or roles are not what the file declares.
    pub drifts: bool,
    /// `None` where the route denies.
    pub stable: Option<StableView>,
    pub canaries: Vec<CanaryView>,
    /// `None`: off, or there is no canary.
    pub self_test: Option<SelfTestView>,
    /// The last one since the process started, also when it is over.
    pub drill: Option<DrillView>,
    /// The one under way, or the last one.
    pub release: Option<ReleaseView>,
    /// To roll back to.
    pub previous_stable: Option<Arc<str>>,
    /// `None`: nobody gets copies.
    pub mirror: Option<MirrorView>,
}

/// Copies of stable's requests.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorView {
    pub upstream: Arc<str>,
    pub share: Weight,
    /// Of the copies.
    pub window: WindowView,
    /// Since the process started: answered with stable's status, with another or not at all, and not made.
    pub same: u64,
    pub different: u64,
    pub dropped: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseView {
    pub release: Release,
    /// `None`: it is one of before.
    pub waiting: Option<Waiting>,
}

/// A canary that fails on purpose.
#[derive(Clone, Debug, PartialEq)]
pub struct DrillView {
    pub canary: Arc<str>,
    /// Of its requests by lot.
    pub share: Weight,
    pub by: Arc<str>,
    pub why: Arc<str>,
    pub at_ms: i64,
    pub until_ms: i64,
    /// That started it.
    pub decision: DecisionId,
    /// Failures so far.
    pub injected: u64,
    /// What ended it; `None`: it goes on.
    pub ended: Option<&'static str>,
    /// From the first failure to the back-off, if that ended it.
    pub back_off_seconds: Option<f64>,
    /// From the deciding failure to the canary's last request; half a second after the back-off.
    pub last_request_seconds: Option<f64>,
}

/// A random slice of stable, judged as if it were a canary.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfTestView {
    /// What was found, in one line with its numbers.
    pub alarm: Option<String>,
    /// Because of the alarm the guard of the route does not act.
    pub suspended: bool,
    /// Of stable's requests.
    pub share: Weight,
    /// The odds against chance that the slice is worse than the rest.
    pub odds: f64,
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
    /// `None`: no strikes.
    pub back_off: Option<BackOffView>,
    pub verdict: VerdictView,
    pub window: WindowView,
    /// `None`: users are tied to a variant, so no lot is drawn for a request.
    pub lots: Option<LotsView>,
}

/// Since the canary last started anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LotsView {
    /// Requests of the route for which a lot was drawn.
    pub drawn: u64,
    /// Of these, that the canary should have had by its weights.
    pub expected: f64,
    /// That it was given.
    pub given: u64,
    /// The difference is no chance.
    pub mismatch: bool,
    /// Of the canary's requests by lot, that ended.
    pub ended: u64,
    /// Of these, that say nothing of it: the client left first.
    pub unjudged: u64,
    /// They are more than stable's, and that is no chance.
    pub unjudged_mismatch: bool,
}

/// A canary whose ceiling was cut, and that may climb back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackOffView {
    pub strikes: u32,
    /// The cord is pulled at this one; `None`: the file no longer says back off.
    pub strikes_max: Option<u32>,
    pub next: NextStep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Up, when this has passed.
    Up(Duration),
    /// The aim is reached: the strikes are forgotten when this has passed.
    Forgotten(Duration),
    /// While the cord is pulled nobody climbs.
    Cord,
    /// The file no longer says back off, so there is no ladder.
    NoLadder,
    /// It would be due, but the odds are such that nothing should rise.
    Odds,
    /// It would be due, but no request has shown that the canary is well.
    Requests,
    /// It would be due, but could not be stored.
    Store,
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
    /// The odds against chance that the canary is worse, of all signals that act.
    pub odds: f64,
    /// The odds are such that nothing should rise.
    pub holds: bool,
    /// What each family of signals would say alone.
    pub signals: Vec<SignalView>,
    /// Numbers that others know.
    pub outside: Vec<OutsideView>,
    /// With which variant the canary is compared.
    pub compared_with: Arc<str>,
}

/// An outside signal, as it stands now.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideView {
    pub name: Arc<str>,
    /// False: it only watches.
    pub acts: bool,
    /// `undecided`, `good`, `bad` or `failing`.
    pub state: &'static str,
    /// `at least 10`; empty while nothing is asked.
    pub wanted: String,
    /// The query, or where the number comes from.
    pub asked: Option<Arc<str>>,
    pub value: Option<f64>,
    /// Of stable, where it is compared.
    pub stable: Option<f64>,
    pub age_seconds: Option<f64>,
    /// Bad readings one after another, and how many make it fail.
    pub bad: u32,
    pub failures: u32,
    /// Why it is undecided.
    pub missing: Option<Arc<str>>,
}

impl Default for OutsideView {
    fn default() -> Self {
        Self {
            name: Arc::from(""),
            acts: true,
            state: "undecided",
            wanted: String::new(),
            asked: None,
            value: None,
            stable: None,
            age_seconds: None,
            bad: 0,
            failures: 0,
            missing: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct SignalView {
    /// `errors`, `latency`, or `event_` and its name.
    pub name: String,
    pub odds: f64,
}

/// What was seen of a variant in the last seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowView {
    /// How long the window really is: ten to eleven, and less only after a start.
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
    /// Of its endpoints as they are set; the `ETag`.
    pub revision: u64,
    /// In the words of the file.
    pub file: Vec<Arc<str>>,
    /// `None`: the file's are in force.
    pub announced: Option<Announced>,
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

impl BackOffView {
    /// `strike 1 of 3; next step up in 9 min`
    pub fn sentence(&self) -> String {
        let strikes = match (self.strikes, self.strikes_max) {
            (count, Some(max)) => format!("strike {count} of {max}"),
            (count, None) => format!("strike {count}"),
        };
        let next = match self.next {
            NextStep::Up(wait) => format!("next step up in {}", about(wait)),
            NextStep::Forgotten(wait) => format!("at its aim; forgotten in {}", about(wait)),
            NextStep::Cord => "no step up while the cord is pulled".to_owned(),
            NextStep::NoLadder => {
                "no step up, for on_unhealthy is not \"back-off\"; a reset of the cord lifts the ceiling"
                    .to_owned()
            }
            NextStep::Odds => "the next step up waits for better odds".to_owned(),
            NextStep::Requests => "the next step up waits for requests to judge by".to_owned(),
            NextStep::Store => "the next step up waits for the store".to_owned(),
        };
        format!("{strikes}; {next}")
    }

    /// `None`: nobody can say.
    pub fn next_step(&self) -> Option<Duration> {
        match self.next {
            NextStep::Up(wait) | NextStep::Forgotten(wait) => Some(wait),
            _ => None,
        }
    }
}

/// `9 min`: rounded up, in the largest unit of which there are two.
fn about(span: Duration) -> String {
    let seconds = span.as_millis().div_ceil(1_000);
    for (unit, each) in [("h", 3_600), ("min", 60)] {
        if seconds >= 2 * each {
            return format!("{} {unit}", seconds.div_ceil(each));
        }
    }
    format!("{seconds} s")
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
