//! `/config`: what was loaded last. `/config/reload`: read the file again, and say what came of it.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::super::Face;
use super::super::problem::Problem;
use super::json::{ReloadJson, timestamp};
use super::{answer, input};

const TOML: &str = "application/toml";

#[derive(Serialize, JsonSchema)]
pub(crate) struct ConfigJson {
    path: Option<String>,
    /// Of the file's bytes; `null`: it came from no file.
    sha256: Option<String>,
    generation: u64,
    loaded_at: Option<String>,
    loaded_at_ms: i64,
    /// False: the file was read again since, and refused.
    last_reload_successful: bool,
    /// As the file says, with its own keys. What may be secret is left out.
    config: Value,
}

pub(super) async fn show(
    State(face): State<Face>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut as_toml = accepts.flat_map(|list| list.split(',')).any(|one| one.trim().starts_with(TOML));
    for (key, value) in input::query(&uri)? {
        match (key.as_str(), value.as_str()) {
            ("format", "toml" | "json") => as_toml = value == "toml",
            ("format", _) => return Err(Problem::bad_value("format", &format!("{value:?}"), "toml or json")),
            _ => return Err(input::unknown_parameter(&key, "format")),
        }
    }
    let view = face.handle.config().await?;
    let source = view.source.clone();
    // A large file takes a while, and the control thread has something else to do.
    let read = tokio::task::spawn_blocking(move || {
        let text = source.redacted();
        let value = if as_toml { Value::Null } else { toml::from_str(&text).unwrap_or_default() };
        (text, value)
    });
    let (text, config) = read.await.unwrap_or_default();
    if as_toml {
        return Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(TOML))], text).into_response());
    }
    let sha256 = view.source.sha256();
    Ok(answer(&ConfigJson {
        path: view.path.map(|path| path.display().to_string()),
        sha256: (!sha256.is_empty()).then(|| sha256.to_string()),
        generation: view.generation,
        loaded_at: timestamp(view.loaded_at_ms),
        loaded_at_ms: view.loaded_at_ms,
        last_reload_successful: view.reload_works,
        config,
    }))
}

/// Answers when it is done. A file with problems changes nothing and is answered 400 with all of them.
pub(super) async fn reload(State(face): State<Face>) -> Result<Response, Problem> {
    let report = face.handle.reload().await?;
    Ok(answer(&ReloadJson::from(report)))
}
