//! Which route matches: an index over hosts and paths, built once, so that 10 000 routes cost what one costs.
//!
//! The precedence, from the strongest:
//!
//! 1. **Host**: the exact name; then `*.suffix`, the longest first; then routes for any host.
//! 2. **Path**: `path_exact`; then `path_regex`, in file order; then the longest `path` prefix that ends on a
//!    segment border (a slash at the end of a prefix says nothing: `/api/` is `/api`). The prefix `/` matches
//!    everything, also the `*` of `OPTIONS *`.
//! 3. **Narrowest**, among routes of the same host and path: more header conditions first; then routes that name
//!    methods before routes for any; then fewer methods; then file order.
//!
//! A route that does not match in every respect is as good as not there: the search goes on to the next shorter
//! path and then to the next wider host. What is walked one by one and so costs more the longer it is: the regular
//! expressions of a host and the routes that share both host and path. Both are bounded.

use std::cmp::Reverse;
use std::sync::Arc;

use http::Method;

use crate::config::{HeaderMatch, HostPattern, Route};

use super::View;
use super::hash::Map;
use super::host;
use super::paths::Paths;
use super::table::TableError;

/// Routes that share host and path, as they are tried one by one. More are refused.
pub const ALIKE_MAX: usize = 1_024;

#[derive(Debug)]
pub(super) struct Index {
    exact: Map<Box<[u8]>, Paths>,
    /// With the dot in front.
    suffixes: Map<Box<[u8]>, Paths>,
    suffix_len_max: usize,
    any: Paths,
    /// By index of the route.
    conditions: Box<[Conditions]>,
}

impl Index {
    pub(super) fn build(routes: &[Route]) -> Result<Self, TableError> {
        let mut index = Self {
            exact: Map::default(),
            suffixes: Map::default(),
            suffix_len_max: 0,
            any: Paths::default(),
            conditions: routes.iter().map(Conditions::of).collect(),
        };
        for (at, route) in routes.iter().enumerate() {
            index.add(route, at)?;
        }
        let hosts = index.exact.values_mut().chain(index.suffixes.values_mut());
        hosts.chain([&mut index.any]).try_for_each(|paths| paths.settle(&index.conditions))?;
        Ok(index)
    }

    fn add(&mut self, route: &Route, at: usize) -> Result<(), TableError> {
        if route.hosts.is_empty() {
            return self.any.add(route, at);
        }
        for host in &route.hosts {
            let paths = match host {
                HostPattern::Exact(name) => self.exact.entry(name.as_bytes().into()).or_default(),
                HostPattern::Suffix(suffix) => {
                    self.suffix_len_max = self.suffix_len_max.max(suffix.len());
                    self.suffixes.entry(suffix.as_bytes().into()).or_default()
                }
            };
            paths.add(route, at)?;
        }
        Ok(())
    }

    /// The index of the route that matches.
    pub(super) fn find(&self, view: &View<'_>) -> Option<usize> {
        let mut buffer = [0; host::HOST_MAX];
        let host = host::plain(view.host, &mut buffer);
        let exact = self.exact.get(host).into_iter();
        let hosts = exact.chain(self.suffixes_of(host)).chain([&self.any]);
        hosts.into_iter().find_map(|paths| paths.find(view, &self.conditions))
    }

    /// The longest suffix first. At least one label stands before it, so the search begins at the second byte, and
    /// it looks at no suffix longer than the longest that the file names.
    fn suffixes_of(&self, host: &[u8]) -> impl Iterator<Item = &Paths> {
        let first = host.len().saturating_sub(self.suffix_len_max).max(1);
        (first..host.len()).filter(|at| host[*at] == b'.').filter_map(|at| self.suffixes.get(&host[at..]))
    }
}

/// What a route asks for besides host and path.
#[derive(Debug)]
pub(super) struct Conditions {
    methods: Box<[Method]>,
    headers: Box<[HeaderMatch]>,
    name: Arc<str>,
}

impl Conditions {
    fn of(route: &Route) -> Self {
        Self {
            methods: route.methods.as_slice().into(),
            headers: route.headers.as_slice().into(),
            name: Arc::clone(&route.name),
        }
    }

    /// Narrower sorts lower.
    fn rank(&self) -> (Reverse<usize>, bool, usize) {
        (Reverse(self.headers.len()), self.methods.is_empty(), self.methods.len())
    }

    fn hold(&self, view: &View<'_>) -> bool {
        let method = self.methods.is_empty() || self.methods.contains(view.method);
        method && self.headers.iter().all(|wanted| wanted.is_in(view.headers))
    }
}

/// Routes that share host and path, the narrowest first.
#[derive(Debug, Default)]
pub(super) struct Alike {
    routes: Vec<usize>,
}

impl Alike {
    pub(super) fn add(&mut self, route: usize) {
        self.routes.push(route);
    }

    /// The sort is stable, so file order remains where the rank is the same.
    pub(super) fn settle(&mut self, conditions: &[Conditions]) -> Result<(), TableError> {
        if let Some(beyond) = self.routes.get(ALIKE_MAX) {
            return Err(TableError::TooManyAlike { route: Arc::clone(&conditions[*beyond].name) });
        }
        self.routes.sort_by_key(|route| conditions[*route].rank());
        Ok(())
    }

    pub(super) fn first_that_holds(&self, view: &View<'_>, conditions: &[Conditions]) -> Option<usize> {
        self.routes.iter().copied().find(|route| conditions[*route].hold(view))
    }
}

#[cfg(test)]
mod tests;
