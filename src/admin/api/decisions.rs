//! `/decisions`: the record, newest first.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use super::super::Face;
use super::super::problem::Problem;
use super::answer;
use super::input::{self, Name};
use super::json::{DecisionJson, DecisionsJson};
use super::record_json::EvidenceJson;
use crate::store::record::{Decision, DecisionFilter};

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_ACCEPTED: &str = "a number from 1 to 1000";
/// How far back one decision is looked for: 100 000 decisions.
const PAGES_MAX: usize = 100;

pub(super) async fn list(State(face): State<Face>, uri: Uri) -> Result<Response, Problem> {
    let filter = filter(&uri)?;
    let limit = filter.limit as usize;
    let decisions = face.handle.decisions(filter).await?;
    let next = if decisions.len() < limit { None } else { decisions.last().map(|last| last.id.to_string()) };
    Ok(answer(&DecisionsJson { decisions: decisions.iter().map(DecisionJson::from).collect(), next }))
}

fn filter(uri: &Uri) -> Result<DecisionFilter, Problem> {
    let mut filter = DecisionFilter { route: None, before: None, limit: LIMIT_DEFAULT };
    for (key, value) in input::query(uri)? {
        match key.as_str() {
            "route" => filter.route = Some(value.into()),
            "before" => filter.before = Some(value.into()),
            "limit" => {
                filter.limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=DecisionFilter::LIMIT_MAX).contains(limit))
                    .ok_or_else(|| Problem::bad_value("limit", &format!("{value:?}"), LIMIT_ACCEPTED))?;
            }
            _ => return Err(input::unknown_parameter(&key, "route, limit, before")),
        }
    }
    Ok(filter)
}

pub(super) async fn one(State(face): State<Face>, Name(id): Name) -> Result<Response, Problem> {
    Ok(answer(&DecisionJson::from(&find(&face, &id).await?)))
}

/// With the ticks before it, judged again.
pub(super) async fn evidence(State(face): State<Face>, Name(id): Name) -> Result<Response, Problem> {
    let decision = find(&face, &id).await?;
    let explanation = face.handle.explain(decision.clone()).await?;
    Ok(answer(&EvidenceJson::of(&decision, explanation)))
}

/// Pages back until the ids, which sort by time, are older than the one wanted.
async fn find(face: &Face, id: &Arc<str>) -> Result<Decision, Problem> {
    let mut before = None;
    for _ in 0..PAGES_MAX {
        let filter = DecisionFilter { route: None, before, limit: DecisionFilter::LIMIT_MAX };
        let page = face.handle.decisions(filter).await?;
        if let Some(found) = page.iter().find(|decision| decision.id == *id) {
            return Ok(found.clone());
        }
        match page.last() {
            Some(last) if *last.id > **id => before = Some(Arc::clone(&last.id)),
            _ => break,
        }
    }
    Err(Problem::unknown_decision(id))
}
