//! The endpoints of every upstream: what is known of them, and what routing is told.
//!
//! News of the lookout only change what is known; at the next tick all that has changed is published at once, so that
//! a thousand endpoints that fall over together are one snapshot.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tracing::{error, info, warn};

use super::controller::Controller;
use crate::config::tls::{EndpointTls, UpstreamTls};
use crate::config::{Config, Dns, DnsName, Health, ProxyProtocol, Upstream, UpstreamProtocol};
use crate::metrics::Shards;
use crate::routing::{EndpointId, EndpointIds, TlsId, Usable};
use crate::upstream::ejection::Turn;
use crate::upstream::lookout::{Check, LookupCounts, Plan};
use crate::upstream::{Change, CheckCounts, Group, Lookout, News, dns};

/// Of names: what they stand for.
pub(super) type Answers = Vec<(Arc<str>, Arc<[IpAddr]>)>;

pub(super) struct Upstreams {
    /// In the order of the file, which is that of the table's groups.
    pub(super) list: Vec<UpstreamLive>,
    index: HashMap<Arc<str>, usize>,
    /// The last good answer of each name of the file. `None`: there was none, and its first lookup failed.
    answers: HashMap<Arc<str>, Option<Arc<[IpAddr]>>>,
    dns: Dns,
    pub(super) lookups: Arc<LookupCounts>,
    lookout: Lookout,
    /// Members have changed since the lookout was told whom to check. It is told once a tick, however many names moved.
    plan_due: bool,
}

pub(super) struct UpstreamLive {
    pub(super) group: Group,
    fixed: Vec<SocketAddr>,
    protocol: UpstreamProtocol,
    proxy_protocol: Option<ProxyProtocol>,
    tls: Option<Arc<UpstreamTls>>,
    /// What its endpoints' numbers of TLS mean.
    ways: HashMap<TlsId, EndpointTls>,
    health: Option<Arc<Health>>,
    pub(super) checks: Arc<CheckCounts>,
}

/// What it takes to know endpoints again.
pub(super) struct Counting<'a> {
    pub(super) ids: &'a mut EndpointIds,
    pub(super) shards: &'a Shards,
    pub(super) now_us: u64,
}

impl Upstreams {
    pub(super) fn new(lookout: Lookout) -> Self {
        Self {
            list: Vec::new(),
            index: HashMap::new(),
            answers: HashMap::new(),
            dns: Dns::default(),
            lookups: Arc::default(),
            lookout,
            plan_due: false,
        }
    }

    /// Waits for ever if nothing happens. May be dropped and called again.
    pub(super) async fn news(&mut self) -> News {
        self.lookout.news().await
    }

    pub(super) fn known_hosts(&self) -> HashSet<Arc<str>> {
        self.answers.keys().cloned().collect()
    }

    pub(super) fn learn(&mut self, answers: Answers) {
        self.answers.extend(answers.into_iter().map(|(host, addresses)| (host, Some(addresses))));
    }

    /// A new file is in force. What routing is told of every upstream, in the order of the file.
    pub(super) fn replace(&mut self, config: &Config, mut with: Counting<'_>) -> Vec<Arc<Usable>> {
        let old = std::mem::take(&mut self.list);
        let mut old: HashMap<_, _> = old.into_iter().map(|one| (Arc::clone(&one.group.name), one)).collect();
        let hosts: HashSet<Arc<str>> = hosts(config).collect();
        self.answers.retain(|host, _| hosts.contains(host));
        self.dns = config.dns.clone();
        self.list =
            config.upstreams.iter().map(|file| UpstreamLive::of(file, old.remove(&file.name))).collect();
        let names = self.list.iter().map(|one| Arc::clone(&one.group.name));
        self.index = names.enumerate().map(|(at, name)| (name, at)).collect();
        (0..self.list.len()).for_each(|at| self.find_members(at, &mut with));
        self.send_plan();
        let told = |one: &mut UpstreamLive| one.group.news(with.now_us).unwrap_or_default();
        self.list.iter_mut().map(told).collect()
    }

    pub(super) fn take(&mut self, news: News, mut with: Counting<'_>) {
        match news {
            News::Checked { upstream, address, healthy } => {
                let live = self.index.get(&upstream).and_then(|at| self.list.get_mut(*at));
                if live.is_some_and(|live| live.group.checked(address, healthy)) {
                    match healthy {
                        true => info!(%upstream, endpoint = %address, "endpoint passes its checks"),
                        false => warn!(%upstream, endpoint = %address, "endpoint fails its checks"),
                    }
                }
            }
            News::Resolved { host, addresses } => self.resolved(&host, addresses, &mut with),
        }
    }

    fn resolved(&mut self, host: &Arc<str>, addresses: Option<Arc<[IpAddr]>>, with: &mut Counting<'_>) {
        let count = addresses.as_ref().map(|addresses| addresses.len());
        match (self.answers.get(host), addresses) {
            (Some(Some(_)), None) => return,
            (Some(last), addresses) if *last == addresses => return,
            (_, addresses) => self.answers.insert(Arc::clone(host), addresses),
        };
        info!(%host, addresses = count, "name stands for other addresses");
        for at in 0..self.list.len() {
            if self.list[at].group.upkeep().names.iter().any(|name| name.host == *host) {
                self.find_members(at, with);
                self.plan_due = true;
            }
        }
    }

    /// Fixed endpoints first, then those of its names.
    fn find_members(&mut self, at: usize, with: &mut Counting<'_>) {
        let live = &mut self.list[at];
        let upstream = Arc::clone(&live.group.name);
        let of_name = |name: &'_ DnsName| -> Vec<(SocketAddr, Option<Arc<str>>)> {
            let found = self.answers.get(&name.host).and_then(Option::as_ref);
            let one = |ip: &IpAddr| ((*ip, name.port).into(), Some(Arc::clone(&name.host)));
            found.map_or_else(Vec::new, |list| list.iter().map(one).collect())
        };
        let names = &live.group.upkeep().names;
        let resolved = names.iter().all(|name| self.answers.contains_key(&name.host));
        let fixed = live.fixed.iter().map(|address| (*address, None));
        let all = fixed.chain(names.iter().flat_map(of_name));
        let mut seen = HashSet::new();
        let all = all.filter(|(address, _)| seen.insert(*address)).take(Upstream::ENDPOINTS_MAX);
        let mut endpoints = Vec::new();
        live.ways.clear();
        for (address, host) in all {
            let tls = live.tls.as_ref().map(|tls| EndpointTls::new(tls, host.as_ref()));
            match with.ids.endpoint(&upstream, address, tls.clone()) {
                Some(endpoint) => {
                    live.ways.extend(endpoint.tls.zip(tls));
                    endpoints.push(endpoint);
                }
                None => error!(%upstream, %address, "no number is left for this endpoint: restart to use it"),
            }
        }
        let shards = with.shards;
        live.group.set_members(endpoints, resolved, with.now_us, |id| shards.endpoint(id.0 as usize));
        if !live.group.upkeep().names.is_empty() {
            with.ids.forget_old(&upstream, &live.group.addresses());
        }
    }

    fn send_plan(&self) {
        let mut checks = Vec::new();
        for live in &self.list {
            let Some(health) = &live.health else { continue };
            checks.extend(live.group.members().iter().map(|member| Check {
                upstream: Arc::clone(&live.group.name),
                endpoint: member.endpoint,
                tls: member.endpoint.tls.and_then(|tls| live.ways.get(&tls).cloned()),
                protocol: live.protocol,
                proxy_protocol: live.proxy_protocol,
                health: Arc::clone(health),
                counts: Arc::clone(&live.checks),
            }));
        }
        let names = self.list.iter().flat_map(|live| &live.group.upkeep().names);
        let hosts = names.map(|name| Arc::clone(&name.host)).collect();
        let (dns, lookups) = (self.dns.clone(), Arc::clone(&self.lookups));
        self.lookout.follow(Plan { checks, hosts, dns, lookups });
    }

    /// Judges failures and time. What routing is to be told, by the place of the upstream.
    fn tend(&mut self, now_us: u64, shards: &Shards) -> Vec<(usize, Arc<Usable>)> {
        let mut told = Vec::new();
        for (at, live) in self.list.iter_mut().enumerate().filter(|(_, live)| live.group.is_watched()) {
            let group = &mut live.group;
            let totals = |id: EndpointId| shards.endpoint(id.0 as usize);
            for Change { address, turn } in group.look(now_us, totals) {
                let upstream = &group.name;
                match turn {
                    Turn::Ejected { failures, hold } => {
                        warn!(%upstream, endpoint = %address, failures, ?hold, "endpoint ejected");
                    }
                    Turn::Back => info!(%upstream, endpoint = %address, "endpoint is given another try"),
                }
            }
            told.extend(group.news(now_us).map(|usable| (at, usable)));
        }
        if std::mem::take(&mut self.plan_due) {
            self.send_plan();
        }
        told
    }
}

impl UpstreamLive {
    fn of(file: &Upstream, before: Option<Self>) -> Self {
        let health = file.upkeep.health.clone().map(Arc::new);
        let fixed = file.endpoints.clone();
        let (protocol, proxy_protocol, tls) = (file.protocol, file.proxy_protocol, file.tls.clone());
        let (group, checks) = match before {
            None => (Group::new(file), Arc::default()),
            Some(Self { mut group, checks, .. }) => {
                group.reconfigure(file);
                (group, checks)
            }
        };
        Self { group, fixed, protocol, proxy_protocol, tls, ways: HashMap::new(), health, checks }
    }
}

impl Controller {
    pub(super) fn tend(&mut self, now_us: u64) {
        let told = self.upstreams.tend(now_us, &self.shards);
        if !told.is_empty() {
            self.publisher.endpoints(told);
        }
    }

    pub(super) fn hear(&mut self, news: News) {
        let now_us = self.clock.now_us();
        self.upstreams.take(news, Counting { ids: &mut self.endpoints, shards: &self.shards, now_us });
    }
}

/// Looks up what nobody has looked up yet, so that no request has to wait for it.
pub(super) async fn first_answers(config: &Config, known: &HashSet<Arc<str>>) -> Answers {
    let unknown: HashSet<Arc<str>> = hosts(config).filter(|host| !known.contains(host)).collect();
    if unknown.is_empty() {
        return Vec::new();
    }
    dns::first_answers(&config.dns, unknown.into_iter().collect()).await
}

fn hosts(config: &Config) -> impl Iterator<Item = Arc<str>> + '_ {
    let names = config.upstreams.iter().flat_map(|upstream| &upstream.upkeep.names);
    names.map(|name| Arc::clone(&name.host))
}
