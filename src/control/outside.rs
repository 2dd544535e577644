//! Outside signals: numbers that others know of a canary. When they are asked for, and what follows from what they say.
//!
//! Only a canary with weight is asked about. Its questions are new ones whenever it starts anew or somebody else plays it
//! or stable, and a report of an old question is not listened to. What is undecided never acts and never acquits: it only
//! keeps a canary from being called healthy.

use std::collections::HashMap;
use std::sync::Arc;

use super::controller::Controller;
use super::harm::Cause;
use super::routes::SplitLive;
use super::state::effective;
use super::view::OutsideView;
use crate::config::outside::Source;
use crate::config::{Mode, OnUnhealthy, Outside, Web};
use crate::immune::{OutsideFinding, OutsideRule, OutsideSignal, OutsideState, Reading};
use crate::metrics::outside::OutsideGauges;
use crate::notify::{Asked, Inquirer, Question, Report};

/// The controller's side of what is asked.
pub(super) struct Inquiry {
    pub(super) inquirer: Inquirer,
    /// Of the last question.
    last_id: u64,
    /// Questions that the thread knows of, and the routes that they are about.
    asked: HashMap<u64, Arc<str>>,
}

/// What is asked of one canary. Empty until it has weight.
#[derive(Default)]
pub(super) struct CanaryOutside {
    signals: Vec<Signal>,
    /// What they were made of.
    made_of: Option<MadeOf>,
    /// The canary has weight.
    asks: bool,
}

struct Signal {
    question: Arc<Question>,
    judged: OutsideSignal,
    mode: Mode,
    /// Its finding has been dealt with.
    recorded: bool,
}

#[derive(PartialEq)]
struct MadeOf {
    file: Arc<[Outside]>,
    upstream: Arc<str>,
    stable: Arc<str>,
}

impl Inquiry {
    pub(super) fn new(inquirer: Inquirer) -> Self {
        Self { inquirer, last_id: 0, asked: HashMap::new() }
    }

    /// Another process asks.
    pub(super) fn pause(&mut self) {
        self.inquirer.follow(Vec::new());
        self.asked.clear();
    }
}

impl CanaryOutside {
    pub(super) fn has_signals(&self) -> bool {
        !self.signals.is_empty()
    }

    /// A finding of a signal that acts.
    fn acting(&self) -> Option<&OutsideFinding> {
        let acting = self.signals.iter().filter(|signal| signal.mode == Mode::Act);
        acting.filter_map(|signal| signal.judged.finding()).next()
    }

    /// Why the canary is unhealthy.
    pub(super) fn unhealthy(&self) -> Option<String> {
        self.acting().map(OutsideFinding::sentence)
    }

    /// Why the canary cannot be called healthy: a signal that acts has not said that it is well.
    pub(super) fn missing(&self, now_us: u64) -> Option<String> {
        let acting = self.signals.iter().filter(|signal| signal.mode == Mode::Act);
        let mut missing = acting.filter_map(|signal| signal.missing(now_us));
        missing.next()
    }

    /// Why nothing should rise: the last word of a signal that acts was a bad one.
    pub(super) fn objection(&self, now_us: u64) -> Option<String> {
        let objects = |signal: &&Signal| {
            let state = signal.judged.state(now_us);
            signal.mode == Mode::Act && matches!(state, OutsideState::Bad(_) | OutsideState::Failing)
        };
        self.signals.iter().find(objects)?.missing(now_us)
    }

    /// A finding that was not dealt with.
    fn due(&self, reaction: OnUnhealthy, cord_pulled: bool) -> Option<usize> {
        self.signals.iter().position(|signal| {
            let acts = signal.mode == Mode::Act && !matches!(reaction, OnUnhealthy::Watch);
            signal.judged.finding().is_some() && !signal.recorded && !(acts && cord_pulled)
        })
    }

    pub(super) fn is_due(&self, reaction: OnUnhealthy, cord_pulled: bool) -> bool {
        !self.signals.is_empty() && self.due(reaction, cord_pulled).is_some()
    }

    /// Whether it changed what is asked.
    fn aim(&mut self, wanted: Option<MadeOf>, make: impl FnOnce(&MadeOf) -> Vec<Signal>) -> bool {
        match wanted {
            // What was found stays found.
            None => std::mem::take(&mut self.asks),
            wanted if self.asks && self.made_of == wanted => false,
            Some(made_of) => {
                self.signals = make(&made_of);
                (self.made_of, self.asks) = (Some(made_of), true);
                true
            }
        }
    }

    fn views(&self, file: &[Outside], now_us: u64) -> Vec<OutsideView> {
        let of = |outside: &Outside| {
            let signal = self.signals.iter().find(|signal| signal.judged.rule().name == outside.name);
            let mut view = OutsideView {
                name: Arc::clone(&outside.name),
                acts: outside.mode == Mode::Act,
                ..OutsideView::default()
            };
            let Some(signal) = signal else {
                view.missing = Some("not asked: the canary has no traffic".into());
                return view;
            };
            let (rule, state) = (signal.judged.rule(), signal.judged.state(now_us));
            view.state = state.label();
            (view.asked, view.wanted) = (Some(Arc::clone(&rule.asked)), rule.wanted());
            if let Some((reading, age_us)) = signal.judged.reading(now_us) {
                (view.value, view.stable) = (Some(reading.canary), reading.stable);
                view.age_seconds = Some(age_us as f64 / 1e6);
            }
            match state {
                OutsideState::Undecided(why) => view.missing = Some(why),
                OutsideState::Bad(count) => view.bad = count,
                OutsideState::Failing => view.bad = rule.failures,
                OutsideState::Good => {}
            }
            view.failures = rule.failures;
            view
        };
        file.iter().filter(|outside| outside.mode != Mode::Off).map(of).collect()
    }
}

impl Signal {
    fn missing(&self, now_us: u64) -> Option<String> {
        let rule = self.judged.rule();
        let what = match self.judged.state(now_us) {
            OutsideState::Good => return None,
            OutsideState::Undecided(why) => why.to_string(),
            OutsideState::Bad(count) => format!("{count} of {} bad readings", rule.failures),
            OutsideState::Failing => "failing".to_owned(),
        };
        Some(format!("outside signal \"{}\" ({} is wanted): {what}", rule.name, rule.wanted()))
    }
}

impl SplitLive {
    /// Looks who is to be asked about. Whether anything changed, and how many questions there are.
    fn aim_questions(&mut self, last_id: &mut u64) -> (bool, usize) {
        let (mut changed, mut count) = (false, 0);
        let record = &self.state.record;
        for (role, live) in record.canaries.iter().zip(&mut self.canaries) {
            let asks = !effective(record, role).is_zero() && !live.is_baseline;
            let wanted = asks.then(|| MadeOf {
                file: Arc::clone(&self.outside),
                upstream: Arc::clone(&role.role.upstream),
                stable: Arc::clone(&record.stable.upstream),
            });
            changed |= live.outside.aim(wanted, |made_of| {
                let names = [&*record.route, &*role.name, &*made_of.upstream, &*made_of.stable];
                signals(&made_of.file, names, last_id)
            });
            count += if live.outside.asks { live.outside.signals.len() } else { 0 };
        }
        (changed, count)
    }

    pub(super) fn outside_views(&self, canary: usize, now_us: u64) -> Vec<OutsideView> {
        self.canaries[canary].outside.views(&self.outside, now_us)
    }
}

fn signals(file: &[Outside], names: [&str; 4], last_id: &mut u64) -> Vec<Signal> {
    let signal = |outside: &Outside| {
        *last_id += 1;
        let (of_canary, of_stable) = questions(&outside.source, names);
        let rule = OutsideRule {
            name: Arc::clone(&outside.name),
            limit: outside.limit,
            failures: outside.failures,
            every_us: u64::try_from(outside.every.as_micros()).unwrap_or(u64::MAX),
            asked: shown(&of_canary),
            asked_of_stable: of_stable.as_ref().map(shown),
        };
        let Outside { every, timeout, after, mode, .. } = *outside;
        let question = Question { id: *last_id, of_canary, of_stable, every, timeout, after };
        Signal { question: Arc::new(question), judged: OutsideSignal::new(rule), mode, recorded: false }
    };
    file.iter().filter(|outside| outside.mode != Mode::Off).map(signal).collect()
}

/// Of canary and stable, with the names in their blanks.
fn questions(source: &Source, names: [&str; 4]) -> (Asked, Option<Asked>) {
    match source {
        Source::Prometheus { server, canary, stable } => {
            let asked =
                |query: &str| Asked::Prometheus { server: server.clone(), query: filled(query, names) };
            (asked(canary), stable.as_deref().map(asked))
        }
        Source::Http { canary, stable, field } => {
            let asked = |web: &Web| {
                let web = Web { path: filled(&web.path, names), ..web.clone() };
                Asked::Http { web, field: field.clone() }
            };
            (asked(canary), stable.as_ref().map(asked))
        }
    }
}

fn filled(text: &str, names: [&str; 4]) -> Box<str> {
    let fill = |text: String, (blank, name): (&str, &str)| text.replace(&format!("{{{blank}}}"), name);
    Outside::BLANKS.into_iter().zip(names).fold(text.to_owned(), fill).into()
}

/// For people. What stands behind the path of an address may be a secret.
fn shown(asked: &Asked) -> Arc<str> {
    match asked {
        Asked::Prometheus { query, .. } => (**query).into(),
        Asked::Http { web, .. } => {
            let path = web.path.split('?').next().unwrap_or_default();
            format!("{}{path}", web.origin()).into()
        }
    }
}

impl Controller {
    /// Tells the thread that asks what is to be asked, if that changed. Routes without outside signals cost nothing.
    pub(super) fn tend_outside(&mut self) {
        let (mut changed, mut count) = (false, 0);
        for route in self.routes.rota.awake() {
            let split = self.routes.list.get_mut(*route).and_then(|route| route.split.as_mut());
            let Some(split) = split.filter(|split| !split.outside.is_empty()) else { continue };
            let (aimed, questions) = split.aim_questions(&mut self.inquiry.last_id);
            changed |= aimed;
            count += questions;
        }
        // Canaries that a reload took away are missing in the count.
        if !changed && count == self.inquiry.asked.len() {
            return;
        }
        let (mut questions, mut asked) = (Vec::with_capacity(count), HashMap::with_capacity(count));
        for split in self.routes.rota.awake().iter().filter_map(|route| self.routes.split(*route)) {
            let canaries = split.canaries.iter().filter(|live| live.outside.asks);
            for signal in canaries.flat_map(|live| &live.outside.signals) {
                asked.insert(signal.question.id, Arc::clone(&split.state.record.route));
                questions.push(Arc::clone(&signal.question));
            }
        }
        self.inquiry.inquirer.follow(questions);
        self.inquiry.asked = asked;
    }

    pub(super) fn hear_outside(&mut self, report: Report) {
        let now_us = self.clock.now_us();
        let Report { id, at_ms, canary, stable } = report;
        let of_stable = stable.transpose().map_err(|why| Arc::from(format!("stable: {why}")));
        let reading = canary.and_then(|canary| Ok(Reading { at_ms, canary, stable: of_stable? }));
        let route = self.inquiry.asked.get(&id).and_then(|route| self.routes.find(route));
        let Some(split) = route.and_then(|route| self.routes.split_mut(route)) else { return };
        let mut signals = split.canaries.iter_mut().flat_map(|live| &mut live.outside.signals);
        if let Some(signal) = signals.find(|signal| signal.question.id == id) {
            signal.judged.hear(now_us, reading);
        }
    }

    /// A rule about numbers of others is broken.
    pub(super) fn act_outside(&mut self, route: usize, canary: usize, now_us: u64) {
        let Some(split) = self.routes.split_mut(route) else { return };
        let (reaction, cord_pulled) = (split.reaction(), split.state.record.cord.is_some());
        let Some(live) = split.canaries.get_mut(canary) else { return };
        let Some(due) = live.outside.due(reaction, cord_pulled) else { return };
        let signal = &mut live.outside.signals[due];
        signal.recorded = true;
        let (mode, Some(finding)) = (signal.mode, signal.judged.finding()) else { return };
        let cause = Cause::outside(finding, live.guard.odds()).recorded(&mut live.guard);
        match reaction {
            _ if mode != Mode::Act => self.watch(route, canary, &cause),
            OnUnhealthy::Watch => self.watch(route, canary, &cause),
            OnUnhealthy::Abort => self.abort(route, canary, &cause, now_us),
            OnUnhealthy::BackOff(plan) => self.cut(route, canary, &cause, &plan, now_us),
        }
    }

    pub(super) fn outside_gauges(&self, split: &SplitLive, canary: usize) -> Vec<OutsideGauges> {
        let (route, variant) = (&split.state.record.route, &split.state.record.canaries[canary].name);
        let views = split.outside_views(canary, self.clock.now_us());
        let gauges = |view: OutsideView| OutsideGauges {
            route: Arc::clone(route),
            variant: Arc::clone(variant),
            signal: view.name,
            value: view.value,
            state: view.state,
        };
        views.into_iter().map(gauges).collect()
    }
}

#[cfg(test)]
mod tests;
