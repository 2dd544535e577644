//! The live side of every route: its state, and what the immune system remembers of its canaries.
//!
//! In the order of the file, which is also the order of the snapshot. Records of routes that the file no longer
//! has are kept, so that a route that comes back finds its cord still pulled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::climbing;
use super::drill::Drill;
use super::lots::Lots;
use super::rest::{Rest, Rota};
use super::self_test::SelfTesting;
use super::state::{RouteState, effective};
use super::watched::{CanaryLive, Watched};
use crate::config::{self, Config, Service, Weight};
use crate::immune::{Guard, Pace};
use crate::metrics::slots::{MIRROR, Slots};
use crate::metrics::{Shards, SlotId};
use crate::routing::Share;
use crate::store::record::{Action, CanaryRecord, Decision, RouteRecord};

pub(super) const STABLE: &str = "stable";
/// After a step down, requests that the old weight sent are still under way for so many ticks: they would make the canary
/// look busier than its lot.
pub(super) const STEP_DOWN_TICKS: u32 = 2;

#[derive(Default)]
pub(super) struct Routes {
    pub(super) list: Vec<RouteLive>,
    /// Places in `list` of the routes that have a canary.
    pub(super) judged: Vec<usize>,
    /// Those of them that the tick looks at now.
    pub(super) rota: Rota,
    index: HashMap<Arc<str>, usize>,
    /// Bounded by the routes that any file ever had.
    absent: HashMap<Arc<str>, RouteRecord>,
    touches: u64,
}

pub(super) struct RouteLive {
    pub(super) name: Arc<str>,
    /// `None`: the route denies.
    pub(super) split: Option<SplitLive>,
    /// Moves whenever the route is lowered out of turn: by the immune system, or by a person who did not wait
    /// for the changes before. A raise that was prepared earlier is void then.
    pub(super) touched: u64,
}

pub(super) struct SplitLive {
    pub(super) state: RouteState,
    pub(super) on_unhealthy: config::OnUnhealthy,
    pub(super) stable: Watched,
    /// In the order of `state.record.canaries`.
    pub(super) canaries: Vec<CanaryLive>,
    pub(super) pace: Pace,
    pub(super) rest: Rest,
    /// How long a tick is.
    pub(super) tick: Duration,
    /// After a cut, requests that the old weight sent still end for so long: they say nothing of the new one.
    pub(super) settle: Duration,
    pub(super) back_off: Option<BackOff>,
    /// `None`: off, or there is no canary.
    pub(super) self_test: Option<SelfTesting>,
    /// `None`: users are tied to a variant, so no lot is drawn for a request.
    pub(super) lots: Option<Lots>,
    /// The last one, also when it is over.
    pub(super) drill: Option<Drill>,
    /// As the file has them.
    pub(super) outside: Arc<[config::Outside]>,
    /// Where copies are counted. `None`: there never were any.
    pub(super) mirror: Option<SlotId>,
}

/// A canary before a reload.
struct Was {
    upstream: Arc<str>,
    effective: Weight,
}

/// How long a back-off to 0 took to reach the last request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BackOff {
    Measuring { slot: SlotId, deciding_failure_us: u64, due_us: u64 },
    Took { seconds: f64 },
}

impl Routes {
    /// Before the first file: all that is known comes from the store.
    pub(super) fn from_store(records: Vec<RouteRecord>) -> Self {
        let absent = records.into_iter().map(|record| (Arc::clone(&record.route), record)).collect();
        Self { absent, ..Self::default() }
    }

    pub(super) fn find(&self, route: &str) -> Option<usize> {
        self.index.get(route).copied()
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.list.iter().map(|route| Arc::clone(&route.name)).collect()
    }

    pub(super) fn split(&self, route: usize) -> Option<&SplitLive> {
        self.list.get(route)?.split.as_ref()
    }

    /// To change it. It is woken, so that the change comes after all that it has missed.
    pub(super) fn split_mut(&mut self, route: usize) -> Option<&mut SplitLive> {
        self.wake(route);
        self.list.get_mut(route)?.split.as_mut()
    }

    /// The state in force of a named route.
    pub(super) fn state(&self, route: &str) -> Option<&RouteState> {
        self.split(self.find(route)?).map(|split| &split.state)
    }

    /// What is remembered of a named route: its state in force, else what it was when the file last had it.
    pub(super) fn remembered(&self, route: &str) -> Option<&RouteRecord> {
        self.state(route).map(|state| &state.record).or_else(|| self.absent.get(route))
    }

    /// Counts every [`Routes::touch`] of any route.
    pub(super) fn touches(&self) -> u64 {
        self.touches
    }

    pub(super) fn touch(&mut self, route: usize) {
        self.touches += 1;
        if let Some(route) = self.list.get_mut(route) {
            route.touched = self.touches;
        }
    }

    pub(super) fn shares(&self) -> Vec<Vec<Share>> {
        let shares = |route: &RouteLive| route.split.as_ref().map_or(Vec::new(), SplitLive::shares);
        self.list.iter().map(shares).collect()
    }

    /// Every slot, routes with canaries first.
    pub(super) fn slots_by_importance(&self) -> Vec<SlotId> {
        let (with, without): (Vec<_>, Vec<_>) = self
            .list
            .iter()
            .filter_map(|route| route.split.as_ref())
            .partition(|split| !split.canaries.is_empty());
        let slots = |split: &SplitLive| {
            let canaries = split.canaries.iter().map(|canary| canary.watched.slot);
            std::iter::once(split.stable.slot).chain(canaries).chain(split.mirror).collect::<Vec<_>>()
        };
        with.into_iter().chain(without).flat_map(slots).collect()
    }

    /// Takes a new file's routes with their states, in the same order. Guards go on with what they know, unless
    /// another upstream plays the canary. `slots` must already know every variant, as it does once a table was
    /// built; a variant without a slot would not be judged, so the route is then left out of the tick.
    pub(super) fn replace(
        &mut self,
        config: &Config,
        states: Vec<Option<RouteState>>,
        slots: &mut Slots,
        shards: &Shards,
    ) {
        self.wake_all();
        let old = std::mem::take(&mut self.list);
        let mut old: HashMap<_, _> = old.into_iter().map(|route| (Arc::clone(&route.name), route)).collect();
        for (file, state) in config.routes.iter().zip(states) {
            let before = old.remove(&file.name);
            let touched = before.as_ref().map_or(0, |before| before.touched);
            let before = before.and_then(|before| before.split);
            let split = match (state, &before) {
                (Some(state), _) => SplitLive::of(file, state, before, slots, shards),
                (None, Some(before)) => {
                    self.absent.insert(Arc::clone(&file.name), before.state.record.clone());
                    None
                }
                (None, None) => None,
            };
            if split.is_some() {
                self.absent.remove(&file.name);
            }
            self.list.push(RouteLive { name: Arc::clone(&file.name), split, touched });
        }
        for (name, route) in old {
            if let Some(split) = route.split {
                self.absent.insert(name, split.state.record);
            }
        }
        self.index = self.list.iter().enumerate().map(|(at, route)| (Arc::clone(&route.name), at)).collect();
        let has_canary = |at: &usize| self.split(*at).is_some_and(|split| !split.canaries.is_empty());
        self.judged = (0..self.list.len()).filter(has_canary).collect();
        self.rouse();
    }
}

impl Routes {
    /// Other upstreams play the parts of one route. What is remembered of another stable version is forgotten.
    pub(super) fn recast(
        &mut self,
        route: usize,
        file: &config::Route,
        state: RouteState,
        slots: &mut Slots,
        shards: &Shards,
    ) {
        self.wake(route);
        let Some(live) = self.list.get_mut(route) else { return };
        let before = live.split.take();
        let was = before.as_ref().map(|split| Arc::clone(&split.state.record.stable.upstream));
        let is_another = was.is_some_and(|was| was != state.record.stable.upstream);
        live.split = SplitLive::of(file, state, before, slots, shards);
        for canary in live.split.iter_mut().filter(|_| is_another).flat_map(|split| &mut split.canaries) {
            let fresh = Guard::new(canary.guard.judge());
            canary.guard.replace(fresh);
            canary.restart();
        }
    }
}

impl SplitLive {
    fn of(
        file: &config::Route,
        state: RouteState,
        mut before: Option<Self>,
        slots: &mut Slots,
        shards: &Shards,
    ) -> Option<Self> {
        let Service::Split { .. } = &file.service else { return None };
        let stable = slots.slot(&file.name, &Arc::from(STABLE))?;
        let back_off = before.as_ref().and_then(|before| before.back_off);
        let pace = before.as_ref().map_or_else(Pace::default, |before| before.pace);
        let drill = before.as_mut().and_then(|before| before.drill.take()).map(Drill::overtaken);
        let outside = before.as_ref().map(|before| Arc::clone(&before.outside));
        let outside = outside
            .filter(|outside| **outside == *file.guard.outside)
            .unwrap_or_else(|| file.guard.outside.clone().into());
        let suspended = before.as_ref().is_some_and(Self::is_suspended);
        let tested = before.as_mut().and_then(|before| before.self_test.take());
        let self_test = SelfTesting::of(file, tested, slots, shards);
        let (stable, mut old) = match before {
            Some(before) => before.into_parts(),
            None => (Watched::from_now_on(stable, shards), HashMap::new()),
        };
        let judge = &file.guard.judge;
        let mut canaries = Vec::new();
        for canary in &state.record.canaries {
            let slot = slots.slot(&file.name, &canary.name)?;
            let live = match old.remove(&canary.name) {
                Some((was, mut live)) => {
                    if outside.is_empty() {
                        live.outside = Default::default();
                    }
                    live.guard.reconfigure(judge);
                    let starts = was.effective.is_zero() && !effective(&state.record, canary).is_zero();
                    if starts || was.upstream != canary.role.upstream {
                        live.restart();
                    } else if effective(&state.record, canary) < was.effective {
                        live.guard.skip(STEP_DOWN_TICKS);
                    }
                    live
                }
                None => CanaryLive::new(Watched::from_now_on(slot, shards), judge),
            };
            canaries.push(live);
        }
        let lots = file.sticky.is_none().then(Lots::default);
        let (on_unhealthy, tick, settle) =
            (file.guard.on_unhealthy, judge.tick, climbing::settle(&file.guard));
        let mut split = Self {
            state,
            on_unhealthy,
            stable,
            canaries,
            pace,
            rest: Rest::default(),
            tick,
            settle,
            back_off,
            self_test,
            lots,
            drill,
            outside,
            mirror: slots.find(&file.name, MIRROR),
        };
        split.take_baseline(file);
        if suspended && !split.is_suspended() {
            split.start_anew();
        }
        Some(split)
    }

    fn into_parts(self) -> (Watched, HashMap<Arc<str>, (Was, CanaryLive)>) {
        let record = self.state.record;
        let was = |canary: &CanaryRecord| Was {
            upstream: Arc::clone(&canary.role.upstream),
            effective: effective(&record, canary),
        };
        let names = record.canaries.iter().map(|canary| (Arc::clone(&canary.name), was(canary)));
        let canaries = names.zip(self.canaries).map(|((name, was), live)| (name, (was, live))).collect();
        (self.stable, canaries)
    }

    /// Puts in force what was decided.
    pub(super) fn follow(&mut self, decision: &Decision, state: RouteState) {
        self.enter(state);
        if decision.action == Action::CordReset {
            self.end_alarm();
        }
        self.end_drill_by(decision);
    }

    /// Puts a new state of the same canaries in force. Evidence and harm budget start anew where the line is let go on, or where
    /// a canary gets its first traffic.
    fn enter(&mut self, state: RouteState) {
        let line_goes_on = self.state.record.cord.is_some() && state.record.cord.is_none();
        let pairs = self.state.record.canaries.iter().zip(&state.record.canaries);
        for ((before, after), live) in pairs.zip(&mut self.canaries) {
            let starts =
                effective(&self.state.record, before).is_zero() && !effective(&state.record, after).is_zero();
            if line_goes_on || starts {
                live.restart();
            } else if effective(&state.record, after) < effective(&self.state.record, before) {
                live.guard.skip(STEP_DOWN_TICKS);
            }
        }
        self.state = state;
        self.choose_comparison();
    }
}
