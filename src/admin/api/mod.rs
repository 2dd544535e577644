//! `/api/v1`: one file a resource. [`json`] is the shape that programs rely on, `input` what is let in.

pub(super) mod config;
mod cord;
mod decisions;
pub mod drift;
mod drill;
mod events;
mod forecast;
pub(super) mod input;
pub mod json;
mod notify;
mod precondition;
pub mod record_json;
mod releases;
mod routes;
pub(super) mod session;
pub mod upstreams;
mod weight;
mod what_if;

pub(super) use events::EVENT_STREAMS_MAX;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde::Serialize;

use super::Face;

pub(super) fn router() -> Router<Face> {
    Router::new()
        .route("/session", get(session::whose).post(session::begin).delete(session::end))
        .route("/routes", get(routes::list))
        .route("/routes/{route}", get(routes::one))
        .route("/routes/{route}/weight", put(weight::set))
        .route("/routes/{route}/cord", post(cord::pull).delete(cord::reset))
        .route("/routes/{route}/forecast", get(forecast::of_route))
        .route("/routes/{route}/drill", post(drill::start).delete(drill::end))
        .route("/routes/{route}/releases", get(releases::list).post(releases::start))
        .route("/routes/{route}/releases/{id}", get(releases::one))
        .route("/routes/{route}/releases/{id}/{verb}", post(releases::steer))
        .route("/routes/{route}/rollback", post(releases::roll_back))
        .route("/cord", post(cord::pull_all))
        .route("/upstreams", get(upstreams::list))
        .route("/upstreams/{upstream}", get(upstreams::one).put(upstreams::set).delete(upstreams::reset))
        .route("/decisions", get(decisions::list))
        .route("/decisions/head", get(decisions::head))
        .route("/decisions/verify", get(decisions::verify))
        .route("/decisions/{id}", get(decisions::one))
        .route("/decisions/{id}/evidence", get(decisions::evidence))
        .route("/events", get(events::listen))
        .route("/what-if", post(what_if::ask))
        .route("/drift", get(drift::show))
        .route("/config", get(config::show))
        .route("/notify/{name}/test", post(notify::test))
        .route("/config/reload", post(config::reload))
        .route("/openapi.json", get(openapi))
}

async fn openapi() -> Response {
    answer(&super::openapi::document())
}

/// The answer 200. Ends in a newline, for those who read it in a terminal.
fn answer(body: &impl Serialize) -> Response {
    let mut text = serde_json::to_vec(body).expect("structs with string keys always serialise");
    text.push(b'\n');
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// The live state of one route, with its revision as `ETag`.
fn answer_route(route: &json::RouteJson) -> Response {
    let mut response = answer(route);
    if let Ok(etag) = HeaderValue::try_from(route.etag()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
