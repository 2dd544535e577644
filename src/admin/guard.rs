//! Keeps web pages out: a browser that can reach us shows its pages' requests as its owner's.
//!
//! Two tricks are known. *DNS rebinding*: a page's own name is made to point to our address, so the browser takes our
//! answers for the page's. Where everybody on this machine is admin we answer to loopback names and our own address
//! alone. Where callers must say who they are any name will do: such a page has no token, and no cookie of ours, which
//! the browser keeps for the name that was logged in to.
//!
//! *Cross-site requests*: a page posts to us without reading the answer. A change is taken from no page but our own,
//! which is what `Sec-Fetch-Site` or `Origin` say, and from the configured `origins`. What is no browser sends neither
//! and is let through, unless it shows a cookie: then one of them must be there and right.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Version, header};

use super::problem::{Problem, excerpt};
use crate::config::Access;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

pub(super) fn changes_something(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

pub(super) fn host(request: &Request) -> Result<Option<Authority>, Problem> {
    let mut values = request.headers().get_all(header::HOST).iter();
    match (values.next(), values.next()) {
        // HTTP/1.0 knew no Host; every browser sends one.
        (None, _) if request.version() == Version::HTTP_10 => Ok(None),
        (None, _) => Err(Problem::bad_request("the request has no Host header".to_owned())),
        (Some(_), Some(_)) => {
            Err(Problem::bad_request("the request has more than one Host header".to_owned()))
        }
        (Some(value), None) => Authority::try_from(value.as_bytes())
            .map(Some)
            .map_err(|_| Problem::bad_request("the Host header is not a host".to_owned())),
    }
}

/// Where everybody on this machine is admin.
pub(super) fn is_meant_for_us(
    request: &Request,
    host: Option<&Authority>,
    listen: SocketAddr,
    access: &Access,
) -> Result<(), Problem> {
    for authority in [host, request.uri().authority()].into_iter().flatten() {
        if !is_ours(authority, listen) && !is_of_an_origin(authority, access) {
            return Err(Problem::forbidden(format!(
                "the request was meant for host {:?}; this listener answers to localhost, 127.0.0.1, [::1] and {listen}",
                excerpt(authority.as_str())
            )));
        }
    }
    Ok(())
}

fn is_ours(authority: &Authority, listen: SocketAddr) -> bool {
    let host = authority.host();
    let unbracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = unbracketed.parse::<IpAddr>() {
        return address.is_loopback() || address == listen.ip();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    // RFC 6761: names below .localhost are loopback, and browsers do not ask the DNS for them.
    name == "localhost" || name.ends_with(".localhost")
}

fn is_of_an_origin(authority: &Authority, access: &Access) -> bool {
    let host = |origin: &str| {
        origin.split_once("://").is_some_and(|(_, host)| authority.as_str().eq_ignore_ascii_case(host))
    };
    access.origins.iter().any(|origin| host(origin))
}

/// Which page asks, as far as the browser says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Ours,
    /// No browser asks, or an old one.
    Unsaid,
}

/// Of a request that changes something. `secure`: it came inside TLS.
pub(super) fn page(
    headers: &HeaderMap,
    host: Option<&Authority>,
    secure: bool,
    access: &Access,
) -> Result<Page, Problem> {
    // Pages cannot set it. It also holds behind a proxy that changes the host.
    let site = headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes());
    if site == Some(b"same-origin") {
        return Ok(Page::Ours);
    }
    let mut page = Page::Unsaid;
    for origin in headers.get_all(header::ORIGIN) {
        if !origin.to_str().is_ok_and(|origin| is_our_origin(origin, host, secure, access)) {
            return Err(foreign(&String::from_utf8_lossy(origin.as_bytes())));
        }
        page = Page::Ours;
    }
    match site {
        Some(b"cross-site" | b"same-site") if page == Page::Unsaid => Err(foreign("unknown")),
        _ => Ok(page),
    }
}

fn is_our_origin(origin: &str, host: Option<&Authority>, secure: bool, access: &Access) -> bool {
    let scheme = if secure { "https://" } else { "http://" };
    let bare = origin.strip_prefix(scheme);
    let is_own = bare.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host.as_str()));
    is_own || access.origins.iter().any(|known| origin.eq_ignore_ascii_case(known))
}

fn foreign(origin: &str) -> Problem {
    Problem::forbidden(format!(
        "a page of {:?} may not change anything here; changes are taken from this origin, from admin.origins and from clients \
         that are not browsers",
        excerpt(origin)
    ))
}

/// A cookie goes along with whatever its browser is made to send.
pub(super) fn unsaid() -> Problem {
    let detail = "a login changes something only with an Origin or Sec-Fetch-Site header, as browsers send them; scripts send \
                  Authorization: Bearer TOKEN";
    Problem::forbidden(detail.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn asks(fields: &[(&'static str, &str)], secure: bool) -> Option<Page> {
        let access = Access { origins: vec!["https://andon.example".into()], ..Access::default() };
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| {
                (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let host = Authority::from_static("10.0.0.1:2636");
        page(&headers, Some(&host), secure, &access).ok()
    }

    #[test]
    fn our_own_pages_are_told_from_others() {
        let origin = |value, secure| asks(&[("origin", value)], secure);
        assert_eq!(origin("http://10.0.0.1:2636", false), Some(Page::Ours));
        assert_eq!(origin("https://10.0.0.1:2636", true), Some(Page::Ours));
        assert_eq!(origin("https://ANDON.example", false), Some(Page::Ours));
        for foreign in [
            "https://10.0.0.1:2636",
            "http://10.0.0.1",
            "http://andon.example",
            "null",
            "",
            "https://andon.example.evil",
        ] {
            assert_eq!(origin(foreign, false), None, "{foreign}");
        }
        assert_eq!(asks(&[("origin", "http://10.0.0.1:2636"), ("origin", "null")], false), None);
    }

    #[test]
    fn what_the_browser_says_of_the_site_counts_where_no_page_could_say_it() {
        let site = |value| asks(&[("sec-fetch-site", value)], false);
        assert_eq!(site("same-origin"), Some(Page::Ours));
        assert_eq!((site("cross-site"), site("same-site")), (None, None));
        assert_eq!(site("none"), Some(Page::Unsaid));
        // Behind a proxy the host is another than the page's.
        let proxied = [("sec-fetch-site", "same-origin"), ("origin", "https://other.example")];
        assert_eq!(asks(&proxied, false), Some(Page::Ours));
        let known = [("sec-fetch-site", "same-site"), ("origin", "https://andon.example")];
        assert_eq!(asks(&known, false), Some(Page::Ours));
        assert_eq!(asks(&[], false), Some(Page::Unsaid));
    }
}
