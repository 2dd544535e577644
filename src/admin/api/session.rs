//! `/session`: the login of the dashboard, and who one is.

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::super::caller::{self, COOKIE, Caller};
use super::super::peer::Peer;
use super::super::problem::Problem;
use super::super::sessions::AGE_MAX;
use super::super::{Face, denial, secret};
use super::answer;
use super::input;

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin) struct SessionJson {
    name: String,
    /// `observer`, `puller`, `release` or `admin`.
    role: String,
    /// How it is known: `loopback`, `socket`, `certificate`, `token` or `session`.
    proof: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with token")]
struct Login {
    #[serde(default)]
    token: Value,
}

pub(super) async fn whose(caller: Caller) -> Response {
    answer(&shown(&caller.name, caller.role.label(), caller.proof.label()))
}

pub(super) async fn begin(
    State(face): State<Face>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Problem> {
    let access = face.access();
    if access.tokens.is_empty() {
        return Err(denial::nothing_to_log_in_to());
    }
    let secure = peer.is_secure() || is_from_a_secure_page(request.headers());
    let login: Login = input::body(request).await?;
    let shown_token = login.token.as_str().ok_or_else(|| {
        // What was found is not repeated: it may be a secret.
        Problem::bad_body("token is no text; send {\"token\": \"…\"}".to_owned())
    })?;
    let token = caller::token(&face, &access, &peer, shown_token.trim()).await?;
    let Some(cookie) = secret::random() else { return Err(Problem::gone()) };
    let (hash, of) = (secret::sha256(cookie.as_bytes()), token.sha256);
    face.desk.ask(move |ledger| ledger.sessions.begin(hash, of, Instant::now())).await?;
    let mut response = answer(&shown(&token.name, token.role.label(), caller::Proof::Session.label()));
    set_cookie(&mut response, &cookie, AGE_MAX.as_secs(), secure);
    Ok(response)
}

/// The cookie is of no use from here on, wherever it is.
pub(super) async fn end(State(face): State<Face>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(cookie) = caller::cookie(&headers) {
        let hash = secret::sha256(cookie.as_bytes());
        face.desk.ask(move |ledger| ledger.sessions.end(&hash)).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, "", 0, false);
    Ok(response)
}

fn shown(name: &str, role: &str, proof: &str) -> SessionJson {
    SessionJson { name: name.to_owned(), role: role.to_owned(), proof: proof.to_owned() }
}

/// Behind a proxy that ends TLS, the page's origin says what the browser sees.
fn is_from_a_secure_page(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

fn set_cookie(response: &mut Response, value: &str, seconds: u64, secure: bool) {
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}
