//! One check of one endpoint, on a connection of its own: what must work for a request must work for it.
//!
//! Nothing that the endpoint says is kept or believed beyond yes or no, and all of it is bounded in bytes and time. When
//! we ourselves have run out of something, that is no word about the endpoint.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{Health, Probe, ProxyProtocol, UpstreamProtocol};
use crate::tls::{ALPN_H2, Client};

const AGENT: HeaderValue = HeaderValue::from_static("andon-health");
/// Of the head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Of a gRPC answer, which is two bytes long in its five-byte envelope.
const GRPC_BYTES_MAX: usize = 1_024;
const GRPC_PATH: &str = "/grpc.health.v1.Health/Check";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Passed,
    Failed,
    /// We could not ask.
    Nothing,
}

/// What comes before the question of a check.
#[derive(Default)]
pub struct Preface {
    pub proxy_protocol: Option<ProxyProtocol>,
    /// `None`: cleartext.
    pub tls: Option<Greeting>,
}

/// The TLS of one check.
pub struct Greeting {
    config: Arc<ClientConfig>,
    http2: bool,
    name: ServerName<'static>,
}

impl Greeting {
    /// `protocol`: what requests speak, for a check that asks nothing itself.
    pub fn new(
        client: &Client,
        name: ServerName<'static>,
        probe: &Probe,
        protocol: UpstreamProtocol,
    ) -> Self {
        let http2 = match probe {
            Probe::Http { .. } => false,
            Probe::Grpc { .. } => true,
            Probe::Tcp => protocol == UpstreamProtocol::Http2,
        };
        let config = if http2 { &client.http2 } else { &client.http1 };
        Self { config: Arc::clone(config), http2, name }
    }

    /// As for a request: a server that does not agree to HTTP/2 does not serve those who speak it.
    async fn greet(self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let stream = TlsConnector::from(self.config).connect(self.name, stream).await.ok()?;
        let agreed = stream.get_ref().1.alpn_protocol() == Some(ALPN_H2);
        (agreed || !self.http2).then_some(stream)
    }
}

/// Must run where `spawn_local` works. Takes no longer than the timeout.
pub async fn check(address: SocketAddr, health: &Health, preface: Preface) -> Found {
    let asked = async {
        let stream = match connect(address, preface.proxy_protocol).await {
            Ok(stream) => stream,
            Err(error) if is_our_shortage(&error) => return Found::Nothing,
            Err(_) => return Found::Failed,
        };
        let passed = match preface.tls {
            None => ask(stream, address, &health.probe, &Scheme::HTTP).await,
            Some(greeting) => match greeting.greet(stream).await {
                Some(stream) => ask(stream, address, &health.probe, &Scheme::HTTPS).await,
                None => None,
            },
        };
        if passed == Some(true) { Found::Passed } else { Found::Failed }
    };
    tokio::time::timeout(health.timeout, asked).await.unwrap_or(Found::Failed)
}

/// `None`: no answer that could be read.
async fn ask(stream: impl Duplex, address: SocketAddr, probe: &Probe, scheme: &Scheme) -> Option<bool> {
    match probe {
        Probe::Tcp => Some(true),
        Probe::Http { path, host, statuses } => http(stream, address, path, host, statuses).await,
        Probe::Grpc { service, host } => grpc(stream, address, service, host, scheme).await,
    }
}

/// In clear, or inside TLS.
trait Duplex: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Duplex for S {}

/// The one place where a check connects.
async fn connect(address: SocketAddr, introduction: Option<ProxyProtocol>) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    if let Some(version) = introduction {
        stream.write_all(of_nobody(version)).await?;
    }
    Ok(stream)
}

/// The PROXY protocol header of a connection that we make for ourselves and for no client.
fn of_nobody(version: ProxyProtocol) -> &'static [u8] {
    match version {
        ProxyProtocol::V1 => b"PROXY UNKNOWN\r\n",
        ProxyProtocol::V2 => b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
    }
}

/// Of memory, descriptors, buffers or ports.
fn is_our_shortage(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EADDRNOTAVAIL: i32 = 99;
    const ENOBUFS: i32 = 105;
    matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE | EADDRNOTAVAIL | ENOBUFS))
}

async fn http(
    stream: impl Duplex,
    address: SocketAddr,
    path: &PathAndQuery,
    host: &Option<HeaderValue>,
    statuses: &[RangeInclusive<u16>],
) -> Option<bool> {
    let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.ok()?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = Uri::from(path.clone());
    request.headers_mut().insert(header::HOST, host_of(host, address)?);
    request.headers_mut().insert(header::USER_AGENT, AGENT);
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    let response = driven(connection, sender.send_request(request)).await.ok()?;
    let status = response.status().as_u16();
    Some(statuses.iter().any(|range| range.contains(&status)))
}

/// HTTP/2: with prior knowledge, or as TLS has agreed.
async fn grpc(
    stream: impl Duplex,
    address: SocketAddr,
    service: &str,
    host: &Option<HeaderValue>,
    scheme: &Scheme,
) -> Option<bool> {
    let handshake = http2::handshake(LocalExecutor, TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.ok()?;
    let host = host_of(host, address)?;
    let uri = Uri::builder().scheme(scheme.clone()).authority(host.as_bytes()).path_and_query(GRPC_PATH);
    let mut request = Request::new(Full::new(grpc_question(service)?));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.build().ok()?;
    request.headers_mut().insert(header::USER_AGENT, AGENT);
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    let asked = async {
        let response = sender.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, GRPC_BYTES_MAX).collect().await.ok()?;
        let good = |fields: &HeaderMap| fields.get("grpc-status").is_some_and(|status| status == "0");
        let well = good(&head.headers) || body.trailers().is_some_and(good);
        Some(head.status == StatusCode::OK && well && is_serving(&body.to_bytes()))
    };
    driven(connection, asked).await
}

/// `HealthCheckRequest { service }` in its envelope.
fn grpc_question(service: &str) -> Option<Bytes> {
    const FIELD_1_BYTES: u8 = 0x0A;
    let mut message = BytesMut::new();
    if !service.is_empty() {
        let low = |number: usize| number.to_le_bytes()[0];
        message.put_u8(FIELD_1_BYTES);
        let mut length = service.len();
        while length > 0x7F {
            message.put_u8(0x80 | low(length));
            length >>= 7;
        }
        message.put_u8(low(length));
        message.put_slice(service.as_bytes());
    }
    let mut envelope = BytesMut::new();
    envelope.put_u8(0);
    envelope.put_u32(u32::try_from(message.len()).ok()?);
    envelope.put(message);
    Some(envelope.freeze())
}

/// `HealthCheckResponse { status: SERVING }`, not compressed.
fn is_serving(envelope: &[u8]) -> bool {
    matches!(envelope, [0, 0, 0, 0, 2, 0x08, 1])
}

fn host_of(host: &Option<HeaderValue>, address: SocketAddr) -> Option<HeaderValue> {
    host.clone().or_else(|| HeaderValue::try_from(address.to_string()).ok())
}

/// Lets the connection read and write until the work is done. A connection that ends has handed over what it had.
async fn driven<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    let (connection, mut work) = (pin!(connection), pin!(work));
    tokio::select! {
        biased;
        done = &mut work => return done,
        _ = connection => {}
    }
    work.await
}

/// Where hyper's HTTP/2 puts the tasks of a connection. They end with it.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

#[cfg(test)]
mod tests;
