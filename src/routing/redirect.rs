//! Whether a redirect leads a request elsewhere. One that is there already is served, or it would turn for ever.

use super::View;
use super::host::{self, HOST_MAX};
use crate::config::{Redirect, Scheme};

pub(super) fn leads_away(redirect: &Redirect, view: &View<'_>) -> bool {
    let other_scheme = redirect.scheme.is_some_and(|scheme| scheme != view.scheme);
    other_scheme
        || redirect.host.as_deref().is_some_and(|host| !is_host(view.host, host))
        || redirect.port.is_some_and(|port| port != port_of(view.host, view.scheme))
}

fn is_host(sent: &str, host: &str) -> bool {
    host::plain(sent, &mut [0; HOST_MAX]) == host.as_bytes()
}

/// What is no port is not the right one.
fn port_of(sent: &str, scheme: Scheme) -> u16 {
    match without_port(sent).1 {
        "" => scheme.port(),
        port => port.parse().unwrap_or(0),
    }
}

/// A host as it was sent, and its port: empty if there is none.
pub fn without_port(sent: &str) -> (&str, &str) {
    let colon = match sent.rfind(']') {
        Some(end) => sent[end..].find(':').map(|at| end + at),
        None => sent.find(':'),
    };
    colon.map_or((sent, ""), |at| (&sent[..at], &sent[at + 1..]))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::routing::testing::Request;

    fn leads(redirect: &Redirect, host: &str, scheme: Scheme) -> bool {
        let request = Request::get(host, "/");
        leads_away(redirect, &View { scheme, ..request.view() })
    }

    #[test]
    fn a_request_that_is_there_already_stays() {
        let status = StatusCode::PERMANENT_REDIRECT;
        let secure = Redirect { scheme: Some(Scheme::Https), host: None, port: None, status };
        assert!(leads(&secure, "a:8080", Scheme::Http));
        assert!(!leads(&secure, "a:8443", Scheme::Https));

        let host = Redirect { scheme: None, host: Some("www.a".into()), ..secure.clone() };
        assert!(leads(&host, "a", Scheme::Http));
        assert!(!leads(&host, "WWW.a.:80", Scheme::Http));

        let port = Redirect { port: Some(8443), ..secure };
        assert!(leads(&port, "a", Scheme::Https));
        assert!(leads(&port, "a:x", Scheme::Https));
        assert!(!leads(&port, "a:8443", Scheme::Https));
        assert!(leads(&port, "a:8443", Scheme::Http));
        assert!(!leads(&Redirect { port: Some(443), ..port }, "[::1]", Scheme::Https));
    }

    #[test]
    fn colons_in_brackets_begin_no_port() {
        assert_eq!(without_port("[::1]:80"), ("[::1]", "80"));
        assert_eq!(without_port("[::1]"), ("[::1]", ""));
        assert_eq!(without_port("a"), ("a", ""));
        assert_eq!(without_port("a:"), ("a", ""));
    }
}
