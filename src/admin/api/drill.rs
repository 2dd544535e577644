//! `/routes/{route}/drill`: a canary that fails on purpose.

use std::time::Duration;

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
use super::weight::canary;
use crate::config::Weight;
use crate::config::units::parse_duration;
use crate::control::command::StartDrill;

const SHARE_ACCEPTED: &str = "a share above \"0%\" and up to \"100%\", such as \"10%\"";
const SPAN_ACCEPTED: &str = "a duration from \"1s\" to \"5m\", such as \"30s\"";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with share, for, canary, why and by")]
struct DrillBody {
    #[serde(default)]
    share: Value,
    #[serde(default, rename = "for")]
    span: Value,
    #[serde(default)]
    canary: Option<Value>,
    #[serde(default)]
    why: Option<Value>,
    #[serde(default)]
    by: Option<Value>,
}

pub(super) async fn start(
    State(face): State<Face>,
    Name(route): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let body: DrillBody = input::body(request).await?;
    let share = body.share.as_str().and_then(Weight::parse).filter(|share| !share.is_zero());
    let share = share.ok_or_else(|| Problem::bad_value("share", &quoted(&body.share), SHARE_ACCEPTED))?;
    let span = body.span.as_str().and_then(parse_duration).filter(is_accepted);
    let span = span.ok_or_else(|| Problem::bad_value("for", &quoted(&body.span), SPAN_ACCEPTED))?;
    let canary = canary(body.canary)?;
    let (by, why) = input::signature(&caller, body.why, body.by)?;
    let started = face.handle.drill(StartDrill { route, canary, share, span, by, why }).await?;
    Ok(answer_route(&RouteJson::from(&started)))
}

pub(super) async fn end(State(face): State<Face>, Name(route): Name) -> Result<Response, Problem> {
    let ended = face.handle.end_drill(route).await?;
    Ok(answer_route(&RouteJson::from(&ended)))
}

fn is_accepted(span: &Duration) -> bool {
    (StartDrill::SPAN_MIN..=StartDrill::SPAN_MAX).contains(span)
}
