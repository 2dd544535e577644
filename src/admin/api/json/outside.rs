//! An outside signal, as it stands now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finite;
use crate::control::view::OutsideView;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OutsideJson {
    pub name: String,
    /// `false`: it only watches.
    pub acts: bool,
    /// `undecided`, `good`, `bad` (not often enough yet) or `failing`.
    pub state: String,
    /// In words; empty while nothing is asked.
    pub wanted: String,
    /// The query, or where the number comes from.
    pub asked: Option<String>,
    pub value: Option<f64>,
    pub stable: Option<f64>,
    pub age_seconds: Option<f64>,
    /// Bad readings one after another, and how many make it fail.
    pub bad: u32,
    pub failures: u32,
    /// Why it is undecided.
    pub missing: Option<String>,
}

impl From<&OutsideView> for OutsideJson {
    fn from(view: &OutsideView) -> Self {
        Self {
            name: view.name.to_string(),
            acts: view.acts,
            state: view.state.to_owned(),
            wanted: view.wanted.clone(),
            asked: view.asked.as_ref().map(ToString::to_string),
            value: view.value.and_then(finite),
            stable: view.stable.and_then(finite),
            age_seconds: view.age_seconds.and_then(finite),
            bad: view.bad,
            failures: view.failures,
            missing: view.missing.as_ref().map(ToString::to_string),
        }
    }
}
