//! A small client of the admin API: one request, one connection, every wait bounded.
//!
//! Speaks plain HTTP to one address. It follows no redirect and asks no proxy: the answer to "is my canary all
//! right" must come from the andon that was named.

use std::fmt;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, DATE, HOST};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::net::TcpStream;

use super::format::clean;
use super::{Exit, Failure};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A little longer than the API takes at most, so that its own word arrives.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where the admin listener is: `http://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Admin {
    host: String,
    port: u16,
}

impl Admin {
    pub(super) const DEFAULT: &str = "http://127.0.0.1:2636";

    /// An empty text is the default, as if the variable were not set.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = if text.is_empty() { Self::DEFAULT } else { text };
        let accepted = || format!("write http://HOST:PORT, such as {}", Self::DEFAULT);
        let uri: Uri = text.parse().map_err(|_| accepted())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(accepted)?;
        let has_more = uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@');
        if has_more || authority.host().is_empty() {
            return Err(accepted());
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => 80,
            _ => authority.port_u16().ok_or_else(accepted)?,
        };
        Ok(Self { host: authority.host().to_owned(), port })
    }

    fn address(&self) -> (&str, u16) {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        (bare.unwrap_or(&self.host), self.port)
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}:{}", self.host, self.port)
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
        let stream = self.connect().await?;
        let request = self.request(method, path, json)?;
        tokio::time::timeout(ANSWER_TIMEOUT, converse(stream, request))
            .await
            .map_err(|_| self.unreachable("connected, but no answer within 35 s"))?
            .map_err(|error| {
                self.unreachable(&format!("connected, but the answer is not HTTP or broke off ({error})"))
            })
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address()))
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
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(CONNECTION, "close");
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
        let message = match serde_json::from_slice::<ProblemJson>(body) {
            Ok(ProblemJson { title, detail, diagnostics }) => {
                let first = format!("{}: {}", clean(&title), clean(&detail));
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
    stream: TcpStream,
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
    fn an_admin_url_is_a_host_and_a_port() {
        for (text, shown) in [
            ("http://127.0.0.1:2636", "http://127.0.0.1:2636"),
            ("http://localhost:80/", "http://localhost:80"),
            ("http://[::1]:2636", "http://[::1]:2636"),
            ("http://localhost", "http://localhost:80"),
            ("", Admin::DEFAULT),
        ] {
            assert_eq!(Admin::parse(text).map(|admin| admin.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for text in [
            "127.0.0.1:2636",
            "localhost",
            "https://localhost:2636",
            "http://localhost:2636/admin",
            "http://localhost:2636?x",
            "http://me@localhost:2636",
            "http://localhost:70000",
            "http://localhost:",
            "http://",
            " ",
        ] {
            assert!(Admin::parse(text).is_err(), "{text}");
        }
        assert_eq!(Admin::parse("http://[::1]:2636").unwrap().address(), ("::1", 2636));
    }

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("shop-v1_a.b~c"), "shop-v1_a.b~c");
        assert_eq!(segment("a/b ?#%é"), "a%2Fb%20%3F%23%25%C3%A9");
    }
}
