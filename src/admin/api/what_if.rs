//! `/what-if`: the record, judged by other numbers.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::super::Face;
use super::super::problem::Problem;
use super::answer;
use super::input::{self, quoted};
use super::record_json::WhatIfJson;
use crate::config::{self, Color};
use crate::control::what_if::WhatIf;

const GUARD_ACCEPTED: &str = "TOML with keys of [route.guard], as text";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with guard, route and since_ms")]
struct WhatIfBody {
    #[serde(default)]
    guard: Value,
    #[serde(default)]
    route: Option<Value>,
    #[serde(default)]
    since_ms: Option<Value>,
    /// What the text is called in messages.
    #[serde(default)]
    file: Option<String>,
}

pub(super) async fn ask(State(face): State<Face>, request: Request) -> Result<Response, Problem> {
    let body: WhatIfBody = input::body(request).await?;
    let text = body.guard.as_str();
    let text = text.ok_or_else(|| Problem::bad_value("guard", &quoted(&body.guard), GUARD_ACCEPTED))?;
    let judge = config::parse_judge(body.file.as_deref().unwrap_or("guard"), text).map_err(|problems| {
        let count = problems.list.len() + problems.more;
        Problem::bad_guard(problems.drawn(Color::Plain), count)
    })?;
    let route = match body.route {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.into()),
        Some(other) => return Err(Problem::bad_value("route", &quoted(&other), "the name of a route")),
    };
    let since_ms = match body.since_ms {
        None | Some(Value::Null) => i64::MIN,
        Some(found) => found.as_i64().ok_or_else(|| {
            Problem::bad_value("since_ms", &quoted(&found), "milliseconds since 1970-01-01T00:00:00Z")
        })?,
    };
    let report = face.handle.what_if(WhatIf { judge, route, since_ms }).await?;
    Ok(answer(&WhatIfJson::from(&report)))
}
