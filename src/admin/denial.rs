//! Refusals of those who may not, in words that say what would do.

use std::time::Duration;

use axum::http::StatusCode;

use super::caller::Caller;
use super::problem::{Problem, excerpt};
use crate::config::Role;

const SHOW_A_TOKEN: &str = "send Authorization: Bearer TOKEN";

/// The request says nothing of who asks, or of a login that is over.
pub(super) fn nobody() -> Problem {
    let detail = format!("this andon wants to know who asks: {SHOW_A_TOKEN}, or log in");
    Problem::new(StatusCode::UNAUTHORIZED, "who-asks", "Who asks?", detail)
}

pub(super) fn wrong_token() -> Problem {
    let detail = format!("nobody has this token; {SHOW_A_TOKEN} with one of [[admin.token]]");
    Problem::new(StatusCode::UNAUTHORIZED, "wrong-token", "A wrong token", detail)
}

pub(super) fn too_many_wrong_tokens(wait: Duration) -> Problem {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
    let detail = "this address has shown many wrong tokens, so their answers come late; a right one is answered at once";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "wrong-token", "Too many wrong tokens", detail.to_owned())
        .retry_after(seconds)
}

pub(super) fn unknown_certificate(names: &[String]) -> Problem {
    let shown = excerpt(&names.join(", "));
    let detail = format!("no [[admin.client]] has a name of this certificate ({shown}); {SHOW_A_TOKEN}");
    Problem::new(StatusCode::UNAUTHORIZED, "who-asks", "Who asks?", detail)
}

pub(super) fn wrong_role(caller: &Caller, needed: Role) -> Problem {
    let detail = format!("this takes the role {needed}, and {:?} has the role {}", caller.name, caller.role);
    Problem::new(StatusCode::FORBIDDEN, "role", "Another role is needed", detail)
        .with("needed", needed.label())
        .with("role", caller.role.label())
        .with("name", &*caller.name)
}

pub(super) fn nothing_to_log_in_to() -> Problem {
    let detail = "the configuration has no [[admin.token]], so there is nothing to log in with";
    Problem::new(StatusCode::CONFLICT, "no-tokens", "There are no tokens", detail.to_owned())
}
