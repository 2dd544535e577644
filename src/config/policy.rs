//! What a route changes in the messages that pass, and where it sends a client instead of serving it.

use std::sync::Arc;

use http::{HeaderName, StatusCode};
use toml::de::DeValue;

use super::headers::{self, HeaderChanges, Side};
use super::reader::{Section, Value, Wrong};
use super::{HostPattern, matching, values};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub request: HeaderChanges,
    pub response: HeaderChanges,
    /// Says the variant to the upstream and to the client, in place of what either says there.
    pub variant_header: Option<HeaderName>,
    pub rewrite: Option<Rewrite>,
    pub redirect: Option<Redirect>,
}

/// `strip_prefix` or `replace_prefix`. Neither has a slash at its end, so `/` is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    pub from: Box<str>,
    pub to: Box<str>,
}

/// For requests that are not there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `None`: the client's.
    pub scheme: Option<Scheme>,
    /// Lower case. `None`: the client's.
    pub host: Option<Box<str>>,
    /// `None`: the usual one of the scheme.
    pub port: Option<u16>,
    pub status: StatusCode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// `None`: the route changes nothing, and its requests pay nothing.
pub(super) fn read(section: &mut Section<'_>) -> Option<Arc<Policy>> {
    let request = section.section("request_headers");
    let response = section.section("response_headers");
    let policy = Policy {
        request: headers::read(request, Side::Request),
        response: headers::read(response, Side::Response),
        variant_header: section.optional("variant_header", variant_header),
        rewrite: rewrite(section),
        redirect: redirect(section),
    };
    (policy != Policy::default()).then(|| Arc::new(policy))
}

/// It stands in both messages, so it must be one that neither forbids.
fn variant_header(value: &Value<'_>) -> Result<HeaderName, Wrong> {
    headers::name(value, Side::Response)
}

fn rewrite(section: &mut Section<'_>) -> Option<Rewrite> {
    let mut chosen = section.chosen(&["strip_prefix", "replace_prefix"]).into_iter();
    let (key, value) = chosen.next()?;
    for (other, value) in chosen {
        section.clash(key, (other, &value), "write one of strip_prefix and replace_prefix");
    }
    if key == "strip_prefix" {
        let from = section.read(key, &value, prefix)?;
        if from.is_empty() {
            let wrong = value.wrong("strips nothing", "write the prefix to take off, such as \"/api\"");
            section.wrong(key, value.span.clone(), wrong);
        }
        return Some(Rewrite { from, to: "".into() });
    }
    let table = section.read(key, &value, |value| match value.item {
        DeValue::Table(table) => Ok(table),
        _ => Err(value.wrong_kind("write a table such as { from = \"/api\", to = \"/v2\" }")),
    })?;
    let mut inner = section.table(key, table, value.span);
    let from = inner.required("from", "from = \"/api\"", prefix);
    let to = inner.required("to", "to = \"/v2\"", prefix);
    inner.finish();
    Some(Rewrite { from: from?, to: to? })
}

fn prefix(value: &Value<'_>) -> Result<Box<str>, Wrong> {
    matching::literal(value).map(|path| path.trim_end_matches('/').into())
}

/// The scheme alone, or a table.
fn redirect(section: &mut Section<'_>) -> Option<Redirect> {
    let (key, value) = section.chosen(&["redirect"]).pop()?;
    let DeValue::Table(table) = value.item else {
        let scheme = section.read(key, &value, scheme)?;
        let status = StatusCode::PERMANENT_REDIRECT;
        return Some(Redirect { scheme: Some(scheme), host: None, port: None, status });
    };
    let mut inner = section.table(key, table, value.span);
    let scheme = inner.optional("scheme", scheme);
    let host = inner.optional("host", host);
    let port = inner.optional("port", values::whole(1..=65_535)).and_then(|port| u16::try_from(port).ok());
    let status = inner.or("status", StatusCode::PERMANENT_REDIRECT, status);
    if !["scheme", "host", "port"].iter().any(|key| inner.has(key)) {
        inner.missing("scheme, host or port", "scheme = \"https\"");
    }
    inner.finish();
    Some(Redirect { scheme, host, port, status })
}

fn scheme(value: &Value<'_>) -> Result<Scheme, Wrong> {
    let help = "write \"https\" or \"http\"";
    match value.str() {
        Some("https") => Ok(Scheme::Https),
        Some("http") => Ok(Scheme::Http),
        Some(_) => Err(value.wrong("not a scheme", help)),
        None => Err(value.wrong_kind(help)),
    }
}

fn host(value: &Value<'_>) -> Result<Box<str>, Wrong> {
    match matching::host(value)? {
        HostPattern::Exact(host) => Ok(host),
        HostPattern::Suffix(_) => {
            Err(value.wrong("not one host", "write a host such as \"www.shop.example\""))
        }
    }
}

fn status(value: &Value<'_>) -> Result<StatusCode, Wrong> {
    let wrong = || value.wrong("not a redirect", "write 301, 302, 303, 307 or 308");
    let code = values::whole(300..=399)(value).map_err(|_| wrong())?;
    let code = u16::try_from(code).ok().filter(|code| [301, 302, 303, 307, 308].contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or_else(wrong)
}
