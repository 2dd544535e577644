//! Who is let in: connections of the process, of a listener and of one address are counted, and those beyond the limit
//! are closed before a byte of them is read.
//!
//! All workers share the counts, one atomic addition each when a connection comes and when it goes. A share for each
//! worker would need none, but the kernel deals connections out by a hash, so one worker's share is used up while the
//! others have room.
//!
//! Addresses are counted in a table of fixed size, each in two places chosen by a secret hash, and the smaller of the
//! two counts holds. An address that shares both places with others is counted too high, never too low: at 50 000
//! connections of as many addresses a place holds 0.8 of them on average, so a limit of 20 or more is exact in practice.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use ipnet::IpNet;

use crate::config::Listener;
use crate::metrics::Load;
use crate::metrics::load::{Door, Pressure, TurnedAway};

/// Of each of the two rows, chosen by 16 bits: 512 KiB together, for a listener that counts addresses.
const PLACES: usize = 1 << 16;

#[derive(Debug)]
pub struct Admission {
    load: Arc<Load>,
    connections_max: usize,
    /// One for each door of `load`.
    rules: Box<[Rule]>,
}

/// What one listener lets in.
#[derive(Debug)]
struct Rule {
    connections_max: usize,
    addresses: Option<Addresses>,
    /// Behind one of their addresses are many clients.
    exempt: Vec<IpNet>,
}

impl Admission {
    /// `load` must have a door for each of the listeners, in this order.
    pub fn new(connections_max: usize, listeners: &[Listener], load: Arc<Load>) -> Self {
        let rule = |listener: &Listener| Rule {
            connections_max: listener.connections.connections_max,
            addresses: listener.connections.per_address_max.map(Addresses::new),
            exempt: listener.trusted_proxies.clone(),
        };
        Self { load, connections_max, rules: listeners.iter().map(rule).collect() }
    }

    pub(super) fn pressure(&self) -> Pressure {
        self.load.pressure()
    }

    /// `None`: it was counted as turned away, and is to be closed.
    pub(super) fn admit(self: &Arc<Self>, listener: &str, peer: IpAddr) -> Option<Admitted> {
        let at = self.load.doors().iter().position(|door| &*door.listener == listener)?;
        let door = &self.load.doors()[at];
        match self.count(door, &self.rules[at], peer) {
            Ok(places) => Some(Admitted { admission: Arc::clone(self), at, places }),
            Err(why) => {
                door.turn_away(why);
                None
            }
        }
    }

    /// Counts it everywhere, or nowhere.
    fn count(&self, door: &Door, rule: &Rule, peer: IpAddr) -> Result<Option<Places>, TurnedAway> {
        if self.load.pressure() >= Pressure::High {
            return Err(TurnedAway::Memory);
        }
        if !enter(&self.load.connections, self.connections_max) {
            return Err(TurnedAway::Process);
        }
        if !enter(&door.connections, rule.connections_max) {
            leave(&self.load.connections);
            return Err(TurnedAway::Listener);
        }
        let Some(addresses) = rule.addresses_of(peer) else { return Ok(None) };
        let places = addresses.enter(peer);
        if places.is_none() {
            leave(&door.connections);
            leave(&self.load.connections);
        }
        places.map(Some).ok_or(TurnedAway::Address)
    }
}

impl Rule {
    fn addresses_of(&self, peer: IpAddr) -> Option<&Addresses> {
        let exempt = || self.exempt.iter().any(|network| network.contains(&peer.to_canonical()));
        self.addresses.as_ref().filter(|_| !exempt())
    }
}

/// A connection that was let in; counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    at: usize,
    places: Option<Places>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Admission { load, rules, .. } = &*self.admission;
        if let (Some(places), Some(addresses)) = (self.places, &rules[self.at].addresses) {
            addresses.leave(places);
        }
        leave(&load.doors()[self.at].connections);
        leave(&load.connections);
    }
}

/// Two that come at once near the limit may both be refused; never are both let in.
fn enter(count: &AtomicUsize, max: usize) -> bool {
    let room = count.fetch_add(1, Ordering::Relaxed) < max;
    if !room {
        leave(count);
    }
    room
}

fn leave(count: &AtomicUsize) {
    count.fetch_sub(1, Ordering::Relaxed);
}

#[derive(Debug)]
struct Addresses {
    max: u32,
    secret: RandomState,
    rows: [Box<[AtomicU32]>; 2],
}

/// Where an address is counted, in each row.
type Places = [usize; 2];

impl Addresses {
    fn new(max: u32) -> Self {
        let row = || (0..PLACES).map(|_| AtomicU32::new(0)).collect();
        Self { max, secret: RandomState::new(), rows: [row(), row()] }
    }

    fn enter(&self, peer: IpAddr) -> Option<Places> {
        let places = self.places(peer);
        let counts = self.counters(places).map(|counter| counter.fetch_add(1, Ordering::Relaxed));
        if counts.into_iter().all(|count| count >= self.max) {
            self.leave(places);
            return None;
        }
        Some(places)
    }

    fn leave(&self, places: Places) {
        for counter in self.counters(places) {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn counters(&self, [first, second]: Places) -> [&AtomicU32; 2] {
        [&self.rows[0][first], &self.rows[1][second]]
    }

    fn places(&self, peer: IpAddr) -> Places {
        let [a, b, c, d, ..] = self.secret.hash_one(whose(peer)).to_le_bytes();
        [[a, b], [c, d]].map(|bytes| usize::from(u16::from_le_bytes(bytes)))
    }
}

/// A subscriber has a whole /64 of IPv6, so it counts as one.
fn whose(peer: IpAddr) -> u64 {
    match peer.to_canonical() {
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}

#[cfg(test)]
mod tests;
