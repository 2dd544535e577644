//! What is refused before it is routed: what two readers could take for two requests, and what is too large.
//!
//! The head has been parsed by now, and much is refused already: control bytes, folded lines, a space before the colon,
//! lengths that are no plain numbers or differ, codings other than one chunked, any version but 1.0 and 1.1 (see
//! `http1::Unread`; of HTTP/2 h2 does the same). Two things are left alone, for nothing of them goes on: a line that ends in a
//! bare LF, and a length beside chunked. We write the head anew from its parts, with CRLF and with chunked alone, and
//! the connection closes after the latter (RFC 9112, 2.2 and 6.1).

use http::header::{self, HeaderValue};
use http::uri::Scheme;
use http::{HeaderMap, Method, StatusCode, Version};
use http_body::Body;
use thiserror::Error;

use super::message::Request;
use super::{headers, http2_head};
use crate::config::{Listener, PathFault};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("more than one Host")]
    SecondHost,
    #[error("a Host is needed")]
    NoHost,
    #[error("Host is not a host with an optional port")]
    Host,
    #[error("Content-Length is not a plain number")]
    Length,
    #[error("the target must not name a user")]
    User,
    #[error("the target has a scheme other than http and https")]
    Scheme,
    #[error("CONNECT is not served")]
    Connect,
    #[error("only OPTIONS may ask for *")]
    Asterisk,
    #[error("{0}")]
    Path(#[from] PathFault),
    #[error("the only expectation met is 100-continue")]
    Expectation,
    #[error("the target is too long")]
    TargetTooLong,
    #[error("the body is too large")]
    BodyTooLarge,
    #[error("{0}")]
    Http2(&'static str),
}

impl Fault {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// The first reason not to serve this request.
pub(super) fn check<B: Body>(request: &Request<B>, listener: &Listener) -> Result<(), Fault> {
    if request.version() == Version::HTTP_2
        && let Some(fault) = http2_head::fault(request)
    {
        return Err(Fault::Http2(fault));
    }
    check_target(request, listener)?;
    check_host(request)?;
    check_framing(request.headers())?;
    check_expectation(request.version(), request.headers())?;
    let length = request.body().size_hint().exact();
    if listener.limits.body_bytes_max.is_some_and(|max| length.is_some_and(|length| length > max)) {
        return Err(Fault::BodyTooLarge);
    }
    Ok(())
}

fn check_target<B>(request: &Request<B>, listener: &Listener) -> Result<(), Fault> {
    let (method, uri) = (request.method(), request.uri());
    let path_and_query = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let authority = uri.authority();
    if path_and_query + authority.map_or(0, |authority| authority.as_str().len())
        > listener.limits.uri_bytes_max
    {
        return Err(Fault::TargetTooLong);
    }
    if *method == Method::CONNECT {
        return Err(Fault::Connect);
    }
    if let Some(authority) = authority {
        // Who reads it as a host and who as a user would route and serve two different sites.
        if authority.as_str().contains('@') {
            return Err(Fault::User);
        }
        if !is_host(authority.as_str().as_bytes()) || authority.as_str().is_empty() {
            return Err(Fault::Host);
        }
    }
    if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(Fault::Scheme);
    }
    match uri.path() {
        "*" if *method != Method::OPTIONS => Err(Fault::Asterisk),
        path if !path.starts_with('/') && path != "*" => Err(Fault::Path(PathFault::Relative)),
        _ => Ok(()),
    }
}

fn check_host<B>(request: &Request<B>) -> Result<(), Fault> {
    let must_have = match request.version() {
        Version::HTTP_10 => false,
        Version::HTTP_2 => request.uri().authority().is_none(),
        _ => true,
    };
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Fault::SecondHost);
    }
    match host {
        None if must_have => Err(Fault::NoHost),
        Some(host) if !is_host(host.as_bytes()) => Err(Fault::Host),
        _ => Ok(()),
    }
}

/// Which bytes may be in the name of a host.
const IN_NAME: [bool; 256] = {
    let mut may = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        may[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    may
};

/// A name, an IPv4 address or an IPv6 one in brackets, and a port. Empty is a host too (RFC 9112, 3.2). Stricter than
/// RFC 3986, whose names may hold escapes and commas that some read as two hosts.
fn is_host(host: &[u8]) -> bool {
    let in_name = |byte: &u8| IN_NAME[usize::from(*byte)];
    let in_brackets = |byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
    let (name_is_right, after) = match host {
        [b'[', inner @ ..] => match inner.iter().position(|byte| *byte == b']') {
            Some(end) => (end > 0 && inner[..end].iter().all(in_brackets), &inner[end + 1..]),
            None => (false, host),
        },
        _ => {
            let end = host.iter().position(|byte| *byte == b':').unwrap_or(host.len());
            (host[..end].iter().all(in_name) && (end > 0 || host.is_empty()), &host[end..])
        }
    };
    name_is_right && (after.is_empty() || is_port(after))
}

/// With its colon. The digits may be missing.
fn is_port(port: &[u8]) -> bool {
    let [b':', digits @ ..] = port else { return false };
    let number = digits.iter().try_fold(0_u32, |number, digit| match digit {
        b'0'..=b'9' if number <= u32::from(u16::MAX) => Some(number * 10 + u32::from(digit - b'0')),
        _ => None,
    });
    number.is_some_and(|number| number <= u32::from(u16::MAX))
}

fn check_framing(headers: &HeaderMap) -> Result<(), Fault> {
    // Zeros in front are right by the letter, and octal or too many digits to some.
    if headers.get(header::CONTENT_LENGTH).is_some_and(|length| !headers::is_plain_number(length)) {
        return Err(Fault::Length);
    }
    Ok(())
}

/// Who sees an expectation where another sees none waits for a body that the other has sent. HTTP/1.0 has none.
fn check_expectation(version: Version, headers: &HeaderMap) -> Result<(), Fault> {
    let mut found = headers.get_all(header::EXPECT).iter();
    let (Some(first), second) = (found.next(), found.next()) else { return Ok(()) };
    let is_met = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if version != Version::HTTP_10 && (second.is_some() || !is_met(first)) {
        return Err(Fault::Expectation);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_address_with_an_optional_port() {
        for host in [
            "",
            "a",
            "a.example.",
            "A_b-c.example:80",
            "127.0.0.1",
            "[::1]",
            "[2001:db8::1]:443",
            "a:",
            "a:65535",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            ":80",
            "a:b",
            "a:65536",
            "a:+80",
            "a:80:80",
            "a:99999999999",
            "a,b",
            "a b",
            "a/b",
            "a@b",
            "a%2eb",
            "*",
            "[]",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "::1",
            "[a]b:1",
            "a\\b",
            "a?b",
            "a#b",
            "a;b",
            "\u{e4}",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
