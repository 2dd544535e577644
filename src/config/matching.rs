//! What a request must look like to belong to a route: host, path, method, headers.
//!
//! Everything is brought to one written form here, so that routing compares bytes and two routes that say the
//! same thing can be told.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use regex::{Regex, RegexBuilder};

use super::reader::{Section, Value, Wrong};
use super::{normal_path, suggest, values};

const HOST_BYTES_MAX: usize = 253;
const PATH_BYTES_MAX: usize = 2_048;
/// Of one compiled `path_regex`.
const REGEX_BYTES_MAX: usize = 1 << 20;
const METHOD_BYTES_MAX: usize = 32;

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
const METHOD_ACCEPTED: &str = "write a method in upper case, such as \"GET\"";

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

impl PathPattern {
    /// `path` is in normal form. Routing has an index instead; this is for the few patterns of one route.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *path,
            Self::Prefix(prefix) if &**prefix == "/" => true,
            Self::Prefix(prefix) => {
                let rest = path.strip_prefix(&**prefix);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Regex(whole) => whole.is_match(path),
        }
    }
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

impl HeaderMatch {
    /// One of the header's lines has the value wanted.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut found = headers.get_all(&self.name).iter();
        found.any(|value| self.value.as_ref().is_none_or(|wanted| wanted == value))
    }
}

/// Lists of one route.
pub(super) const HOSTS_MAX: usize = 1_024;
pub(super) const METHODS_MAX: usize = 64;
pub(super) const HEADERS_MAX: usize = 64;

pub(super) fn hosts(section: &mut Section<'_>) -> Vec<HostPattern> {
    let accepted = "a list of hosts, such as [\"shop.example\"]; without the key any host matches";
    section.list("hosts", 1..=HOSTS_MAX, accepted, host).unwrap_or_default()
}

pub(super) fn methods(section: &mut Section<'_>) -> Vec<Method> {
    let accepted = "a list of methods, such as [\"GET\", \"HEAD\"]; without the key any method matches";
    section.list("methods", 1..=METHODS_MAX, accepted, method).unwrap_or_default()
}

pub(super) fn headers(section: &mut Section<'_>) -> Vec<HeaderMatch> {
    let sections = section.sections("headers", 0..=HEADERS_MAX).unwrap_or_default();
    let header = |mut section: Section<'_>| {
        let name = section.required("name", "name = \"x-tenant\"", values::header_name);
        let value = section.optional("value", values::header_value);
        section.finish();
        Some(HeaderMatch { name: name?, value })
    };
    sections.into_iter().filter_map(header).collect()
}

/// At most one of `path`, `path_exact` and `path_regex`; `/` without any.
pub(super) fn path(section: &mut Section<'_>) -> PathPattern {
    let mut chosen = section.chosen(&["path", "path_exact", "path_regex"]).into_iter();
    let Some((key, value)) = chosen.next() else { return PathPattern::Prefix("/".into()) };
    for (other, value) in chosen {
        section.clash(key, (other, &value), "write one of path, path_exact and path_regex");
    }
    let path = section.read(key, &value, |value| match key {
        "path_exact" => literal(value).map(|path| PathPattern::Exact(path.into())),
        "path_regex" => regex(value).map(PathPattern::Regex),
        _ => literal(value).map(|path| PathPattern::Prefix(prefix(path).into())),
    });
    path.unwrap_or(PathPattern::Prefix("/".into()))
}

/// `/api/` means the same as `/api`.
fn prefix(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    }
}

pub(super) fn host(value: &Value<'_>) -> Result<HostPattern, Wrong> {
    let help = "write a host such as \"shop.example\", or \"*.shop.example\" for every name below it";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let host = text.to_ascii_lowercase();
    let (name, suffix) = match host.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (host.as_str(), false),
    };
    if host == "*" {
        return Err(value.wrong("matches nothing", "leave hosts out to match any host"));
    }
    if host.contains("://") || host.contains('/') {
        return Err(value.wrong("more than a host", help));
    }
    if let Some((name, _)) = name.rsplit_once(':').filter(|(name, _)| !name.is_empty() && !is_ip6(&host)) {
        return Err(
            value.wrong("has a port", format!("write it without the port, \"{name}\": any port matches"))
        );
    }
    if !host.is_ascii() {
        let help = "write the form that clients send, with labels such as \"xn--bcher-kva\"";
        return Err(value.wrong("not ASCII", help));
    }
    let known = is_host_name(name) || (is_ip6(name) && !suffix);
    if !known {
        return Err(value.wrong("not a host", help));
    }
    Ok(if suffix { HostPattern::Suffix(host[1..].into()) } else { HostPattern::Exact(host.into()) })
}

fn is_host_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter);
    name.len() <= HOST_BYTES_MAX && name.split('.').all(label)
}

/// `[::1]`
fn is_ip6(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

fn method(value: &Value<'_>) -> Result<Method, Wrong> {
    let Some(text) = value.str() else { return Err(value.wrong_kind(METHOD_ACCEPTED)) };
    let upper = !text.bytes().any(|byte| byte.is_ascii_lowercase());
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if upper && text.len() <= METHOD_BYTES_MAX => Ok(method),
        _ => match suggest::nearest(text, METHODS.into_iter()) {
            Some(near) => Err(value.wrong("not a method", format!("did you mean `{near}`?"))),
            None => Err(value.wrong("not a method", METHOD_ACCEPTED)),
        },
    }
}

/// A path as it stands in a request.
pub(super) fn literal<'t>(value: &Value<'t>) -> Result<&'t str, Wrong> {
    let help = "write a path that begins with /, such as \"/api\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let on_the_wire = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if !text.starts_with('/') {
        return Err(value.wrong("does not begin with /", help));
    }
    if text.contains(['?', '#']) {
        return Err(value.wrong("more than a path", "write the path alone, without ? and #"));
    }
    if !text.bytes().all(on_the_wire) {
        let help = "write it as it stands in a request, with other bytes as %XX, such as \"/a%20b\"";
        return Err(value.wrong("never in a request as it stands", help));
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(value.wrong("too long", format!("at most {PATH_BYTES_MAX} bytes are accepted")));
    }
    // Requests are compared in normal form, so any other would never match.
    match normal_path(text) {
        Ok(normal) if normal == text => Ok(text),
        Ok(normal) => Err(value.wrong("not in normal form", format!("write \"{normal}\""))),
        Err(fault) => Err(value.wrong(fault.to_string(), help)),
    }
}

fn regex(value: &Value<'_>) -> Result<Regex, Wrong> {
    let help = "write a regular expression for the whole path, such as \"/v[0-9]+/.*\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    if text.len() > PATH_BYTES_MAX {
        return Err(value.wrong("too long", format!("at most {PATH_BYTES_MAX} bytes are accepted")));
    }
    let compiled = |pattern: &str| {
        let regex = RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build();
        regex.map_err(|error| value.wrong(regex_label(&error), help))
    };
    // By itself first: a stray parenthesis must not close the one that anchors it.
    compiled(text)?;
    compiled(&format!("^(?:{text})$"))
}

/// The last line of the report says what is wrong, the others draw the pattern again.
fn regex_label(error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(_) = error {
        return "too large once compiled".to_owned();
    }
    let report = error.to_string();
    let last = report.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}
