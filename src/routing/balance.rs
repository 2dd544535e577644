//! Which endpoint of the variant's upstream.
//!
//! *Least request*: two random choices, the one with fewer requests in flight. That keeps the load within a small
//! factor of the best possible without looking at all endpoints, and unlike "the least loaded of all" it does not
//! send every worker to the same endpoint at once. What is in flight is asked of the caller: it is the caller's own
//! worker that counts. *Round robin*: one after another, each worker by itself. *Hash*: see [`super::hashing`].

use super::dice::Dice;
use super::table::Group;
use super::usable::Usable;
use super::{Endpoint, EndpointId};
use crate::config::Balance;

/// An endpoint, and the one that a retry would go to, if retries go anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) endpoint: Endpoint,
    pub(super) other: Option<Endpoint>,
}

/// `None`: no endpoint can be used. `key` is of the user; it is asked for only if there is a choice by hash.
pub(super) fn choose(
    group: &Group,
    usable: &Usable,
    key: impl FnOnce() -> u64,
    dice: &mut Dice,
    in_flight: impl Fn(EndpointId) -> u32,
) -> Option<Chosen> {
    match usable.endpoints() {
        [] => return None,
        [only] => return Some(Chosen { endpoint: *only, other: None }),
        _ => {}
    }
    let index = match (group.balance, usable.hashing()) {
        (Balance::RoundRobin, _) => in_turn(group.index, usable, dice),
        (Balance::Hash, Some(hashing)) => hashing.choose(usable, key()),
        _ => less_busy(usable, dice, in_flight),
    };
    let endpoint = *usable.endpoints().get(index)?;
    let other = group.retry.and_then(|_| another(usable.endpoints(), index, dice.draw()));
    Some(Chosen { endpoint, other })
}

/// Any but the one at `index`: with one neighbour for all, that one would get twice its part when the other dies.
fn another(endpoints: &[Endpoint], index: usize, draw: u64) -> Option<Endpoint> {
    let others = endpoints.len() - 1;
    let step = 1 + usize::try_from(draw % others as u64).unwrap_or(0);
    endpoints.get((index + step) % endpoints.len()).copied()
}

fn in_turn(group: usize, usable: &Usable, dice: &mut Dice) -> usize {
    let turn = usize::try_from(dice.turn(group)).unwrap_or(0);
    let index = turn % usable.endpoints().len();
    if usable.takes(index, dice.draw()) { index } else { turn % usable.full().len() }
}

fn less_busy(usable: &Usable, dice: &mut Dice, in_flight: impl Fn(EndpointId) -> u32) -> usize {
    let draw = dice.draw();
    let index = of_two(usable.endpoints(), draw, &in_flight);
    // The lowest bits have hardly any part in which two were drawn.
    if usable.takes(index, draw) { index } else { of_two(usable.full(), dice.draw(), &in_flight) }
}

/// `endpoints` is not empty. `draw` is 64 random bits.
fn of_two(endpoints: &[Endpoint], draw: u64, in_flight: &impl Fn(EndpointId) -> u32) -> usize {
    if endpoints.len() < 2 {
        return 0;
    }
    let (one, other) = two_of(endpoints.len(), draw);
    if in_flight(endpoints[other].id) < in_flight(endpoints[one].id) { other } else { one }
}

/// Two different indexes below `count`, each pair equally likely; `count` is at least 2.
fn two_of(count: usize, draw: u64) -> (usize, usize) {
    let below = |bits: u64, count: usize| ((u128::from(bits) * count as u128) >> 32) as usize;
    let one = below(draw >> 32, count);
    let other = below(draw & 0xFFFF_FFFF, count - 1);
    (one, if other >= one { other + 1 } else { other })
}

#[cfg(test)]
mod tests;
