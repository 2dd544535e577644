//! Endpoints of upstreams that are set at run time, as a deploy pipeline does, and how they meet the file.
//!
//! A three-way merge as everywhere: what was set holds until the file says something else than it said then; a changed
//! file value wins. No weight rises by it, but what is new gets traffic: so it is stored first and published then, in
//! its turn, and while the store is down it is refused. Requests that are under way at an endpoint that leaves finish
//! there.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tracing::{error, info};

use super::clock::Stamp;
use super::command::{Refusal, Reply, SetUpstream};
use super::controller::Controller;
use super::drift::{Difference, Kind, Origin};
use super::jobs::{Raise, UpstreamRaise, answer};
use super::reload::{Preparing, prepare};
use super::routes::Routes;
use super::saving::OwedUpstream;
use super::state::BY_FILE;
use super::view::UpstreamView;
use crate::config::{Config, DnsName, Endpoints, Route, Service, Upstream, Weight};
use crate::store::record::{Action, Announced, Decision};

/// Routes that a decision names; of more it tells how many.
const ROUTES_NAMED_MAX: usize = 20;

#[derive(Clone, Debug, Default)]
pub(super) struct Announcements {
    /// Bounded by the upstreams that any file ever had.
    list: BTreeMap<Arc<str>, Announced>,
}

/// An announcement that the file has overruled.
pub(super) struct Lapsed {
    pub(super) upstream: Arc<str>,
    pub(super) decision: Decision,
}

impl Announcements {
    pub(super) fn from_store(list: Vec<Announced>) -> Self {
        Self { list: list.into_iter().map(|one| (Arc::clone(&one.upstream), one)).collect() }
    }

    pub(super) fn get(&self, upstream: &str) -> Option<&Announced> {
        self.list.get(upstream)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Announced> {
        self.list.values()
    }

    fn with(&self, upstream: &Arc<str>, announced: Option<Announced>) -> Self {
        let mut list = self.list.clone();
        match announced {
            Some(announced) => list.insert(Arc::clone(upstream), announced),
            None => list.remove(upstream),
        };
        Self { list }
    }

    /// What is left of them beside this file, and what the file overrules. Of an upstream that the file does not have it is
    /// kept, should it come back.
    pub(super) fn merge(
        &self,
        config: &Config,
        routes: &Routes,
        stamp: &dyn Fn() -> Stamp,
    ) -> (Self, Vec<Lapsed>) {
        let (mut kept, mut lapsed) = (self.clone(), Vec::new());
        for file in &config.upstreams {
            let Some(one) = self.get(&file.name) else { continue };
            let now = words(&file.endpoints, &file.upkeep.names);
            if same(&one.file, &now) && Endpoints::parse("", &one.live).is_ok() {
                continue;
            }
            kept.list.remove(&file.name);
            let why = Arc::from("the file says other endpoints than it did when they were set");
            let change = Change { by: Arc::from(BY_FILE), why, before: &one.live, after: &now };
            let users = users(config, routes, &file.name);
            lapsed.push(Lapsed {
                upstream: Arc::clone(&file.name),
                decision: change.decision(&file.name, &users, stamp()),
            });
        }
        (kept, lapsed)
    }

    /// Puts them in the place of the file's.
    pub(super) fn apply(&self, upstreams: &mut [Upstream]) {
        for upstream in upstreams {
            let Some(one) = self.get(&upstream.name) else { continue };
            // What cannot be read was taken out by the merge.
            if let Ok(Endpoints { fixed, names }) = Endpoints::parse("", &one.live) {
                upstream.endpoints = fixed;
                upstream.upkeep.names = names;
            }
        }
    }

    pub(super) fn differences(&self) -> impl Iterator<Item = Difference> {
        self.iter().filter(|one| !same(&one.file, &one.live)).map(|one| Difference {
            kind: Kind::Endpoints,
            route: None,
            canary: None,
            upstream: Some(Arc::clone(&one.upstream)),
            file: one.file.join(", "),
            live: one.live.join(", "),
            origin: Some(Origin {
                since_ms: one.at_ms,
                by: Arc::clone(&one.by),
                why: Arc::clone(&one.why),
                decision: Some(Arc::clone(&one.decision)),
            }),
            remedy: format!(
                "write the live ones in the file and reload, or andon upstream reset {} --why TEXT",
                one.upstream
            ),
        })
    }
}

/// In the words of the file: addresses first, then names.
pub(super) fn words(fixed: &[SocketAddr], names: &[DnsName]) -> Vec<Arc<str>> {
    let fixed = fixed.iter().map(|address| address.to_string().into());
    fixed.chain(names.iter().map(|name| name.to_string().into())).collect()
}

/// Their order says nothing.
fn same(one: &[Arc<str>], other: &[Arc<str>]) -> bool {
    one.len() == other.len() && one.iter().collect::<HashSet<_>>() == other.iter().collect()
}

/// The routes that it serves, in the order of the file.
fn users<'a>(config: &'a Config, routes: &Routes, upstream: &str) -> Vec<&'a str> {
    let uses = |route: &&Route| match (routes.remembered(&route.name), &route.service) {
        (Some(record), _) => {
            let roles = record.canaries.iter().map(|canary| &canary.role).chain([&record.stable]);
            roles.into_iter().any(|role| &*role.upstream == upstream)
        }
        (None, Service::Split { stable, canaries }) => {
            &**stable == upstream || canaries.iter().any(|canary| &*canary.upstream == upstream)
        }
        (None, _) => false,
    };
    config.routes.iter().filter(uses).map(|route| &*route.name).collect()
}

struct Change<'a> {
    by: Arc<str>,
    why: Arc<str>,
    before: &'a [Arc<str>],
    after: &'a [Arc<str>],
}

impl Change<'_> {
    /// It is of no one route, so it names none; what it is about stands in its evidence.
    fn decision(&self, upstream: &Arc<str>, users: &[&str], stamp: Stamp) -> Decision {
        let evidence = json!({
            "upstream": &**upstream,
            "before": self.before,
            "after": self.after,
            "routes": &users[..users.len().min(ROUTES_NAMED_MAX)],
            "routes_count": users.len(),
        });
        Decision {
            id: stamp.id,
            at_ms: stamp.at_ms,
            route: "".into(),
            canary: None,
            action: Action::Upstream,
            by: Arc::clone(&self.by),
            why: Arc::clone(&self.why),
            before: Weight::ZERO,
            after: Weight::ZERO,
            evidence: Some(evidence),
        }
    }
}

impl Controller {
    /// Its turn has come.
    pub(super) fn start_upstream(&mut self, request: SetUpstream, reply: Reply<UpstreamView>) {
        let found = self.config.upstreams.iter().find(|file| file.name == request.upstream);
        let Some(file) = found else {
            let known = self.config.upstreams.iter().map(|file| Arc::clone(&file.name)).collect();
            return answer(reply, Err(Refusal::UnknownUpstream { upstream: request.upstream, known }));
        };
        let Some(view) = self.upstream_view(&request.upstream) else {
            return answer(reply, Err(Refusal::Gone));
        };
        if request.if_revision.is_some_and(|revision| revision != view.revision) {
            return answer(reply, Err(Refusal::OutdatedUpstream(Box::new(view))));
        }
        let of_file = words(&file.endpoints, &file.upkeep.names);
        let wanted = request.endpoints.as_ref().map(|wanted| words(&wanted.fixed, &wanted.names));
        let present = self.announced.get(&request.upstream).map(|one| &one.live);
        if wanted.as_ref() == present {
            return answer(reply, Ok(view));
        }
        if let Some(why) = self.saving.down() {
            return answer(reply, Err(Refusal::StoreDown(why.to_owned())));
        }
        let stamp = self.clock.stamp();
        let announced = wanted.map(|live| Announced {
            upstream: Arc::clone(&request.upstream),
            file: of_file.clone(),
            live,
            by: Arc::clone(&request.by),
            why: Arc::clone(&request.why),
            at_ms: stamp.at_ms,
            decision: Arc::clone(&stamp.id),
        });
        let (before, after) = (present.unwrap_or(&of_file), announced.as_ref().map(|one| &one.live));
        let after = after.unwrap_or(&of_file);
        let SetUpstream { upstream, by, why, .. } = request;
        let users = users(&self.config, &self.routes, &upstream);
        let decision = Change { by, why, before, after }.decision(&upstream, &users, stamp);
        let owed = OwedUpstream {
            upstream: Arc::clone(&upstream),
            announced: announced.clone(),
            decision: Some(decision.clone()),
        };
        let raise = UpstreamRaise { upstream, announced, decision, reply };
        self.saving.start_upstream_raise(&owed, Raise::Upstream(Box::new(raise)), self.clock.now_us());
    }

    /// It is stored: now it takes effect, as a reload of the same file with these endpoints would.
    pub(super) fn upstream_stored(&mut self, raise: UpstreamRaise) {
        let UpstreamRaise { upstream, announced, decision, reply } = raise;
        let wanted = self.announced.with(&upstream, announced);
        let Self { routes, slots, endpoints, clock, .. } = self;
        let with = Preparing { routes, slots, endpoints, clock, announced: &wanted };
        let prepared = match prepare(self.config.clone(), with) {
            Ok(prepared) => prepared,
            Err(error) => {
                error!(%upstream, %error, "endpoints not set");
                self.owe_upstream(&upstream);
                return answer(reply, Err(Refusal::BadConfig { drawn: error.to_string(), count: 1 }));
            }
        };
        self.put_in_force(prepared);
        self.note(&decision);
        info!(%upstream, "endpoints set");
        answer(reply, self.upstream_view(&upstream).ok_or(Refusal::Gone));
    }

    /// What was stored of it may not be what is in force.
    pub(super) fn owe_upstream(&mut self, upstream: &Arc<str>) {
        let announced = self.announced.get(upstream).cloned();
        self.saving.owe_upstream(OwedUpstream { upstream: Arc::clone(upstream), announced, decision: None });
    }

    pub(super) fn owe_lapsed(&mut self, lapsed: Vec<Lapsed>) {
        for Lapsed { upstream, decision } in lapsed {
            self.note(&decision);
            self.saving.owe_upstream(OwedUpstream { upstream, announced: None, decision: Some(decision) });
        }
    }

    pub(super) fn owe_announced(&mut self) {
        let all: Vec<Arc<str>> = self.announced.iter().map(|one| Arc::clone(&one.upstream)).collect();
        all.iter().for_each(|upstream| self.owe_upstream(upstream));
    }
}
