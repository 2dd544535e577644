//! Numbers for endpoints: the same (upstream, address, TLS) keeps its number over reloads, so pools and counters in the
//! workers live on. One owner: the controller. A number is never given to another endpoint, also not when its own
//! is gone, because a worker may still hold connections under it.
//!
//! What is spoken over TLS has numbers too, so that an endpoint that was found in DNS a moment ago can say by what the
//! table knows already. And the shared counts of [`super::harm`] are kept here: requests in flight hold on to them, so
//! a reload must find the same ones.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::config::Upstream;
use crate::config::tls::EndpointTls;
use crate::metrics::SlotId;

use super::harm::{HarmBudget, Limit, Permits};
use super::{Endpoint, EndpointId, TlsId};

/// A connection that trusted somebody else is not one to the same endpoint.
type Key = (Arc<str>, SocketAddr, Option<TlsId>);

/// Holds what the configuration names, and of upstreams that are named in DNS what was found lately; and permits for
/// each canary that ever had a harm budget.
#[derive(Debug, Default)]
pub struct EndpointIds {
    known: HashMap<Key, EndpointId>,
    next: u32,
    in_flight: HashMap<Arc<str>, Arc<AtomicU32>>,
    permits: HashMap<SlotId, Arc<Permits>>,
    /// Never forgotten: a table that is in force may use each of them.
    tls: HashMap<EndpointTls, TlsId>,
}

impl EndpointIds {
    /// Settings of TLS that one process may see.
    pub const TLS_MAX: u32 = 1 << 20;

    /// `None`: all numbers have been used.
    pub fn endpoint(
        &mut self,
        upstream: &Arc<str>,
        address: SocketAddr,
        tls: Option<EndpointTls>,
    ) -> Option<Endpoint> {
        let tls = match tls {
            Some(tls) => Some(self.tls(tls)?),
            None => None,
        };
        let key = (Arc::clone(upstream), address, tls);
        if let Some(id) = self.known.get(&key) {
            return Some(Endpoint { id: *id, address, tls });
        }
        let id = EndpointId(self.next);
        self.next = self.next.checked_add(1)?;
        self.known.insert(key, id);
        Some(Endpoint { id, address, tls })
    }

    /// `None`: all numbers have been used.
    pub(super) fn tls(&mut self, tls: EndpointTls) -> Option<TlsId> {
        let next = u32::try_from(self.tls.len()).ok().filter(|next| *next < Self::TLS_MAX);
        match self.tls.get(&tls) {
            Some(id) => Some(*id),
            None => {
                let id = TlsId(next?);
                self.tls.insert(tls, id);
                Some(id)
            }
        }
    }

    pub(super) fn limit(&mut self, upstream: &Arc<str>, max: u32) -> Limit {
        let in_flight = self.in_flight.entry(Arc::clone(upstream)).or_default();
        Limit { in_flight: Arc::clone(in_flight), max }
    }

    pub(super) fn harm_budget(&mut self, canary: SlotId, max: u32) -> HarmBudget {
        let permits = self.permits.entry(canary).or_default();
        HarmBudget { permits: Arc::clone(permits), max }
    }

    /// Forgets every endpoint that these upstreams neither name nor may have found in DNS.
    pub(super) fn keep_only(&mut self, upstreams: &[Upstream]) {
        let resolved = upstreams.iter().filter(|upstream| !upstream.upkeep.names.is_empty());
        let resolved: HashSet<&str> = resolved.map(|upstream| &*upstream.name).collect();
        let of_one = |upstream: &'_ Upstream| -> Vec<Key> {
            let tls = upstream.tls.as_ref().map(|tls| EndpointTls::new(tls, None));
            let tls = tls.and_then(|tls| self.tls.get(&tls).copied());
            upstream.endpoints.iter().map(|address| (Arc::clone(&upstream.name), *address, tls)).collect()
        };
        let named: HashSet<Key> = upstreams.iter().flat_map(of_one).collect();
        self.known.retain(|key, _| named.contains(key) || resolved.contains(&*key.0));
        let limited: HashSet<&Arc<str>> = upstreams.iter().map(|upstream| &upstream.name).collect();
        self.in_flight.retain(|name, count| limited.contains(name) || Arc::strong_count(count) > 1);
    }

    /// An upstream whose names have stood for more addresses than this in all: those that it does not have now are
    /// forgotten. A DNS server that answers with another handful each time must not make us grow, nor may the
    /// same endpoint be a new one each time.
    pub fn forget_old(&mut self, upstream: &Arc<str>, now: &HashSet<SocketAddr>) {
        let of_it = |key: &Key| key.0 == *upstream;
        if self.known.keys().filter(|key| of_it(key)).count() > 2 * Upstream::ENDPOINTS_MAX {
            self.known.retain(|key, _| !of_it(key) || now.contains(&key.1));
        }
    }
}
