//! One upstream: its endpoints, and which of them may be used. Pure: `now` and counts come in.
//!
//! An endpoint is used unless its checks say that it is ill or its failures have ejected it. Nobody is kept out of
//! use for nothing: if all that are well are ejected, the ejections do not count; and if fewer than the panic share are
//! well, by checks, all are used, since it is more likely that the checks are wrong. What was never checked is
//! taken to be well.
//!
//! An endpoint that comes into use later than the others starts slowly.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::ejection::{self, Passive, Turn};
use crate::config::units::WHOLE_PPM;
use crate::config::{Upkeep, Upstream};
use crate::metrics::endpoints::EndpointTotals;
use crate::routing::usable::WHOLE_PART;
use crate::routing::{Endpoint, EndpointId, Usable};

#[derive(Debug)]
pub struct Group {
    pub name: Arc<str>,
    upkeep: Upkeep,
    members: Vec<Member>,
    /// Every name has had an answer, or its lookup has failed.
    resolved: bool,
    /// What was said last: endpoints in use and their parts. `None`: nothing yet.
    said: Option<(Vec<(Endpoint, u8)>, bool)>,
    /// It was told once: who is used later than that has come later.
    started: bool,
    pub ejections: u64,
}

#[derive(Clone, Debug)]
pub struct Member {
    pub endpoint: Endpoint,
    /// What its checks say; `None`: nothing yet.
    pub healthy: Option<bool>,
    pub passive: Passive,
    pub used: bool,
    /// It came into use then, and does not have its full part yet.
    slow_since_us: Option<u64>,
}

/// Something that operators should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub address: SocketAddr,
    pub turn: Turn,
}

impl Group {
    pub fn new(upstream: &Upstream) -> Self {
        Self {
            name: Arc::clone(&upstream.name),
            resolved: upstream.upkeep.names.is_empty(),
            upkeep: upstream.upkeep.clone(),
            members: Vec::new(),
            said: None,
            started: false,
            ejections: 0,
        }
    }

    /// The file has changed. What is known of endpoints stays, as far as it still means something.
    pub fn reconfigure(&mut self, upstream: &Upstream) {
        let (old, new) = (&self.upkeep, &upstream.upkeep);
        if old.health.as_ref().map(|health| &health.probe) != new.health.as_ref().map(|health| &health.probe)
        {
            self.members.iter_mut().for_each(|member| member.healthy = None);
        }
        if new.ejection.is_none() {
            self.members.iter_mut().for_each(|member| member.passive = Passive::default());
        }
        self.resolved = new.names.is_empty() || (self.resolved && old.names == new.names);
        self.upkeep = new.clone();
        // Its place in the snapshot is another one, perhaps.
        self.said = None;
    }

    /// Whether anything of it can ever change: a lone fixed endpoint without checks needs no look.
    pub fn is_watched(&self) -> bool {
        let Upkeep { names, health, ejection, .. } = &self.upkeep;
        let slow = || self.members.iter().any(|member| member.slow_since_us.is_some());
        !names.is_empty() || health.is_some() || (ejection.is_some() && self.members.len() > 1) || slow()
    }

    pub fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// These are the endpoints now. Those that were there keep what is known of them.
    pub fn set_members(
        &mut self,
        endpoints: Vec<Endpoint>,
        resolved: bool,
        now_us: u64,
        totals: impl Fn(EndpointId) -> EndpointTotals,
    ) {
        let old = std::mem::take(&mut self.members);
        let mut old: HashMap<SocketAddr, Member> =
            old.into_iter().map(|member| (member.endpoint.address, member)).collect();
        // With another number it is another one: spoken to in another way, and counted anew.
        let same = |member: &Member, endpoint| member.endpoint == endpoint;
        let member = |endpoint: Endpoint| match old.remove(&endpoint.address) {
            Some(member) if same(&member, endpoint) => member,
            _ => Member {
                endpoint,
                healthy: None,
                passive: Passive::starting(now_us, totals(endpoint.id)),
                used: false,
                slow_since_us: None,
            },
        };
        self.members = endpoints.into_iter().map(member).collect();
        self.resolved |= resolved;
    }

    /// The opinion of its checks has changed. False: there is no such endpoint any more, or it is no news.
    pub fn checked(&mut self, address: SocketAddr, healthy: bool) -> bool {
        let member = self.members.iter_mut().find(|member| member.endpoint.address == address);
        let checks = self.upkeep.health.is_some();
        member.filter(|_| checks).is_some_and(|member| member.healthy.replace(healthy) != Some(healthy))
    }

    /// Looks at the counts of all endpoints, and ejects those that fail.
    pub fn look(&mut self, now_us: u64, totals: impl Fn(EndpointId) -> EndpointTotals) -> Vec<Change> {
        let Some(settings) = self.upkeep.ejection.filter(|_| self.members.len() > 1) else {
            return Vec::new();
        };
        let mut due = false;
        for member in &mut self.members {
            due |= member.passive.look(&settings, now_us, totals(member.endpoint.id));
        }
        if !due {
            return Vec::new();
        }
        let addresses: Vec<_> = self.members.iter().map(|member| member.endpoint.address).collect();
        let members = self.members.iter_mut();
        let mut all: Vec<_> =
            members.map(|member| (&mut member.passive, member.healthy != Some(false))).collect();
        let turns = ejection::judge(&mut all, &settings, now_us);
        self.ejections += turns.iter().filter(|(_, turn)| *turn != Turn::Back).count() as u64;
        turns.into_iter().map(|(index, turn)| Change { address: addresses[index], turn }).collect()
    }

    /// What routing is to know, if it differs from what it was told last.
    pub fn news(&mut self, now_us: u64) -> Option<Arc<Usable>> {
        let used = self.used();
        let first = !std::mem::replace(&mut self.started, true);
        let slow_start_us = u64::try_from(self.upkeep.slow_start.as_micros()).unwrap_or(u64::MAX);
        let mut list = Vec::with_capacity(self.members.len());
        for (member, used) in self.members.iter_mut().zip(used) {
            if used && !member.used && !first && slow_start_us > 0 {
                member.slow_since_us = Some(now_us);
            }
            member.used = used;
            if used {
                list.push((member.endpoint, member.part(now_us, slow_start_us)));
            }
        }
        let pending = !self.resolved && list.is_empty();
        let now = (list, pending);
        if self.said.as_ref() == Some(&now) {
            return None;
        }
        self.said = Some(now.clone());
        let usable = if pending {
            Usable::pending()
        } else {
            Usable::new(now.0, self.members.len(), self.upkeep.balance)
        };
        Some(Arc::new(usable))
    }

    /// Of each member.
    fn used(&self) -> Vec<bool> {
        let well = |member: &Member| member.healthy != Some(false);
        let count = self.members.iter().filter(|member| well(member)).count();
        let panic = self.upkeep.health.as_ref().map_or(0, |health| health.panic.ppm());
        if (count * WHOLE_PPM as usize) < self.members.len() * panic as usize {
            return vec![true; self.members.len()];
        }
        let anybody = self.members.iter().any(|member| well(member) && !member.passive.is_out());
        let used = |member: &Member| well(member) && !(anybody && member.passive.is_out());
        self.members.iter().map(used).collect()
    }

    /// The addresses that it has now.
    pub fn addresses(&self) -> HashSet<SocketAddr> {
        self.members.iter().map(|member| member.endpoint.address).collect()
    }
}

impl Member {
    /// Grows in sixteenths, so that a start is so many snapshots and not one at every look.
    fn part(&mut self, now_us: u64, slow_start_us: u64) -> u8 {
        let Some(since_us) = self.slow_since_us else { return WHOLE_PART };
        let age_us = now_us.saturating_sub(since_us);
        let sixteenths = u128::from(age_us) * u128::from(WHOLE_PART) / u128::from(slow_start_us.max(1));
        let part = u8::try_from(sixteenths).unwrap_or(WHOLE_PART).clamp(1, WHOLE_PART);
        if part == WHOLE_PART {
            self.slow_since_us = None;
        }
        part
    }
}

#[cfg(test)]
mod tests;
