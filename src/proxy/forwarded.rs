//! What is said of the client on its way through proxies: `X-Forwarded-*`, `Forwarded` (RFC 7239) and `Via`.
//!
//! Believed from trusted proxies and appended to; from everybody else replaced, or removed where we have nothing of
//! our own to say. A name with `_` in place of `-` is never passed on: many applications cannot tell the two apart,
//! so `X_Forwarded_For` would be read as ours.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderName, HeaderValue};
use http::uri::Scheme;
use http::{HeaderMap, Version};

use super::connection::Downstream;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The client behind the proxies that we trust: from the right, the first address that is not one of theirs. Where
/// the listener speaks `Forwarded` and the request has it, that counts and `X-Forwarded-For` does not.
pub(super) fn client(downstream: &Downstream, headers: &HeaderMap) -> IpAddr {
    let peer = downstream.peer.ip().to_canonical();
    if !downstream.peer_trusted {
        return peer;
    }
    let trusts = |address| downstream.trusts(address);
    if downstream.listener.forwarded && headers.contains_key(header::FORWARDED) {
        return first_stranger(peer, hops(headers, header::FORWARDED).map(element_client), trusts);
    }
    let addresses = hops(headers, X_FORWARDED_FOR).map(|hop| hop.trim().parse().ok());
    first_stranger(peer, addresses, trusts)
}

/// The members of a list that may go on over several lines, from the right. A comma in quotes ends a member too: what
/// is left of it is then no address, and nothing further left is believed.
fn hops(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).iter().rev();
    values.flat_map(|value| value.to_str().unwrap_or("").rsplit(','))
}

fn first_stranger(
    peer: IpAddr,
    hops: impl Iterator<Item = Option<IpAddr>>,
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer;
    for hop in hops {
        let Some(address) = hop else { break };
        client = address.to_canonical();
        if !trusts(address) {
            break;
        }
    }
    client
}

/// Whom an element of `Forwarded` names by `for`, if by address: `for=192.0.2.1`, `For="[2001:db8::1]:4711"`.
pub(super) fn element_client(element: &str) -> Option<IpAddr> {
    let mut named = element.split(';').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let (value, None) = (named.next()?, named.next()) else { return None };
    let node = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let plain = || node.parse().ok().map(IpAddr::V4);
    plain().or_else(bracketed).or_else(|| node.parse().ok().map(|with_port: SocketAddr| with_port.ip()))
}

/// Makes the claims of a request ours. Its Host and target are settled by now.
pub(super) fn settle(headers: &mut HeaderMap, version: Version, downstream: &Downstream) {
    let trusted = downstream.peer_trusted;
    while let Some(name) = headers.keys().find(|name| is_spoofed(name, trusted)).cloned() {
        headers.remove(name);
    }
    if trusted && headers.contains_key(X_FORWARDED_FOR) {
        append_forwarded_for(headers, &downstream.forwarded_for);
    } else {
        headers.insert(X_FORWARDED_FOR, downstream.forwarded_for.clone());
    }
    if !trusted || !headers.contains_key(X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme(downstream)));
    }
    if !trusted || !headers.contains_key(X_FORWARDED_HOST) {
        match headers.get(header::HOST).cloned() {
            Some(host) => headers.insert(X_FORWARDED_HOST, host),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }
    if downstream.listener.forwarded {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        let element = element(downstream.peer.ip(), host, scheme(downstream));
        headers.append(header::FORWARDED, element);
    }
    if downstream.listener.via {
        add_via(headers, version);
    }
}

/// Names us in a message that was received in this version. A line of its own is a member of the list.
pub(super) fn add_via(headers: &mut HeaderMap, version: Version) {
    let ours = match version {
        Version::HTTP_10 => "1.0 andon",
        Version::HTTP_2 => "2.0 andon",
        _ => "1.1 andon",
    };
    headers.append(header::VIA, HeaderValue::from_static(ours));
}

/// How the client speaks to us.
fn scheme(downstream: &Downstream) -> &'static str {
    if downstream.scheme == Scheme::HTTPS { "https" } else { "http" }
}

/// A claim about the client by somebody who may not make it. The three that we always set are not looked for: they
/// are overwritten.
fn is_spoofed(name: &HeaderName, trusted: bool) -> bool {
    let is_ours = || [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST].contains(name);
    is_claim(name) && (!trusted || name.as_str().contains('_')) && !is_ours()
}

/// Says something of the client, or would be read so. Told apart by the first letter, since most names are none of
/// these.
pub(super) fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    if !matches!(name.first(), Some(b'f' | b'x')) {
        return false;
    }
    let reads_as = |wanted: &[u8]| {
        let letters = name.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte });
        letters.zip(wanted).all(|(byte, wanted)| byte == *wanted)
    };
    name == b"forwarded"
        || (name.len() == 9 && reads_as(b"x-real-ip"))
        || (name.len() > 12 && reads_as(b"x-forwarded-"))
}

fn append_forwarded_for(headers: &mut HeaderMap, peer: &HeaderValue) {
    let mut joined: Vec<u8> = Vec::with_capacity(64);
    for value in headers.get_all(X_FORWARDED_FOR) {
        joined.extend_from_slice(value.as_bytes());
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(peer.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

/// Our own element of `Forwarded`. What holds a colon is no token and stands in quotes, so IPv6 does.
fn element(peer: IpAddr, host: &str, scheme: &str) -> HeaderValue {
    let mut text = match peer.to_canonical() {
        IpAddr::V4(address) => format!("for={address}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    };
    // Only the letters of a host, a port and brackets have come so far: nothing to escape. Writing text cannot fail.
    let _ = match host {
        "" => Ok(()),
        _ if host.contains([':', '[']) => write!(text, ";host=\"{host}\""),
        _ => write!(text, ";host={host}"),
    };
    let _ = write!(text, ";proto={scheme}");
    HeaderValue::from_str(&text).expect("addresses, hosts and schemes are visible letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_names_its_client_by_address_or_not_at_all() {
        for (element, client) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            (" For=192.0.2.1;proto=http ", Some("192.0.2.1")),
            ("proto=http; for=\"192.0.2.1:4711\"", Some("192.0.2.1")),
            ("for=\"[2001:db8::1]\"", Some("2001:db8::1")),
            ("for=\"[2001:db8::1]:4711\"", Some("2001:db8::1")),
            ("for=unknown", None),
            ("for=_hidden", None),
            ("for=\"192.0.2.1", None),
            ("for=192.0.2.1\"", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for=2001:db8::1", None),
            ("by=192.0.2.1", None),
            ("for", None),
            ("", None),
        ] {
            assert_eq!(element_client(element), client.map(|client| client.parse().unwrap()), "{element}");
        }
    }

    #[test]
    fn our_element_is_quoted_where_it_must_be() {
        let element = |peer: &str, host| element(peer.parse().unwrap(), host, "http");
        assert_eq!(element("192.0.2.1", "a.example"), "for=192.0.2.1;host=a.example;proto=http");
        assert_eq!(element("::ffff:192.0.2.1", ""), "for=192.0.2.1;proto=http");
        let quoted = "for=\"[2001:db8::1]\";host=\"[::1]:80\";proto=http";
        assert_eq!(element("2001:db8::1", "[::1]:80"), quoted);
    }

    #[test]
    fn the_client_is_the_first_from_the_right_who_is_not_trusted() {
        let trusts = |address: IpAddr| address.to_string().starts_with("10.");
        let client = |list: &'static str| {
            let headers = HeaderMap::from_iter([(header::FORWARDED, HeaderValue::from_static(list))]);
            let hops: Vec<_> = hops(&headers, header::FORWARDED).map(element_client).collect();
            first_stranger("10.0.0.1".parse().unwrap(), hops.into_iter(), trusts).to_string()
        };
        assert_eq!(client("for=6.6.6.6, for=1.2.3.4"), "1.2.3.4");
        assert_eq!(client("for=6.6.6.6, for=1.2.3.4, for=10.0.0.2"), "1.2.3.4");
        assert_eq!(client("for=\"x, for=6.6.6.6\", for=10.0.0.2"), "10.0.0.2");
        assert_eq!(client("for=6.6.6.6, for=unknown, for=10.0.0.2"), "10.0.0.2");
        assert_eq!(client(""), "10.0.0.1");
    }

    #[test]
    fn claims_of_strangers_and_disguised_ones_are_spoofed() {
        let is = |name: &'static str, trusted| is_spoofed(&HeaderName::from_static(name), trusted);
        for name in ["forwarded", "x-real-ip", "x-forwarded-port", "x-forwarded-prefix"] {
            assert!(is(name, false) && !is(name, true), "{name}");
        }
        for name in ["x_forwarded_for", "x-forwarded_host", "x_real_ip"] {
            assert!(is(name, false) && is(name, true), "{name}");
        }
        for name in ["x-forwarded-for", "x-request-id", "x-real-ips", "from", "host", "x"] {
            assert!(!is(name, false), "{name}");
        }
    }
}
