//! `[[route]]`: what matches a request, who may serve it, and how it is split.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, Method};

pub use super::canary::{Canary, Matcher, Override, OverrideTo, Trigger};
pub use super::matching::{HeaderMatch, HostPattern, PathPattern};

use super::names::Names;
use super::outside::Around;
use super::reader::{Section, Value, Wrong};
use super::report::line_number;
use super::units::Weight;
use super::{Guard, Mirror, Policy, canary, guard, matching, mirror, policy, suggest, values};

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
    /// `None`: messages pass as they are.
    pub policy: Option<Arc<Policy>>,
    /// Protocols that a client may upgrade to. Empty: none.
    pub upgrade: Vec<Upgrade>,
    pub sticky: Option<StickyKey>,
    pub guard: Guard,
    pub mirror: Mirror,
    /// A canary with a share of the route has at least this part of that share of stable's usable endpoints; `None`: any
    /// number will do.
    pub capacity: Option<Weight>,
    /// Never in a file: whose people a sticky key's are, while a release goes on and after it.
    pub release: Option<Arc<str>>,
}

impl Route {
    /// Of one file.
    pub const ROUTES_MAX: usize = 65_536;
    pub const CANARIES_MAX: usize = 16;
}

#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// `deny = true`: answered 403, nothing goes upstream.
    Deny,
    /// `redirect` alone.
    Redirect,
    Split {
        /// Name of an upstream.
        stable: Arc<str>,
        /// At most [`Route::CANARIES_MAX`]; their declared weights sum to at most 100%.
        canaries: Vec<Canary>,
    },
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

pub(super) fn read_all(root: &mut Section<'_>, upstreams: &Names, around: Around<'_>) -> Vec<Route> {
    let sections = root.sections("route", 0..=Route::ROUTES_MAX).unwrap_or_default();
    let mut names = Names::new("route");
    let mut matches = HashMap::new();
    let read_one = |section| read(section, upstreams, around, &mut names, &mut matches);
    sections.into_iter().filter_map(read_one).collect()
}

/// What a route matches, in one written form, and where the first route that says so stands.
type Matches = HashMap<String, First>;

struct First {
    name: Option<Arc<str>>,
    offset: usize,
}

fn read(
    mut section: Section<'_>,
    upstreams: &Names,
    around: Around<'_>,
    names: &mut Names,
    matches: &mut Matches,
) -> Option<Route> {
    let name = names.claim(&mut section);
    let problems_before = section.report().count();
    let hosts = matching::hosts(&mut section);
    let path = matching::path(&mut section);
    let methods = matching::methods(&mut section);
    let headers = matching::headers(&mut section);
    // What could not be read is not equal to anything.
    if section.report().count() == problems_before && section.report().is_whole() {
        check_reached(&section, name.clone(), match_key(&hosts, &path, &methods, &headers), matches);
    }
    let policy = policy::read(&mut section);
    let service = service(&mut section, upstreams);
    let accepted = "a list, such as [\"websocket\"]";
    let upgrade = section.list("upgrade", 0..=1, accepted, upgrade).unwrap_or_default();
    let sticky = section.optional_section("sticky").and_then(sticky);
    let guard = guard::read(section.section("guard"), around);
    let mirror = mirror::read(&mut section, upstreams);
    let capacity = section.or("capacity", Some(Weight::HALF), capacity);
    section.finish();
    Some(Route {
        name: name?,
        hosts,
        path,
        methods,
        headers,
        service: service?,
        policy,
        upgrade,
        sticky,
        guard,
        mirror,
        capacity,
        release: None,
    })
}

fn service(section: &mut Section<'_>, upstreams: &Names) -> Option<Service> {
    let stable = section.chosen(&["stable"]).pop();
    let deny = section.or("deny", false, values::flag);
    let canaries = canary::read_all(section, upstreams);
    let only_redirects = !deny && stable.is_none() && canaries.is_empty() && section.has("redirect");
    if only_redirects {
        return Some(Service::Redirect);
    }
    if !deny && stable.is_none() {
        section.missing("stable", "stable = \"…\"` with the name of an upstream, or `deny = true");
    }
    if !deny {
        let (key, value) = stable?;
        let stable = section.read(key, &value, |value| upstreams.resolve(value))?;
        return Some(Service::Split { stable, canaries });
    }
    for (key, value) in stable.into_iter().chain(section.chosen(&["canary", "mirror", "redirect"])) {
        section.clash("deny = true", (key, &value), "take one of them out: a denied request goes nowhere");
    }
    Some(Service::Deny)
}

/// A share, or `false`.
fn capacity(value: &Value<'_>) -> Result<Option<Weight>, Wrong> {
    match values::flag(value) {
        Ok(false) => Ok(None),
        _ => values::weight(value).map(|share| (!share.is_zero()).then_some(share)),
    }
}

fn upgrade(value: &Value<'_>) -> Result<Upgrade, Wrong> {
    let help = "write \"websocket\": no other upgrade is passed on";
    match value.str() {
        Some("websocket") => Ok(Upgrade::Websocket),
        Some(text) => match suggest::nearest(text, ["websocket"].into_iter()) {
            Some(near) => Err(value.wrong("unknown", format!("did you mean `{near}`?"))),
            None => Err(value.wrong("unknown", help)),
        },
        None => Err(value.wrong_kind(help)),
    }
}

/// Exactly one of `cookie`, `header` and `address = true`.
fn sticky(mut section: Section<'_>) -> Option<StickyKey> {
    let mut chosen = section.chosen(&["cookie", "header", "address"]).into_iter();
    let Some((key, value)) = chosen.next() else {
        section.missing("cookie, header or address", "cookie = \"uid\"");
        section.finish();
        return None;
    };
    for (other, value) in chosen {
        section.clash(key, (other, &value), "write one of cookie, header and address = true");
    }
    let sticky = section.read(key, &value, |value| match key {
        "cookie" => values::cookie_name(value).map(StickyKey::Cookie),
        "header" => values::header_name(value).map(StickyKey::Header),
        _ if values::flag(value)? => Ok(StickyKey::Address),
        _ => Err(value.wrong("ties nobody", "write address = true, or leave [route.sticky] out")),
    });
    section.finish();
    sticky
}

/// A second route that matches exactly the same can never be reached.
fn check_reached(section: &Section<'_>, name: Option<Arc<str>>, key: String, matches: &mut Matches) {
    let offset = section.place.start;
    let Some(first) = matches.get(&key) else {
        matches.insert(key, First { name, offset });
        return;
    };
    let line = line_number(section.report().text, first.offset);
    let first = match &first.name {
        Some(name) => format!("route \"{name}\" at line {line}"),
        None => format!("the route at line {line}"),
    };
    section.problem(
        section.place.clone(),
        &format!("matches exactly what {first} matches"),
        "can never be reached".to_owned(),
        "give them different hosts, paths, methods or headers, or take one out".to_owned(),
    );
}

/// Order and repetition change nothing, so they do not show. Nothing that is matched holds a line end.
fn match_key(
    hosts: &[HostPattern],
    path: &PathPattern,
    methods: &[Method],
    headers: &[HeaderMatch],
) -> String {
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list.dedup();
        list.join("\n")
    };
    let hosts = hosts.iter().map(|host| match host {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Suffix(name) => format!("*{name}"),
    });
    let path = match path {
        PathPattern::Prefix(path) => format!("prefix {path}"),
        PathPattern::Exact(path) => format!("exact {path}"),
        PathPattern::Regex(regex) => format!("regex {regex}"),
    };
    let headers = headers.iter().map(|header| format!("{}: {:?}", header.name, header.value));
    let methods = methods.iter().map(Method::to_string);
    let lists = [sorted(hosts.collect()), sorted(methods.collect()), sorted(headers.collect()), path];
    lists.join("\n\n")
}
