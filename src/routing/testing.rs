//! What the tests of this folder share: a small configuration, a request, a snapshot.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};

use super::{Answer, Decision, Dice, EndpointIds, Share, Snapshot, Table, TableError, View, decide};
use crate::config::{
    Admin, Canary, Config, Drain, Guard, PathPattern, Route, Scheme, Service, Store, Upstream, Weight,
    Workers,
};
use crate::metrics::slots::Slots;

/// Any host, any path, stable on upstream `v1`.
pub(super) fn route(name: &str) -> Route {
    Route {
        name: Arc::from(name),
        hosts: Vec::new(),
        path: PathPattern::Prefix("/".into()),
        methods: Vec::new(),
        headers: Vec::new(),
        service: Service::Split { stable: Arc::from("v1"), canaries: Vec::new() },
        policy: None,
        upgrade: Vec::new(),
        sticky: None,
        guard: Guard::default(),
        mirror: Default::default(),
        capacity: None,
        release: None,
    }
}

/// The same with one canary for each of the upstreams, and named like it.
pub(super) fn split_route(name: &str, canary_upstreams: &[&str]) -> Route {
    let canary = |upstream: &&str| Canary {
        name: Arc::from(*upstream),
        upstream: Arc::from(*upstream),
        weight: Weight::ZERO,
        baseline: false,
        overrides: Vec::new(),
    };
    let canaries = canary_upstreams.iter().map(canary).collect();
    Route { service: Service::Split { stable: Arc::from("v1"), canaries }, ..route(name) }
}

/// With upstreams `v1` to `v4`, one endpoint each, but two for `v4`.
pub(super) fn config(routes: Vec<Route>) -> Config {
    Config {
        workers: Workers { count: 1 },
        admin: Admin::default(),
        store: Store::File(PathBuf::from("andon.db")),
        evidence: Default::default(),
        decisions_age: crate::config::DECISIONS_AGE_DEFAULT,
        source: Default::default(),
        access_log: None,
        tracing: None,
        dns: Default::default(),
        limits: Default::default(),
        drain: Drain::default(),
        listeners: Vec::new(),
        upstreams: vec![
            upstream("v1", &[9_001]),
            upstream("v2", &[9_002]),
            upstream("v3", &[9_003]),
            upstream("v4", &[9_004, 9_005]),
        ],
        routes,
        plans: Vec::new(),
        freezes: Vec::new(),
        notify: Vec::new(),
        prometheus: None,
    }
}

pub(super) fn upstream(name: &str, ports: &[u16]) -> Upstream {
    let endpoints = ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
    Upstream::new(Arc::from(name), endpoints)
}

pub(super) fn table(routes: Vec<Route>) -> Result<Table, TableError> {
    Table::build(&config(routes), &mut Slots::default(), &mut EndpointIds::default())
}

/// Generation 1; all canaries open, with these weights in ppm, the same for each route.
pub(super) fn snapshot(routes: Vec<Route>, weights_ppm: &[u32]) -> Snapshot {
    let shares = vec![weights_ppm.iter().map(|ppm| open(*ppm)).collect(); routes.len()];
    Snapshot::new(1, Arc::new(table(routes).unwrap()), &shares)
}

pub(super) fn open(ppm: u32) -> Share {
    Share { effective: Weight::from_ppm(ppm).unwrap(), open: true, drill: None, mirror: None }
}

/// A request that tests change and then look at.
pub(super) struct Request {
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) client: IpAddr,
}

impl Request {
    pub(super) fn get(host: &str, path: &str) -> Self {
        Self {
            host: host.into(),
            path: path.into(),
            query: None,
            method: Method::GET,
            headers: HeaderMap::new(),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), value.parse().unwrap());
        self
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            headers: &self.headers,
            client: self.client,
            scheme: Scheme::Http,
        }
    }

    pub(super) fn decide(&self, snapshot: &Snapshot, dice: &mut Dice) -> Decision {
        match decide(snapshot, &self.view(), dice, |_| 0).answer {
            Answer::Forward(decision) => *decision,
            other => panic!("{other:?}"),
        }
    }
}
