//! Every error of the admin listener: `application/problem+json` after RFC 9457.
//!
//! A [`Problem`] is made where the fault is found and fixes its status there. `detail` is a whole sentence for a
//! person (what was found, what is accepted); the members carry the same for programs. [`finish`] writes it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Phase;
use super::api::json::RouteJson;
use super::api::upstreams::UpstreamJson;

/// Names listed in one problem; of more the first are shown.
const KNOWN_MAX: usize = 20;
/// Characters quoted of what was found.
const EXCERPT_CHARS_MAX: usize = 100;

#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// The last part of `type`; `None`: `about:blank`, the status says it all.
    kind: Option<&'static str>,
    title: &'static str,
    detail: String,
    members: Map<String, Value>,
    etag: Option<String>,
    retry_after_seconds: Option<u32>,
}

#[derive(Serialize)]
struct ProblemJson<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: String) -> Self {
        Self {
            status,
            kind: Some(kind),
            title,
            detail,
            members: Map::new(),
            etag: None,
            retry_after_seconds: None,
        }
    }

    fn plain(status: StatusCode, detail: String) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { status, kind: None, title, detail, members: Map::new(), etag: None, retry_after_seconds: None }
    }

    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn not_found(detail: String) -> Self {
        Self::plain(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn wrong_method(detail: String) -> Self {
        Self::plain(StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    pub(super) fn bad_request(detail: String) -> Self {
        Self::plain(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn forbidden(detail: String) -> Self {
        Self::plain(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn wrong_type(detail: String) -> Self {
        Self::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).with("accepted", "application/json")
    }

    pub(super) fn too_large(limit_bytes: usize) -> Self {
        Self::plain(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit_bytes} bytes"))
            .with("limit_bytes", limit_bytes)
    }

    pub(super) fn body_stalled(timeout: Duration) -> Self {
        let seconds = timeout.as_secs();
        Self::plain(StatusCode::REQUEST_TIMEOUT, format!("the body was not complete within {seconds} s"))
    }

    /// A value that is understood and cannot be accepted.
    pub(super) fn bad_value(field: &str, found: &str, accepted: &str) -> Self {
        let found = excerpt(found);
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad-value",
            "A value cannot be accepted",
            format!("{field} is {found}; write {accepted}"),
        )
        .with("field", field)
        .with("found", found)
        .with("accepted", accepted)
    }

    pub(super) fn bad_body(detail: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-body", "The body cannot be accepted", detail)
    }

    pub(super) fn unknown_decision(id: &str) -> Self {
        let detail = format!("there is no decision {:?}", excerpt(id));
        Self::new(StatusCode::NOT_FOUND, "unknown-decision", "No such decision", detail)
    }

    pub(super) fn outdated(current: &RouteJson) -> Self {
        let detail = format!(
            "route {:?} has changed: it is at revision {}, which is not in If-Match; read it and decide again",
            current.name, current.revision
        );
        let etag = Some(current.etag());
        let current = serde_json::to_value(current).unwrap_or_default();
        let problem = Self::new(StatusCode::PRECONDITION_FAILED, "outdated", "The route has changed", detail)
            .with("current", current);
        Self { etag, ..problem }
    }

    /// The command may be on its way still: the caller must look before trying again.
    pub(super) fn slow(timeout: Duration) -> Self {
        let seconds = timeout.as_secs();
        let detail = format!("no answer within {seconds} s; a change may take effect still, so look first");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "slow", "No answer in time", detail)
    }

    pub(super) fn not_ready(phase: Phase) -> Self {
        let detail = format!("andon is {}", phase.label());
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready for traffic", detail)
            .with("phase", phase.label())
    }

    pub(super) fn unknown_upstream(upstream: &str, known: &[Arc<str>]) -> Self {
        let detail = format!("upstream {:?} does not exist; {}", excerpt(upstream), there_are(known));
        Self::new(StatusCode::NOT_FOUND, "unknown-upstream", "No such upstream", detail)
            .with("known", names(known))
    }

    pub(super) fn outdated_upstream(current: &UpstreamJson) -> Self {
        let detail = format!(
            "upstream {:?} has other endpoints than those in If-Match; read them and decide again",
            current.name
        );
        let etag = Some(current.etag());
        let current = serde_json::to_value(current).unwrap_or_default();
        let problem =
            Self::new(StatusCode::PRECONDITION_FAILED, "outdated", "The upstream has changed", detail)
                .with("current", current);
        Self { etag, ..problem }
    }

    pub(super) fn bad_endpoints(drawn: String, count: usize) -> Self {
        let problems = if count == 1 { "problem" } else { "problems" };
        let detail = format!("the endpoints have {count} {problems}; nothing was changed");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-endpoints", "The endpoints were refused", detail)
            .with("count", count)
            .with("diagnostics", drawn)
    }

    pub(super) fn busy(cause: &str) -> Self {
        let detail = format!("{cause}; ask again in a moment");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many such questions", detail).retry_after(1)
    }

    pub(super) fn still_running() -> Self {
        let detail = "the first request with this Idempotency-Key is still under way; ask again in a moment"
            .to_owned();
        Self::new(StatusCode::CONFLICT, "still-running", "Still under way", detail).retry_after(1)
    }

    pub(super) fn key_of_another() -> Self {
        let detail =
            "this Idempotency-Key was used for another request; a new request takes a new key".to_owned();
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "The key of another request", detail)
    }

    pub(super) fn bad_guard(drawn: String, count: usize) -> Self {
        let problems = if count == 1 { "problem" } else { "problems" };
        let detail = format!("what canaries shall be judged by has {count} {problems}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-guard", "The numbers were refused", detail)
            .with("count", count)
            .with("diagnostics", drawn)
    }

    pub(super) fn gone() -> Self {
        let detail = "andon is shutting down, or its controller has stopped; traffic goes on as it was";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "gone", "Nobody decides any more", detail.to_owned())
    }
}

impl IntoResponse for Problem {
    /// The body is written by [`finish`], which knows the request.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of a problem, and the headers that every answer has.
pub(super) fn finish(mut response: Response, instance: &str) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        *response.body_mut() = Body::from(problem.text(instance));
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(etag) = problem.etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
            headers.insert(header::ETAG, etag);
        }
        if let Some(seconds) = problem.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if problem.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"andon\""));
        }
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

impl Problem {
    fn text(&self, instance: &str) -> String {
        let json = ProblemJson {
            r#type: self.kind.map_or("about:blank".to_owned(), |kind| format!("urn:andon:problem:{kind}")),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance,
            members: &self.members,
        };
        let mut text = serde_json::to_string(&json).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// The beginning of what was found: a problem must not be as long as what caused it.
pub(super) fn excerpt(found: &str) -> String {
    match found.char_indices().nth(EXCERPT_CHARS_MAX) {
        None => found.to_owned(),
        Some((end, _)) => format!("{}…", &found[..end]),
    }
}

pub(super) fn names(known: &[Arc<str>]) -> Vec<Value> {
    known.iter().take(KNOWN_MAX).map(|name| Value::from(&**name)).collect()
}

pub(super) fn there_are(known: &[Arc<str>]) -> String {
    let mut text = String::new();
    for name in known.iter().take(KNOWN_MAX) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{name:?}");
    }
    match known.len() {
        0 => "there are none".to_owned(),
        1 => format!("there is {text}"),
        2..=KNOWN_MAX => format!("there are {text}"),
        more => format!("there are {text} and {} more", more - KNOWN_MAX),
    }
}
