//! `/decisions`: the record. Newest first in pages, or all of it as JSON lines, oldest first; and whether it is whole.

use std::io;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};

use super::super::problem::Problem;
use super::super::{Face, stream};
use super::answer;
use super::input::{self, Name};
use super::json::{DecisionJson, DecisionsJson};
use super::record_json::{CheckedJson, EvidenceJson, HeadJson};
use crate::control::command::Handle;
use crate::store::record::{Action, DecisionFilter, Head, Part, Recorded};

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_ACCEPTED: &str = "a number from 1 to 1000";
const TIME_ACCEPTED: &str = "a time such as 2026-01-31T09:00:00Z, or milliseconds since 1970-01-01T00:00:00Z";
/// Decisions in one part of an export.
const LINES_MAX: u32 = 200;
const JSON_LINES: &str = "application/jsonl";

/// What was asked for.
struct Asked {
    filter: DecisionFilter,
    as_lines: bool,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(face): State<Face>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Asked { filter, as_lines, limit } = asked(&uri, &headers)?;
    if as_lines {
        return Ok(lines(face.handle, filter, limit));
    }
    let filter = DecisionFilter { limit: limit.unwrap_or(LIMIT_DEFAULT), ..filter };
    let limit = filter.limit as usize;
    let found = face.handle.decisions(filter).await?;
    let last = found.last().map(|last| last.decision.id.to_string());
    let next = last.filter(|_| found.len() >= limit);
    Ok(answer(&DecisionsJson { decisions: found.iter().map(DecisionJson::from).collect(), next }))
}

fn asked(uri: &Uri, headers: &HeaderMap) -> Result<Asked, Problem> {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut asked = Asked {
        filter: DecisionFilter::default(),
        as_lines: accepts.flat_map(|list| list.split(',')).any(|one| one.trim().starts_with(JSON_LINES)),
        limit: None,
    };
    let filter = &mut asked.filter;
    for (key, value) in input::query(uri)? {
        let refused = |accepted: &str| Problem::bad_value(&key, &format!("{value:?}"), accepted);
        match key.as_str() {
            "route" => filter.route = Some(value.into()),
            "action" => filter.action = Some(Action::from_label(&value).ok_or_else(|| refused(&actions()))?),
            "since" => filter.since_ms = Some(time_ms(&value).ok_or_else(|| refused(TIME_ACCEPTED))?),
            "until" => filter.until_ms = Some(time_ms(&value).ok_or_else(|| refused(TIME_ACCEPTED))?),
            "before" => filter.part = Part::OlderThan(value.into()),
            "limit" => {
                let limit =
                    value.parse().ok().filter(|limit| (1..=DecisionFilter::LIMIT_MAX).contains(limit));
                asked.limit = Some(limit.ok_or_else(|| refused(LIMIT_ACCEPTED))?);
            }
            "format" if matches!(value.as_str(), "json" | "jsonl") => asked.as_lines = value == "jsonl",
            "format" => return Err(refused("json or jsonl")),
            _ => {
                return Err(input::unknown_parameter(
                    &key,
                    "route, action, since, until, limit, before, format",
                ));
            }
        }
    }
    Ok(asked)
}

fn actions() -> String {
    format!("one of {}", Action::ALL.map(Action::label).join(", "))
}

fn time_ms(text: &str) -> Option<i64> {
    let time = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    text.parse().ok().or_else(time)
}

/// Oldest first, a line each. With a limit, the oldest so many.
fn lines(handle: Handle, filter: DecisionFilter, limit: Option<u32>) -> Response {
    // "Older than" is for pages that go back; this one goes on from the beginning.
    let first = DecisionFilter { part: Part::After(0), ..filter };
    let body = stream::body(Some((first, limit)), move |state| part(handle.clone(), state));
    ([(header::CONTENT_TYPE, HeaderValue::from_static(JSON_LINES))], body).into_response()
}

/// The next lines, and where to go on.
async fn part(
    handle: Handle,
    state: Option<(DecisionFilter, Option<u32>)>,
) -> stream::Next<Option<(DecisionFilter, Option<u32>)>> {
    let Some((filter, left)) = state else { return Ok(None) };
    let limit = left.map_or(LINES_MAX, |left| left.min(LINES_MAX));
    let asked = DecisionFilter { limit, ..filter.clone() };
    let found = handle.decisions(asked).await.map_err(|refusal| io::Error::other(format!("{refusal:?}")))?;
    let Some(last) = found.last() else { return Ok(None) };
    let count = u32::try_from(found.len()).unwrap_or(limit);
    let left = left.map(|left| left.saturating_sub(count));
    let next = DecisionFilter { part: Part::After(last.seq), ..filter };
    let more = (count >= limit && left != Some(0)).then_some((next, left));
    let mut text = Vec::new();
    for one in &found {
        serde_json::to_writer(&mut text, &DecisionJson::from(one)).map_err(io::Error::other)?;
        text.push(b'\n');
    }
    Ok(Some((Bytes::from(text), more)))
}

pub(super) async fn one(State(face): State<Face>, Name(id): Name) -> Result<Response, Problem> {
    Ok(answer(&DecisionJson::from(&find(&face, &id).await?)))
}

/// With the ticks before it, judged again.
pub(super) async fn evidence(State(face): State<Face>, Name(id): Name) -> Result<Response, Problem> {
    let found = find(&face, &id).await?;
    let explanation = face.handle.explain(found.decision.clone()).await?;
    Ok(answer(&EvidenceJson::of(&found, explanation)))
}

async fn find(face: &Face, id: &Arc<str>) -> Result<Recorded, Problem> {
    let only = DecisionFilter { part: Part::Only(Arc::clone(id)), limit: 1, ..DecisionFilter::default() };
    let found = face.handle.decisions(only).await?.into_iter().next();
    found.ok_or_else(|| Problem::unknown_decision(id))
}

pub(super) async fn head(State(face): State<Face>) -> Result<Response, Problem> {
    Ok(answer(&HeadJson::from(&face.handle.record_head().await?)))
}

/// `?head=42:9f…`: a row that must be there as it is.
pub(super) async fn verify(State(face): State<Face>, uri: Uri) -> Result<Response, Problem> {
    let mut wanted = None;
    for (key, value) in input::query(&uri)? {
        match key.as_str() {
            "head" => {
                let head = Head::parse(&value);
                let refused = || Problem::bad_value("head", &format!("{value:?}"), Head::ACCEPTED);
                wanted = Some(head.ok_or_else(refused)?);
            }
            _ => return Err(input::unknown_parameter(&key, "head")),
        }
    }
    Ok(answer(&CheckedJson::from(&face.handle.check_record(wanted).await?)))
}
