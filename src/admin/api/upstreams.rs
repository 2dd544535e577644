//! `/upstreams`: the endpoints of every upstream, which of them are used, and others in their place.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::Face;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::answer;
use super::input::{self, Fields, Name, Signed, quoted};
use super::json::timestamp;
use super::precondition::IfMatch;
use crate::config::{Color, Endpoints, Problems};
use crate::control::command::SetUpstream;
use crate::control::view::{EndpointView, UpstreamView};

const ENDPOINTS_ACCEPTED: &str = "a list of IP:port or dns://name:port, such as [\"127.0.0.1:9001\"]";

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamsJson {
    pub upstreams: Vec<UpstreamJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamJson {
    pub name: String,
    /// Of what is set, not of how the endpoints are.
    pub revision: u64,
    /// `file` or `live`: whose endpoints are in force.
    pub source: String,
    /// In the words of the file: what is in force, and what the file says.
    pub set: Vec<String>,
    pub file: Vec<String>,
    /// Who set them at run time; `null`: nobody.
    pub announced: Option<AnnouncedJson>,
    /// Fixed ones and those that its names stand for just now.
    pub endpoints: Vec<EndpointJson>,
    /// Since the process started.
    pub ejections: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AnnouncedJson {
    pub by: String,
    pub why: String,
    pub at: Option<String>,
    pub at_ms: i64,
    pub decision: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EndpointJson {
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

pub(super) async fn one(State(face): State<Face>, Name(name): Name) -> Result<Response, Problem> {
    let upstreams = face.handle.upstreams().await?;
    match upstreams.iter().find(|upstream| upstream.name == name) {
        Some(upstream) => Ok(answer_upstream(upstream)),
        None => {
            let known: Vec<Arc<str>> = upstreams.iter().map(|upstream| Arc::clone(&upstream.name)).collect();
            Err(Problem::unknown_upstream(&name, &known))
        }
    }
}

/// In the place of the file's, until the file says something else.
pub(super) async fn set(
    State(face): State<Face>,
    Name(upstream): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let condition = IfMatch::read(request.headers())?;
    let mut fields = Fields::read(request, &["endpoints"]).await?;
    let endpoints = endpoints(&fields.take("endpoints"))?;
    let (by, why) = fields.signature(&caller)?;
    let if_revision = expected(&face, &upstream, condition).await?;
    let wanted = SetUpstream { upstream, endpoints: Some(endpoints), if_revision, by, why };
    Ok(answer_upstream(&face.handle.set_upstream(wanted).await?))
}

/// A list of them, as the file would have it.
pub(super) fn endpoints(found: &Value) -> Result<Endpoints, Problem> {
    let refused = || Problem::bad_value("endpoints", &quoted(found), ENDPOINTS_ACCEPTED);
    let list = found.as_array().ok_or_else(refused)?;
    let list: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
    Endpoints::parse("request", &list.ok_or_else(refused)?).map_err(|problems| {
        let count = problems.list.len() + problems.more;
        Problem::bad_endpoints(problems.drawn(Color::Plain), count)
    })
}

/// Those that were announced before.
pub(super) fn parsed(list: &[Arc<str>]) -> Result<Endpoints, Problems> {
    Endpoints::parse("request", &list.iter().map(|endpoint| &**endpoint).collect::<Vec<_>>())
}

/// The file's again.
pub(super) async fn reset(
    State(face): State<Face>,
    Name(upstream): Name,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let condition = IfMatch::read(request.headers())?;
    let in_query = Signed::from_query(request.uri())?;
    let signed = input::body_if_any::<Signed>(request).await?.unwrap_or(in_query);
    let (by, why) = signed.checked(&caller)?;
    let if_revision = expected(&face, &upstream, condition).await?;
    let wanted = SetUpstream { upstream, endpoints: None, if_revision, by, why };
    Ok(answer_upstream(&face.handle.set_upstream(wanted).await?))
}

/// The one revision that the controller shall insist on; see the same of a weight.
async fn expected(face: &Face, name: &str, condition: IfMatch) -> Result<Option<u64>, Problem> {
    let revisions = match condition {
        IfMatch::Any => return Ok(None),
        IfMatch::Revisions(revisions) => revisions,
    };
    if let [one] = revisions.as_slice() {
        return Ok(Some(*one));
    }
    let upstreams = face.handle.upstreams().await?;
    let Some(present) = upstreams.iter().find(|upstream| &*upstream.name == name) else { return Ok(None) };
    let matches = revisions.contains(&present.revision);
    if matches { Ok(Some(present.revision)) } else { Err(Problem::outdated_upstream(&present.into())) }
}

fn answer_upstream(view: &UpstreamView) -> Response {
    let upstream = UpstreamJson::from(view);
    let mut response = answer(&upstream);
    if let Ok(etag) = HeaderValue::try_from(upstream.etag()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

impl UpstreamJson {
    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", self.revision)
    }
}

impl From<&UpstreamView> for UpstreamJson {
    fn from(view: &UpstreamView) -> Self {
        let announced = view.announced.as_ref();
        let words = |list: &[Arc<str>]| list.iter().map(ToString::to_string).collect();
        Self {
            name: view.name.to_string(),
            revision: view.revision,
            source: if announced.is_some() { "live" } else { "file" }.to_owned(),
            set: words(announced.map_or(&view.file, |announced| &announced.live)),
            file: words(&view.file),
            announced: announced.map(|announced| AnnouncedJson {
                by: announced.by.to_string(),
                why: announced.why.to_string(),
                at: timestamp(announced.at_ms),
                at_ms: announced.at_ms,
                decision: announced.decision.to_string(),
            }),
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
