//! gRPC: what its status says, and our own answers in its words.
//!
//! A gRPC answer is 200 whatever became of the call; the truth is `grpc-status`, at the end of the body or, where there
//! is none, in the head. A client of gRPC understands our own errors only if they come the same way.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::body::ResponseBody;

pub(super) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a call that ended so is the server's failure: the codes that OpenTelemetry's conventions call errors of a
/// server span (UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS). One that cannot be read
/// is UNKNOWN to every client, and so is one that is missing.
pub(super) fn is_failure(headers: &HeaderMap) -> bool {
    let code =
        headers.get(STATUS).and_then(|value| value.to_str().ok()).and_then(|value| value.parse::<u8>().ok());
    code.is_none_or(|code| matches!(code, 2 | 4 | 12 | 13 | 14 | 15) || code > 16)
}

/// One of our own answers, as a gRPC client reads it: head and trailers in one. What the route says in its headers
/// stays.
pub(super) fn answer(response: Response<ResponseBody>) -> Response<ResponseBody> {
    let (mut parts, text) = response.into_parts();
    let headers = &mut parts.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, HeaderValue::from(code_of(parts.status)));
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
            assert!(!is_failure(&ended_with(&code.to_string())), "{code}");
        }
        for code in ["2", "4", "12", "13", "14", "15", "17", "", "x", "-1", "256"] {
            assert!(is_failure(&ended_with(code)), "{code}");
        }
        assert!(is_failure(&HeaderMap::new()), "no status at all");
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
