//! `/cord` and `/routes/{route}/cord`: stop the line, let it go on.

use axum::extract::{Request, State};
use axum::response::Response;

use super::super::Face;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::input::{self, Name, Signed};
use super::json::{RouteJson, RoutesJson};
use super::{answer, answer_route};
use crate::control::command::{PullCord, ResetCord};

pub(super) async fn pull(
    State(face): State<Face>,
    Name(route): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (by, why) = input::body::<Signed>(request).await?.checked(&caller)?;
    let pulled = face.handle.pull_cord(PullCord { route: Some(route.clone()), by, why }).await?;
    match pulled.iter().find(|view| view.name == route) {
        Some(view) => Ok(answer_route(&RouteJson::from(view))),
        // Pulled all the same; the route's state is one question away.
        None => Ok(answer_route(&RouteJson::from(&face.handle.route(&route).await?))),
    }
}

pub(super) async fn pull_all(
    State(face): State<Face>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (by, why) = input::body::<Signed>(request).await?.checked(&caller)?;
    let pulled = face.handle.pull_cord(PullCord { route: None, by, why }).await?;
    Ok(answer(&RoutesJson::of(&pulled)))
}

/// Many clients cannot send a body with DELETE, so the reason may stand in the query instead.
pub(super) async fn reset(
    State(face): State<Face>,
    Name(route): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let in_query = Signed::from_query(request.uri())?;
    let signed = input::body_if_any::<Signed>(request).await?.unwrap_or(in_query);
    let (by, why) = signed.checked(&caller)?;
    let reset = face.handle.reset_cord(ResetCord { route, by, why }).await?;
    Ok(answer_route(&RouteJson::from(&reset)))
}
