//! WebSocket, asked for in either way: `Upgrade: websocket` on HTTP/1.1 (RFC 6455) or extended CONNECT on HTTP/2 (RFC 8441).
//!
//! Inside, a request for a WebSocket always has the form of HTTP/1.1: a GET with `Upgrade`. What came by CONNECT is
//! written so when it comes in, and what goes to an HTTP/2 upstream is written as CONNECT when it goes out. The
//! handshake's key exists on HTTP/1 only; where one side has none, we make or check it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use http_body::Body;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

use super::downstream_body::DownstreamBody;
use super::headers::{has_token, is_sole_token};
use super::message::Request;
use super::upload::RequestBody;

/// What RFC 6455, 1.3, has the server append to the key.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's wish for a WebSocket.
pub(super) struct Asked {
    /// Of the handshake with the upstream, if that speaks HTTP/1: the client's own, or ours where it has none.
    key: Option<HeaderValue>,
    /// Where the client asked by CONNECT: its stream, once it is answered.
    pub(super) connect: Option<OnUpgrade>,
}

/// A sole `Upgrade: websocket` on a bodiless HTTP/1.1 GET whose `Connection` names it, or CONNECT for `websocket` on
/// HTTP/2. The latter is made to look like the former.
pub(super) fn asked(
    request: &mut Request<DownstreamBody>,
    random: impl FnOnce() -> [u8; 16],
) -> Option<Asked> {
    match request.version() {
        Version::HTTP_11 => asked_by_upgrade(request),
        Version::HTTP_2 if request.method() == Method::CONNECT => asked_by_connect(request, random()),
        _ => None,
    }
}

fn asked_by_upgrade(request: &Request<DownstreamBody>) -> Option<Asked> {
    let headers = request.headers();
    let asks = headers.contains_key(header::UPGRADE)
        && request.method() == Method::GET
        && request.body().is_end_stream()
        && names_websocket(headers)
        && headers.get_all(header::CONNECTION).iter().any(|value| has_token(value, "upgrade"));
    asks.then(|| Asked { key: headers.get(header::SEC_WEBSOCKET_KEY).cloned(), connect: None })
}

fn asked_by_connect(request: &mut Request<DownstreamBody>, random: [u8; 16]) -> Option<Asked> {
    let protocol = request.extensions_mut().get::<Protocol>()?;
    if !protocol.as_str().eq_ignore_ascii_case("websocket") {
        return None;
    }
    let connect = request.upgrade();
    *request.method_mut() = Method::GET;
    let key = HeaderValue::from_str(&base64(&random)).ok()?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_KEY, key.clone());
    Some(Asked { key: Some(key), connect: Some(connect) })
}

/// What `Upgrade` and `Connection` say of it, put back after one hop's fields were taken out.
pub(super) fn put_upgrade(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// As an HTTP/2 upstream wants to be asked.
pub(super) fn write_as_connect(request: &mut Request<RequestBody>) {
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    request.headers_mut().remove(header::SEC_WEBSOCKET_KEY);
}

impl Asked {
    /// Whether this answer of an HTTP/1 upstream is a yes that belongs to our question.
    pub(super) fn is_agreed(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let ours = self.connect.is_some();
        status == StatusCode::SWITCHING_PROTOCOLS
            && names_websocket(headers)
            && (!ours || headers.get(header::SEC_WEBSOCKET_ACCEPT) == self.accept().as_ref())
    }

    fn accept(&self) -> Option<HeaderValue> {
        let key = [self.key.as_ref()?.as_bytes(), KEY_SUFFIX].concat();
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &key);
        HeaderValue::from_str(&base64(hash.as_ref())).ok()
    }

    /// The head of our yes, in the client's own protocol.
    pub(super) fn write_agreed(&self, parts: &mut http::response::Parts) {
        if self.connect.is_some() {
            parts.status = StatusCode::OK;
            parts.headers.remove(header::SEC_WEBSOCKET_ACCEPT);
            return;
        }
        parts.status = StatusCode::SWITCHING_PROTOCOLS;
        put_upgrade(&mut parts.headers);
        if !parts.headers.contains_key(header::SEC_WEBSOCKET_ACCEPT)
            && let Some(accept) = self.accept()
        {
            parts.headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
    }
}

fn names_websocket(headers: &HeaderMap) -> bool {
    is_sole_token(headers, &header::UPGRADE, "websocket")
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_of_a_key_is_that_of_the_rfc() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let asked = Asked { key: Some(key), connect: None };
        assert_eq!(asked.accept().unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_a_lone_websocket_counts_as_one() {
        let of = |value| HeaderMap::from_iter([(header::UPGRADE, HeaderValue::from_static(value))]);
        assert!(names_websocket(&of("WebSocket")));
        assert!(!names_websocket(&of("h2c")));
        assert!(!names_websocket(&of("websocket, h2c")));
        assert!(!names_websocket(&HeaderMap::new()));
    }
}
