//! Everything of a snapshot that does not change when weights or endpoints move: the index, the variants, their
//! upstreams.
//!
//! Built from a whole [`Config`] or not at all. Counting goes on over rebuilds, because slots and endpoint ids are
//! asked of registries that the controller keeps. Endpoints are held once for each upstream, however many routes
//! name it.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use crate::config::rescue::Methods;
use crate::config::tls::EndpointTls;
use crate::config::{
    self, Balance, Config, Plan, Policy, ProxyProtocol, Rescue, Retry, StickyKey, Upgrade, Upstream,
    UpstreamProtocol, Weight,
};
use crate::metrics::SlotId;
use crate::metrics::slots::Slots;

use super::endpoint_ids::EndpointIds;
use super::harm::{HarmBudget, Limit};
use super::hash::Map;
use super::matcher::{self, Index};
use super::meaning::Meaning;
use super::overrides::{self, Rule};
use super::{Endpoint, Names, Timeouts, TlsId, Usable, View, mirror, paths, sticky};

#[derive(Debug)]
pub struct Table {
    index: Index,
    routes: Box<[Entry]>,
    /// In the order of the file's upstreams.
    groups: Box<[Arc<Group>]>,
    by_name: Map<Arc<str>, usize>,
    /// Also of endpoints that are still to be found in DNS.
    tls: Map<TlsId, EndpointTls>,
}

/// One route.
#[derive(Debug)]
pub struct Entry {
    pub name: Arc<str>,
    /// `None`: `deny = true`, or it only redirects.
    pub serving: Option<Serving>,
    /// `None`: messages pass as they are.
    pub policy: Option<Arc<Policy>>,
}

/// Who serves a route.
#[derive(Debug)]
pub struct Serving {
    /// Stable first, then the canaries in file order.
    pub variants: Box<[Variant]>,
    pub overrides: Box<[Rule]>,
    pub sticky: Option<StickyKey>,
    /// Who a sticky key's people are: see [`sticky::salt`].
    pub salt: u64,
    pub websocket: bool,
    /// `None`: nobody answers for a canary.
    pub rescue: Option<Rescue>,
    /// Whoever waits for a canary that is closed is called back.
    pub recall: bool,
    /// Rounded up.
    pub verdict_timeout_ms: u32,
    /// `None`: answers mean what their status says, and none is an event.
    pub meaning: Option<Arc<Meaning>>,
    /// `None`: there is no canary, or the self-test is off.
    pub phantom: Option<Phantom>,
    /// `None`: nobody ever gets a copy.
    pub mirror: Option<Mirror>,
}

/// Who may get copies of stable's requests, and of which.
#[derive(Debug)]
pub struct Mirror {
    pub slot: SlotId,
    pub methods: Methods,
    pub body_bytes_max: u32,
    pub in_flight_max: u32,
    /// The canaries in file order, to whom a plan may copy; behind them the file's own.
    pub targets: Box<[Target]>,
    /// The place of the file's own, and its share.
    pub of_file: Option<(usize, Weight)>,
}

#[derive(Debug)]
pub struct Target {
    pub group: Arc<Group>,
    pub names: Arc<Names>,
}

/// A slice of stable's own requests, counted by itself too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phantom {
    pub slot: SlotId,
    pub share: Weight,
}

#[derive(Debug)]
pub struct Variant {
    pub name: Arc<str>,
    pub slot: SlotId,
    pub names: Arc<Names>,
    pub group: Arc<Group>,
    /// Of a canary, where there is one.
    pub harm: Option<HarmBudget>,
}

/// What routing knows of an upstream.
#[derive(Debug)]
pub struct Group {
    pub name: Arc<str>,
    /// Its place among the upstreams of the file, where a snapshot holds what of it is usable.
    pub index: usize,
    pub balance: Balance,
    /// The fixed ones; empty only if there are names.
    pub endpoints: Box<[Endpoint]>,
    pub protocol: UpstreamProtocol,
    pub proxy_protocol: Option<ProxyProtocol>,
    pub timeouts: Timeouts,
    /// `None`: off, or no case of it can come about.
    pub retry: Option<Retry>,
    pub limit: Option<Limit>,
}

/// Why no table was built. The one in force stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error(
        "route \"{route}\": the life of this process has seen {max} pairs of route and variant; restart to add more",
        max = Slots::SLOTS_MAX
    )]
    TooManySlots { route: Arc<str> },
    #[error(
        "upstream \"{upstream}\": the life of this process has seen {max} endpoints, or {tls} ways of TLS to them; \
         restart to add more",
        max = u32::MAX,
        tls = EndpointIds::TLS_MAX
    )]
    TooManyEndpoints { upstream: Arc<str> },
    #[error("route \"{route}\": names upstream \"{upstream}\", which does not exist")]
    UnknownUpstream { route: Arc<str>, upstream: Arc<str> },
    #[error("upstream \"{upstream}\": has no endpoints; at least one is needed")]
    NoEndpoints { upstream: Arc<str> },
    #[error(
        "route \"{route}\": path has {segments} segments; at most {max} are accepted",
        max = paths::SEGMENTS_MAX
    )]
    PathTooDeep { route: Arc<str>, segments: usize },
    #[error(
        "route \"{route}\": one path_regex too many for its host; at most {max} are accepted",
        max = paths::REGEXES_MAX
    )]
    TooManyRegexes { route: Arc<str> },
    #[error("route \"{route}\": path_regex \"{text}\" cannot be held to the whole path; write a smaller one")]
    Regex { route: Arc<str>, text: Box<str> },
    #[error(
        "route \"{route}\": too many routes with the same host and path; at most {max} are accepted",
        max = matcher::ALIKE_MAX
    )]
    TooManyAlike { route: Arc<str> },
}

impl Table {
    /// On an error `endpoints` has forgotten nothing, so the table in force keeps its ids.
    pub fn build(
        config: &Config,
        slots: &mut Slots,
        endpoints: &mut EndpointIds,
    ) -> Result<Self, TableError> {
        let index = Index::build(&config.routes)?;
        let groups = groups(&config.upstreams, endpoints)?;
        let tls = tls(&config.upstreams, endpoints)?;
        let plans_mirror = config.plans.iter().any(Plan::mirrors);
        let routes = config.routes.iter().map(|route| {
            let mut entry = entry(route, &groups, slots, endpoints)?;
            if let Some(serving) = &mut entry.serving {
                serving.mirror = mirror::table(route, plans_mirror, serving, &groups, slots)?;
            }
            Ok(entry)
        });
        let routes = routes.collect::<Result<Box<[Entry]>, TableError>>()?;
        endpoints.keep_only(&config.upstreams);
        let by_name = routes.iter().enumerate().map(|(at, route)| (Arc::clone(&route.name), at)).collect();
        let groups = config.upstreams.iter().filter_map(|upstream| groups.get(&*upstream.name));
        Ok(Self { index, routes, groups: groups.map(Arc::clone).collect(), by_name, tls })
    }

    /// In file order.
    pub fn routes(&self) -> &[Entry] {
        &self.routes
    }

    pub fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }

    /// As if every endpoint were well.
    pub fn all_usable(&self) -> Vec<Arc<Usable>> {
        let all = |group: &Arc<Group>| Arc::new(Usable::all(&group.endpoints, group.balance));
        self.groups.iter().map(all).collect()
    }

    /// The place of the route in [`Table::routes`].
    pub fn route_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Whom to trust at such an endpoint, and as whom to come. `None`: no upstream speaks so any more.
    pub fn tls(&self, id: TlsId) -> Option<&EndpointTls> {
        self.tls.get(&id)
    }

    /// The place of the route that matches.
    pub fn find(&self, view: &View<'_>) -> Option<usize> {
        self.index.find(view)
    }
}

impl Entry {
    pub fn canaries(&self) -> usize {
        self.serving.as_ref().map_or(0, |serving| serving.variants.len() - 1)
    }
}

pub(super) type Groups<'a> = HashMap<&'a str, Arc<Group>>;

fn groups<'a>(upstreams: &'a [Upstream], ids: &mut EndpointIds) -> Result<Groups<'a>, TableError> {
    let group = |(index, upstream): (usize, &'a Upstream)| {
        Ok((&*upstream.name, Arc::new(group(upstream, index, ids)?)))
    };
    upstreams.iter().enumerate().map(group).collect()
}

/// How fixed endpoints are spoken to, and those of each name.
fn tls(upstreams: &[Upstream], ids: &mut EndpointIds) -> Result<Map<TlsId, EndpointTls>, TableError> {
    let mut all = Map::default();
    for upstream in upstreams {
        let Some(tls) = &upstream.tls else { continue };
        let hosts = upstream.upkeep.names.iter().map(|name| Some(&name.host));
        for tls in iter::once(None).chain(hosts).map(|host| EndpointTls::new(tls, host)) {
            let id = ids.tls(tls.clone());
            all.insert(id.ok_or_else(|| too_many(upstream))?, tls);
        }
    }
    Ok(all)
}

fn group(upstream: &Upstream, index: usize, ids: &mut EndpointIds) -> Result<Group, TableError> {
    if upstream.endpoints.is_empty() && upstream.upkeep.names.is_empty() {
        return Err(TableError::NoEndpoints { upstream: Arc::clone(&upstream.name) });
    }
    let endpoints = upstream.endpoints.iter().map(|address| {
        let tls = upstream.tls.as_ref().map(|tls| EndpointTls::new(tls, None));
        ids.endpoint(&upstream.name, *address, tls).ok_or_else(|| too_many(upstream))
    });
    let endpoints: Box<[Endpoint]> = endpoints.collect::<Result<_, TableError>>()?;
    let elsewhere = endpoints.len() > 1 || !upstream.upkeep.names.is_empty();
    Ok(Group {
        name: Arc::clone(&upstream.name),
        index,
        balance: upstream.upkeep.balance,
        // The same address again would only say the same again.
        retry: upstream.retry.filter(|retry| retry.on.reset || (retry.on.connect && elsewhere)),
        limit: upstream.concurrent_max.map(|max| ids.limit(&upstream.name, max)),
        endpoints,
        protocol: upstream.protocol,
        proxy_protocol: upstream.proxy_protocol,
        timeouts: Timeouts {
            connect: upstream.connect_timeout,
            response: upstream.response_timeout,
            request: upstream.request_timeout,
            body: upstream.body_timeout,
            stream: upstream.stream_timeout,
            idle: upstream.idle_timeout,
        },
    })
}

fn too_many(upstream: &Upstream) -> TableError {
    TableError::TooManyEndpoints { upstream: Arc::clone(&upstream.name) }
}

fn entry(
    route: &config::Route,
    groups: &Groups<'_>,
    slots: &mut Slots,
    ids: &mut EndpointIds,
) -> Result<Entry, TableError> {
    let (name, policy) = (Arc::clone(&route.name), route.policy.clone());
    let config::Service::Split { stable, canaries } = &route.service else {
        return Ok(Entry { name, serving: None, policy });
    };
    let stable_name = Arc::from("stable");
    let named = canaries.iter().map(|canary| (&canary.name, &canary.upstream));
    let named = [(&stable_name, stable)].into_iter().chain(named);
    let variants = named.map(|(variant, upstream)| self::variant(route, variant, upstream, groups, slots));
    let mut variants = variants.collect::<Result<Box<[Variant]>, TableError>>()?;
    for canary in variants.iter_mut().skip(1) {
        canary.harm = route.guard.harm_max.map(|max| ids.harm_budget(canary.slot, max));
    }
    let phantom = match route.guard.self_test.filter(|_| variants.len() > 1) {
        None => None,
        Some(test) => {
            let slot =
                slots.phantom(&name).ok_or_else(|| TableError::TooManySlots { route: name.clone() })?;
            Some(Phantom { slot, share: test.share })
        }
    };
    Ok(Entry {
        serving: Some(Serving {
            phantom,
            mirror: None,
            variants,
            overrides: overrides::rules(canaries),
            sticky: route.sticky.clone(),
            salt: sticky::salt(
                &name,
                canaries.iter().map(|canary| &*canary.upstream).chain(route.release.as_deref()),
            ),
            websocket: route.upgrade.contains(&Upgrade::Websocket),
            rescue: route.guard.rescue,
            verdict_timeout_ms: whole_ms(route.guard.verdict_timeout),
            meaning: Meaning::of(&route.guard),
            recall: route.guard.recall,
        }),
        policy,
        name,
    })
}

fn whole_ms(span: Duration) -> u32 {
    u32::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

fn variant(
    route: &config::Route,
    name: &Arc<str>,
    upstream: &Arc<str>,
    groups: &Groups<'_>,
    slots: &mut Slots,
) -> Result<Variant, TableError> {
    let Some(group) = groups.get(&**upstream) else {
        let (route, upstream) = (Arc::clone(&route.name), Arc::clone(upstream));
        return Err(TableError::UnknownUpstream { route, upstream });
    };
    let Some(slot) = slots.slot(&route.name, name) else {
        return Err(TableError::TooManySlots { route: Arc::clone(&route.name) });
    };
    let names =
        Names { route: Arc::clone(&route.name), variant: Arc::clone(name), upstream: Arc::clone(upstream) };
    Ok(Variant { name: Arc::clone(name), slot, names: Arc::new(names), group: Arc::clone(group), harm: None })
}

#[cfg(test)]
mod tests;
