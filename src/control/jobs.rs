//! What waits in the controller: commands for their turn, callers for a save, raises for their record.

use std::sync::Arc;

use super::command::{
    Refusal, ReloadReport, Reply, ResetCord, RollBack, SetUpstream, SetWeight, StartRelease, SteerRelease,
};
use super::reload::{Prepared, names_of};
use super::state::RouteState;
use super::view::{RouteView, UpstreamView};
use crate::release::Move;
use crate::store::record::{Announced, Decision};

/// Changes that wait for their turn. When full, further ones are refused with [`Refusal::StoreDown`].
pub(super) const JOBS_MAX: usize = 256;

/// A command that may have to be stored before it takes effect, so that it has to wait for its turn.
pub(super) struct Job {
    pub(super) ask: Ask,
    /// [`super::routes::RouteLive::touched`] when the command came in.
    pub(super) touched: u64,
}

pub(super) enum Ask {
    Weight(SetWeight, Reply<RouteView>),
    Reset(ResetCord, Reply<RouteView>),
    /// The immune system's own: nobody waits for the reply.
    StepUp(StepUp, Reply<RouteView>),
    Start(StartRelease, Reply<RouteView>),
    Steer(SteerRelease, Reply<RouteView>),
    RollBack(RollBack, Reply<RouteView>),
    /// The plan's own, likewise.
    Plan(Box<PlanMove>, Reply<RouteView>),
    Upstream(SetUpstream, Reply<UpstreamView>),
    Reload(Reply<ReloadReport>),
    /// To close the store for a new process, when nothing is owed.
    LendStore(Reply<()>),
}

/// A canary that may climb.
pub(super) struct StepUp {
    pub(super) route: Arc<str>,
    pub(super) canary: Arc<str>,
}

/// A move that a plan says is due.
pub(super) struct PlanMove {
    pub(super) route: Arc<str>,
    pub(super) release: Arc<str>,
    pub(super) next: Move,
}

impl Ask {
    /// Whose route is changed; `None`: no single one.
    pub(super) fn route(&self) -> Option<&Arc<str>> {
        match self {
            Self::Weight(request, _) => Some(&request.route),
            Self::Reset(request, _) => Some(&request.route),
            Self::StepUp(up, _) => Some(&up.route),
            Self::Start(request, _) => Some(&request.route),
            Self::Steer(request, _) => Some(&request.route),
            Self::RollBack(request, _) => Some(&request.route),
            Self::Plan(wanted, _) => Some(&wanted.route),
            Self::Upstream(..) | Self::Reload(_) | Self::LendStore(_) => None,
        }
    }

    /// Who is shown the route when it is done.
    pub(super) fn into_reply(self) -> Option<Reply<RouteView>> {
        match self {
            Self::Weight(_, reply)
            | Self::Reset(_, reply)
            | Self::StepUp(_, reply)
            | Self::Start(_, reply)
            | Self::Steer(_, reply)
            | Self::RollBack(_, reply)
            | Self::Plan(_, reply) => Some(reply),
            Self::Upstream(..) | Self::Reload(_) | Self::LendStore(_) => None,
        }
    }

    pub(super) fn refuse(self, refusal: Refusal) {
        match self {
            Self::Upstream(_, reply) => answer(reply, Err(refusal)),
            Self::Reload(reply) => answer(reply, Err(refusal)),
            Self::LendStore(reply) => answer(reply, Err(refusal)),
            other => {
                if let Some(reply) = other.into_reply() {
                    answer(reply, Err(refusal));
                }
            }
        }
    }
}

/// Who is answered when a change that is already in force has been stored, or could not be.
pub(super) enum Waiter {
    Route(Arc<str>, Reply<RouteView>),
    Routes(Vec<Arc<str>>, Reply<Vec<RouteView>>),
    Reload(ReloadReport, Reply<ReloadReport>),
}

/// A change that takes effect when its record is stored.
pub(super) enum Raise {
    Route(Box<RouteRaise>),
    Reload(Box<Prepared>, Reply<ReloadReport>),
    Upstream(Box<UpstreamRaise>),
}

/// Endpoints of an upstream that are to take effect.
pub(super) struct UpstreamRaise {
    pub(super) upstream: Arc<str>,
    /// `None`: the file's.
    pub(super) announced: Option<Announced>,
    pub(super) decision: Decision,
    pub(super) reply: Reply<UpstreamView>,
}

pub(super) struct RouteRaise {
    pub(super) state: RouteState,
    pub(super) decision: Decision,
    /// [`super::routes::RouteLive::touched`] when it was prepared. Should it differ when the save is back, then
    /// something lowered the route meanwhile, and the raise is void.
    pub(super) touched: u64,
    pub(super) reply: Reply<RouteView>,
}

impl Raise {
    /// The routes whose records are being stored.
    pub(super) fn routes(&self) -> Vec<Arc<str>> {
        match self {
            Self::Route(raise) => vec![Arc::clone(&raise.state.record.route)],
            Self::Reload(prepared, _) => names_of(&prepared.changes),
            Self::Upstream(_) => Vec::new(),
        }
    }

    pub(super) fn refuse(self, refusal: Refusal) {
        match self {
            Self::Route(raise) => answer(raise.reply, Err(refusal)),
            Self::Reload(_, reply) => answer(reply, Err(refusal)),
            Self::Upstream(raise) => answer(raise.reply, Err(refusal)),
        }
    }
}

/// A caller that went away does not mind.
pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, Refusal>) {
    let _ = reply.send(result);
}
