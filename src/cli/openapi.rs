//! `andon openapi`: the admin API, for programs that make clients and tests of it.

use super::{Exit, Failure, output};
use crate::admin::openapi;

pub(super) fn run() -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(&openapi::document()).unwrap_or_default();
    output::print(&format!("{text}\n"))?;
    Ok(Exit::Ok)
}
