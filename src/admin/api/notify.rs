//! `/notify/{name}/test`: a message about nothing, to see whether it arrives.

use axum::extract::State;
use axum::response::Response;

use super::super::Face;
use super::super::problem::Problem;
use super::answer;
use super::input::Name;
use super::json::ToldJson;

/// Answered 200 whatever the receiver said: that is what was asked.
pub(super) async fn test(State(face): State<Face>, Name(name): Name) -> Result<Response, Problem> {
    let told = face.handle.test_notify(name).await?;
    Ok(answer(&ToldJson::from(told)))
}
