//! `/routes/{route}/releases`: start one, steer it, look at those before; and `/routes/{route}/rollback`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use super::super::Face;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::forecast::WITHIN_DEFAULT;
use super::input::{self, Fields, Name, Signed};
use super::json::{ForecastJson, ReleaseJson, ReleasesJson, RouteJson};
use super::precondition::IfMatch;
use super::weight::expected;
use super::{answer, answer_route, upstreams};
use crate::config::Weight;
use crate::control::command::{Refusal, RollBack, SetUpstream, StartRelease, SteerRelease, Steering};
use crate::control::forecasts::{AskForecast, What};
use crate::control::view::RouteView;

/// A release has started by then; nobody waits longer to hear what it may miss.
const BLIND_SPOTS_WAIT_MAX: Duration = Duration::from_millis(1_500);

/// Answered 201 with the release, and what people should know before they rely on it.
pub(super) async fn start(
    State(face): State<Face>,
    Name(route): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let condition = IfMatch::read(request.headers())?;
    let mut fields = Fields::read(request, &["plan", "upstream", "endpoints", "canary"]).await?;
    let accepted = "the name of a plan of the file";
    let plan = fields.name("plan", accepted)?;
    let plan = plan.ok_or_else(|| Problem::bad_value("plan", "missing", accepted))?;
    let upstream = fields.name("upstream", "the name of an upstream of the file")?;
    let (endpoints, name) = (fields.take("endpoints"), fields.canary()?);
    let (by, why) = fields.signature(&caller)?;
    let if_revision = expected(&face, &route, condition).await?;
    let request = StartRelease { route, plan, name, upstream, if_revision, by, why };
    let moved = match endpoints {
        Value::Null => None,
        endpoints => Some(move_in(&face, &request, &endpoints).await?),
    };
    let started = match face.handle.start_release(request).await {
        Ok(started) => RouteJson::from(&started),
        Err(refusal) => {
            if let Some(before) = moved {
                // What refused the start is what has to be told.
                let _ = face.handle.set_upstream(before).await;
            }
            return Err(refusal.into());
        }
    };
    let release = started.release.as_ref().ok_or(Refusal::Gone)?;
    let warnings = blind_spots(&face, &started.name, release).await;
    let mut response = answer(&ReleaseJson { warnings, ..release.clone() });
    *response.status_mut() = StatusCode::CREATED;
    let location = format!("/api/v1/routes/{}/releases/{}", started.name, release.id);
    for (name, value) in [(header::LOCATION, location), (header::ETAG, started.etag())] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Gives the upstream that is to play the canary these endpoints; what would undo that. Nobody may be on it yet: who moves the
/// endpoints under users needs another role, and another place.
async fn move_in(face: &Face, start: &StartRelease, endpoints: &Value) -> Result<SetUpstream, Problem> {
    let endpoints = upstreams::endpoints(endpoints)?;
    let upstream = match &start.upstream {
        Some(upstream) => Arc::clone(upstream),
        None => canary_upstream(&face.handle.route(&start.route).await?, start.name.as_deref())?,
    };
    let routes = face.handle.routes().await?;
    let serves = routes.iter().find(|route| {
        let stable = route.stable.iter().any(|stable| stable.upstream == upstream);
        let mut canaries = route.canaries.iter().filter(|canary| canary.upstream == upstream);
        stable || canaries.any(|canary| !canary.effective.is_zero())
    });
    if let Some(route) = serves {
        let because = format!(
            "upstream \"{upstream}\" serves users of route \"{}\"; its endpoints are set by andon upstream set",
            route.name
        );
        return Err(Refusal::ReleaseConflict { route: Arc::clone(&start.route), because }.into());
    }
    let known = face.handle.upstreams().await?;
    let before = known.iter().find(|view| view.name == upstream).and_then(|view| view.announced.as_ref());
    let before = before.and_then(|announced| upstreams::parsed(&announced.live).ok());
    let (by, why) = (Arc::clone(&start.by), Arc::clone(&start.why));
    let wanted = SetUpstream { upstream, endpoints: Some(endpoints), if_revision: None, by, why };
    face.handle.set_upstream(wanted.clone()).await?;
    Ok(SetUpstream { endpoints: before, ..wanted })
}

fn canary_upstream(route: &RouteView, name: Option<&str>) -> Result<Arc<str>, Problem> {
    let found = match (name, route.canaries.as_slice()) {
        (None, [lone]) => Some(lone),
        (name, all) => all.iter().find(|canary| Some(&*canary.name) == name),
    };
    found.map(|canary| Arc::clone(&canary.upstream)).ok_or_else(|| {
        let known = route.canaries.iter().map(|canary| Arc::clone(&canary.name)).collect();
        let (route, asked) = (Arc::clone(&route.name), name.map(Arc::from));
        Refusal::WhichCanary { route, asked, known }.into()
    })
}

/// Whether a canary that fails grossly would go unseen at a step, for the first such step. Told only if it can be told soon.
async fn blind_spots(face: &Face, route: &str, release: &ReleaseJson) -> Vec<String> {
    let what = What { worse: None, within: WITHIN_DEFAULT, blind_spot_only: true };
    let weights = release.steps.iter().filter_map(|step| Weight::from_ppm(step.to_ppm));
    let find = async {
        for weight in weights.filter(|weight| !weight.is_zero() && *weight < Weight::WHOLE) {
            let (route, canary) = (route.into(), Some(release.canary.as_str().into()));
            let asked = face.handle.forecast(AskForecast { route, canary, weight: Some(weight), what }).await;
            let Ok(view) = asked else { return None };
            if let Some(found) = ForecastJson::from(&view).blind_spot_sentence() {
                return Some(found);
            }
        }
        None
    };
    tokio::time::timeout(BLIND_SPOTS_WAIT_MAX, find).await.ok().flatten().into_iter().collect()
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
