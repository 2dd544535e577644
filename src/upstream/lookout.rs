//! The thread that asks: a task for each endpoint with checks, a task for each name.
//!
//! It has a runtime of its own, so that thousands of endpoints that time out together never hold up a tick of the
//! immune system. It follows the newest [`Plan`], and sends what has *changed* to the controller; what it counts stands
//! in counters that it alone writes. If it dies, endpoints stay as they are.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, spawn_local};
use tracing::{error, info, warn};

use super::dns;
use super::probe::{self, Found, Greeting, Preface};
use super::standing::Standing;
use crate::config::tls::EndpointTls;
use crate::config::{Dns, Health, ProxyProtocol, UpstreamProtocol};
use crate::metrics::shard::Counter;
use crate::routing::Endpoint;
use crate::tls::Material;

/// Checks at one time: each has a socket. Further ones wait their turn.
const CHECKS_MAX: usize = 512;
/// News on their way to the controller. When full, checks and lookups wait.
const NEWS_MAX: usize = 1_024;
/// The first checks of all endpoints are spread over so long, or over the interval if it is shorter.
const SPREAD_MAX: Duration = Duration::from_secs(1);
/// After a lookup that failed: twice as long each time, from the least TTL up to this.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What is to be asked. Whatever is not in it any more is given up.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub checks: Vec<Check>,
    pub hosts: HashSet<Arc<str>>,
    pub dns: Dns,
    pub lookups: Arc<LookupCounts>,
}

#[derive(Clone, Debug)]
pub struct Check {
    pub upstream: Arc<str>,
    pub endpoint: Endpoint,
    /// `None`: cleartext.
    pub tls: Option<EndpointTls>,
    pub protocol: UpstreamProtocol,
    pub proxy_protocol: Option<ProxyProtocol>,
    pub health: Arc<Health>,
    pub counts: Arc<CheckCounts>,
}

/// Of one upstream.
#[derive(Debug, Default)]
pub struct CheckCounts {
    pub passed: Counter,
    pub failed: Counter,
}

#[derive(Debug, Default)]
pub struct LookupCounts {
    pub good: Counter,
    pub failed: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The opinion on an endpoint has changed.
    Checked { upstream: Arc<str>, address: SocketAddr, healthy: bool },
    /// A name stands for these now. `None`: it was never answered, and the first lookup failed.
    Resolved { host: Arc<str>, addresses: Option<Arc<[IpAddr]>> },
}

/// The controller's end. The thread ends when it is dropped.
#[derive(Debug)]
pub struct Lookout {
    plans: watch::Sender<Arc<Plan>>,
    news: mpsc::Receiver<News>,
}

impl Lookout {
    /// `tls`: what to shake hands with; the latest holds.
    pub fn start(tls: watch::Receiver<Arc<Material>>) -> io::Result<(Self, JoinHandle<()>)> {
        let (lookout, plans, news) = Self::unattended();
        let watch = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            match runtime.enable_all().build_local(Default::default()) {
                Ok(runtime) => runtime.block_on(Watch::new(news, tls).follow(plans)),
                Err(error) => error!(%error, "endpoints are neither checked nor looked up"),
            }
        };
        let thread = thread::Builder::new().name("lookout".into()).spawn(watch)?;
        Ok((lookout, thread))
    }

    /// Without the thread: who holds the other ends plays it.
    pub fn unattended() -> (Self, watch::Receiver<Arc<Plan>>, mpsc::Sender<News>) {
        let (plans, followed) = watch::channel(Arc::default());
        let (sender, news) = mpsc::channel(NEWS_MAX);
        (Self { plans, news }, followed, sender)
    }

    pub fn follow(&self, plan: Plan) {
        self.plans.send_replace(Arc::new(plan));
    }

    /// Waits for ever if the thread is gone. May be dropped and called again.
    pub async fn news(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }
}

struct Watch {
    checks: HashMap<(Arc<str>, SocketAddr), (Check, AbortHandle)>,
    names: HashMap<Arc<str>, AbortHandle>,
    dns: Dns,
    news: mpsc::Sender<News>,
    turns: Rc<Semaphore>,
    tls: watch::Receiver<Arc<Material>>,
}

impl Check {
    /// The endpoint, what it is asked, and how: a check that differs begins anew.
    fn asks_like(&self, other: &Self) -> bool {
        let key = |check: &Self| (check.endpoint, check.protocol, check.proxy_protocol);
        key(self) == key(other) && self.tls == other.tls && self.health == other.health
    }

    /// `None`: how its endpoint is spoken to over TLS is not known any more.
    fn preface(&self, material: &Material) -> Option<Preface> {
        let greeting = |tls| {
            let (client, name) = material.client(tls, self.endpoint.address.ip())?;
            Some(Greeting::new(&client, name, &self.health.probe, self.protocol))
        };
        let tls = match &self.tls {
            Some(tls) => Some(greeting(tls)?),
            None => None,
        };
        Some(Preface { proxy_protocol: self.proxy_protocol, tls })
    }
}

impl Watch {
    fn new(news: mpsc::Sender<News>, tls: watch::Receiver<Arc<Material>>) -> Self {
        let turns = Rc::new(Semaphore::new(CHECKS_MAX));
        Self { checks: HashMap::new(), names: HashMap::new(), dns: Dns::default(), news, turns, tls }
    }

    async fn follow(mut self, mut plans: watch::Receiver<Arc<Plan>>) {
        while plans.changed().await.is_ok() {
            let plan = Arc::clone(&plans.borrow_and_update());
            self.follow_checks(&plan);
            self.follow_names(&plan);
        }
    }

    fn follow_checks(&mut self, plan: &Plan) {
        let mut old = std::mem::take(&mut self.checks);
        for check in &plan.checks {
            let key = (Arc::clone(&check.upstream), check.endpoint.address);
            let goes_on = old.get(&key).is_some_and(|(before, _)| before.asks_like(check));
            let kept = if goes_on { old.remove(&key) } else { None };
            let task = kept.unwrap_or_else(|| {
                let (turns, news, tls) = (Rc::clone(&self.turns), self.news.clone(), self.tls.clone());
                let task = check_for_ever(check.clone(), turns, news, tls);
                (check.clone(), spawn_local(task).abort_handle())
            });
            self.checks.insert(key, task);
        }
        old.values().for_each(|(_, task)| task.abort());
    }

    fn follow_names(&mut self, plan: &Plan) {
        let all_anew = self.dns != plan.dns;
        self.dns = plan.dns.clone();
        self.names.retain(|host, task| {
            let stays = !all_anew && plan.hosts.contains(host);
            if !stays {
                task.abort();
            }
            stays
        });
        for host in &plan.hosts {
            self.names.entry(Arc::clone(host)).or_insert_with(|| {
                let (dns, news) = (plan.dns.clone(), self.news.clone());
                let look = look_up_for_ever(Arc::clone(host), dns, Arc::clone(&plan.lookups), news);
                spawn_local(look).abort_handle()
            });
        }
    }
}

async fn check_for_ever(
    check: Check,
    turns: Rc<Semaphore>,
    news: mpsc::Sender<News>,
    material: watch::Receiver<Arc<Material>>,
) {
    let Check { upstream, endpoint: Endpoint { address, .. }, health, counts, .. } = &check;
    let address = *address;
    let mut standing = Standing::default();
    tokio::time::sleep(health.interval.min(SPREAD_MAX).mul_f64(fastrand::f64())).await;
    loop {
        let Ok(turn) = turns.acquire().await else { return };
        // If what spoke so has gone, this check goes with the next plan.
        let Some(preface) = check.preface(&material.borrow()) else { return };
        let found = probe::check(address, health, preface).await;
        drop(turn);
        let passed = found == Found::Passed;
        match found {
            Found::Passed => counts.passed.add(1),
            Found::Failed => counts.failed.add(1),
            Found::Nothing => {
                warn!(%upstream, %address, "out of descriptors or memory: an endpoint is not checked")
            }
        }
        let opinion = (found != Found::Nothing)
            .then(|| standing.checked(passed, health.healthy_after, health.unhealthy_after));
        if let Some(healthy) = opinion.flatten() {
            let said = News::Checked { upstream: Arc::clone(upstream), address, healthy };
            if news.send(said).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(health.interval).await;
    }
}

async fn look_up_for_ever(host: Arc<str>, dns: Dns, counts: Arc<LookupCounts>, news: mpsc::Sender<News>) {
    let mut last: Option<Arc<[IpAddr]>> = None;
    let mut failures = 0u32;
    loop {
        let (said, pause) = match dns::resolve(&dns, &host).await {
            Ok(found) => {
                counts.good.add(1);
                if std::mem::take(&mut failures) > 0 {
                    info!(%host, addresses = found.list.len(), "name resolved again");
                }
                let is_new = last.as_ref() != Some(&found.list);
                last = Some(Arc::clone(&found.list));
                (is_new.then_some(Some(found.list)), found.ttl)
            }
            Err(error) => {
                counts.failed.add(1);
                failures = failures.saturating_add(1);
                if failures == 1 {
                    warn!(%host, %error, "name not resolved; the last good answer stays");
                }
                let pause = dns.ttl_min.saturating_mul(1 << failures.min(16)).min(RETRY_MAX.max(dns.ttl_min));
                ((last.is_none() && failures == 1).then_some(None), pause)
            }
        };
        if let Some(addresses) = said {
            let said = News::Resolved { host: Arc::clone(&host), addresses };
            if news.send(said).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(pause).await;
    }
}
