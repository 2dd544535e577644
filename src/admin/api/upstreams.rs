//! `/upstreams`: the endpoints of every upstream, and which of them are used.

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Face;
use super::super::problem::Problem;
use super::answer;
use crate::control::view::{EndpointView, UpstreamView};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UpstreamsJson {
    pub upstreams: Vec<UpstreamJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UpstreamJson {
    pub name: String,
    /// Fixed ones and those that its names stand for just now.
    pub endpoints: Vec<EndpointJson>,
    /// Since the process started.
    pub ejections: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct EndpointJson {
    pub address: String,
    pub used: bool,
    /// What its checks say; `null`: nothing, or not yet.
    pub healthy: Option<bool>,
    /// Left out because it failed requests.
    pub ejected: bool,
}

pub(super) async fn list(State(face): State<Face>) -> Result<Response, Problem> {
    let upstreams = face.handle.upstreams().await?;
    Ok(answer(&UpstreamsJson { upstreams: upstreams.iter().map(UpstreamJson::from).collect() }))
}

impl From<&UpstreamView> for UpstreamJson {
    fn from(view: &UpstreamView) -> Self {
        Self {
            name: view.name.to_string(),
            endpoints: view.endpoints.iter().map(EndpointJson::from).collect(),
            ejections: view.ejections,
        }
    }
}

impl From<&EndpointView> for EndpointJson {
    fn from(view: &EndpointView) -> Self {
        let EndpointView { address, used, healthy, ejected } = *view;
        Self { address: address.to_string(), used, healthy, ejected }
    }
}
