//! What is taken out of a message and what is put in, on its way through.
//!
//! First everything that belongs to one hop goes, the fields that `Connection` names included; then ours are
//! added, so they cannot be nominated away. What is said of the client is settled in [`super::forwarded`].

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Uri, Version};

use super::connection::Downstream;
use super::forwarded;
use super::message::{Request, Response};
use crate::config;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request id from outside is kept up to this length.
const REQUEST_ID_MAX: usize = 128;

/// Fields that end at every hop. `TE` and `Upgrade` too, but what we offer of them is put back. They are told
/// apart by length first: a message has a dozen names, and none of these is the ordinary case.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    let name = name.as_str();
    match name.len() {
        2 => name == "te",
        7 => name == "upgrade",
        10 => name == "connection" || name == "keep-alive",
        16 => name == "proxy-connection",
        17 => name == "transfer-encoding",
        18 => name == "proxy-authenticate",
        19 => name == "proxy-authorization",
        _ => false,
    }
}

/// More than one length, or one that some would read otherwise, cuts an answer for one reader where it goes on for
/// another.
pub(super) fn has_odd_length<B>(response: &Response<B>) -> bool {
    let mut lengths = response.headers().get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next();
    first.is_some_and(|length| !is_plain_number(length)) || lengths.next().is_some()
}

/// Digits without a zero in front.
pub(super) fn is_plain_number(value: &HeaderValue) -> bool {
    let digits = value.as_bytes();
    digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() && (digits[0] != b'0' || digits.len() == 1)
}

/// The host that the client asked for, with its port if it gave one; an absolute target overrides the field.
pub(super) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or(""),
    }
}

/// What the client speaks: to us, or to a proxy that we trust.
pub(super) fn scheme(downstream: &Downstream, headers: &HeaderMap) -> config::Scheme {
    let said = if downstream.peer_trusted { headers.get(forwarded::X_FORWARDED_PROTO) } else { None };
    let secure = match said {
        Some(proto) => proto.as_bytes().eq_ignore_ascii_case(b"https"),
        None => downstream.scheme == Scheme::HTTPS,
    };
    if secure { config::Scheme::Https } else { config::Scheme::Http }
}

/// Makes the head of a request ours: origin-form target, one hop's fields out, `X-Forwarded-*` and request id in.
pub(super) fn prepare_request(
    parts: &mut Parts,
    downstream: &Downstream,
    request_id: impl FnOnce() -> HeaderValue,
) {
    use_origin_form(parts);
    let version = parts.version;
    if parts.headers.contains_key(header::EXPECT) && !may_expect(version, &parts.headers) {
        parts.headers.remove(header::EXPECT);
    }
    let headers = &mut parts.headers;
    if has_hop_by_hop(headers) {
        let wants_trailers = headers.get(header::TE).is_some_and(|te| has_token(te, "trailers"));
        strip_hop_by_hop(headers);
        if wants_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
    forwarded::settle(headers, version, downstream);
    if !headers.get(X_REQUEST_ID).is_some_and(is_request_id) {
        headers.insert(X_REQUEST_ID, request_id());
    }
    if version == Version::HTTP_10 && !headers.contains_key(header::HOST) {
        // We speak 1.1 upstream, where the field must be there and may be empty.
        headers.insert(header::HOST, HeaderValue::from_static(""));
    }
    parts.version = Version::HTTP_11;
}

/// Makes a request that is ready for HTTP/1 ready for HTTP/2: the target names scheme and host, and the fields that
/// belong to HTTP/1 alone are gone. `false`: the host is none.
pub(super) fn write_for_http2<B>(request: &mut Request<B>, scheme: Scheme) -> bool {
    let headers = request.headers_mut();
    for name in [header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE] {
        headers.remove(name);
    }
    let host = headers.remove(header::HOST);
    let path = request.uri().path_and_query().cloned();
    let authority = host.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build();
    *request.version_mut() = Version::HTTP_2;
    uri.map(|uri| *request.uri_mut() = uri).is_ok()
}

/// HTTP/2 may send a cookie in pieces; HTTP/1 knows one field (RFC 9113, 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (pieces.next(), pieces.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for piece in [second].into_iter().chain(pieces) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(piece.as_bytes());
    }
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, value);
    }
}

/// HTTP/1.0 has no expectations, and there is nothing to expect without a body (RFC 9110, 10.1.1).
fn may_expect(version: Version, headers: &HeaderMap) -> bool {
    let sized = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    version != Version::HTTP_10
        && (sized || headers.contains_key(header::TRANSFER_ENCODING) || version == Version::HTTP_2)
}

/// Trailers say something of the body that they follow. What frames, routes or vouches for a message has no place
/// there, and must never be merged into a head by whoever reads them (RFC 9110, 6.5.1).
pub(super) fn strip_trailers(trailers: &mut HeaderMap) {
    let has_no_place = |name: &HeaderName| {
        is_hop_by_hop(name)
            || forwarded::is_claim(name)
            || [
                header::CONTENT_LENGTH,
                header::HOST,
                header::AUTHORIZATION,
                header::COOKIE,
                header::SET_COOKIE,
                header::EXPECT,
                header::TRAILER,
                X_REQUEST_ID,
            ]
            .contains(name)
    };
    while let Some(name) = trailers.keys().find(|name| has_no_place(name)).cloned() {
        trailers.remove(name);
    }
}

/// Makes the head of a response ours.
pub(super) fn prepare_response(headers: &mut HeaderMap) {
    if has_hop_by_hop(headers) {
        strip_hop_by_hop(headers);
    }
}

/// What a message carries, as far as it matters on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Plain,
    Grpc,
    /// Server-sent events.
    Events,
}

impl Content {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) else {
            return Self::Plain;
        };
        let begins_with =
            |start: &[u8]| value.get(..start.len()).is_some_and(|value| value.eq_ignore_ascii_case(start));
        if begins_with(b"application/grpc") {
            Self::Grpc
        } else if begins_with(b"text/event-stream") {
            Self::Events
        } else {
            Self::Plain
        }
    }

    /// There may be long rests between two messages of its body.
    pub(super) fn is_message_stream(self) -> bool {
        self != Self::Plain
    }
}

/// One field with this one value, in any case.
pub(super) fn is_sole_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    let first = values.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(token.as_bytes()));
    first && values.next().is_none()
}

pub(super) fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Of an absolute target only path and query go on; its authority is the Host (RFC 9112, 3.2.2).
fn use_origin_form(parts: &mut Parts) {
    let Some(authority) = parts.uri.authority() else { return };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        parts.headers.insert(header::HOST, host);
    }
    let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    parts.uri = Uri::from(path);
}

/// Most messages have none, or `Connection`: the names are walked, and the map is asked only for those found.
fn has_hop_by_hop(headers: &HeaderMap) -> bool {
    headers.keys().any(is_hop_by_hop)
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let nominated = if headers.contains_key(header::CONNECTION) { nominated(headers) } else { Vec::new() };
    for name in nominated {
        headers.remove(name);
    }
    while let Some(name) = headers.keys().find(|name| is_hop_by_hop(name)).cloned() {
        headers.remove(name);
    }
}

/// Fields that `Connection` names, but for those that are never a hop's own: who names `Host` there is up to
/// something, and framing is ours to decide. What every message says there names no field.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(',').map(str::trim))
        .filter(|token| {
            !["keep-alive", "close", "upgrade"].iter().any(|plain| token.eq_ignore_ascii_case(plain))
        })
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect()
}

fn is_request_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty() && bytes.len() <= REQUEST_ID_MAX && bytes.iter().all(u8::is_ascii_graphic)
}

pub(super) fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn one_hops_fields_end_here_and_so_do_those_that_connection_names() {
        let mut headers = map(&[
            ("connection", "close, X-Secret, host, content-length"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("host", "a"),
            ("content-length", "3"),
            ("x-kept", "1"),
        ]);
        strip_hop_by_hop(&mut headers);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "host", "x-kept"]);
    }

    #[test]
    fn a_request_id_is_visible_text_of_bounded_length() {
        assert!(is_request_id(&HeaderValue::from_static("abc-123")));
        assert!(!is_request_id(&HeaderValue::from_static("")));
        assert!(!is_request_id(&HeaderValue::from_static("a b")));
        assert!(!is_request_id(&HeaderValue::from_str(&"x".repeat(REQUEST_ID_MAX + 1)).unwrap()));
    }
}
