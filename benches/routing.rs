//! What a decision costs, in instructions counted by callgrind: the same on every machine and every day.
//!
//! `benches/run` installs the runner and starts this. Each bench makes [`DECISIONS`] decisions, so divide by that.

#![expect(clippy::disallowed_methods, reason = "gungraun's main! ends its own process")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use andon::config::{
    Admin, Canary, Config, Guard, HostPattern, Matcher, Override, OverrideTo, PathPattern, Route, Scheme,
    Service, StickyKey, Store, Trigger, Upstream, Weight, Workers,
};
use andon::metrics::SlotId;
use andon::metrics::slots::Slots;
use andon::routing::{Dice, EndpointIds, Share, Snapshot, Table, View, decide};
use gungraun::prelude::*;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const DECISIONS: u32 = 1_000;

/// A worker with a snapshot, and the request that it decides on again and again.
struct Bench {
    snapshot: Snapshot,
    dice: Dice,
    host: String,
    path: &'static str,
    headers: HeaderMap,
}

impl Bench {
    fn decide(&mut self) {
        let view = View {
            host: &self.host,
            path: self.path,
            query: Some("page=2&sort=price"),
            method: &Method::GET,
            headers: &self.headers,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            scheme: Scheme::Http,
        };
        black_box(decide(&self.snapshot, black_box(&view), &mut self.dice, |_| 0));
    }
}

/// Decided once, so that the worker's lots have their place in memory.
fn bench(routes: Vec<Route>, host: String, headers: HeaderMap) -> Bench {
    let shares =
        Share { effective: Weight::from_ppm(50_000).expect("5%"), open: true, drill: None, mirror: None };
    let shares = vec![vec![shares]; routes.len()];
    let table = Table::build(&config(routes), &mut Slots::default(), &mut EndpointIds::default());
    let snapshot = Snapshot::new(1, Arc::new(table.expect("a good configuration")), &shares);
    let mut bench = Bench { snapshot, dice: Dice::new(1), host, path: "/api/v1/items/42", headers };
    bench.decide();
    bench
}

fn ordinary_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "h00000.shop.example"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"),
        ("accept", "text/html,application/xhtml+xml"),
        ("accept-encoding", "gzip, deflate, br"),
        ("cookie", "theme=dark; session=8f14e45fceea167a; uid=user-4711"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

fn config(routes: Vec<Route>) -> Config {
    let upstream = |name: &str, port: u16| {
        let endpoint = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Upstream::new(Arc::from(name), vec![endpoint(port), endpoint(port + 1)])
    };
    Config {
        workers: Workers { count: 1 },
        admin: Admin::default(),
        store: Store::Memory,
        evidence: Default::default(),
        decisions_age: andon::config::DECISIONS_AGE_DEFAULT,
        source: Default::default(),
        access_log: None,
        tracing: None,
        limits: Default::default(),
        drain: Default::default(),
        dns: Default::default(),
        listeners: Vec::new(),
        upstreams: vec![upstream("v1", 9_001), upstream("v2", 9_011)],
        routes,
        plans: Vec::new(),
        freezes: Vec::new(),
        notify: Vec::new(),
        prometheus: None,
    }
}

fn route(n: usize, overrides: Vec<Override>) -> Route {
    let canary = Canary {
        name: Arc::from("canary"),
        upstream: Arc::from("v2"),
        weight: Weight::ZERO,
        baseline: false,
        overrides,
    };
    Route {
        name: Arc::from(format!("r{n}")),
        hosts: vec![HostPattern::Exact(format!("h{n:05}.shop.example").into())],
        path: PathPattern::Prefix("/".into()),
        methods: Vec::new(),
        headers: Vec::new(),
        service: Service::Split { stable: Arc::from("v1"), canaries: vec![canary] },
        policy: None,
        upgrade: Vec::new(),
        sticky: None,
        guard: Guard::default(),
        mirror: Default::default(),
        capacity: None,
        release: None,
    }
}

/// As many hosts; the last one is asked for.
fn hosts(count: usize) -> Bench {
    let routes = (0..count).map(|n| route(n, Vec::new())).collect();
    bench(routes, format!("h{:05}.shop.example", count - 1), ordinary_headers())
}

/// As many prefixes on one host; the last one is asked for.
fn prefixes(count: usize) -> Bench {
    let path = |n: usize| if n + 1 == count { "/api/v1".into() } else { format!("/api/t{n}") };
    let route = |n: usize| Route {
        hosts: Vec::new(),
        path: PathPattern::Prefix(path(n).into()),
        ..route(n, Vec::new())
    };
    bench((0..count).map(route).collect(), "shop.example".into(), ordinary_headers())
}

fn sticky() -> Bench {
    let sticky = Some(StickyKey::Cookie("uid".into()));
    let route = Route { sticky, ..route(0, Vec::new()) };
    bench(vec![route], "h00000.shop.example".into(), ordinary_headers())
}

/// One rule by header and one by cookie; the request fits the second.
fn overridden() -> Bench {
    let rule = |trigger| Override {
        from: Vec::new(),
        matcher: Matcher { trigger, value: Some("user-4711".into()) },
        to: OverrideTo::Canary,
    };
    let rules =
        vec![rule(Trigger::Header(HeaderName::from_static("x-canary"))), rule(Trigger::Cookie("uid".into()))];
    bench(vec![route(0, rules)], "h00000.shop.example".into(), ordinary_headers())
}

#[library_benchmark]
#[bench::one_host(args = (1), setup = hosts)]
#[bench::two_thousand_hosts(args = (2_000), setup = hosts)]
#[bench::one_prefix(args = (1), setup = prefixes)]
#[bench::two_thousand_prefixes(args = (2_000), setup = prefixes)]
#[bench::sticky(setup = sticky)]
#[bench::overridden(setup = overridden)]
fn decisions(mut bench: Bench) -> Bench {
    for _ in 0..DECISIONS {
        bench.decide();
    }
    bench
}

#[library_benchmark]
fn lots() -> Dice {
    let mut dice = Dice::new(1);
    for _ in 0..DECISIONS {
        black_box(dice.position_ppm(black_box(SlotId::from_index(0))));
    }
    dice
}

library_benchmark_group!(name = routing, benchmarks = [decisions, lots]);
main!(library_benchmark_groups = routing);
