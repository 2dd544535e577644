//! What came of a test of a receiver.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::control::command::Told;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ToldJson {
    pub delivered: bool,
    /// What it answered, or why it did not.
    pub says: String,
    pub seconds: f64,
}

impl From<Told> for ToldJson {
    fn from(told: Told) -> Self {
        Self { delivered: told.delivered, says: told.says, seconds: told.took.as_secs_f64() }
    }
}
