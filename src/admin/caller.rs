//! Who is asking, and how that is known.
//!
//! A token or a session's cookie in the request comes first, then what the connection itself has proved: the user who
//! opened the Unix socket, the name in a client certificate. Where the configuration names nobody, and only this
//! machine can reach the listener, everybody is admin.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use tokio::time::Instant;
use tracing::warn;

use super::Face;
use super::denial;
use super::peer::Peer;
use super::problem::Problem;
use super::secret::{self, Hash};
use crate::config::Role;
use crate::config::access::{Access, Token};
use crate::config::admin::is_loopback;
use crate::metrics::admin::Denied;

pub(super) const COOKIE: &str = "andon_session";

/// Who asks where nobody needs to say it.
const LOCAL: &str = "local";

/// Handlers take it as an argument, and sign with it: `input::signature(&caller, …)`.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    pub(super) proof: Proof,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// None: the configuration names nobody, and whoever is on this machine may.
    Loopback,
    /// That the Unix socket could be opened.
    Socket,
    Certificate,
    Token,
    /// The cookie of a login.
    Session,
}

impl Proof {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Socket => "socket",
            Self::Certificate => "certificate",
            Self::Token => "token",
            Self::Session => "session",
        }
    }
}

impl Caller {
    fn new(name: impl Into<Arc<str>>, role: Role, proof: Proof) -> Self {
        Self { name: name.into(), role, proof }
    }

    fn of(token: &Token, proof: Proof) -> Self {
        Self { name: Arc::clone(&token.name), role: token.role, proof }
    }

    /// What the record says of who asked. A request may name a person, but whose name was proved stands there too.
    pub(super) fn signs(&self, by: Option<Arc<str>>) -> Arc<str> {
        match by {
            Some(by) if self.proof == Proof::Loopback => by,
            Some(by) if by != self.name => format!("{by} via {}", self.name).into(),
            _ => Arc::clone(&self.name),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// It is there wherever a role is needed.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(denial::nobody)
    }
}

/// Names nobody, and nobody else can reach the listener.
pub(super) fn is_open(face: &Face, access: &Access) -> bool {
    !access.names_somebody() && is_loopback(&face.listen)
}

pub(super) async fn find(
    face: &Face,
    access: &Access,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    if is_open(face, access) {
        return Ok(match peer {
            Peer::Tcp { .. } => Caller::new(LOCAL, Role::Admin, Proof::Loopback),
            Peer::Unix { uid } => by_uid(*uid),
        });
    }
    if let Some(shown) = bearer(headers)? {
        let token = token(face, access, peer, shown).await?;
        return Ok(Caller::of(token, Proof::Token));
    }
    if let Some(cookie) = cookie(headers)
        && let Some(token) = session(face, access, secret::sha256(cookie.as_bytes())).await?
    {
        return Ok(Caller::of(token, Proof::Session));
    }
    match peer {
        Peer::Unix { uid } => Ok(by_uid(*uid)),
        Peer::Tcp { certificate: Some(names), .. } => by_certificate(access, names).ok_or_else(|| {
            face.counters.deny(Denied::Nobody);
            denial::unknown_certificate(names)
        }),
        Peer::Tcp { certificate: None, .. } => {
            face.counters.deny(Denied::Nobody);
            Err(denial::nobody())
        }
    }
}

/// The token that was shown. Who shows a wrong one waits for the answer, and longer each time.
pub(super) async fn token<'a>(
    face: &Face,
    access: &'a Access,
    peer: &Peer,
    shown: &str,
) -> Result<&'a Token, Problem> {
    if let Some(token) = secret::token_of(&access.tokens, &secret::sha256(shown.as_bytes())) {
        return Ok(token);
    }
    face.counters.deny(Denied::WrongToken);
    let Peer::Tcp { address, .. } = peer else { return Err(denial::wrong_token()) };
    let address: IpAddr = address.ip();
    let slowed = face.desk.ask(move |ledger| ledger.attempts.failed(address, Instant::now())).await?;
    if slowed.begins {
        warn!(%address, "many wrong tokens on the admin listener; their answers are slowed");
    }
    if slowed.delay.is_zero() {
        return Err(denial::wrong_token());
    }
    tokio::time::sleep(slowed.delay).await;
    Err(denial::too_many_wrong_tokens(slowed.delay))
}

async fn session<'a>(face: &Face, access: &'a Access, cookie: Hash) -> Result<Option<&'a Token>, Problem> {
    let stands_for = face.desk.ask(move |ledger| ledger.sessions.used(&cookie, Instant::now())).await?;
    let token = stands_for.and_then(|hash| secret::token_of(&access.tokens, &hash));
    if stands_for.is_some() && token.is_none() {
        face.desk.ask(move |ledger| ledger.sessions.end(&cookie)).await?;
    }
    Ok(token)
}

fn by_uid(uid: u32) -> Caller {
    Caller::new(format!("uid-{uid}"), Role::Admin, Proof::Socket)
}

fn by_certificate(access: &Access, names: &[String]) -> Option<Caller> {
    let client = access.clients.iter().find(|client| names.iter().any(|name| **name == *client.name))?;
    Some(Caller::new(Arc::clone(&client.name), client.role, Proof::Certificate))
}

/// `None`: there is none, or it is of another scheme, which may be for a proxy in front.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Problem::bad_request("the request has more than one Authorization header".to_owned()));
    }
    let Some(text) = first.and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let Some((scheme, token)) = text.split_once(' ') else { return Ok(None) };
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()))
}

/// The first of its name.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn nobody_signs_as_somebody_else() {
        let signs = |proof, by: Option<&str>| {
            Caller::new("bot", Role::Release, proof).signs(by.map(Into::into)).to_string()
        };
        assert_eq!(signs(Proof::Token, None), "bot");
        assert_eq!(signs(Proof::Token, Some("bot")), "bot");
        assert_eq!(signs(Proof::Token, Some("ann")), "ann via bot");
        assert_eq!(signs(Proof::Session, Some("ann via boss")), "ann via boss via bot");
        assert_eq!(signs(Proof::Loopback, Some("ann")), "ann");
        assert_eq!(signs(Proof::Loopback, None), "bot");
    }

    #[test]
    fn a_bearer_token_is_read_and_other_schemes_are_left_alone() {
        let read = |values: &[&str]| {
            let headers = headers(header::AUTHORIZATION, values);
            bearer(&headers).map(|found| found.map(str::to_owned)).ok()
        };
        assert_eq!(read(&["Bearer abc"]), Some(Some("abc".into())));
        assert_eq!(read(&["bearer  abc "]), Some(Some("abc".into())));
        assert_eq!(read(&["Basic abc"]), Some(None));
        assert_eq!(read(&["Bearer"]), Some(None));
        assert_eq!(read(&[]), Some(None));
        assert_eq!(read(&["Bearer a", "Bearer b"]), None);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let read = |values: &[&str]| cookie(&headers(header::COOKIE, values)).map(str::to_owned);
        assert_eq!(read(&["a=b; andon_session=x; c=d"]), Some("x".into()));
        assert_eq!(read(&["a=b", "andon_session=x"]), Some("x".into()));
        assert_eq!(read(&["xandon_session=x; andon_session", "b"]), None);
    }
}
