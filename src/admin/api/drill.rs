//! `/routes/{route}/drill`: a canary that fails on purpose.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;

use super::super::Face;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::answer_route;
use super::input::{Fields, Name, quoted};
use super::json::RouteJson;
use crate::config::Weight;
use crate::config::units::parse_duration;
use crate::control::command::StartDrill;

const SHARE_ACCEPTED: &str = "a share above \"0%\" and up to \"100%\", such as \"10%\"";
const SPAN_ACCEPTED: &str = "a duration from \"1s\" to \"5m\", such as \"30s\"";

pub(super) async fn start(
    State(face): State<Face>,
    Name(route): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let mut fields = Fields::read(request, &["share", "for", "canary"]).await?;
    let found = fields.take("share");
    let share = found.as_str().and_then(Weight::parse).filter(|share| !share.is_zero());
    let share = share.ok_or_else(|| Problem::bad_value("share", &quoted(&found), SHARE_ACCEPTED))?;
    let found = fields.take("for");
    let span = found.as_str().and_then(parse_duration).filter(is_accepted);
    let span = span.ok_or_else(|| Problem::bad_value("for", &quoted(&found), SPAN_ACCEPTED))?;
    let canary = fields.canary()?;
    let (by, why) = fields.signature(&caller)?;
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
