//! `[[route]]`: what matches a request, who may serve it, and how it is split.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};
use regex::Regex;

use super::{Guard, Weight};

#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub name: Arc<str>,
    /// Lower case, without port. Empty: any host.
    pub hosts: Vec<HostPattern>,
    pub path: PathPattern,
    /// Empty: any method.
    pub methods: Vec<Method>,
    /// All must match.
    pub headers: Vec<HeaderMatch>,
    pub service: Service,
    /// Protocols that a client may upgrade to. Empty: none.
    pub upgrade: Vec<Upgrade>,
    pub sticky: Option<StickyKey>,
    pub guard: Guard,
}

impl Route {
    pub const CANARIES_MAX: usize = 16;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `shop.example`
    Exact(Box<str>),
    /// `*.shop.example`, kept as `.shop.example`; any number of labels, at least one.
    Suffix(Box<str>),
}

#[derive(Clone, Debug)]
pub enum PathPattern {
    /// Matches on segment borders: `/api` matches `/api` and `/api/x`, not `/apiary`.
    Prefix(Box<str>),
    Exact(Box<str>),
    /// Must match the whole path.
    Regex(Regex),
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prefix(a), Self::Prefix(b)) | (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

/// `{ name = "x-tenant", value = "acme" }`; without `value` any value will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    pub name: HeaderName,
    pub value: Option<HeaderValue>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// `deny = true`: answered 403, nothing goes upstream.
    Deny,
    Split {
        /// Name of an upstream.
        stable: Arc<str>,
        /// At most [`Route::CANARIES_MAX`]; their declared weights sum to at most 100%.
        canaries: Vec<Canary>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// `name`, else `canary` for a lone one, else the upstream's name. Never `stable`; unique in its route.
    pub name: Arc<str>,
    /// Name of an upstream.
    pub upstream: Arc<str>,
    /// The declared aim.
    pub weight: Weight,
    pub overrides: Vec<Override>,
}

/// A rule by which a request asks for a variant by name. Rules are tried in file order, canary by canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub matcher: Matcher,
    pub to: OverrideTo,
}

/// What is looked at, and the value wanted (`None`: any value, as long as it is there).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    pub trigger: Trigger,
    pub value: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    Header(HeaderName),
    Cookie(Box<str>),
    Query(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideTo {
    /// The canary that the rule stands in.
    Canary,
    /// `to = "stable"`
    Stable,
}

/// `[route.sticky]`: what ties a user to a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StickyKey {
    Cookie(Box<str>),
    Header(HeaderName),
    Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    Websocket,
}
