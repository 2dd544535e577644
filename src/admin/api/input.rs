//! What the API lets in: bodies, names in the path, query parameters, and the words of a person.
//!
//! A body is one JSON object of at most [`BODY_BYTES_MAX`]. `why` and `by` end up in the record and in terminals,
//! so they are one line of visible characters, and nobody may sign as the immune system.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::super::caller::Caller;
use super::super::problem::{Problem, excerpt};

const BODY_BYTES_MAX: usize = 64 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const WHY_CHARS_MAX: usize = 1_000;
const BY_CHARS_MAX: usize = 128;
const WHY_ACCEPTED: &str = "the reason in one line of 1 to 1000 visible characters";
const BY_ACCEPTED: &str =
    "who asks in one line of 1 to 128 visible characters, and not as the immune system, the file or a plan";

const SIGNATURE: [&str; 2] = ["why", "by"];

/// The signatures of what is not a person.
const BY_RESERVED: [&str; 3] = ["immune system", "file", "plan"];

/// The one name in the path: `{route}` or `{id}`, with its percent escapes undone.
pub(super) struct Name(pub(super) Arc<str>);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        let Path(name) = name.map_err(|_| Problem::bad_request("the path is not UTF-8".to_owned()))?;
        Ok(Self(name.into()))
    }
}

/// `{"why": …, "by": …}`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with why and by")]
pub(super) struct Signed {
    #[serde(default)]
    why: Option<Value>,
    #[serde(default)]
    by: Option<Value>,
}

impl Signed {
    pub(super) fn from_query(uri: &Uri) -> Result<Self, Problem> {
        let mut signed = Self::default();
        for (key, value) in query(uri)? {
            match key.as_str() {
                "why" => signed.why = Some(value.into()),
                "by" => signed.by = Some(value.into()),
                _ => return Err(unknown_parameter(&key, "why, by")),
            }
        }
        Ok(signed)
    }

    /// Who asks, and why.
    pub(super) fn checked(self, caller: &Caller) -> Result<(Arc<str>, Arc<str>), Problem> {
        signature(caller, self.why, self.by)
    }
}

/// Who asks, and why. What the request says of who asks stands beside whose name was proved.
fn signature(
    caller: &Caller,
    why: Option<Value>,
    by: Option<Value>,
) -> Result<(Arc<str>, Arc<str>), Problem> {
    let why = line("why", why.unwrap_or_default(), WHY_CHARS_MAX, WHY_ACCEPTED)?;
    let by = match by {
        None | Some(Value::Null) => None,
        Some(by) => Some(line("by", by, BY_CHARS_MAX, BY_ACCEPTED)?),
    };
    if let Some(by) = by.iter().find(|by| BY_RESERVED.iter().any(|one| by.eq_ignore_ascii_case(one))) {
        return Err(Problem::bad_value("by", &format!("{by:?}"), BY_ACCEPTED));
    }
    Ok((caller.signs(by), why))
}

/// The fields of a body that changes something, each taken by who knows what it may be. `why` and `by` are always among them.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Fields beside `known` are refused.
    pub(super) async fn read(request: Request, known: &[&str]) -> Result<Self, Problem> {
        let Once(found) = body(request).await?;
        let is_known =
            |field: &&String| known.contains(&field.as_str()) || SIGNATURE.contains(&field.as_str());
        if let Some(unknown) = found.keys().find(|field| !is_known(field)) {
            let all: Vec<_> = known.iter().chain(&SIGNATURE).map(|field| format!("`{field}`")).collect();
            let unknown = excerpt(unknown);
            return Err(Problem::bad_body(format!(
                "unknown field `{unknown}`, expected one of {}",
                all.join(", ")
            )));
        }
        Ok(Self(found))
    }

    /// Null if it is not there.
    pub(super) fn take(&mut self, field: &str) -> Value {
        self.0.remove(field).unwrap_or_default()
    }

    /// A name that may be left out.
    pub(super) fn name(&mut self, field: &str, accepted: &str) -> Result<Option<Arc<str>>, Problem> {
        match self.take(field) {
            Value::Null => Ok(None),
            Value::String(name) => Ok(Some(name.into())),
            other => Err(Problem::bad_value(field, &quoted(&other), accepted)),
        }
    }

    /// Which canary of a route that may have several.
    pub(super) fn canary(&mut self) -> Result<Option<Arc<str>>, Problem> {
        self.name("canary", "the name of a canary, such as \"canary\"")
    }

    /// Who asks, and why.
    pub(super) fn signature(mut self, caller: &Caller) -> Result<(Arc<str>, Arc<str>), Problem> {
        let [why, by] = SIGNATURE.map(|field| Some(self.take(field)));
        signature(caller, why, by)
    }
}

/// An object that says nothing twice: of two weights neither would be what was meant.
struct Once(Map<String, Value>);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Once;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Once, A::Error> {
                let mut found = Map::new();
                while let Some((field, value)) = object.next_entry::<String, Value>()? {
                    if found.contains_key(&field) {
                        return Err(A::Error::custom(format!("duplicate field `{field}`")));
                    }
                    found.insert(field, value);
                }
                Ok(Once(found))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn line(field: &str, found: Value, chars_max: usize, accepted: &str) -> Result<Arc<str>, Problem> {
    let text = found.as_str().map(str::trim).unwrap_or_default();
    let fits = !text.is_empty() && text.chars().count() <= chars_max && text.chars().all(is_visible);
    if fits { Ok(text.into()) } else { Err(Problem::bad_value(field, &quoted(&found), accepted)) }
}

/// Neither steers a terminal nor turns the direction of the text around it.
fn is_visible(char: char) -> bool {
    !char.is_control()
        && !matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What was found, as it was written in JSON; `missing` where nothing was.
pub(super) fn quoted(found: &Value) -> String {
    if found.is_null() { "missing".to_owned() } else { excerpt(&found.to_string()) }
}

pub(super) fn query(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let pairs: Result<Query<Vec<(String, String)>>, _> = Query::try_from_uri(uri);
    pairs.map(|Query(pairs)| pairs).map_err(|_| Problem::bad_request("the query cannot be read".to_owned()))
}

pub(super) fn unknown_parameter(found: &str, accepted: &str) -> Problem {
    Problem::bad_value("a query parameter", &format!("{:?}", excerpt(found)), &format!("one of {accepted}"))
}

/// The body, which must be there.
pub(super) async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    must_be_json(request.headers())?;
    parse(&bytes(request.into_body()).await?)
}

/// The body, or `None` where it is empty.
pub(super) async fn body_if_any<T: DeserializeOwned>(request: Request) -> Result<Option<T>, Problem> {
    let typed = must_be_json(request.headers());
    let bytes = bytes(request.into_body()).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    typed?;
    parse(&bytes).map(Some)
}

/// Also keeps out HTML forms, which cannot send JSON.
fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let found = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let essence = found.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::wrong_type(match found.as_deref() {
        None => "the request has no Content-Type; send application/json".to_owned(),
        Some(found) => format!("Content-Type is {:?}; send application/json", excerpt(found)),
    }))
}

/// At most [`BODY_BYTES_MAX`], and within [`BODY_TIMEOUT`].
pub(in crate::admin) async fn bytes(body: Body) -> Result<Bytes, Problem> {
    let body = Limited::new(body, BODY_BYTES_MAX);
    let read = tokio::time::timeout(BODY_TIMEOUT, body.collect()).await;
    match read.map_err(|_| Problem::body_stalled(BODY_TIMEOUT))? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::too_large(BODY_BYTES_MAX)),
        Err(_) => Err(Problem::bad_request("the body broke off".to_owned())),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde would also take an array for an object, field by field.
    let is_object = bytes.trim_ascii_start().starts_with(b"{");
    let parsed = serde_json::from_slice::<IgnoredAny>(bytes).and_then(|_| serde_json::from_slice(bytes));
    match parsed {
        Err(error) if error.classify() != Category::Data => {
            Err(Problem::bad_request(format!("the body is not JSON: {error}")))
        }
        _ if !is_object => Err(Problem::bad_body("the body is not an object".to_owned())),
        Err(error) => Err(Problem::bad_body(excerpt_long(&error.to_string()))),
        Ok(body) => Ok(body),
    }
}

/// serde's sentence lists the fields that there are after the one found, so the end matters as well.
fn excerpt_long(sentence: &str) -> String {
    match sentence.split_once(", expected ") {
        Some((found, expected)) => format!("{}, expected {}", excerpt(found), expected),
        None => excerpt(sentence),
    }
}
