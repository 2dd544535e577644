//! `/routes`: the live state.

use axum::extract::State;
use axum::response::Response;

use super::super::Face;
use super::super::problem::Problem;
use super::input::Name;
use super::json::{RouteJson, RoutesJson};
use super::{answer, answer_route};

pub(super) async fn list(State(face): State<Face>) -> Result<Response, Problem> {
    let routes = face.handle.routes().await?;
    Ok(answer(&RoutesJson::of(&routes)))
}

pub(super) async fn one(State(face): State<Face>, Name(route): Name) -> Result<Response, Problem> {
    let route = face.handle.route(&route).await?;
    Ok(answer_route(&RouteJson::from(&route)))
}
