//! The decision: one request in, one small answer out.
//!
//! In this order: route, redirect, deny, overrides, sticky key, lot, endpoint. A route without canaries, or whose
//! canaries all have weight 0, draws no lot. A canary without a usable endpoint is served by stable. Reads nothing but
//! its arguments; what it learns lives in [`Dice`] alone.

use super::dice::Dice;
use super::snapshot::{RouteShares, Snapshot};
use super::split::STABLE;
use super::table::Serving;
use super::{
    Answer, Decision, Endpoint, EndpointId, Missed, NoEndpoint, Place, View, Why, balance, overrides,
    redirect, sticky,
};

/// `in_flight` says how many requests the calling worker has on an endpoint.
pub fn decide(
    snapshot: &Snapshot,
    view: &View<'_>,
    dice: &mut Dice,
    in_flight: impl Fn(EndpointId) -> u32,
) -> Answer {
    let Some(index) = snapshot.table().find(view) else { return Answer::NoRoute };
    let route = &snapshot.table().routes()[index];
    if let Some(redirect) = route.policy.as_ref().and_then(|policy| policy.redirect.as_ref()) {
        if redirect::leads_away(redirect, view) {
            return Answer::Redirect(index);
        }
        if route.serving.is_none() {
            return Answer::NoRoute;
        }
    }
    let Some(serving) = &route.serving else { return Answer::Deny(index) };
    let (assigned, why) = assign(serving, snapshot.shares(index), view, dice);
    let place = Place { route: index, variant: assigned };
    if let Some(endpoint) = endpoint_of(snapshot, place, view, dice, &in_flight) {
        return forward(snapshot, serving, place, endpoint, why, None);
    }
    let (variant, stable) = (&serving.variants[assigned], &serving.variants[STABLE]);
    let nobody =
        |place, why, instead_of| Answer::NoEndpoint(NoEndpoint { slot: stable.slot, place, why, instead_of });
    if assigned == STABLE {
        return nobody(place, why, None);
    }
    let failed = !snapshot.usable(variant.group.index).is_pending();
    let instead_of = failed.then(|| Missed { slot: variant.slot, by_lot: why.by_lot() });
    let (place, why) = (Place { variant: STABLE, ..place }, Why::NoEndpoint);
    match endpoint_of(snapshot, place, view, dice, &in_flight) {
        Some(endpoint) => forward(snapshot, serving, place, endpoint, why, instead_of),
        None => nobody(place, why, instead_of),
    }
}

fn endpoint_of(
    snapshot: &Snapshot,
    place: Place,
    view: &View<'_>,
    dice: &mut Dice,
    in_flight: &impl Fn(EndpointId) -> u32,
) -> Option<Endpoint> {
    let serving = snapshot.table().routes()[place.route].serving.as_ref()?;
    let group = &serving.variants[place.variant].group;
    let key = || sticky::endpoint_key(serving.sticky.as_ref(), view);
    balance::choose(group, snapshot.usable(group.index), key, dice, in_flight)
}

fn forward(
    snapshot: &Snapshot,
    serving: &Serving,
    place: Place,
    endpoint: Endpoint,
    why: Why,
    instead_of: Option<Missed>,
) -> Answer {
    let variant = &serving.variants[place.variant];
    Answer::Forward(Decision {
        generation: snapshot.generation(),
        slot: variant.slot,
        place,
        endpoint,
        protocol: variant.group.protocol,
        timeouts: variant.group.timeouts,
        why,
        websocket: serving.websocket,
        instead_of,
    })
}

/// The index of the variant, and why.
fn assign(serving: &Serving, shares: &RouteShares, view: &View<'_>, dice: &mut Dice) -> (usize, Why) {
    match overrides::asked(&serving.overrides, view) {
        Some(asked) if asked == STABLE || shares.is_open(asked) => return (asked, Why::Override),
        Some(_) => return (STABLE, Why::Cord),
        None => {}
    }
    let split = shares.split();
    if split.is_stable_only() {
        return (STABLE, Why::Weight);
    }
    let key = serving.sticky.as_ref();
    match key.and_then(|key| sticky::position_ppm(key, serving.salt, view)) {
        Some(position_ppm) => (split.variant_at(position_ppm), Why::Sticky),
        None => (split.variant_at(dice.position_ppm(serving.variants[STABLE].slot)), Why::Weight),
    }
}

#[cfg(test)]
mod tests;
