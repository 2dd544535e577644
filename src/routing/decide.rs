//! The decision: one request in, one small answer out.
//!
//! In this order: route, redirect, deny, overrides, sticky key, lot, permit, endpoint. A route without canaries, or whose
//! canaries all have weight 0, draws no lot. A canary with a harm budget is only decided for with a permit in hand, and
//! one without a usable endpoint is served by stable. Reads nothing but its arguments; what it learns lives in
//! [`Dice`] alone.

use super::balance::Chosen;
use crate::metrics::users::User;

use super::dice::Dice;
use super::harm::Permit;
use super::snapshot::{RouteShares, Snapshot};
use super::split::STABLE;
use super::table::Serving;
use super::{
    Answer, Decided, Decision, EndpointId, Fallback, Holds, Missed, NoEndpoint, Place, View, Why, balance,
    overrides, redirect, split, sticky,
};
use crate::metrics::SlotId;

/// `in_flight` says how many requests the calling worker has on an endpoint.
pub fn decide(
    snapshot: &Snapshot,
    view: &View<'_>,
    dice: &mut Dice,
    in_flight: impl Fn(EndpointId) -> u32,
) -> Decided {
    let refuse = |answer| Decided { answer, holds: Holds::default() };
    let Some(index) = snapshot.table().find(view) else { return refuse(Answer::NoRoute) };
    let route = &snapshot.table().routes()[index];
    if let Some(redirect) = route.policy.as_ref().and_then(|policy| policy.redirect.as_ref()) {
        if redirect::leads_away(redirect, view) {
            return refuse(Answer::Redirect(index));
        }
        if route.serving.is_none() {
            return refuse(Answer::NoRoute);
        }
    }
    let Some(serving) = &route.serving else { return refuse(Answer::Deny(index)) };
    let drawn = assign(serving, snapshot.shares(index), view, dice);
    let lot = drawn.why.by_lot().then(|| serving.variants[drawn.variant].slot);
    let (assigned, permit) = permitted(serving, drawn);
    let by_lot = assigned.variant == STABLE && assigned.why.by_lot();
    let phantom = by_lot.then(|| phantom(serving, view, dice)).flatten();
    let mut found = Finding { snapshot, serving, view, dice, in_flight, route: index };
    if let Some(chosen) = found.endpoint(assigned.variant) {
        let drill = is_drilled(snapshot.shares(index), assigned.variant, assigned.why, found.dice);
        let mut decision = found.decision(assigned, chosen);
        (decision.lot, decision.phantom, decision.drill) = (lot, phantom, drill);
        return found.forward(decision, permit);
    }
    let stable = serving.variants[STABLE].slot;
    let nobody = |Assigned { variant, why, user }: Assigned, instead_of| {
        let place = Place { route: index, variant };
        let nobody = NoEndpoint { slot: stable, place, why, user, instead_of, lot, phantom };
        refuse(Answer::NoEndpoint(nobody))
    };
    if assigned.variant == STABLE {
        return nobody(assigned, None);
    }
    let canary = &serving.variants[assigned.variant];
    let failed = !snapshot.usable(canary.group.index).is_pending();
    let Assigned { why, user, .. } = assigned;
    let instead_of = failed.then(|| Missed { slot: canary.slot, by_lot: why.by_lot(), user });
    let at_stable = Assigned { variant: STABLE, why: Why::NoEndpoint, user: None };
    match found.endpoint(STABLE) {
        Some(chosen) => {
            let mut decision = found.decision(at_stable, chosen);
            (decision.instead_of, decision.lot) = (instead_of, lot);
            found.forward(decision, None)
        }
        None => nobody(at_stable, instead_of),
    }
}

/// Who is to serve the request, before it is known whether that is possible.
#[derive(Clone, Copy)]
struct Assigned {
    /// Its index.
    variant: usize,
    why: Why,
    user: Option<User>,
}

/// A canary that could do harm needs a permit for it, also if the request asked for the canary: the budget is a
/// promise about users, and testers are users.
fn permitted(serving: &Serving, assigned: Assigned) -> (Assigned, Option<Permit>) {
    match &serving.variants[assigned.variant].harm {
        None => (assigned, None),
        Some(budget) => match budget.take() {
            Some(permit) => (assigned, Some(permit)),
            None => (Assigned { variant: STABLE, why: Why::HarmBudget, user: None }, None),
        },
    }
}

/// Only what the lot gave to the canary: nobody who asked for it is to see another.
fn is_drilled(shares: &RouteShares, assigned: usize, why: Why, dice: &mut Dice) -> bool {
    let share = shares.drill(assigned).filter(|_| why.by_lot());
    share.is_some_and(|share| split::position_ppm(dice.draw()) < share.ppm())
}

/// Whether one of stable's own requests belongs to the phantom: by a lot of its own, which the weights have no part in.
fn phantom(serving: &Serving, view: &View<'_>, dice: &mut Dice) -> Option<SlotId> {
    let phantom = serving.phantom?;
    let key = serving.sticky.as_ref();
    let position_ppm = match key.and_then(|key| sticky::phantom_position_ppm(key, serving.salt, view)) {
        Some(position_ppm) => position_ppm,
        None => dice.position_ppm(phantom.slot),
    };
    (position_ppm < phantom.share.ppm()).then_some(phantom.slot)
}

/// What is looked at to find an endpoint.
struct Finding<'a, F> {
    snapshot: &'a Snapshot,
    serving: &'a Serving,
    view: &'a View<'a>,
    dice: &'a mut Dice,
    in_flight: F,
    /// The index of the route.
    route: usize,
}

impl<F: Fn(EndpointId) -> u32> Finding<'_, F> {
    fn endpoint(&mut self, variant: usize) -> Option<Chosen> {
        let group = &self.serving.variants[variant].group;
        let key = || sticky::endpoint_key(self.serving.sticky.as_ref(), self.view);
        balance::choose(group, self.snapshot.usable(group.index), key, self.dice, &self.in_flight)
    }

    fn decision(&self, assigned: Assigned, chosen: Chosen) -> Box<Decision> {
        let Assigned { variant: index, why, user } = assigned;
        let variant = &self.serving.variants[index];
        Box::new(Decision {
            generation: self.snapshot.generation(),
            slot: variant.slot,
            place: Place { route: self.route, variant: index },
            endpoint: chosen.endpoint,
            protocol: variant.group.protocol,
            proxy_protocol: variant.group.proxy_protocol,
            timeouts: variant.group.timeouts,
            verdict_timeout_ms: self.serving.verdict_timeout_ms,
            why,
            user,
            websocket: self.serving.websocket,
            instead_of: None,
            lot: None,
            phantom: None,
            canary: index != STABLE,
            other: chosen.other,
            retry: variant.group.retry,
            fallback: None,
            drill: false,
        })
    }

    /// Stable is chosen together with the canary, to stand ready.
    fn forward(&mut self, mut decision: Box<Decision>, permit: Option<Permit>) -> Decided {
        let mut holds = Holds {
            permit,
            limit: self.serving.variants[decision.place.variant].group.limit.clone(),
            fallback_limit: None,
        };
        if decision.canary {
            decision.fallback = self.fallback();
            if decision.fallback.is_some() {
                holds.fallback_limit = self.serving.variants[STABLE].group.limit.clone();
            }
        }
        Decided { answer: Answer::Forward(decision), holds }
    }

    fn fallback(&mut self) -> Option<Fallback> {
        let rescue = self.serving.rescue?;
        let endpoint = self.endpoint(STABLE)?.endpoint;
        let stable = &self.serving.variants[STABLE];
        let (protocol, proxy_protocol) = (stable.group.protocol, stable.group.proxy_protocol);
        let (timeouts, recall) = (stable.group.timeouts, self.serving.recall);
        Some(Fallback { slot: stable.slot, endpoint, protocol, proxy_protocol, timeouts, rescue, recall })
    }
}

fn assign(serving: &Serving, shares: &RouteShares, view: &View<'_>, dice: &mut Dice) -> Assigned {
    let of_nobody = |variant, why| Assigned { variant, why, user: None };
    match overrides::asked(&serving.overrides, view) {
        Some(asked) if asked == STABLE || shares.is_open(asked) => return of_nobody(asked, Why::Override),
        Some(_) => return of_nobody(STABLE, Why::Cord),
        None => {}
    }
    let split = shares.split();
    if split.is_stable_only() {
        return of_nobody(STABLE, Why::Weight);
    }
    let key = serving.sticky.as_ref();
    match key.and_then(|key| sticky::place(key, serving.salt, view)) {
        Some((position_ppm, user)) => {
            Assigned { variant: split.variant_at(position_ppm), why: Why::Sticky, user: Some(user) }
        }
        None => {
            let position_ppm = dice.position_ppm(serving.variants[STABLE].slot);
            of_nobody(split.variant_at(position_ppm), Why::Weight)
        }
    }
}

#[cfg(test)]
mod tests;
