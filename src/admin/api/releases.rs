//! `/routes/{route}/releases`: start one, steer it, look at those before; and `/routes/{route}/rollback`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::super::Face;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::input::{self, Name, Signed, quoted};
use super::json::{ReleaseJson, ReleasesJson, RouteJson};
use super::precondition::IfMatch;
use super::weight::{canary, expected};
use super::{answer, answer_route};
use crate::control::command::{Refusal, RollBack, StartRelease, SteerRelease, Steering};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with plan, upstream, canary, why and by")]
struct StartBody {
    #[serde(default)]
    plan: Value,
    /// That plays the canary from now on.
    #[serde(default)]
    upstream: Option<Value>,
    #[serde(default)]
    canary: Option<Value>,
    #[serde(default)]
    why: Option<Value>,
    #[serde(default)]
    by: Option<Value>,
}

/// Answered 201 with the release.
pub(super) async fn start(
    State(face): State<Face>,
    Name(route): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let condition = IfMatch::read(request.headers())?;
    let StartBody { plan, upstream, canary: name, why, by } = input::body(request).await?;
    let plan: Arc<str> = plan
        .as_str()
        .ok_or_else(|| Problem::bad_value("plan", &quoted(&plan), "the name of a plan of the file"))?
        .into();
    let upstream = match upstream {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.into()),
        Some(other) => {
            return Err(Problem::bad_value(
                "upstream",
                &quoted(&other),
                "the name of an upstream of the file",
            ));
        }
    };
    let name = canary(name)?;
    let (by, why) = input::signature(&caller, why, by)?;
    let if_revision = expected(&face, &route, condition).await?;
    let request = StartRelease { route, plan, name, upstream, if_revision, by, why };
    let started = RouteJson::from(&face.handle.start_release(request).await?);
    let release = started.release.as_ref().ok_or(Refusal::Gone)?;
    let mut response = answer(release);
    *response.status_mut() = StatusCode::CREATED;
    let location = format!("/api/v1/routes/{}/releases/{}", started.name, release.id);
    for (name, value) in [(header::LOCATION, location), (header::ETAG, started.etag())] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

pub(super) async fn list(State(face): State<Face>, Name(route): Name) -> Result<Response, Problem> {
    Ok(answer(&ReleasesJson { releases: all(&face, &route).await? }))
}

pub(super) async fn one(
    State(face): State<Face>,
    Path((route, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let route = Arc::from(route);
    let found = all(&face, &route).await?.into_iter().find(|release| release.id == id);
    match found {
        Some(release) => Ok(answer(&release)),
        None => Err(Refusal::UnknownRelease { route, id: Some(id.into()) }.into()),
    }
}

async fn all(face: &Face, route: &Arc<str>) -> Result<Vec<ReleaseJson>, Problem> {
    let views = face.handle.releases(Arc::clone(route)).await?;
    Ok(views.iter().map(ReleaseJson::from).collect())
}

/// Answered with the route. `current` in place of an id is the one under way.
pub(super) async fn steer(
    State(face): State<Face>,
    Path((route, id, verb)): Path<(String, String, String)>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let verbs = [
        ("hold", Steering::Hold),
        ("resume", Steering::Resume),
        ("approve", Steering::Approve),
        ("promote", Steering::Promote),
        ("abort", Steering::Abort),
    ];
    let steering = verbs.iter().find(|(name, _)| *name == verb).map(|(_, steering)| *steering);
    let steering = steering.ok_or_else(|| {
        Problem::not_found("a release takes hold, resume, approve, promote and abort".to_owned())
    })?;
    let condition = IfMatch::read(request.headers())?;
    let (by, why) = input::body::<Signed>(request).await?.checked(&caller)?;
    let route: Arc<str> = route.into();
    let if_revision = expected(&face, &route, condition).await?;
    let id = (id != "current").then(|| id.into());
    let request = SteerRelease { route, id, steering, if_revision, by, why };
    Ok(answer_route(&RouteJson::from(&face.handle.steer_release(request).await?)))
}

pub(super) async fn roll_back(
    State(face): State<Face>,
    Name(route): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let condition = IfMatch::read(request.headers())?;
    let (by, why) = input::body::<Signed>(request).await?.checked(&caller)?;
    let if_revision = expected(&face, &route, condition).await?;
    let request = RollBack { route, if_revision, by, why };
    Ok(answer_route(&RouteJson::from(&face.handle.roll_back(request).await?)))
}
