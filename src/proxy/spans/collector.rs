//! The collector, and the one connection to it: OTLP over HTTP/1.1, a request a batch.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use prost::Message;
use thiserror::Error;
use tokio::net::TcpStream;

use super::wire::{ExportResponse, PartialSuccess};
use crate::config;

/// From the first byte to the last of an answer; OpenTelemetry's default.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Of an answer. One that says more is not listened to.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longer wishes are not heeded.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Error)]
pub(super) enum Failed {
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    #[error("no answer: {0}")]
    Broken(#[from] hyper::Error),
    #[error("no answer in time")]
    TimedOut,
    /// It may take the batch later.
    #[error("answers {0}")]
    Busy(StatusCode, Option<Duration>),
    /// It will never take this batch.
    #[error("refuses with {0}")]
    Refused(StatusCode),
}

pub(super) struct Collector {
    address: config::tracing::Collector,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Collector {
    pub(super) fn new(address: config::tracing::Collector) -> Self {
        Self { address, connection: None }
    }

    /// Whatever fails, the next batch has a new connection. Says what the collector did not keep.
    pub(super) async fn post(&mut self, batch: Bytes) -> Result<PartialSuccess, Failed> {
        let connection = self.connection.take();
        let posted = tokio::time::timeout(ANSWER_MAX, self.try_post(connection, batch)).await;
        let (answer, connection) = posted.map_err(|_| Failed::TimedOut)??;
        self.connection = Some(connection);
        Ok(answer)
    }

    async fn try_post(
        &self,
        connection: Option<SendRequest<Full<Bytes>>>,
        batch: Bytes,
    ) -> Result<(PartialSuccess, SendRequest<Full<Bytes>>), Failed> {
        let mut connection = match connection {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        if connection.ready().await.is_err() {
            connection = self.connect().await?;
        }
        let mut request = Request::post(&*self.address.path).body(Full::new(batch)).unwrap_or_default();
        let host = self.address.authority.as_str();
        for (name, value) in [
            (header::HOST, host),
            (header::CONTENT_TYPE, "application/x-protobuf"),
            (header::USER_AGENT, concat!("andon/", env!("CARGO_PKG_VERSION"))),
        ] {
            if let Ok(value) = value.parse() {
                request.headers_mut().insert(name, value);
            }
        }
        let (head, body) = connection.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map(|body| body.to_bytes());
        match head.status {
            status if status.is_success() => {
                let answer = body.ok().and_then(|body| ExportResponse::decode(body).ok());
                Ok((answer.and_then(|answer| answer.partial_success).unwrap_or_default(), connection))
            }
            status if is_passing(status) => Err(Failed::Busy(status, retry_after(&head.headers))),
            status => Err(Failed::Refused(status)),
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failed> {
        let stream = TcpStream::connect(self.address.authority.as_str()).await.map_err(Failed::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // What goes wrong in there, the sender hears.
        tokio::task::spawn_local(connection);
        Ok(sender)
    }
}

/// The answers after which OTLP wants another try.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// In seconds. A date is not heeded: a pause of our own does.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
