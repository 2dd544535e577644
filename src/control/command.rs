//! The ways in: what the admin API, a signal or a file watch may ask of the controller.
//!
//! A [`Handle`] is cheap to clone. Every call waits for the controller's answer, and the answer comes only after
//! the change is both published and stored, so what was answered with success survives a crash.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::drift::DriftView;
use super::events::{Position, Subscription};
use super::explained::Explanation;
use super::forecasts::AskForecast;
use super::hand_over::HandOver;
use super::shown_config::ConfigView;
use super::view::{ForecastView, ReleaseView, RouteView, UpstreamView};
use super::what_if::{WhatIf, WhatIfReport};
use crate::config::{self, Weight};
pub use crate::notify::Told;
use crate::store::record::{Checked, Cord, Decision, DecisionFilter, Head, Recorded};

/// Commands waiting for the controller. When full, callers wait their turn.
pub const COMMANDS_MAX: usize = 256;

#[derive(Debug)]
pub enum Command {
    Routes(Reply<Vec<RouteView>>),
    Route(Arc<str>, Reply<RouteView>),
    Upstreams(Reply<Vec<UpstreamView>>),
    SetWeight(SetWeight, Reply<RouteView>),
    PullCord(PullCord, Reply<Vec<RouteView>>),
    ResetCord(ResetCord, Reply<RouteView>),
    StartRelease(StartRelease, Reply<RouteView>),
    SteerRelease(SteerRelease, Reply<RouteView>),
    RollBack(RollBack, Reply<RouteView>),
    /// Of a route, the one under way or last first.
    Releases(Arc<str>, Reply<Vec<ReleaseView>>),
    Drill(StartDrill, Reply<RouteView>),
    EndDrill(Arc<str>, Reply<RouteView>),
    Decisions(DecisionFilter, Reply<Vec<Recorded>>),
    /// Every row of the record, and one that must be in it.
    CheckRecord(Option<Head>, Reply<Checked>),
    /// The newest row of the record.
    RecordHead(Reply<Head>),
    /// All that happens, from where the listener was.
    Subscribe(Option<Position>, Reply<Subscription>),
    /// Where file and live state differ.
    Drift(Reply<DriftView>),
    /// What was loaded last.
    Config(Reply<ConfigView>),
    SetUpstream(SetUpstream, Reply<UpstreamView>),
    /// What the record says of a decision.
    Explain(Box<Decision>, Reply<Explanation>),
    /// The record, judged by other numbers.
    WhatIf(Box<WhatIf>, Reply<WhatIfReport>),
    /// Reads the configuration file again.
    Reload(Reply<ReloadReport>),
    /// The text of `/metrics`.
    Metrics(Reply<String>),
    /// How soon a harm would be seen.
    Forecast(AskForecast, Reply<ForecastView>),
    /// A step of handing over to a new process.
    HandOver(HandOver, Reply<()>),
    /// A message about nothing to a receiver of notices. What comes of it comes by what is answered.
    TestNotify(Arc<str>, Reply<oneshot::Receiver<Told>>),
    /// Answered at once: the loop goes round.
    Ping(Reply<()>),
}

pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetWeight {
    pub route: Arc<str>,
    /// May be left out where the route has one canary.
    pub canary: Option<Arc<str>>,
    pub weight: Weight,
    /// Act only if the route is still at this revision.
    pub if_revision: Option<u64>,
    pub by: Arc<str>,
    pub why: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullCord {
    /// `None`: every route that has a canary.
    pub route: Option<Arc<str>>,
    pub by: Arc<str>,
    pub why: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetCord {
    pub route: Arc<str>,
    pub by: Arc<str>,
    pub why: Arc<str>,
}

/// Which endpoints an upstream has, until the file says something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetUpstream {
    pub upstream: Arc<str>,
    /// `None`: those of the file again.
    pub endpoints: Option<config::Endpoints>,
    /// Act only if the upstream is still at this revision.
    pub if_revision: Option<u64>,
    pub by: Arc<str>,
    pub why: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRelease {
    pub route: Arc<str>,
    pub plan: Arc<str>,
    /// Which canary; may be left out where the route has one.
    pub name: Option<Arc<str>>,
    /// The upstream that plays the canary from now on; `None`: the one that does.
    pub upstream: Option<Arc<str>>,
    pub if_revision: Option<u64>,
    pub by: Arc<str>,
    pub why: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SteerRelease {
    pub route: Arc<str>,
    /// `None`: the one that is under way.
    pub id: Option<Arc<str>>,
    pub steering: Steering,
    pub if_revision: Option<u64>,
    pub by: Arc<str>,
    pub why: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    Hold,
    Resume,
    Approve,
    Promote,
    Abort,
}

/// Back to the stable version of before the last promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollBack {
    pub route: Arc<str>,
    pub if_revision: Option<u64>,
    pub by: Arc<str>,
    pub why: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartDrill {
    pub route: Arc<str>,
    /// May be left out where the route has one canary.
    pub canary: Option<Arc<str>>,
    /// Of the canary's requests by lot; above 0.
    pub share: Weight,
    /// At most [`StartDrill::SPAN_MAX`].
    pub span: Duration,
    pub by: Arc<str>,
    pub why: Arc<str>,
}

impl StartDrill {
    pub const SPAN_MIN: Duration = Duration::from_secs(1);
    pub const SPAN_MAX: Duration = Duration::from_mins(5);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadReport {
    /// Of the snapshot in force now.
    pub generation: u64,
    /// False: the file says what it said before, and nothing was done.
    pub changed: bool,
    /// One sentence for each thing that the operator should know: a changed aim, a listener that needs a restart.
    pub notes: Vec<String>,
}

/// Why a command was not carried out. Nothing has changed then.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    UnknownRoute {
        route: Arc<str>,
        known: Vec<Arc<str>>,
    },
    UnknownUpstream {
        upstream: Arc<str>,
        known: Vec<Arc<str>>,
    },
    /// `if_revision` was not the present one.
    OutdatedUpstream(Box<UpstreamView>),
    /// The named canary does not exist, or none was named and there are several (or none).
    WhichCanary {
        route: Arc<str>,
        asked: Option<Arc<str>>,
        known: Vec<Arc<str>>,
    },
    /// The aims of the route's canaries would sum to more than 100%.
    TooMuch {
        sum_ppm: u64,
    },
    /// `if_revision` was not the present one.
    Outdated(Box<RouteView>),
    /// A raise while the cord is pulled.
    CordPulled {
        route: Arc<str>,
        cord: Cord,
    },
    /// A reset where nothing was pulled.
    CordNotPulled {
        route: Arc<str>,
    },
    /// A release is not in a state for it, or another one is in the way.
    ReleaseConflict {
        route: Arc<str>,
        because: String,
    },
    /// `id` is `None`: the route never had one.
    UnknownRelease {
        route: Arc<str>,
        id: Option<Arc<str>>,
    },
    UnknownPlan {
        asked: Arc<str>,
        known: Vec<Arc<str>>,
    },
    /// Named in a body.
    NoUpstream {
        asked: Arc<str>,
        known: Vec<Arc<str>>,
    },
    /// The canary has too few endpoints for the share.
    NoCapacity {
        route: Arc<str>,
        because: String,
    },
    /// A drill would show nothing, or could do harm.
    NoDrill {
        route: Arc<str>,
        because: &'static str,
    },
    /// The change would raise a weight, and it could not be stored first.
    StoreDown(String),
    /// The file has problems: drawn with their places, and their number.
    BadConfig {
        drawn: String,
        count: usize,
    },
    UnknownReceiver {
        name: Arc<str>,
        known: Vec<Arc<str>>,
    },
    /// As many such questions are being answered as may be at once.
    Busy(String),
    /// Andon is shutting down, or the controller is gone.
    Gone,
}

#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

impl Handle {
    pub fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        (Self { commands }, receiver)
    }

    pub async fn routes(&self) -> Result<Vec<RouteView>, Refusal> {
        self.ask(Command::Routes).await
    }

    pub async fn route(&self, route: &str) -> Result<RouteView, Refusal> {
        let route = Arc::from(route);
        self.ask(|reply| Command::Route(route, reply)).await
    }

    /// In the order of the file.
    pub async fn upstreams(&self) -> Result<Vec<UpstreamView>, Refusal> {
        self.ask(Command::Upstreams).await
    }

    pub async fn set_weight(&self, request: SetWeight) -> Result<RouteView, Refusal> {
        self.ask(|reply| Command::SetWeight(request, reply)).await
    }

    pub async fn pull_cord(&self, request: PullCord) -> Result<Vec<RouteView>, Refusal> {
        self.ask(|reply| Command::PullCord(request, reply)).await
    }

    pub async fn reset_cord(&self, request: ResetCord) -> Result<RouteView, Refusal> {
        self.ask(|reply| Command::ResetCord(request, reply)).await
    }

    pub async fn start_release(&self, request: StartRelease) -> Result<RouteView, Refusal> {
        self.ask(|reply| Command::StartRelease(request, reply)).await
    }

    pub async fn steer_release(&self, request: SteerRelease) -> Result<RouteView, Refusal> {
        self.ask(|reply| Command::SteerRelease(request, reply)).await
    }

    pub async fn roll_back(&self, request: RollBack) -> Result<RouteView, Refusal> {
        self.ask(|reply| Command::RollBack(request, reply)).await
    }

    pub async fn releases(&self, route: Arc<str>) -> Result<Vec<ReleaseView>, Refusal> {
        self.ask(|reply| Command::Releases(route, reply)).await
    }

    pub async fn drill(&self, request: StartDrill) -> Result<RouteView, Refusal> {
        self.ask(|reply| Command::Drill(request, reply)).await
    }

    pub async fn end_drill(&self, route: Arc<str>) -> Result<RouteView, Refusal> {
        self.ask(|reply| Command::EndDrill(route, reply)).await
    }

    pub async fn decisions(&self, filter: DecisionFilter) -> Result<Vec<Recorded>, Refusal> {
        self.ask(|reply| Command::Decisions(filter, reply)).await
    }

    /// `from`: of a listener that has come back, the last event that it got.
    pub async fn subscribe(&self, from: Option<Position>) -> Result<Subscription, Refusal> {
        self.ask(|reply| Command::Subscribe(from, reply)).await
    }

    pub async fn drift(&self) -> Result<DriftView, Refusal> {
        self.ask(Command::Drift).await
    }

    pub async fn config(&self) -> Result<ConfigView, Refusal> {
        self.ask(Command::Config).await
    }

    pub async fn set_upstream(&self, request: SetUpstream) -> Result<UpstreamView, Refusal> {
        self.ask(|reply| Command::SetUpstream(request, reply)).await
    }

    pub async fn check_record(&self, wanted: Option<Head>) -> Result<Checked, Refusal> {
        self.ask(|reply| Command::CheckRecord(wanted, reply)).await
    }

    pub async fn record_head(&self) -> Result<Head, Refusal> {
        self.ask(Command::RecordHead).await
    }

    pub async fn explain(&self, decision: Decision) -> Result<Explanation, Refusal> {
        self.ask(|reply| Command::Explain(Box::new(decision), reply)).await
    }

    pub async fn what_if(&self, wanted: WhatIf) -> Result<WhatIfReport, Refusal> {
        self.ask(|reply| Command::WhatIf(Box::new(wanted), reply)).await
    }

    pub async fn reload(&self) -> Result<ReloadReport, Refusal> {
        self.ask(Command::Reload).await
    }

    pub async fn metrics(&self) -> Result<String, Refusal> {
        self.ask(Command::Metrics).await
    }

    pub async fn forecast(&self, ask: AskForecast) -> Result<ForecastView, Refusal> {
        self.ask(|reply| Command::Forecast(ask, reply)).await
    }

    /// One attempt, whatever waits for the receiver.
    pub async fn test_notify(&self, name: Arc<str>) -> Result<Told, Refusal> {
        let told = self.ask(|reply| Command::TestNotify(name, reply)).await?;
        told.await.map_err(|_| Refusal::Busy("as many tests run already as may at once".to_owned()))
    }

    /// Answered as soon as the controller gets round to it, whatever the store does.
    pub async fn ping(&self) -> Result<(), Refusal> {
        self.ask(Command::Ping).await
    }

    pub async fn hand_over(&self, step: HandOver) -> Result<(), Refusal> {
        self.ask(|reply| Command::HandOver(step, reply)).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Refusal::Gone)?;
        answer.await.unwrap_or(Err(Refusal::Gone))
    }
}
