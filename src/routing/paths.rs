//! The paths of one host: exact, then regular expressions, then the longest prefix.
//!
//! Exact paths and prefixes are looked up by hash; a request's prefixes are tried from the longest to the shortest,
//! and never more of them than the deepest prefix that the file names, so the cost follows the depth of a path and
//! not the number of routes. Regular expressions are tried one by one in file order: they alone cost more the more
//! there are. Paths are compared byte by byte: those of the file and those of requests are in one normal form already
//! ([`crate::config::normal_path`]), and in that form they go upstream.

use std::sync::Arc;

use regex::Regex;

use crate::config::{PathPattern, Route};

use super::View;
use super::hash::Map;
use super::matcher::{Alike, Conditions};
use super::table::TableError;

/// Segments of a prefix. More are refused, so that no request costs more look-ups than this for a host.
pub const SEGMENTS_MAX: usize = 64;
/// Regular expressions for one host, as they are tried one by one. More are refused.
pub const REGEXES_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Paths {
    exact: Map<Box<[u8]>, Alike>,
    /// In file order; routes with the same expression share the first one's place.
    regexes: Vec<Expression>,
    /// Without the slash at the end, so `/` is empty.
    prefixes: Map<Box<[u8]>, Alike>,
    /// Of all prefixes: the most segments and the most bytes.
    depth_max: usize,
    len_max: usize,
}

#[derive(Debug)]
struct Expression {
    text: Box<str>,
    whole: Regex,
    routes: Alike,
}

impl Paths {
    /// To be called in file order, then [`Paths::settle`].
    pub(super) fn add(&mut self, route: &Route, index: usize) -> Result<(), TableError> {
        match &route.path {
            PathPattern::Exact(path) => self.exact.entry(path.as_bytes().into()).or_default().add(index),
            PathPattern::Prefix(prefix) => return self.add_prefix(route, prefix, index),
            PathPattern::Regex(regex) => return self.add_regex(route, regex, index),
        }
        Ok(())
    }

    fn add_prefix(&mut self, route: &Route, prefix: &str, index: usize) -> Result<(), TableError> {
        let prefix = prefix.trim_end_matches('/').as_bytes();
        let segments = prefix.iter().filter(|byte| **byte == b'/').count();
        if segments > SEGMENTS_MAX {
            return Err(TableError::PathTooDeep { route: Arc::clone(&route.name), segments });
        }
        self.depth_max = self.depth_max.max(segments);
        self.len_max = self.len_max.max(prefix.len());
        self.prefixes.entry(prefix.into()).or_default().add(index);
        Ok(())
    }

    fn add_regex(&mut self, route: &Route, regex: &Regex, index: usize) -> Result<(), TableError> {
        if let Some(known) = self.regexes.iter_mut().find(|known| *known.text == *regex.as_str()) {
            known.routes.add(index);
            return Ok(());
        }
        if self.regexes.len() == REGEXES_MAX {
            return Err(TableError::TooManyRegexes { route: Arc::clone(&route.name) });
        }
        let Some(whole) = anchored(regex) else {
            return Err(TableError::Regex { route: Arc::clone(&route.name), text: regex.as_str().into() });
        };
        let mut routes = Alike::default();
        routes.add(index);
        self.regexes.push(Expression { text: regex.as_str().into(), whole, routes });
        Ok(())
    }

    /// Puts the narrowest routes first wherever several share a path.
    pub(super) fn settle(&mut self, conditions: &[Conditions]) -> Result<(), TableError> {
        let by_hash = self.exact.values_mut().chain(self.prefixes.values_mut());
        let by_regex = self.regexes.iter_mut().map(|expression| &mut expression.routes);
        by_hash.chain(by_regex).try_for_each(|routes| routes.settle(conditions))
    }

    pub(super) fn find(&self, view: &View<'_>, conditions: &[Conditions]) -> Option<usize> {
        let path = view.path.as_bytes();
        let exact = self.exact.get(path).into_iter();
        let regexes = self.regexes.iter().filter(|e| e.whole.is_match(view.path)).map(|e| &e.routes);
        let prefixes = self.borders(path).filter_map(|end| self.prefixes.get(&path[..end]));
        exact.chain(regexes).chain(prefixes).find_map(|routes| routes.first_that_holds(view, conditions))
    }

    /// Where a prefix of this path may end, from the longest that any route could have to the root.
    fn borders(&self, path: &[u8]) -> impl Iterator<Item = usize> {
        let slashes = path.iter().take(self.len_max + 1).enumerate().filter(|(_, byte)| **byte == b'/');
        let deepest = slashes.map(|(at, _)| at).nth(self.depth_max).unwrap_or(path.len());
        let longest = if deepest > self.len_max { last_slash(&path[..=self.len_max]) } else { deepest };
        std::iter::successors(Some(longest), |end| (*end > 0).then(|| last_slash(&path[..*end])))
    }
}

fn last_slash(path: &[u8]) -> usize {
    path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)
}

/// The same expression, held to match the whole text. The line break ends a comment that an `x` flag may allow.
fn anchored(regex: &Regex) -> Option<Regex> {
    let text = regex.as_str();
    Regex::new(&format!("^(?:{text})$")).or_else(|_| Regex::new(&format!("^(?:{text}\n)$"))).ok()
}
