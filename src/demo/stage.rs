//! What the script plays on: it waits and looks, moves weights as a person would, and shows what it sees.
//!
//! Everything is asked of the controller through the same [`Handle`] as the admin API uses; nothing here can back
//! a canary off. What only the upstream or the users know comes from their own counts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};

use super::history::{History, Sample};
use super::load::{Seen, Totals};
use super::picture::Scene;
use super::plan::Plan;
use super::setup::{CANARY, ROUTE};
use super::show::Show;
use super::steps::{Step, Steps};
use super::summary::{BackOff, Ending, Summary};
use super::upstreams::{Account, CanaryLog};
use crate::config::Weight;
use crate::control::command::{Handle, Refusal, SetWeight};
use crate::control::view::RouteView;
use crate::store::record::{Action, Decision, DecisionFilter};

/// Often enough to look alive, and far too rarely to be felt by the proxy.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The controller answers in milliseconds; one that takes this long is gone.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long after a back-off a request that was already decided may still reach the canary.
const SETTLE: Duration = Duration::from_secs(1);
const MANAGER: &str = "release manager (demo)";

/// Why the story ends before its end.
#[derive(Debug)]
pub(super) enum Cut {
    Interrupted,
    /// Nobody can see the show.
    Unseen(io::Error),
    Failed(String),
}

/// Who plays.
pub(super) struct Cast {
    pub(super) handle: Handle,
    pub(super) admin: SocketAddr,
    pub(super) users: Arc<Seen>,
    pub(super) canary: Arc<CanaryLog>,
}

pub(super) struct Stage {
    cast: Cast,
    plan: Plan,
    start: Instant,
    steps: Steps,
    history: History,
    show: Show,
    stop: Stop,
    /// As seen at the last look.
    route: RouteView,
    back_off: Option<Decision>,
    /// When the canary must have had its last request, and its account at that time.
    settles_at: Option<Duration>,
    settled: Option<Account>,
    /// Somebody reset the cord after the back-off, so what the canary gets since is that person's doing.
    was_reset: bool,
}

impl Stage {
    /// Inside the runtime that plays, because it listens to signals.
    pub(super) async fn open(cast: Cast, plan: Plan, show: Show) -> Result<Self, Cut> {
        let stop =
            Stop::listen().map_err(|error| Cut::Failed(format!("cannot listen to signals: {error}")))?;
        let route = ask(cast.handle.route(ROUTE)).await?;
        Ok(Self {
            cast,
            plan,
            start: Instant::now(),
            steps: Steps::new(plan),
            history: History::default(),
            show,
            stop,
            route,
            back_off: None,
            settles_at: None,
            settled: None,
            was_reset: false,
        })
    }

    /// Something happens in the story: told, and marked in the picture.
    pub(super) fn begin(&mut self, step: Step) -> Result<(), Cut> {
        let now = self.start.elapsed();
        self.steps.begin(step, now);
        self.show.step(now, &step.sentence()).map_err(Cut::Unseen)
    }

    pub(super) async fn set_weight(&mut self, weight: &str, why: &str) -> Result<(), Cut> {
        let weight = Weight::parse(weight).ok_or_else(|| Cut::Failed(format!("{weight:?} is no weight")))?;
        let request = SetWeight {
            route: ROUTE.into(),
            canary: Some(CANARY.into()),
            weight,
            if_revision: None,
            by: MANAGER.into(),
            why: why.into(),
        };
        self.route = ask(self.cast.handle.set_weight(request)).await?;
        Ok(())
    }

    /// Shows what happens up to that moment. A good canary must not be backed off meanwhile.
    pub(super) async fn all_is_well_until(&mut self, moment: Duration) -> Result<(), Cut> {
        while self.wait_and_look(moment).await? {
            if let Some(decision) = &self.back_off {
                return Err(Cut::Failed(format!("a good canary was backed off: {}", decision.why)));
            }
        }
        Ok(())
    }

    pub(super) fn canary_turns_bad(&self) {
        self.cast.canary.turn_bad();
    }

    /// Whether the immune system has done it before that moment.
    pub(super) async fn is_backed_off_before(&mut self, moment: Duration) -> Result<bool, Cut> {
        while self.back_off.is_none() {
            if !self.wait_and_look(moment).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) async fn look_on_until(&mut self, moment: Duration) -> Result<(), Cut> {
        while self.wait_and_look(moment).await? {}
        Ok(())
    }

    /// The picture is gone after this. `users` and `canary` are the last counts.
    pub(super) fn close(self, ending: Ending, users: Totals, canary: Account) -> Summary {
        let settled = self.settled.unwrap_or(canary);
        let late = if self.was_reset { 0 } else { canary.requests.saturating_sub(settled.requests) };
        let back_off = self.back_off.map(|decision| BackOff { decision, canary: settled, late });
        let bad_for = self.start.elapsed().min(self.plan.end).saturating_sub(self.plan.bad);
        Summary { ending, back_off, users, route: self.route, bad_for }
    }

    /// False once the moment has come.
    async fn wait_and_look(&mut self, moment: Duration) -> Result<bool, Cut> {
        let now = self.start.elapsed();
        if now >= moment {
            return Ok(false);
        }
        let next = self.start + moment.min(now + LOOK_EVERY);
        tokio::select! {
            () = sleep_until(next) => {}
            () = self.stop.wanted() => return Err(Cut::Interrupted),
        }
        self.look().await?;
        Ok(true)
    }

    async fn look(&mut self) -> Result<(), Cut> {
        self.route = ask(self.cast.handle.route(ROUTE)).await?;
        let now = self.start.elapsed();
        self.notice_back_off(now).await?;
        let users = self.cast.users.totals();
        self.history.add(Sample {
            at: now,
            weight: self.route.canaries.first().map_or(0.0, |canary| canary.effective.ratio()),
            canary_failed: users.canary.failed,
            stable_failed: users.stable.failed,
        });
        let scene = Scene {
            elapsed: now,
            end: self.plan.end,
            route: self.route.clone(),
            users,
            steps: self.steps.clone(),
            history: self.history.clone(),
            admin: self.cast.admin,
        };
        self.show.look(&scene).map_err(Cut::Unseen)
    }

    async fn notice_back_off(&mut self, now: Duration) -> Result<(), Cut> {
        let is_pulled = self.route.cord.is_some();
        if self.back_off.is_none() && is_pulled {
            let filter = DecisionFilter {
                route: Some(ROUTE.into()),
                action: Some(Action::BackOff),
                limit: 1,
                ..DecisionFilter::default()
            };
            let found = ask(self.cast.handle.decisions(filter)).await?;
            self.back_off = found.into_iter().next().map(|found| found.decision);
            self.settles_at = self.back_off.as_ref().map(|_| now + SETTLE);
        }
        if self.settled.is_none() && self.settles_at.is_some_and(|at| now >= at) {
            self.settled = Some(self.cast.canary.account());
        }
        self.was_reset |= self.back_off.is_some() && !is_pulled;
        Ok(())
    }
}

/// Ctrl-C, or whatever else wants the process to end.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

async fn ask<T>(question: impl Future<Output = Result<T, Refusal>>) -> Result<T, Cut> {
    let answer = timeout(ANSWER_MAX, question).await;
    answer.map_err(|_| Cut::Failed("the controller does not answer".to_owned()))?.map_err(refused)
}

fn refused(refusal: Refusal) -> Cut {
    Cut::Failed(match refusal {
        Refusal::CordPulled { cord, .. } => {
            format!("the weight cannot rise: {} pulled the cord: {}", cord.by, cord.why)
        }
        Refusal::Gone => "the controller is gone".to_owned(),
        other => format!("the controller refused: {other:?}"),
    })
}
