//! `/routes/{route}/weight`: the aim of a canary.

use axum::extract::{Request, State};
use axum::response::Response;

use super::super::Face;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::answer_route;
use super::input::{Fields, Name, quoted};
use super::json::RouteJson;
use super::precondition::IfMatch;
use crate::config::Weight;
use crate::config::units::WEIGHT_ACCEPTED;
use crate::control::command::SetWeight;

pub(super) async fn set(
    State(face): State<Face>,
    Name(route): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let condition = IfMatch::read(request.headers())?;
    let mut fields = Fields::read(request, &["weight", "canary"]).await?;
    let weight = fields.take("weight");
    let weight = weight
        .as_str()
        .and_then(Weight::parse)
        .ok_or_else(|| Problem::bad_value("weight", &quoted(&weight), WEIGHT_ACCEPTED))?;
    let canary = fields.canary()?;
    let (by, why) = fields.signature(&caller)?;
    let if_revision = expected(&face, &route, condition).await?;
    let changed = face.handle.set_weight(SetWeight { route, canary, weight, if_revision, by, why }).await?;
    Ok(answer_route(&RouteJson::from(&changed)))
}

/// The one revision that the controller shall insist on. It compares at the moment of the change, so it does not
/// matter that the route can change after we looked which of several revisions is the present one.
pub(super) async fn expected(face: &Face, route: &str, condition: IfMatch) -> Result<Option<u64>, Problem> {
    match condition {
        IfMatch::Any => Ok(None),
        IfMatch::Revisions(revisions) if revisions.len() == 1 => Ok(Some(revisions[0])),
        IfMatch::Revisions(revisions) => {
            let present = RouteJson::from(&face.handle.route(route).await?);
            let matches = revisions.contains(&present.revision);
            if matches { Ok(Some(present.revision)) } else { Err(Problem::outdated(&present)) }
        }
    }
}
