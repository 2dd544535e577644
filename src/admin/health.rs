//! Is it alive, does it take traffic, what does it count.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Face;
use super::problem::Problem;

/// Where the process is in its life. The wiring sets it, `/readyz` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Serving,
    Draining,
}

impl Phase {
    pub fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}

/// Alive means that this line runs: a process that drains, or lost its store, must not be killed for it.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(face): State<Face>) -> Response {
    let phase = *face.phase.borrow();
    match phase {
        Phase::Serving => "ok\n".into_response(),
        Phase::Starting | Phase::Draining => Problem::not_ready(phase).into_response(),
    }
}

pub(super) async fn metrics(State(face): State<Face>) -> Result<Response, Problem> {
    let text = face.handle.metrics().await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
