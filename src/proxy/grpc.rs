//! gRPC: what its status says, and our own answers in its words.
//!
//! A gRPC answer is 200 whatever became of the call; the truth is `grpc-status`, at the end of the body or, where there
//! is none, in the head. A client of gRPC understands our own errors only if they come the same way.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::body::ResponseBody;
use super::message::Response;

pub(super) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const TIMEOUT_DIGITS_MAX: usize = 8;
pub(super) const DEADLINE_EXCEEDED: HeaderValue = HeaderValue::from_static("4");

const UNKNOWN: u8 = 2;

/// How a call ended. A code that cannot be read is UNKNOWN to every client, and so is one that is missing.
pub(super) fn code(headers: &HeaderMap) -> u8 {
    let code = headers.get(STATUS).and_then(|value| value.to_str().ok());
    code.and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN)
}

/// Whether a call that ended so is the server's failure: the codes that OpenTelemetry's conventions call errors of a
/// server span (UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS), and those that nobody knows.
pub(super) fn is_failure(code: u8) -> bool {
    matches!(code, UNKNOWN | 4 | 12 | 13 | 14 | 15) || code > 16
}

/// How long the client waits for the call, if it says so in a way that can be read. The wait for the head ends with
/// it. That is the client's choice and no evidence against the upstream: it would be counted as a client that left a
/// moment later anyway. Whoever wants an upstream that hangs to be noticed sets its `response_timeout` below what
/// clients wait.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.as_bytes();
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > TIMEOUT_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(count * 3_600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// One of our own answers, as a gRPC client reads it: head and trailers in one. What the route says in its headers
/// stays.
pub(super) fn answer(response: Response<ResponseBody>) -> Response<ResponseBody> {
    let (mut parts, text) = response.into_parts();
    let headers = &mut parts.headers;
    let code = headers.get(STATUS).cloned().unwrap_or_else(|| code_of(parts.status).into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, code);
    if let Some(message) = message(&text.into_text()) {
        headers.insert(MESSAGE, message);
    }
    parts.status = StatusCode::OK;
    Response::from_parts(parts, ResponseBody::empty())
}

/// The mapping that gRPC prescribes for answers that are not gRPC.
fn code_of(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// Our texts are plain sentences; what is none of it is left out rather than percent-encoded.
fn message(text: &Bytes) -> Option<HeaderValue> {
    let visible: Vec<u8> =
        text.iter().copied().filter(|byte| matches!(byte, 0x20..=0x7e) && *byte != b'%').collect();
    HeaderValue::from_bytes(&visible).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended_with(status: &str) -> HeaderMap {
        HeaderMap::from_iter([(STATUS, HeaderValue::from_str(status).unwrap())])
    }

    #[test]
    fn only_the_servers_own_codes_are_its_failures() {
        for code in [0, 1, 3, 5, 6, 7, 8, 9, 10, 11, 16] {
            assert!(!is_failure(super::code(&ended_with(&code.to_string()))), "{code}");
        }
        for code in ["2", "4", "12", "13", "14", "15", "17", "", "x", "-1", "256"] {
            assert!(is_failure(super::code(&ended_with(code))), "{code}");
        }
        assert!(is_failure(code(&HeaderMap::new())), "no status at all");
    }

    #[test]
    fn a_timeout_is_eight_digits_and_a_unit() {
        let of = |text| timeout(&HeaderMap::from_iter([(TIMEOUT, HeaderValue::from_static(text))]));
        assert_eq!(of("3H"), Some(Duration::from_secs(10_800)));
        assert_eq!(of("2M"), Some(Duration::from_secs(120)));
        assert_eq!(of("07S"), Some(Duration::from_secs(7)));
        assert_eq!(of("250m"), Some(Duration::from_millis(250)));
        assert_eq!(of("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(of("5n"), Some(Duration::from_nanos(5)));
        for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "1 S", "123456789S", "1SS"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn our_own_answer_is_one_that_grpc_clients_understand() {
        let text = ResponseBody::text("andon: the upstream refused the connection\n".to_owned());
        let mut response = Response::new(text);
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        let response = answer(response);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[STATUS], "14");
        assert_eq!(response.headers()[MESSAGE], "andon: the upstream refused the connection");
    }
}
