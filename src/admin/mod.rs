//! The HTTP face of [`crate::control`]: the API, the metrics and the health answers, on a loopback listener.
//!
//! | path | methods |
//! |---|---|
//! | `/api/v1/routes`, `/api/v1/routes/{route}` | GET |
//! | `/api/v1/routes/{route}/weight` | PUT |
//! | `/api/v1/routes/{route}/cord` | POST, DELETE |
//! | `/api/v1/routes/{route}/forecast` | GET |
//! | `/api/v1/routes/{route}/releases` | GET, POST |
//! | `/api/v1/routes/{route}/releases/{id}` | GET |
//! | `/api/v1/routes/{route}/releases/{id}/{hold,resume,approve,promote,abort}`, `/api/v1/routes/{route}/rollback` | POST |
//! | `/api/v1/cord` | POST |
//! | `/api/v1/upstreams` | GET |
//! | `/api/v1/upstreams/{upstream}` | GET, PUT, DELETE |
//! | `/api/v1/drift`, `/api/v1/config` | GET |
//! | `/api/v1/decisions`, `/api/v1/decisions/{id}`, `/api/v1/decisions/{id}/evidence` | GET |
//! | `/api/v1/decisions/head`, `/api/v1/decisions/verify` | GET |
//! | `/api/v1/what-if` | POST |
//! | `/api/v1/events` | GET |
//! | `/api/v1/config/reload` | POST |
//! | `/api/v1/openapi.json` | GET |
//! | `/metrics`, `/livez`, `/readyz`, `/` | GET |
//!
//! Every error is `application/problem+json`. It changes no state by itself: each change is a command to the
//! controller, and its answer is the controller's. It refuses what a web page could trick a browser into
//! ([`guard`]), and it has no answer 500: whatever comes in, something in here has a word for it.

mod api;
mod guard;
mod health;
pub mod openapi;
mod problem;
mod seats;
mod server;
mod stream;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

pub use api::{drift, json, record_json, upstreams};
pub use health::Phase;
use problem::Problem;

use crate::control::command::Handle;

/// A request that has no answer by then is answered 503.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What every handler may use.
#[derive(Clone, Debug)]
struct Face {
    handle: Handle,
    phase: watch::Receiver<Phase>,
    listen: SocketAddr,
    event_streams: Arc<Semaphore>,
}

/// Answers on `listener` until `shutdown` is done, then lets requests in flight finish for a moment.
///
/// `/readyz` follows `phase`, so keep serving while the data plane drains and end `shutdown` last.
pub async fn serve(
    listener: TcpListener,
    handle: Handle,
    phase: watch::Receiver<Phase>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listen = listener.local_addr()?;
    let event_streams = Arc::new(Semaphore::new(api::EVENT_STREAMS_MAX));
    server::run(listener, router(Face { handle, phase, listen, event_streams }), shutdown).await;
    Ok(())
}

fn router(face: Face) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(health::metrics))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .nest("/api/v1", api::router())
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(face.clone(), around))
        .with_state(face)
}

/// What is done to every request and every answer, in this one place.
async fn around(State(face): State<Face>, request: Request, next: Next) -> Response {
    let instance = request.uri().path().to_owned();
    let answer = match guard::check(&request, face.listen) {
        Err(problem) => problem.into_response(),
        Ok(()) => tokio::time::timeout(REQUEST_TIMEOUT, next.run(request))
            .await
            .unwrap_or_else(|_| Problem::slow(REQUEST_TIMEOUT).into_response()),
    };
    problem::finish(answer, &instance)
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {:?}; GET / lists what there is",
        problem::excerpt(uri.path())
    ))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let (method, path) = (problem::excerpt(method.as_str()), problem::excerpt(uri.path()));
    Problem::wrong_method(format!("{path} does not take {method}; the Allow header lists what it takes"))
}

const INDEX: &str = "andon: a reverse proxy with an immune system

GET    /api/v1/routes                     live state of every route
GET    /api/v1/routes/{route}             of one route; its ETag is the revision
PUT    /api/v1/routes/{route}/weight      {\"weight\": \"5%\", \"canary\": …, \"why\": …, \"by\": …}; If-Match is honoured
POST   /api/v1/routes/{route}/cord        {\"why\": …, \"by\": …}: every canary of the route gets 0%
DELETE /api/v1/routes/{route}/cord        {\"why\": …, \"by\": …} or ?why=…: they get their share again
GET    /api/v1/routes/{route}/forecast    ?weight=…&worse=…&within=1h&canary=…: how soon a bad canary would be seen
POST   /api/v1/routes/{route}/releases    {\"plan\": …, \"upstream\": …, \"canary\": …, \"why\": …, \"by\": …}: start a release
GET    /api/v1/routes/{route}/releases    and /{id}: the one under way and those before
POST   /api/v1/routes/{route}/releases/{id}/{verb}   hold, resume, approve, promote or abort; {\"why\": …, \"by\": …}
POST   /api/v1/routes/{route}/rollback    {\"why\": …, \"by\": …}: back to the stable version of before
POST   /api/v1/cord                       {\"why\": …, \"by\": …}: pull the cord of every route
GET    /api/v1/upstreams                  endpoints: which are used, healthy, ejected
PUT    /api/v1/upstreams/{upstream}       {\"endpoints\": […], \"why\": …, \"by\": …}: in the place of the file's
DELETE /api/v1/upstreams/{upstream}       {\"why\": …, \"by\": …} or ?why=…: the file's again
GET    /api/v1/drift                      where file and live state differ, and how they can agree
GET    /api/v1/config                     ?format=toml: what was loaded last, without secrets
GET    /api/v1/decisions                  ?route=…&action=…&since=…&until=…&limit=…&before=…, newest first
GET    /api/v1/decisions?format=jsonl     all of them as JSON lines, oldest first
GET    /api/v1/decisions/head             the newest one: its number and hash
GET    /api/v1/decisions/verify           ?head=…: whether any was changed, taken out or put in
GET    /api/v1/decisions/{id}             one decision with its evidence
GET    /api/v1/decisions/{id}/evidence    the ticks before it, judged again from the record
GET    /api/v1/events                     ?route=…: decisions, states and samples as they come; Last-Event-ID
POST   /api/v1/what-if                    {\"guard\": \"…\", \"route\": …, \"since_ms\": …}: the record, judged by other numbers
POST   /api/v1/config/reload              read the configuration file again
GET    /metrics                           for Prometheus
GET    /livez, /readyz                    is the process alive; does it take traffic

On the command line: andon status, weight, cord, forecast, decisions, explain, what-if, drift, upstream, reload
";

async fn index() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], INDEX)
}
