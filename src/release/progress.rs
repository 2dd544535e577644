//! Where a release stands, and its next move.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Weight;
use crate::config::plan::{Otherwise, Plan, PlanStep, Promote};

/// A ramp rises in so many equal moves; each is stored and recorded.
const RAMP_MOVES: u32 = 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// That of the decision that started it.
    pub id: Arc<str>,
    /// As it was at the start.
    pub plan: Plan,
    pub canary: Arc<str>,
    /// Which upstream plays the canary.
    pub upstream: Arc<str>,
    pub by: Arc<str>,
    pub why: Arc<str>,
    pub started_ms: i64,
    /// The place in `plan.steps`.
    pub step: usize,
    /// The weight from which the step rises.
    pub from: Weight,
    pub phase: Phase,
    /// When the phase began; in a ramp, when the weight moved last.
    pub since_ms: i64,
    pub held: Option<Held>,
    /// `None`: it goes on.
    pub ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Towards the weight of the step.
    Raising,
    Holding,
    Proving,
    Approving,
    /// All steps are done, and a person has to promote it.
    Ready,
    /// The whole route goes to the canary, and then the roles are swapped.
    Promoting,
}

impl Phase {
    pub const ALL: [Self; 6] =
        [Self::Raising, Self::Holding, Self::Proving, Self::Approving, Self::Ready, Self::Promoting];

    pub fn label(self) -> &'static str {
        match self {
            Self::Raising => "raising",
            Self::Holding => "holding",
            Self::Proving => "proving",
            Self::Approving => "approving",
            Self::Ready => "ready",
            Self::Promoting => "promoting",
        }
    }
}

/// Nothing rises until somebody says resume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub by: Arc<str>,
    pub why: Arc<str>,
    pub at_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub how: End,
    pub by: Arc<str>,
    pub why: Arc<str>,
    pub at_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Promoted,
    Aborted,
    /// The cord was pulled, by the immune system or by a person.
    BackedOff,
}

impl End {
    pub fn label(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Aborted => "aborted",
            Self::BackedOff => "backed_off",
        }
    }
}

/// What is true now.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub now_ms: i64,
    pub aim: Weight,
    pub effective: Weight,
    /// The canary has not had one request that could have shown that it is bad; while the step mirrors, none was copied to it.
    pub unseen: bool,
    /// There is a proof that the canary is not worse.
    pub healthy: bool,
    /// Why no proof can be made yet.
    pub missing: String,
    /// What speaks against any raise, in words. A promotion that a person asked for is let pass by the calendar.
    pub blocked: Option<String>,
    /// Hours or a freeze, in words.
    pub closed: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// The canary's aim goes up, and the release is this one then.
    Raise(Weight, Release),
    /// Nothing but the phase changes.
    Go(Release),
    /// A deadline has passed.
    Hold(Arc<str>),
    Abort(Arc<str>),
    /// Everybody is on the canary: it becomes stable.
    Promote,
}

/// What a release waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub sentence: String,
    /// `None`: nobody can say.
    pub until_ms: Option<i64>,
}

impl Release {
    pub fn is_running(&self) -> bool {
        self.ended.is_none()
    }

    /// One word for where it stands.
    pub fn state(&self) -> &'static str {
        match (&self.ended, &self.held) {
            (Some(ended), _) => ended.how.label(),
            (None, Some(_)) => "held",
            (None, None) => self.phase.label(),
        }
    }

    /// Of stable's requests, so many are copied to the canary now.
    pub fn mirror(&self) -> Option<Weight> {
        self.step().filter(|_| self.is_running() && self.phase != Phase::Raising)?.mirror
    }

    fn step(&self) -> Option<&PlanStep> {
        self.plan.steps.get(self.step)
    }

    /// The next move, if one is due.
    pub fn next(&self, facts: &Facts) -> Option<Move> {
        if self.ended.is_some() || self.held.is_some() {
            return None;
        }
        let step = self.step()?;
        match self.phase {
            Phase::Raising if step.mirror.is_some() && facts.closed.is_some() => None,
            Phase::Raising if facts.aim >= step.to => Some(Move::Go(self.after(facts.now_ms, facts.aim))),
            Phase::Raising => self.raise(step, facts),
            Phase::Holding => {
                let has_shown = !facts.unseen && facts.blocked.is_none();
                let may = self.has_passed(step.hold, facts.now_ms) && has_shown;
                may.then(|| Move::Go(self.after(facts.now_ms, facts.aim)))
            }
            Phase::Proving if facts.healthy && facts.blocked.is_none() => {
                Some(Move::Go(self.after(facts.now_ms, facts.aim)))
            }
            Phase::Proving => self.overdue(step, "no proof that the canary is not worse", facts),
            Phase::Approving => self.overdue(step, "no approval", facts),
            Phase::Ready => None,
            Phase::Promoting => self.promote(facts),
        }
    }

    /// The weight that it wants next; `None`: no more than it has.
    pub fn wanted(&self, aim: Weight) -> Option<Weight> {
        let step = self.step().filter(|_| self.ended.is_none() && self.held.is_none())?;
        let wanted = match self.phase {
            Phase::Raising if step.ramp.is_zero() => step.to,
            Phase::Raising => self.ramped(step, aim),
            Phase::Promoting => Weight::WHOLE,
            _ => return None,
        };
        (wanted > aim).then_some(wanted)
    }

    fn raise(&self, step: &PlanStep, facts: &Facts) -> Option<Move> {
        if facts.blocked.is_some() || facts.closed.is_some() {
            return None;
        }
        let moves_now = step.ramp.is_zero() || self.has_passed(step.ramp / RAMP_MOVES, facts.now_ms);
        let to = self.wanted(facts.aim).filter(|_| moves_now)?;
        Some(Move::Raise(to, Self { since_ms: facts.now_ms, ..self.clone() }))
    }

    /// A part of the way further. A pause is not caught up: the moves after it are as far apart as those before.
    fn ramped(&self, step: &PlanStep, aim: Weight) -> Weight {
        let part = step.to.ppm().saturating_sub(self.from.ppm()).div_ceil(RAMP_MOVES).max(1);
        let next = aim.ppm().saturating_add(part).min(step.to.ppm());
        Weight::from_ppm(next).unwrap_or(step.to)
    }

    fn promote(&self, facts: &Facts) -> Option<Move> {
        if facts.blocked.is_some() {
            return None;
        }
        match self.wanted(facts.aim) {
            Some(whole) => Some(Move::Raise(whole, Self { since_ms: facts.now_ms, ..self.clone() })),
            None => (facts.effective == Weight::WHOLE).then_some(Move::Promote),
        }
    }

    fn overdue(&self, step: &PlanStep, what: &str, facts: &Facts) -> Option<Move> {
        if !self.has_passed(step.within, facts.now_ms) {
            return None;
        }
        let why = Arc::from(format!("{what} within {}", span(step.within)));
        match step.otherwise {
            Otherwise::Hold => Some(Move::Hold(why)),
            Otherwise::Abort => Some(Move::Abort(why)),
            Otherwise::GoOn if facts.blocked.is_some() => None,
            Otherwise::GoOn => Some(Move::Go(self.after(facts.now_ms, facts.aim))),
        }
    }

    /// With the present phase behind it.
    fn after(&self, now_ms: i64, aim: Weight) -> Self {
        let Some(step) = self.step() else { return self.clone() };
        let rest = [
            (Phase::Holding, !step.hold.is_zero()),
            (Phase::Proving, step.proof),
            (Phase::Approving, step.approve),
        ];
        let place = Phase::ALL.iter().position(|phase| *phase == self.phase).unwrap_or(0);
        let next = rest.into_iter().skip(place).find(|(_, asked)| *asked);
        let release = Self { since_ms: now_ms, ..self.clone() };
        match next {
            Some((phase, _)) => Self { phase, ..release },
            None if self.step + 1 < self.plan.steps.len() => {
                Self { step: self.step + 1, from: aim, phase: Phase::Raising, ..release }
            }
            None if step.to == Weight::WHOLE && self.plan.promote == Promote::Auto => {
                Self { phase: Phase::Promoting, ..release }
            }
            None => Self { phase: Phase::Ready, ..release },
        }
    }

    /// `None`: it does not wait for an approval.
    pub fn approved(&self, now_ms: i64, aim: Weight) -> Option<Self> {
        (self.phase == Phase::Approving).then(|| Self { held: None, ..self.after(now_ms, aim) })
    }

    /// A person wants it to be stable now.
    pub fn promoted_early(&self, now_ms: i64) -> Self {
        Self { phase: Phase::Promoting, held: None, since_ms: now_ms, ..self.clone() }
    }

    /// Who held it first, and why, is what people must see.
    pub fn held(&self, held: Held) -> Self {
        Self { held: Some(self.held.clone().unwrap_or(held)), ..self.clone() }
    }

    /// The time in which it was held does not count. A deadline that has passed begins anew.
    pub fn resumed(&self, now_ms: i64) -> Self {
        let Some(held) = &self.held else { return self.clone() };
        let stood = now_ms.saturating_sub(held.at_ms).max(0);
        let since_ms = self.since_ms.saturating_add(stood).min(now_ms);
        let waits = matches!(self.phase, Phase::Proving | Phase::Approving);
        let is_over = self.step().is_some_and(|step| waits && has_passed(since_ms, step.within, now_ms));
        Self { held: None, since_ms: if is_over { now_ms } else { since_ms }, ..self.clone() }
    }

    pub fn ended(&self, ended: Ended) -> Self {
        Self { ended: Some(ended), held: None, ..self.clone() }
    }

    /// In words, for people.
    pub fn waits_for(&self, facts: &Facts) -> Waiting {
        if let Some(Ended { how, by, why, .. }) = &self.ended {
            return Waiting {
                sentence: format!("{}, by {by}: {why}", how.label().replace('_', " ")),
                until_ms: None,
            };
        }
        if let Some(Held { by, why, .. }) = &self.held {
            return Waiting { sentence: format!("held by {by}: {why}"), until_ms: None };
        }
        let Some(step) = self.step() else { return Waiting::default() };
        let until = |rest: Duration| Some(self.since_ms.saturating_add_unsigned(millis(rest)));
        let (sentence, until_ms) = match (self.phase, &facts.blocked, &facts.closed) {
            (Phase::Raising, Some(why), _)
            | (Phase::Promoting, Some(why), _)
            | (Phase::Raising, None, Some(why)) => (format!("rises after this: {why}"), None),
            (Phase::Raising, ..) if step.ramp.is_zero() => (format!("rises to {}", step.to), None),
            (Phase::Raising, ..) => (format!("rises towards {}", step.to), until(step.ramp / RAMP_MOVES)),
            (Phase::Holding, Some(why), _) if self.has_passed(step.hold, facts.now_ms) => {
                (format!("goes on after this: {why}"), None)
            }
            (Phase::Holding, ..)
                if facts.unseen && step.mirror.is_some() && self.has_passed(step.hold, facts.now_ms) =>
            {
                ("goes on when a request was copied".to_owned(), None)
            }
            (Phase::Holding, ..) if facts.unseen && self.has_passed(step.hold, facts.now_ms) => {
                ("goes on when the canary has had requests".to_owned(), None)
            }
            (Phase::Holding, ..) if let Some(share) = step.mirror => {
                (format!("mirrors {share} for {}", span(step.hold)), until(step.hold))
            }
            (Phase::Holding, ..) => (format!("holds {} for {}", step.to, span(step.hold)), until(step.hold)),
            (Phase::Proving, ..) => (format!("waits for a proof: {}", facts.missing), until(step.within)),
            (Phase::Approving, ..) => ("waits for an approval".to_owned(), until(step.within)),
            (Phase::Ready, ..) => ("waits to be promoted".to_owned(), None),
            (Phase::Promoting, None, _) => ("becomes stable".to_owned(), None),
        };
        Waiting { sentence, until_ms }
    }

    fn has_passed(&self, span: Duration, now_ms: i64) -> bool {
        has_passed(self.since_ms, span, now_ms)
    }
}

fn has_passed(since_ms: i64, span: Duration, now_ms: i64) -> bool {
    now_ms >= since_ms.saturating_add_unsigned(millis(span))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// `10 min`, in the largest unit that says it exactly.
fn span(span: Duration) -> String {
    let ms = span.as_millis();
    let exact =
        [("h", 3_600_000), ("min", 60_000)].into_iter().find(|(_, each)| ms > 0 && ms.is_multiple_of(*each));
    match exact {
        Some((unit, each)) => format!("{} {unit}", ms / each),
        None => format!("{} s", span.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests;
