//! `/routes/{route}/weight`: the aim of a canary.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::super::Face;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::answer_route;
use super::input::{self, Name, quoted};
use super::json::RouteJson;
use super::precondition::IfMatch;
use crate::config::Weight;
use crate::config::units::WEIGHT_ACCEPTED;
use crate::control::command::SetWeight;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with weight, canary, why and by")]
struct WeightBody {
    #[serde(default)]
    weight: Value,
    #[serde(default)]
    canary: Option<Value>,
    #[serde(default)]
    why: Option<Value>,
    #[serde(default)]
    by: Option<Value>,
}

pub(super) async fn set(
    State(face): State<Face>,
    Name(route): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let condition = IfMatch::read(request.headers())?;
    let body: WeightBody = input::body(request).await?;
    let weight = body
        .weight
        .as_str()
        .and_then(Weight::parse)
        .ok_or_else(|| Problem::bad_value("weight", &quoted(&body.weight), WEIGHT_ACCEPTED))?;
    let canary = canary(body.canary)?;
    let (by, why) = input::signature(&caller, body.why, body.by)?;
    let if_revision = expected(&face, &route, condition).await?;
    let changed = face.handle.set_weight(SetWeight { route, canary, weight, if_revision, by, why }).await?;
    Ok(answer_route(&RouteJson::from(&changed)))
}

pub(super) fn canary(found: Option<Value>) -> Result<Option<Arc<str>>, Problem> {
    match found {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.into())),
        Some(other) => {
            Err(Problem::bad_value("canary", &quoted(&other), "the name of a canary, such as \"canary\""))
        }
    }
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
