//! Override rules: a header, cookie or query parameter by which a request asks for a variant by name.
//!
//! The first rule that fits wins. Values are compared exactly; header names in any case. A rule only says what was
//! asked for: whether a closed canary may be reached is decided in [`super::decide`].

use ipnet::IpNet;

use crate::config::{self, Canary, Matcher, OverrideTo, Trigger};

use super::View;
use super::fields;
use super::split::STABLE;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub matcher: Matcher,
    /// Clients that may ask. Empty: anybody.
    pub from: Box<[IpNet]>,
    /// Index of the variant that it leads to.
    pub to: usize,
}

/// The rules of all canaries in file order, canary by canary.
pub(super) fn rules(canaries: &[Canary]) -> Box<[Rule]> {
    let rule = |variant: usize, rule: &config::Override| Rule {
        matcher: rule.matcher.clone(),
        from: rule.from.as_slice().into(),
        to: match rule.to {
            OverrideTo::Canary => variant,
            OverrideTo::Stable => STABLE,
        },
    };
    let canaries = (STABLE + 1..).zip(canaries);
    canaries.flat_map(|(variant, canary)| canary.overrides.iter().map(move |o| rule(variant, o))).collect()
}

/// The variant that the request asks for, if it asks.
pub(super) fn asked(rules: &[Rule], view: &View<'_>) -> Option<usize> {
    rules.iter().find(|rule| fits(&rule.matcher, view) && may_ask(rule, view)).map(|rule| rule.to)
}

/// From anybody else the rule is as good as not there: a stranger cannot choose a variant by copying a header.
fn may_ask(rule: &Rule, view: &View<'_>) -> bool {
    rule.from.is_empty() || rule.from.iter().any(|network| network.contains(&view.client))
}

fn fits(matcher: &Matcher, view: &View<'_>) -> bool {
    let wanted = matcher.value.as_deref();
    let is_wanted = |found: &[u8]| wanted.is_none_or(|wanted| wanted.as_bytes() == found);
    match &matcher.trigger {
        Trigger::Header(name) => view.headers.get_all(name).iter().any(|found| is_wanted(found.as_bytes())),
        Trigger::Cookie(name) => fields::cookie(view.headers, name).is_some_and(is_wanted),
        Trigger::Query(name) => view.query.is_some_and(|query| fields::query_has(query, name, wanted)),
    }
}
