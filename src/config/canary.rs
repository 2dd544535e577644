//! `[[route.canary]]`: who else may serve a route, its share, and who asks for it by name.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use http::HeaderName;
use ipnet::IpNet;

use super::names::{self, Names};
use super::reader::{Section, Value, Wrong};
use super::units::{WHOLE_PPM, Weight};
use super::{Route, values};

#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// `name`, else `canary` for a lone one, else the upstream's name. Never one of [`Canary::RESERVED`]; unique in its route.
    pub name: Arc<str>,
    /// Name of an upstream.
    pub upstream: Arc<str>,
    /// The declared aim; 0 if left out.
    pub weight: Weight,
    /// Stable's version once more, freshly started: while it has traffic, the other canaries are compared with it. At
    /// most one of a route.
    pub baseline: bool,
    /// At most [`Canary::OVERRIDES_MAX`].
    pub overrides: Vec<Override>,
}

impl Canary {
    pub const OVERRIDES_MAX: usize = 64;
    /// Names that other sides of a route have.
    pub const RESERVED: [&str; 2] = ["stable", "mirror"];
    /// Of one override.
    pub const NETWORKS_MAX: usize = 1_024;
}

/// A rule by which a request asks for a variant by name. Rules are tried in file order, canary by canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub matcher: Matcher,
    pub to: OverrideTo,
    /// Clients that may ask. Empty: anybody.
    pub from: Vec<IpNet>,
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

pub(super) fn read_all(route: &mut Section<'_>, upstreams: &Names) -> Vec<Canary> {
    let sections = route.sections("canary", 0..=Route::CANARIES_MAX).unwrap_or_default();
    let lone = sections.len() == 1;
    let read: Vec<_> = sections.into_iter().filter_map(|section| read(section, upstreams)).collect();
    check_sum(route, &read);
    check_baselines(route, &read);
    let mut taken = HashSet::new();
    read.into_iter().filter_map(|canary| named(route, canary, lone, &mut taken)).collect()
}

/// A canary whose name may still have to be chosen.
struct Read {
    name: Option<Arc<str>>,
    upstream: Arc<str>,
    weight: Weight,
    baseline: bool,
    overrides: Vec<Override>,
    /// Of the whole canary.
    place: Range<usize>,
    /// Of the name, else of the whole canary.
    name_place: Range<usize>,
    /// Of the weight, else of the whole canary.
    weight_place: Range<usize>,
}

fn read(mut section: Section<'_>, upstreams: &Names) -> Option<Read> {
    let place = section.place.clone();
    let mut name_place = section.place.clone();
    let mut weight_place = section.place.clone();
    let name = section.optional("name", |value| {
        name_place = value.span.clone();
        own_name(value)
    });
    let upstream = section.required("upstream", "upstream = \"…\"", |value| upstreams.resolve(value));
    let weight = section.or("weight", Weight::ZERO, |value| {
        weight_place = value.span.clone();
        values::weight(value)
    });
    let baseline = section.or("baseline", false, values::flag);
    let overrides = section.sections("overrides", 0..=Canary::OVERRIDES_MAX).unwrap_or_default();
    let overrides = overrides.into_iter().filter_map(read_override).collect();
    section.finish();
    Some(Read { name, upstream: upstream?, weight, baseline, overrides, place, name_place, weight_place })
}

fn own_name(value: &Value<'_>) -> Result<Arc<str>, Wrong> {
    let name = names::checked(value)?;
    if Canary::RESERVED.contains(&&*name) {
        let help =
            "choose another name: stable is what the canary is compared with, mirror is who gets copies";
        return Err(value.wrong("the name of another side", help));
    }
    Ok(name)
}

/// Stable has what the canaries leave, so they can have no more than everything.
fn check_sum(route: &Section<'_>, canaries: &[Read]) {
    let sum: u32 = canaries.iter().map(|canary| canary.weight.ppm()).sum();
    let Some(last) = canaries.last().filter(|_| sum > WHOLE_PPM) else { return };
    let sum = f64::from(sum) / 10_000.0;
    route.problem(
        last.weight_place.clone(),
        &format!("the weights of the canaries sum to {sum}%"),
        "more than 100% with this one".to_owned(),
        "lower them to at most 100% in all: stable has the rest".to_owned(),
    );
}

/// What all others are compared with can be only one.
fn check_baselines(route: &Section<'_>, canaries: &[Read]) {
    for second in canaries.iter().filter(|canary| canary.baseline).skip(1) {
        let help = "leave `baseline = true` to one canary of the route";
        let found = "two canaries are the baseline";
        route.problem(second.place.clone(), found, "the second".to_owned(), help.to_owned());
    }
}

fn named(route: &Section<'_>, canary: Read, lone: bool, taken: &mut HashSet<Arc<str>>) -> Option<Canary> {
    let Read { name, upstream, weight, baseline, overrides, name_place, .. } = canary;
    let name = match name {
        Some(name) => name,
        None if lone => "canary".into(),
        None => upstream.clone(),
    };
    let help = || "give each canary of a route a `name` of its own".to_owned();
    if Canary::RESERVED.contains(&&*name) {
        let found = format!("a canary is named \"{name}\" after its upstream");
        route.problem(name_place, &found, "needs another name".to_owned(), help());
        return None;
    }
    if !taken.insert(name.clone()) {
        let found = format!("two canaries are named \"{name}\"");
        route.problem(name_place, &found, "the second".to_owned(), help());
        return None;
    }
    Some(Canary { name, upstream, weight, baseline, overrides })
}

fn read_override(mut section: Section<'_>) -> Option<Override> {
    let mut chosen = section.chosen(&["header", "cookie", "query"]).into_iter();
    let first = chosen.next();
    if first.is_none() {
        section.missing("header, cookie or query", "header = \"x-canary\"");
    }
    let trigger = first.and_then(|(key, value)| {
        for (other, value) in chosen {
            section.clash(
                key,
                (other, &value),
                "write one of header, cookie and query: a rule looks at one thing",
            );
        }
        section.read(key, &value, |value| match key {
            "header" => values::header_name(value).map(Trigger::Header),
            "cookie" => values::cookie_name(value).map(Trigger::Cookie),
            _ => values::text(value).map(Trigger::Query),
        })
    });
    let value = section.optional("value", values::text);
    let to = section.or("to", OverrideTo::Canary, to);
    let networks = "a list of networks, such as [\"10.0.0.0/8\"]; without the key anybody may ask";
    let from = section.list("from", 1..=Canary::NETWORKS_MAX, networks, values::network).unwrap_or_default();
    section.finish();
    Some(Override { matcher: Matcher { trigger: trigger?, value }, to, from })
}

fn to(value: &Value<'_>) -> Result<OverrideTo, Wrong> {
    match value.str() {
        Some("stable") => Ok(OverrideTo::Stable),
        _ => Err(value.wrong(
            "not \"stable\"",
            "write \"stable\", or leave it out to send the request to the canary that the rule stands in",
        )),
    }
}
