//! `/config/reload`: read the file again, and say what came of it.

use axum::extract::State;
use axum::response::Response;

use super::super::Face;
use super::super::problem::Problem;
use super::answer;
use super::json::ReloadJson;

/// Answers when it is done. A file with problems changes nothing and is answered 400 with all of them.
pub(super) async fn reload(State(face): State<Face>) -> Result<Response, Problem> {
    let report = face.handle.reload().await?;
    Ok(answer(&ReloadJson::from(report)))
}
