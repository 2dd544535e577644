//! The story in five steps: what happened, what happens now, what comes next.

use std::time::Duration;

use super::load::RATE;
use super::plan::Plan;
use super::upstreams::{BAD_FAILS_PERCENT, BAD_SLOWER};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    StableAlone,
    FirstWeight,
    SecondWeight,
    TurnsBad,
    BackedOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Done,
    Now,
    Next,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    plan: Plan,
    /// When each began, in the order of [`Step::ALL`].
    begun: Vec<Duration>,
}

impl Step {
    pub(super) const ALL: [Self; 5] =
        [Self::StableAlone, Self::FirstWeight, Self::SecondWeight, Self::TurnsBad, Self::BackedOff];

    pub(super) fn sentence(self) -> String {
        match self {
            Self::StableAlone => format!("stable serves everyone, {RATE} requests a second"),
            Self::FirstWeight => "the release manager gives the canary 5%".to_owned(),
            Self::SecondWeight => "all is well: the canary gets 25%".to_owned(),
            Self::TurnsBad => {
                format!("the canary turns bad: {BAD_FAILS_PERCENT}% fail, all +{} ms", BAD_SLOWER.as_millis())
            }
            Self::BackedOff => "Andon backs it off and pulls the cord".to_owned(),
        }
    }

    /// `None`: nobody knows before.
    fn planned(self, plan: &Plan) -> Option<Duration> {
        match self {
            Self::StableAlone => Some(Duration::ZERO),
            Self::FirstWeight => Some(plan.first_weight),
            Self::SecondWeight => Some(plan.second_weight),
            Self::TurnsBad => Some(plan.bad),
            Self::BackedOff => None,
        }
    }
}

impl Steps {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, begun: Vec::new() }
    }

    /// Steps begin in the order of [`Step::ALL`].
    pub(super) fn begin(&mut self, step: Step, at: Duration) {
        debug_assert_eq!(Step::ALL.get(self.begun.len()), Some(&step));
        self.begun.push(at);
    }

    pub(super) fn marked(&self) -> impl Iterator<Item = (Mark, Option<Duration>, String)> {
        Step::ALL.into_iter().enumerate().map(|(index, step)| {
            let at = self.begun.get(index).copied();
            let mark = match index + 1 {
                number if number < self.begun.len() => Mark::Done,
                number if number == self.begun.len() => Mark::Now,
                _ => Mark::Next,
            };
            (mark, at.or_else(|| step.planned(&self.plan)), step.sentence())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_done_now_and_next() {
        let plan = Plan::of(Duration::from_secs(30));
        let mut steps = Steps::new(plan);
        steps.begin(Step::StableAlone, Duration::ZERO);
        steps.begin(Step::FirstWeight, Duration::from_millis(2_500));
        let marked: Vec<_> = steps.marked().map(|(mark, at, _)| (mark, at)).collect();
        assert_eq!(
            marked,
            [
                (Mark::Done, Some(Duration::ZERO)),
                (Mark::Now, Some(Duration::from_millis(2_500))),
                (Mark::Next, Some(plan.second_weight)),
                (Mark::Next, Some(plan.bad)),
                (Mark::Next, None),
            ]
        );
    }
}
