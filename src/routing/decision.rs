//! What routing is asked, and what it answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};

use super::harm::Holds;
use crate::config::{ProxyProtocol, Rescue, Retry, Scheme, UpstreamProtocol, Weight};
use crate::metrics::SlotId;
use crate::metrics::users::User;

/// What routing may look at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// As the client sent it: any case, with or without a port. Empty if there is none.
    pub host: &'a str,
    /// In normal form: begins with `/`, or is `*`.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// The client behind trusted proxies.
    pub client: IpAddr,
    /// That the client speaks, to us or to a trusted proxy.
    pub scheme: Scheme,
}

/// An answer, and what was taken for it.
#[derive(Debug)]
pub struct Decided {
    pub answer: Answer,
    pub holds: Holds,
}

/// What to do with the request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// In a box, which goes with the request to its end: one allocation costs less than to copy it from hand to hand.
    Forward(Box<Decision>),
    /// The route at this index says `deny = true`: 403.
    Deny(usize),
    /// The route at this index leads elsewhere.
    Redirect(usize),
    /// No route matches, or one that only leads where the request is: 404.
    NoRoute,
    /// There is a variant for it, and none of the endpoints of its upstream can be used, nor stable's: 503.
    NoEndpoint(NoEndpoint),
}

/// A request that nobody can serve just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEndpoint {
    /// Of stable: it is there for whatever no canary takes.
    pub slot: SlotId,
    pub place: Place,
    pub why: Why,
    /// As in a [`Decision`].
    pub user: Option<User>,
    pub instead_of: Option<Missed>,
    /// As [`Decision::lot`].
    pub lot: Option<SlotId>,
    /// As [`Decision::phantom`].
    pub phantom: Option<SlotId>,
}

/// A request that stable has because no endpoint of a canary can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Of the canary.
    pub slot: SlotId,
    /// As [`Why::by_lot`] of the canary's assignment.
    pub by_lot: bool,
    pub user: Option<User>,
}

impl Answer {
    /// The place of the route in the table of the snapshot that decided.
    pub fn route(&self) -> Option<usize> {
        match self {
            Self::Forward(decision) => Some(decision.place.route),
            Self::Deny(route) | Self::Redirect(route) => Some(*route),
            Self::NoEndpoint(found) => Some(found.place.route),
            Self::NoRoute => None,
        }
    }
}

/// Everything that forwarding needs to know; nothing of it points into a snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Of the snapshot that decided.
    pub generation: u64,
    /// Where this request is counted.
    pub slot: SlotId,
    /// Names stand there: [`Snapshot::names`](super::Snapshot::names) of this very snapshot.
    pub place: Place,
    pub endpoint: Endpoint,
    pub protocol: UpstreamProtocol,
    /// Each connection begins with a header that names the client.
    pub proxy_protocol: Option<ProxyProtocol>,
    pub timeouts: Timeouts,
    /// Without the head of an answer for so long it counts as failed.
    pub verdict_timeout_ms: u32,
    pub why: Why,
    /// Whose request it is, if their sticky key drew the lot.
    pub user: Option<User>,
    /// `Upgrade: websocket` is passed on.
    pub websocket: bool,
    /// Counted as a failure of this canary, beside what becomes of the request.
    pub instead_of: Option<Missed>,
    /// Whom the lot gave it to, if one was drawn, whoever serves it.
    pub lot: Option<SlotId>,
    /// Stable's, by lot, and one of the slice that tests the immune system: what it is evidence of is counted there, too.
    pub phantom: Option<SlotId>,
    /// Not stable: what fails here does harm.
    pub canary: bool,
    /// Where the upstream has several: the endpoint that a retry would go to.
    pub other: Option<Endpoint>,
    /// `None`: nothing of it could be retried.
    pub retry: Option<Retry>,
    /// Who answers if this canary fails; `None`: nobody does.
    pub fallback: Option<Fallback>,
    /// The canary is to fail this one on purpose, if stable can have it in its place.
    pub drill: bool,
}

/// Stable, ready to take over from a canary. Chosen together with the canary, so that a rescued request sees one
/// generation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fallback {
    /// Of stable.
    pub slot: SlotId,
    pub endpoint: Endpoint,
    pub protocol: UpstreamProtocol,
    pub proxy_protocol: Option<ProxyProtocol>,
    pub timeouts: Timeouts,
    pub rescue: Rescue,
    /// Stable takes over as well when the canary is closed before it begins to answer.
    pub recall: bool,
}

impl Decision {
    /// The same request on another endpoint of the same upstream.
    pub fn elsewhere(self) -> Self {
        match self.other {
            Some(other) => Self { endpoint: other, other: Some(self.endpoint), ..self },
            None => self,
        }
    }

    /// The same request served by stable, for good. Still counted where it was decided to go.
    pub fn rescued(self, fallback: Fallback) -> Self {
        let Fallback { slot: _, endpoint, protocol, proxy_protocol, timeouts, rescue: _, recall: _ } =
            fallback;
        Self {
            endpoint,
            protocol,
            proxy_protocol,
            timeouts,
            other: None,
            retry: None,
            fallback: None,
            ..self
        }
    }
}

/// A variant's place in the table of the snapshot that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub route: usize,
    /// 0 is stable. Those behind the last canary get copies: see [`super::mirror`].
    pub variant: usize,
}

/// What people call a variant. They outlive the snapshot, since an access log is written after the request.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    pub route: Arc<str>,
    pub variant: Arc<str>,
    pub upstream: Arc<str>,
}

/// Identifies one endpoint of one upstream for the life of the process; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub address: SocketAddr,
    /// `None`: cleartext.
    pub tls: Option<TlsId>,
}

/// How endpoints are spoken to over TLS; [`super::Table::tls`] says it. Of the life of the process, as [`EndpointId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsId(pub u32);

/// Those of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub response: Duration,
    /// Of the whole request. `None`: any.
    pub request: Option<Duration>,
    pub body: Duration,
    pub stream: Duration,
    pub idle: Duration,
}

/// Why this variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The lot fell so, or the route has no canary that takes part.
    Weight,
    /// The hash of the sticky key fell so.
    Sticky,
    /// The request asked for it.
    Override,
    /// The request asked for a canary, but the cord is pulled or its ceiling is 0.
    Cord,
    /// A canary was to have it, but none of its endpoints can be used.
    NoEndpoint,
    /// The lot or the request said canary, but its harm budget is used up or out.
    HarmBudget,
    /// It is a copy of another's request.
    Mirror,
}

impl Why {
    /// The word for it in the access log.
    pub fn label(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Sticky => "sticky",
            Self::Override => "override",
            Self::Cord => "cord",
            Self::NoEndpoint => "no_endpoint",
            Self::HarmBudget => "harm_budget",
            Self::Mirror => "mirror",
        }
    }

    /// Only requests assigned by lot are evidence: a tester's override says nothing about chance.
    pub fn by_lot(self) -> bool {
        matches!(self, Self::Weight | Self::Sticky)
    }
}

/// The weights of one canary as the controller holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// 0 under a cord, else min(aim, ceiling).
    pub effective: Weight,
    /// False under a cord or a ceiling of 0: then not even an override reaches the canary.
    pub open: bool,
    /// In a drill: of its requests by lot, so many fail on purpose.
    pub drill: Option<Weight>,
    /// Of stable's requests, so many are copied to it.
    pub mirror: Option<Weight>,
}
