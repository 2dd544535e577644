//! `Idempotency-Key`: a change that was sent twice, because the first answer got lost, is made once.
//!
//! The same key of the same caller with the same request gets the answer of the first again. So a request with a key is
//! carried to its end also if its caller leaves meanwhile. An answer that says that nothing was settled (5xx) is not
//! kept: the next try is a new one.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::api::input;
use super::caller::Caller;
use super::desk::Desk;
use super::problem::Problem;
use super::secret::{Hash, sha256};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_CHARS_MAX: usize = 255;
/// Keys that are remembered. When full, the oldest answer is forgotten.
const ANSWERS_MAX: usize = 1_024;
/// Of all kept answers together; the oldest are forgotten for it.
const BYTES_MAX: usize = 8 << 20;
/// A larger answer is not kept, and its request is made again: only a cord pulled on thousands of routes has one.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const AGE_MAX: Duration = Duration::from_hours(24);

/// Who asks, how that was proved, and the key.
type Key = (Arc<str>, &'static str, Box<str>);

#[derive(Debug, Default)]
pub(super) struct Answers {
    kept: HashMap<Key, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    request: Hash,
    at: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Over as soon as nobody works on it any more, however that came about.
    Running(Weak<()>),
    Done(Answer),
}

/// What was answered, whole.
#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What a key says of a request.
#[derive(Debug)]
enum Known {
    /// It is the first; whoever holds this works on it.
    New(Arc<()>),
    Again(Answer),
    Running,
    /// The key was used for another request.
    Other,
    /// So many are being worked on that none can be forgotten.
    Full,
}

/// `None`: the request has no key.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=KEY_CHARS_MAX).contains(&key.len()));
    match (key, values.next()) {
        (Some(key), None) => Ok(Some(key.into())),
        _ => Err(Problem::bad_request(format!(
            "Idempotency-Key is one line of 1 to {KEY_CHARS_MAX} visible ASCII characters, such as a UUID"
        ))),
    }
}

/// Answers with what was answered before, or with what `act` makes of the request.
pub(super) async fn once<F>(
    desk: Desk,
    caller: &Caller,
    key: Box<str>,
    request: Request,
    next: Next,
    act: impl FnOnce(Request, Next) -> F + Send + 'static,
) -> Result<Response, Problem>
where
    F: Future<Output = Response> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let bytes = input::bytes(body).await?;
    let request_hash = hash_of(&parts, &bytes);
    let key: Key = (Arc::clone(&caller.name), caller.proof.label(), key);
    let known = {
        let key = key.clone();
        desk.ask(move |ledger| ledger.answers.begin(key, request_hash, Instant::now())).await?
    };
    let working = match known {
        Known::New(working) => working,
        Known::Again(answer) => return Ok(answer.again()),
        Known::Running => return Err(Problem::still_running()),
        Known::Other => return Err(Problem::key_of_another()),
        Known::Full => {
            return Err(Problem::busy(&format!("{ANSWERS_MAX} requests with a key are under way")));
        }
    };
    let work = async move {
        let answered = act(Request::from_parts(parts, Body::from(bytes)), next).await;
        let (answer, whole) = whole(answered).await;
        // Without the desk nobody will ask again.
        let _ = desk.ask(move |ledger| ledger.answers.end(&key, whole, Instant::now())).await;
        drop(working);
        answer
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "it goes on when its caller leaves; the seats bound how many there are"
    )]
    let done = tokio::spawn(work).await;
    done.map_err(|_| Problem::gone())
}

/// Everything that makes it this request and no other.
fn hash_of(parts: &axum::http::request::Parts, body: &[u8]) -> Hash {
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let condition = parts.headers.get(header::IF_MATCH).map_or(&b""[..], |value| value.as_bytes());
    let mut text = format!("{} {target}\n", parts.method).into_bytes();
    text.extend_from_slice(condition);
    text.push(b'\n');
    text.extend_from_slice(body);
    sha256(&text)
}

/// The answer, and what is to be kept of it.
async fn whole(answered: Response) -> (Response, Option<Answer>) {
    let (parts, body) = answered.into_parts();
    if parts.status.is_server_error() {
        return (Response::from_parts(parts, body), None);
    }
    // An answer to a change is whole before it is sent, so there is no end to wait for.
    let Ok(body) = body.collect().await else { return (Problem::gone().into_response(), None) };
    let body = body.to_bytes();
    let answer = Answer { status: parts.status, headers: parts.headers.clone(), body: body.clone() };
    let kept = (body.len() <= ANSWER_BYTES_MAX).then_some(answer);
    (Response::from_parts(parts, Body::from(body)), kept)
}

impl Answer {
    fn again(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

impl Answers {
    fn begin(&mut self, key: Key, request: Hash, now: Instant) -> Known {
        self.forget_older(now);
        if let Some(entry) = self.kept.get(&key) {
            match &entry.state {
                State::Running(working) if working.strong_count() == 0 => {}
                _ if entry.request != request => return Known::Other,
                State::Running(_) => return Known::Running,
                State::Done(answer) => return Known::Again(answer.clone()),
            }
        } else if self.kept.len() >= ANSWERS_MAX && !self.forget_oldest() {
            return Known::Full;
        }
        let working = Arc::new(());
        let state = State::Running(Arc::downgrade(&working));
        self.kept.insert(key, Entry { request, at: now, state });
        Known::New(working)
    }

    fn end(&mut self, key: &Key, answer: Option<Answer>, now: Instant) {
        let Some(answer) = answer else {
            self.kept.remove(key);
            return;
        };
        let Some(entry) = self.kept.get_mut(key) else { return };
        self.bytes += answer.body.len();
        (entry.at, entry.state) = (now, State::Done(answer));
        while self.bytes > BYTES_MAX && self.forget_oldest() {}
    }

    fn forget_older(&mut self, now: Instant) {
        let Self { kept, bytes } = self;
        kept.retain(|_, entry| {
            let stays = match &entry.state {
                State::Running(working) => working.strong_count() > 0,
                State::Done(_) => now.duration_since(entry.at) < AGE_MAX,
            };
            if !stays {
                *bytes -= entry.bytes();
            }
            stays
        });
    }

    /// False: there is none.
    fn forget_oldest(&mut self) -> bool {
        let done = self.kept.iter().filter(|(_, entry)| matches!(entry.state, State::Done(_)));
        let oldest = done.min_by_key(|(_, entry)| entry.at).map(|(key, _)| key.clone());
        let Some(gone) = oldest.and_then(|key| self.kept.remove(&key)) else { return false };
        self.bytes -= gone.bytes();
        true
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        match &self.state {
            State::Running(_) => 0,
            State::Done(answer) => answer.body.len(),
        }
    }
}
