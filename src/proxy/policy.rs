//! What a route changes in the messages that pass: headers, the path, or where the client goes.
//!
//! A request of a route without a policy has none of this. Changes are made after the hop's own fields are out and
//! ours are in, so a client cannot name them away in `Connection`, nor say our words before us.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode, Uri};

use super::headers::X_REQUEST_ID;
use crate::config::{HeaderChanges, Piece, Policy, Rewrite, Scheme, Template, Variable};
use crate::routing::{Answer, Names, Snapshot, View, without_port};

/// The policy of the route, and what its variables stand for. Owned, since it is needed again after the answer.
pub(super) struct Active {
    policy: Arc<Policy>,
    route: Arc<str>,
    /// `None`: the request reached no variant.
    names: Option<Arc<Names>>,
    client: IpAddr,
    scheme: Scheme,
    host: Box<str>,
    request_id: Option<HeaderValue>,
}

impl Active {
    pub(super) fn of(snapshot: &Snapshot, answer: &Answer, view: &View<'_>) -> Option<Box<Self>> {
        let route = snapshot.table().routes().get(answer.route()?)?;
        let policy = Arc::clone(route.policy.as_ref()?);
        let names = match answer {
            Answer::Forward(decision) => snapshot.names(decision.place).cloned(),
            _ => None,
        };
        Some(Box::new(Self {
            policy,
            route: Arc::clone(&route.name),
            names,
            client: view.client,
            scheme: view.scheme,
            host: view.host.into(),
            request_id: None,
        }))
    }

    /// The head of a request that is ours already.
    pub(super) fn change_request(&mut self, parts: &mut Parts) {
        self.request_id = parts.headers.get(X_REQUEST_ID).cloned();
        if let Some(rewrite) = &self.policy.rewrite {
            rewrite_path(rewrite, parts);
        }
        self.change(&self.policy.request, &mut parts.headers);
    }

    /// The upstream's answer, or one of our own.
    pub(super) fn change_response(&self, headers: &mut HeaderMap) {
        self.change(&self.policy.response, headers);
    }

    fn change(&self, changes: &HeaderChanges, headers: &mut HeaderMap) {
        for name in &changes.remove {
            headers.remove(name);
        }
        for (name, template) in &changes.set {
            put(headers, name, self.value(template));
        }
        for (name, template) in &changes.add {
            if let Some(value) = self.value(template) {
                headers.append(name, value);
            }
        }
        if let Some(name) = &self.policy.variant_header {
            let variant = self.names.as_ref().map(|names| HeaderValue::from_str(&names.variant));
            put(headers, name, variant.and_then(Result::ok));
        }
    }

    /// `None`: a variable holds what cannot stand in a header.
    fn value(&self, template: &Template) -> Option<HeaderValue> {
        let pieces = match template {
            Template::Fixed(value) => return Some(value.clone()),
            Template::Pieces(pieces) => pieces,
        };
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Variable(variable) => self.write(*variable, &mut text),
            }
        }
        HeaderValue::try_from(text).ok()
    }

    fn write(&self, variable: Variable, text: &mut String) {
        match variable {
            Variable::Variant => text.push_str(self.names.as_ref().map_or("none", |names| &names.variant)),
            Variable::Route => text.push_str(&self.route),
            Variable::Client => write!(text, "{}", self.client).expect("a String takes all that is written"),
            Variable::RequestId => {
                let id = self.request_id.as_ref().and_then(|id| id.to_str().ok());
                text.push_str(id.unwrap_or_default());
            }
            Variable::Host => text.push_str(&self.host),
            Variable::Scheme => text.push_str(self.scheme.as_str()),
        }
    }

    /// Where the redirect of the route leads. `None`: nowhere, for the client named no host.
    pub(super) fn location(&self, uri: &Uri) -> Option<(StatusCode, HeaderValue)> {
        let redirect = self.policy.redirect.as_ref()?;
        let scheme = redirect.scheme.unwrap_or(self.scheme);
        let host = redirect.host.as_deref().unwrap_or(without_port(&self.host).0);
        if host.is_empty() {
            return None;
        }
        let port = redirect.port.filter(|port| *port != scheme.port());
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        // Behind a host and before a path that begins with a slash nothing can be taken for another host.
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = if path.starts_with('/') { path } else { "/" };
        let location = HeaderValue::try_from(format!("{}://{host}{port}{path}", scheme.as_str())).ok()?;
        Some((redirect.status, location))
    }
}

/// Whoever sent this header, it says ours or nothing.
fn put(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}

/// The query stays. A path that would become longer than a target may be stays as it is.
fn rewrite_path(rewrite: &Rewrite, parts: &mut Parts) {
    let Some(path) = rewritten(rewrite, parts.uri.path()) else { return };
    let target = match parts.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    if let Ok(target) = PathAndQuery::try_from(target) {
        parts.uri = Uri::from(target);
    }
}

/// Prefixes end where a segment ends. `None`: the path has another one.
fn rewritten(rewrite: &Rewrite, path: &str) -> Option<String> {
    let rest = path.strip_prefix(&*rewrite.from)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    if rewrite.to.is_empty() {
        // `/api//b` must not become `//b`, which some read as a host.
        return Some(format!("/{}", rest.trim_start_matches('/')));
    }
    Some(format!("{}{rest}", rewrite.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Redirect;

    #[test]
    fn prefixes_end_at_segment_borders() {
        let strip = Rewrite { from: "/api".into(), to: "".into() };
        let replace = Rewrite { from: "/api".into(), to: "/v2/b".into() };
        let add = Rewrite { from: "".into(), to: "/v2".into() };
        for (rewrite, path, expected) in [
            (&strip, "/api", Some("/")),
            (&strip, "/api/", Some("/")),
            (&strip, "/api/a/b", Some("/a/b")),
            (&strip, "/apiary", None),
            (&strip, "/a/api", None),
            (&strip, "/api//evil.example/", Some("/evil.example/")),
            (&strip, "/api/api", Some("/api")),
            (&strip, "*", None),
            (&replace, "/api", Some("/v2/b")),
            (&replace, "/api/", Some("/v2/b/")),
            (&replace, "/api/a", Some("/v2/b/a")),
            (&replace, "/ap", None),
            (&add, "/", Some("/v2/")),
            (&add, "/a", Some("/v2/a")),
            (&add, "*", None),
        ] {
            assert_eq!(rewritten(rewrite, path).as_deref(), expected, "{path}");
        }
    }

    fn active(redirect: Redirect, host: &str) -> Active {
        Active {
            policy: Arc::new(Policy { redirect: Some(redirect), ..Policy::default() }),
            route: "shop".into(),
            names: None,
            client: IpAddr::from([192, 0, 2, 1]),
            scheme: Scheme::Http,
            host: host.into(),
            request_id: None,
        }
    }

    #[test]
    fn a_redirect_leads_to_a_host_and_a_path_and_nowhere_else() {
        let secure = Redirect {
            scheme: Some(Scheme::Https),
            host: None,
            port: None,
            status: StatusCode::PERMANENT_REDIRECT,
        };
        let to = |redirect: &Redirect, host: &str, target: &'static str| {
            let (_, location) = active(redirect.clone(), host).location(&Uri::from_static(target))?;
            Some(location.to_str().unwrap().to_owned())
        };
        let location = |host, target| to(&secure, host, target);
        assert_eq!(location("a:8080", "/b?c=d"), Some("https://a/b?c=d".into()));
        assert_eq!(location("[::1]:80", "//evil.example"), Some("https://[::1]//evil.example".into()));
        assert_eq!(location("a", "http://evil.example/b"), Some("https://a/b".into()));
        assert_eq!(location("a", "*"), Some("https://a/".into()));
        assert_eq!(location("", "/"), None);
        let elsewhere = Redirect { host: Some("www.a".into()), port: Some(8443), ..secure.clone() };
        assert_eq!(to(&elsewhere, "", "/b"), Some("https://www.a:8443/b".into()));
        let usual = Redirect { scheme: None, port: Some(80), ..secure };
        assert_eq!(to(&usual, "a:81", "/"), Some("http://a/".into()));
    }

    #[test]
    fn what_cannot_stand_in_a_header_leaves_none_behind() {
        let mut active =
            active(Redirect { scheme: None, host: None, port: None, status: StatusCode::FOUND }, "a\r\nx: y");
        let set = vec![(X_REQUEST_ID, Template::Pieces([Piece::Variable(Variable::Host)].into()))];
        let request = HeaderChanges { set, ..HeaderChanges::default() };
        let mut headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static("theirs"))]);
        active.change(&request, &mut headers);
        assert!(headers.is_empty(), "{headers:?}");
        active.host = "a".into();
        active.change(&request, &mut headers);
        assert_eq!(headers[X_REQUEST_ID], "a");
    }
}
