//! Keeps web pages out: there are no tokens yet, and a browser on this machine reaches loopback too.
//!
//! Two tricks are known. *DNS rebinding*: a page's own name is made to point to 127.0.0.1, so the browser takes
//! our answers for the page's; its requests carry that name in `Host`, and we answer only to loopback names and
//! our own address. *Cross-site requests*: a page posts to us without reading the answer; such a request carries
//! the page's `Origin`, and a change is taken only from none or from our own.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Version, header};

use super::problem::{Problem, excerpt};

pub(super) fn check(request: &Request, listen: SocketAddr) -> Result<(), Problem> {
    let host = host(request)?;
    for authority in [host.as_ref(), request.uri().authority()].into_iter().flatten() {
        if !is_ours(authority, listen) {
            return Err(Problem::forbidden(format!(
                "the request was meant for host {:?}; this listener answers to localhost, 127.0.0.1, [::1] and {listen}",
                excerpt(authority.as_str())
            )));
        }
    }
    let changes_something = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes_something { same_origin(request.headers(), host.as_ref()) } else { Ok(()) }
}

fn host(request: &Request) -> Result<Option<Authority>, Problem> {
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

fn same_origin(headers: &HeaderMap, host: Option<&Authority>) -> Result<(), Problem> {
    for origin in headers.get_all(header::ORIGIN) {
        let ours = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.strip_prefix("http://"))
            .zip(host)
            .is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host.as_str()));
        if !ours {
            let found = String::from_utf8_lossy(origin.as_bytes());
            return Err(Problem::forbidden(format!(
                "a page of {:?} may not change anything here; changes are taken from this origin and from clients that are not browsers",
                excerpt(&found)
            )));
        }
    }
    Ok(())
}
