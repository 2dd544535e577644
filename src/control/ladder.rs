//! The ladder: a canary that was found unhealthy loses most of its weight, and may climb back step by step. Pure.
//!
//! For routes that say `on_unhealthy = "back-off"`. A finding is a *strike*: the ceiling is *cut* to a part of what the
//! canary had, so that few users meet it while it is looked at again, with fresh evidence. After a cooldown without a
//! finding it makes a *step up*, by as much as it was cut, and after the next cooldown another one, until its aim is
//! reached and the ceiling lifted; one more cooldown there, and its strikes are forgotten. A canary that can be cut no
//! further, or that has as many strikes as the route allows, is aborted as anywhere else: ceiling 0, cord pulled.
//!
//! This is the one place where the immune system raises anything, so it is worth saying what it cannot do: a step up
//! needs strikes, which only a cut gives, so it raises no ceiling that it has not lowered; a canary never has more than
//! its aim, which only people and files set; and while the cord is pulled nobody climbs. A reset forgets all strikes:
//! a person has looked.
//!
//! When a step is due is [`super::climbing`]'s business.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::clock::Stamp;
use super::state::{BY_IMMUNE, Change, RouteState, Step, canary_decision, effective};
use crate::config::{BackOff, Weight};
use crate::store::record::{Action, Strikes};

/// A ceiling below it would hardly send anybody: 0.01%.
const CEILING_PPM_MIN: u32 = 100;

impl RouteState {
    /// A strike: the ceiling is cut, or the canary aborted if that is all that is left.
    pub fn cut(&self, canary: usize, plan: &BackOff, why: &str, mut evidence: Value, stamp: Stamp) -> Step {
        let record = &self.record.canaries[canary];
        let had = effective(&self.record, record);
        let left = part(had, plan.cut);
        let strike = record.strikes.map_or(0, |strikes| strikes.count).saturating_add(1);
        let nth = of(strike, plan);
        let is_aborted = strike >= plan.strikes || left.ppm() < CEILING_PPM_MIN;
        if let Value::Object(evidence) = &mut evidence {
            let ceiling = if is_aborted { Weight::ZERO } else { left }.to_string();
            let ladder = json!({ "ceiling": ceiling, "strike": strike, "strikes": plan.strikes });
            evidence.insert("back_off".to_owned(), ladder);
        }
        if is_aborted {
            let why = match strike >= plan.strikes {
                true => format!("{why}; {nth}"),
                false => format!("{why}; {nth}, and {had} is too little to be cut"),
            };
            return self.back_off(canary, &why.into(), evidence, stamp);
        }
        let mut after = self.record.clone();
        after.canaries[canary].ceiling = left;
        after.canaries[canary].strikes = Some(Strikes { count: strike, since_ms: stamp.at_ms });
        let why = format!("{why}; ceiling {had} → {left}, {nth}").into();
        let change = Change { action: Action::BackOff, by: &Arc::from(BY_IMMUNE), why: &why };
        let mut decision = canary_decision(&self.record, &after, canary, change, stamp);
        decision.evidence = Some(evidence);
        self.step(after, decision)
    }

    /// A cooldown has passed without a finding. Unchanged if there is nothing to climb.
    pub fn step_up(&self, canary: usize, plan: &BackOff, stamp: Stamp) -> Step {
        let record = &self.record.canaries[canary];
        let Some(strikes) = record.strikes.filter(|_| self.record.cord.is_none() && is_cut(record.ceiling))
        else {
            return self.unchanged();
        };
        let ceiling = raised(record.ceiling, plan.cut, record.aim);
        let passed = exactly(plan.cooldown);
        let mut why = format!("{passed} without a finding after {}", of(strikes.count, plan));
        if !is_cut(ceiling) {
            why += &format!("; the aim is reached, and in {passed} more the strikes are forgotten");
        }
        let mut after = self.record.clone();
        after.canaries[canary].ceiling = ceiling;
        after.canaries[canary].strikes = Some(Strikes { since_ms: stamp.at_ms, ..strikes });
        let change = Change { action: Action::Raise, by: &Arc::from(BY_IMMUNE), why: &why.into() };
        let decision = canary_decision(&self.record, &after, canary, change, stamp);
        self.step(after, decision)
    }

    /// A cooldown has passed at the aim. No decision: what traffic gets stays as it is, and the last step up has said
    /// that this would come.
    pub fn forget_strikes(&self, canary: usize) -> Self {
        let mut after = self.clone();
        after.record.canaries[canary].strikes = None;
        after.revision += 1;
        after
    }
}

/// The immune system holds it below what its aim may ask for.
pub(super) fn is_cut(ceiling: Weight) -> bool {
    ceiling < Weight::WHOLE
}

/// Rounded down to a whole part per million.
fn part(weight: Weight, cut: f64) -> Weight {
    ppm(f64::from(weight.ppm()) / cut)
}

/// The whole where the aim is reached. As many steps lead up as cuts led down, so what cuts lost by rounding, less than
/// `cut` parts per million each, is not worth a step.
fn raised(ceiling: Weight, cut: f64, aim: Weight) -> Weight {
    let raised = f64::from(ceiling.ppm()) * cut;
    if raised + cut >= f64::from(aim.ppm()) { Weight::WHOLE } else { ppm(raised) }
}

fn ppm(ppm: f64) -> Weight {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounds down, and saturates")]
    let whole = ppm as u32;
    Weight::from_ppm(whole).unwrap_or(Weight::WHOLE)
}

/// `strike 1 of 3`
fn of(strike: u32, plan: &BackOff) -> String {
    format!("strike {strike} of {}", plan.strikes)
}

/// `10 min`, in the largest unit that says it exactly.
fn exactly(span: Duration) -> String {
    let ms = span.as_millis();
    let exact = [("h", 3_600_000), ("min", 60_000)].into_iter().find(|(_, each)| ms.is_multiple_of(*each));
    match exact {
        Some((unit, each)) => format!("{} {unit}", ms / each),
        None => format!("{} s", span.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests;
