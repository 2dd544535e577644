//! The HTTP face of [`crate::control`]: the API, the metrics and the health answers, over TCP and a Unix socket.
//!
//! | path | methods |
//! |---|---|
//! | `/api/v1/session` | GET, POST, DELETE |
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
//! | `/api/v1/notify/{name}/test` | POST |
//! | `/api/v1/config/reload` | POST |
//! | `/api/v1/openapi.json` | GET |
//! | `/metrics`, `/livez`, `/readyz` | GET |
//! | `/`, `/{file}`, `/decisions/{id}` | GET: the dashboard, or for who asks for no page a list of all this |
//!
//! Every error is `application/problem+json`. It changes no state by itself: each change is a command to the
//! controller, and its answer is the controller's. It refuses what a web page could trick a browser into
//! ([`guard`]), and it has no answer 500: whatever comes in, something in here has a word for it.
//!
//! Who asks is found out by [`caller`], what that takes stands in [`roles`], and `around` holds the one against the other.

mod api;
mod attempts;
mod caller;
mod dashboard;
mod denial;
mod desk;
mod guard;
mod health;
mod idempotency;
pub mod openapi;
mod peer;
mod problem;
mod refusals;
mod roles;
mod seats;
pub mod secret;
mod server;
mod sessions;
mod stream;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{Semaphore, watch};
use tracing::info;

pub use api::{drift, json, record_json, upstreams};
pub use health::Phase;
pub use server::Listeners;

use caller::{Caller, Proof};
use desk::{Clerk, Desk};
use peer::Peer;
use problem::Problem;
use roles::Need;

use crate::config::Access;
use crate::control::command::Handle;
use crate::metrics::admin::{AdminCounters, Denied};
use crate::tls::Material;

/// A request that has no answer by then is answered 503.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that the admin listener needs; [`crate::app`] puts it together.
#[derive(Debug)]
pub struct Setup {
    pub handle: Handle,
    /// What `/readyz` tells.
    pub phase: watch::Receiver<Phase>,
    /// Who may, as the file says it now.
    pub access: watch::Receiver<Arc<Access>>,
    pub tls: watch::Receiver<Arc<Material>>,
    pub counters: Arc<AdminCounters>,
}

/// The admin listener of a process. Logins outlive it being shut for a while.
#[derive(Debug)]
pub struct Admin {
    setup: Setup,
    desk: Desk,
    clerk: Clerk,
    event_streams: Arc<Semaphore>,
}

/// What every handler may use.
#[derive(Clone, Debug)]
struct Face {
    handle: Handle,
    phase: watch::Receiver<Phase>,
    access: watch::Receiver<Arc<Access>>,
    counters: Arc<AdminCounters>,
    desk: Desk,
    listen: SocketAddr,
    event_streams: Arc<Semaphore>,
}

impl Admin {
    pub fn new(setup: Setup) -> Self {
        let (desk, clerk) = desk::open();
        Self { setup, desk, clerk, event_streams: Arc::new(Semaphore::new(api::EVENT_STREAMS_MAX)) }
    }

    /// Answers on `listeners` until `shutdown` is done, then lets requests in flight finish for a moment.
    ///
    /// `/readyz` follows the phase, so keep serving while the data plane drains and end `shutdown` last.
    pub async fn serve(
        &mut self,
        listeners: Listeners,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let Setup { handle, phase, access, tls, counters } = &self.setup;
        let face = Face {
            handle: handle.clone(),
            phase: phase.clone(),
            access: access.clone(),
            counters: Arc::clone(counters),
            desk: self.desk.clone(),
            listen: listeners.tcp.local_addr()?,
            event_streams: Arc::clone(&self.event_streams),
        };
        tokio::select! {
            () = server::run(listeners, tls.clone(), router(face), shutdown) => {}
            () = self.clerk.work() => {}
        }
        Ok(())
    }
}

impl Face {
    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.borrow())
    }
}

fn router(face: Face) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/{file}", get(dashboard::asset))
        .route("/decisions/{id}", get(dashboard::decision))
        .route("/metrics", get(health::metrics))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .nest("/api/v1", api::router())
        .fallback(unknown_path)
        .layer(from_fn_with_state(face.clone(), around))
        .with_state(face)
}

/// What is done to every request and every answer, in this one place.
async fn around(State(face): State<Face>, mut request: Request, next: Next) -> Response {
    let instance = request.uri().path().to_owned();
    let answer = match let_in(&face, &mut request).await {
        Err(refusal) => refusal,
        Ok(caller) => act(face, caller, request, next, instance.clone()).await,
    };
    problem::finish(answer, &instance)
}

/// Who asks, if that matters, and whether that may.
async fn let_in(face: &Face, request: &mut Request) -> Result<Option<Caller>, Response> {
    let refused = |problem: Problem| problem.into_response();
    let access = face.access();
    let peer: Peer = request.extensions().get().cloned().ok_or_else(|| refused(denial::nobody()))?;
    let host = guard::host(request).map_err(refused)?;
    if caller::is_open(face, &access) && matches!(peer, Peer::Tcp { .. }) {
        guard::is_meant_for_us(request, host.as_ref(), face.listen, &access).map_err(refused)?;
    }
    // What is not there is told only to those who may look.
    let is_there =
        |path: &MatchedPath| path.as_str() != dashboard::FILE || dashboard::has(request.uri().path());
    let path = request.extensions().get::<MatchedPath>().cloned().filter(is_there);
    let need = path.as_ref().map(|path| roles::need(request.method(), path.as_str(), &access));
    let page = match guard::changes_something(request.method()) {
        true => guard::page(request.headers(), host.as_ref(), peer.is_secure(), &access),
        false => Ok(guard::Page::Ours),
    };
    let page = page.inspect_err(|_| face.counters.deny(Denied::Origin)).map_err(refused)?;
    if need == Some(Some(Need::Nobody)) {
        return Ok(None);
    }
    let caller = caller::find(face, &access, &peer, request.headers()).await.map_err(refused)?;
    if caller.proof == Proof::Session && page == guard::Page::Unsaid {
        face.counters.deny(Denied::Origin);
        return Err(refused(guard::unsaid()));
    }
    match (need, &path) {
        (Some(Some(Need::Role(needed))), _) if caller.role < needed => {
            face.counters.deny(Denied::Role);
            Err(refused(denial::wrong_role(&caller, needed)))
        }
        (Some(None), Some(path)) => Err(not_taken(request, path.as_str())),
        _ => {
            request.extensions_mut().insert(caller.clone());
            Ok(Some(caller))
        }
    }
}

/// Once, if the request has a key and changes something.
async fn act(face: Face, caller: Option<Caller>, request: Request, next: Next, instance: String) -> Response {
    let Some(caller) = caller.filter(|_| guard::changes_something(request.method())) else {
        return answered(request, next, instance).await;
    };
    let (method, by) = (request.method().clone(), Arc::clone(&caller.name));
    let answer = match idempotency::key_of(request.headers()) {
        Err(problem) => problem.into_response(),
        Ok(None) => answered(request, next, instance.clone()).await,
        Ok(Some(key)) => {
            let act = {
                let instance = instance.clone();
                move |request, next| answered(request, next, instance)
            };
            let once = idempotency::once(face.desk, &caller, key, request, next, act).await;
            once.unwrap_or_else(IntoResponse::into_response)
        }
    };
    info!(%by, proof = caller.proof.label(), %method, path = instance, status = answer.status().as_u16(), "asked for a change");
    answer
}

/// Whole, so that it can be kept.
async fn answered(request: Request, next: Next, instance: String) -> Response {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    problem::finish(answer.unwrap_or_else(|_| Problem::slow(REQUEST_TIMEOUT).into_response()), &instance)
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {:?}; GET / lists what there is",
        problem::excerpt(uri.path())
    ))
}

/// Of what [`roles`] does not know. `OPTIONS` is among it: no other site is told that it may ask.
fn not_taken(request: &Request, place: &str) -> Response {
    let (method, path) =
        (problem::excerpt(request.method().as_str()), problem::excerpt(request.uri().path()));
    let detail = format!("{path} does not take {method}; the Allow header lists what it takes");
    let mut response = Problem::wrong_method(detail).into_response();
    if let Ok(allowed) = HeaderValue::try_from(roles::allowed(place)) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

const INDEX: &str = "andon: a reverse proxy with an immune system

GET    /api/v1/session                    who you are; POST {\"token\": …} logs in, DELETE logs out
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
POST   /api/v1/notify/{name}/test         a test message to a receiver of notices, and what it answers
POST   /api/v1/config/reload              read the configuration file again
GET    /metrics                           for Prometheus
GET    /livez, /readyz                    is the process alive; does it take traffic
GET    /                                  in a browser: the dashboard

On the command line: andon status, weight, cord, forecast, decisions, explain, what-if, drift, upstream, reload
";

/// A page for people with a browser, a list for those without.
async fn index(headers: HeaderMap) -> Response {
    let list = || ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], INDEX).into_response();
    dashboard::page(&headers).unwrap_or_else(list)
}
