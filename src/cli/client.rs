//! A small client of the admin API: one request, one connection, every wait bounded.
//!
//! Speaks HTTP to one address, inside TLS or on a Unix socket if that says so. It follows no redirect and asks no proxy: the answer to "is my canary all
//! right" must come from the andon that was named.

use std::fmt;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, DATE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use serde_json::{Map, Value};

mod address;
mod connect;

use address::Address;
use connect::{Proof, Stream, connect};

use super::format::clean;
use super::{Exit, Failure};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A little longer than the API takes at most, so that its own word arrives.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where the admin listener is, and who we are to it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Admin {
    /// Where andon's admin listener is: http://HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(long = "admin", value_name = "URL", env = "ANDON_ADMIN", default_value = Address::DEFAULT, value_parser = Address::parse)]
    address: Address,
    #[command(flatten)]
    proof: Proof,
}

impl fmt::Display for Admin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(out)
    }
}

/// An answer with a status of success.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Bytes,
    /// The server's clock, so that "3 min ago" is right even where clocks differ.
    pub(super) now_ms: Option<i64>,
}

#[derive(Deserialize)]
struct ProblemJson {
    title: String,
    detail: String,
    #[serde(default)]
    diagnostics: Option<String>,
}

impl Admin {
    pub(super) fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.ask(Method::GET, path, None)
    }

    /// For what may be left out, should it take longer.
    pub(super) fn get_within(&self, limit: Duration, path: &str) -> Result<Reply, Failure> {
        let exchange = self.exchange(Method::GET, path, None);
        let answer = runtime()?.block_on(async { tokio::time::timeout(limit, exchange).await });
        self.reply(answer.unwrap_or_else(|_| Err(self.unreachable("it takes too long")))?)
    }

    /// An answer without an end in sight: hands over each part as it comes. Nothing may be silent for too long.
    pub(super) fn stream(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        runtime()?.block_on(async {
            let stream = self.connect().await?;
            let request = self.request(Method::GET, path, None)?;
            let broke_off = |error: &dyn fmt::Display| {
                self.unreachable(&format!("connected, but the answer broke off ({error})"))
            };
            let (mut sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|error| broke_off(&error))?;
            let exchange = async move {
                let answer = sender.send_request(request).await.map_err(|error| broke_off(&error))?;
                let (head, mut body) = answer.into_parts();
                if !head.status.is_success() {
                    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
                    let body = body.map_err(|error| broke_off(&error))?.to_bytes();
                    return Err(self.refused(head.status, &body));
                }
                while let Some(frame) = tokio::time::timeout(ANSWER_TIMEOUT, body.frame())
                    .await
                    .map_err(|_| self.unreachable("connected, but nothing came for 35 s"))?
                {
                    let frame = frame.map_err(|error| broke_off(&error))?;
                    frame.data_ref().map_or(Ok(()), |part| take(part))?;
                }
                Ok(())
            };
            let mut exchange = pin!(exchange);
            tokio::select! {
                biased;
                done = exchange.as_mut() => done,
                _ = connection => exchange.await,
            }
        })
    }

    pub(super) fn send(
        &self,
        method: Method,
        path: &str,
        body: Map<String, Value>,
    ) -> Result<Reply, Failure> {
        self.ask(method, path, Some(Value::Object(body).to_string()))
    }

    pub(super) fn post(&self, path: &str) -> Result<Reply, Failure> {
        self.ask(Method::POST, path, None)
    }

    fn ask(&self, method: Method, path: &str, json: Option<String>) -> Result<Reply, Failure> {
        self.reply(runtime()?.block_on(self.exchange(method, path, json))?)
    }

    fn reply(&self, (head, body): (http::response::Parts, Bytes)) -> Result<Reply, Failure> {
        if head.status.is_success() {
            return Ok(Reply { body, now_ms: date_ms(&head.headers) });
        }
        Err(self.refused(head.status, &body))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<(http::response::Parts, Bytes), Failure> {
        let request = self.request(method, path, json)?;
        let stream = self.connect().await?;
        tokio::time::timeout(ANSWER_TIMEOUT, converse(stream, request))
            .await
            .map_err(|_| self.unreachable("connected, but no answer within 35 s"))?
            .map_err(|error| {
                self.unreachable(&format!("connected, but the answer is not HTTP or broke off ({error})"))
            })
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let tls = self.proof.tls(&self.address)?;
        tokio::time::timeout(CONNECT_TIMEOUT, connect(&self.address, tls))
            .await
            .map_err(|_| self.unreachable("no connection within 3 s"))?
            .map_err(|error| self.unreachable(&words(&error)))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.host())
            .header(CONNECTION, "close");
        if let Some(token) = self.proof.token()? {
            let bearer = HeaderValue::try_from(format!("Bearer {token}"));
            let mut bearer = bearer.map_err(|_| Failure {
                exit: Exit::Usage,
                message: "the token has characters that no token has".to_owned(),
            })?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        if json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(json.unwrap_or_default()));
        request.body(body).map_err(|error| Failure { exit: Exit::Usage, message: format!("{path}: {error}") })
    }

    fn unreachable(&self, cause: &str) -> Failure {
        let message =
            format!("no answer from {self}: {cause}; is andon running? set --admin URL or ANDON_ADMIN");
        Failure { exit: Exit::Unreachable, message }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let exit = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Unreachable,
            _ => Exit::Failure,
        };
        let next = match status {
            StatusCode::UNAUTHORIZED => {
                "; set ANDON_TOKEN or ANDON_TOKEN_FILE to a token of this andon (andon token new makes one)"
            }
            StatusCode::FORBIDDEN => "; use a token with that role, or ask somebody who has it",
            _ => "",
        };
        let message = match serde_json::from_slice::<ProblemJson>(body) {
            Ok(ProblemJson { title, detail, diagnostics }) => {
                let first = format!("{}: {}{next}", clean(&title), clean(&detail));
                match diagnostics {
                    Some(drawn) => format!("{first}\n\n{}", lines(&drawn)),
                    None => first,
                }
            }
            Err(_) => {
                format!("{self} answered {status}, and not in andon's words; is that its admin listener?")
            }
        };
        Failure { exit, message }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Failure { exit: Exit::Failure, message: format!("cannot start a runtime: {error}") })
}

async fn converse(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<(http::response::Parts, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
        Ok((head, body.to_bytes()))
    };
    let mut exchange = pin!(exchange);
    tokio::select! {
        biased;
        done = exchange.as_mut() => done,
        // The connection is over, but what it read may be waiting for us still.
        _ = connection => exchange.await,
    }
}

/// The path segment that means exactly this name.
pub(super) fn segment(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn date_ms(headers: &HeaderMap) -> Option<i64> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Some(rfc2822::parse(date).ok()?.timestamp().as_millisecond())
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// Drawn text of several lines, each fit for a terminal.
fn lines(drawn: &str) -> String {
    drawn.lines().map(clean).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("shop-v1_a.b~c"), "shop-v1_a.b~c");
        assert_eq!(segment("a/b ?#%é"), "a%2Fb%20%3F%23%25%C3%A9");
    }
}
