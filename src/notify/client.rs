//! One question to a server of others, on a connection of its own.
//!
//! Nothing is believed and nothing is unbounded: of an answer so many bytes are read as the caller says, redirects are
//! not followed (a signed message is for whom the file names, and nobody else), and how long it all may take is the
//! caller's to limit.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use crate::config::{Web, web};
use crate::tls::Material;

/// Of the head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1_024;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("andon/", env!("CARGO_PKG_VERSION")));

pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// As far as it was read.
    pub(super) body: Bytes,
    /// The body is all of it: it did not break off, and was not longer than what is read.
    pub(super) whole: bool,
}

/// Why there is no answer. Fit to be shown: no path and no secret stands in it.
#[derive(Debug, Error)]
pub(super) enum Failed {
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    #[error("no TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("what it takes to speak TLS is not loaded yet")]
    NoTls,
    #[error("token_file {0}")]
    Token(String),
    #[error("no answer: {0}")]
    Broken(#[from] hyper::Error),
}

/// Of the body at most `body_bytes_max` are read; 0: it is not waited for. May be dropped at any moment.
pub(super) async fn ask(
    web: &Web,
    tls: &watch::Receiver<Arc<Material>>,
    ask: Ask,
    body_bytes_max: usize,
) -> Result<Answer, Failed> {
    let request = request(web, ask)?;
    let stream = TcpStream::connect((&*web.host, web.port)).await.map_err(Failed::Connect)?;
    let Some(endpoint) = &web.tls else { return exchange(stream, request, body_bytes_max).await };
    let address = web.host.parse::<IpAddr>().or_else(|_| stream.peer_addr().map(|address| address.ip()));
    let known = tls.borrow().client(endpoint, address.map_err(Failed::Connect)?);
    let (client, name) = known.ok_or(Failed::NoTls)?;
    let shaken = TlsConnector::from(Arc::clone(&client.http1)).connect(name, stream).await;
    exchange(shaken.map_err(Failed::Tls)?, request, body_bytes_max).await
}

fn request(web: &Web, ask: Ask) -> Result<Request<Full<Bytes>>, Failed> {
    let mut request = Request::new(Full::new(ask.body));
    *request.method_mut() = ask.method;
    // It was an address when the file was read.
    *request.uri_mut() = web.path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    *request.headers_mut() = ask.headers;
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::try_from(web.authority()) {
        headers.insert(header::HOST, host);
    }
    headers.insert(header::USER_AGENT, AGENT);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(file) = &web.token {
        let token = web::secret_of(file).map_err(Failed::Token)?;
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| Failed::Token("holds no token".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    body_bytes_max: usize,
) -> Result<Answer, Failed> {
    let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await?;
    let asked = async {
        let (head, mut body) = sender.send_request(request).await?.into_parts();
        let (mut read, mut whole) = (Vec::new(), body_bytes_max > 0);
        while let Some(frame) = if whole { body.frame().await } else { None } {
            let Ok(frame) = frame else {
                whole = false;
                break;
            };
            let Ok(data) = frame.into_data() else { continue };
            let room = body_bytes_max - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                whole = false;
                break;
            }
        }
        Ok(Answer { status: head.status, headers: head.headers, body: read.into(), whole })
    };
    driven(connection, asked).await
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
