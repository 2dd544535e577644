//! The upstream that nginx cannot be: unary gRPC with trailers, and WebSocket echo. It also answers as
//! `upstream/nginx.conf` does, so that the same check holds for it.

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::str::FromStr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT};
use hyper::header::{SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

const SMALL: &str = "a small answer, as an API gives it\n";

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

#[derive(Clone)]
pub struct Listener {
    name: String,
    address: SocketAddr,
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("{text:?} is no listener; write one such as stable=127.0.0.1:8080");
        let (name, address) = text.split_once('=').ok_or_else(problem)?;
        Ok(Self { name: name.to_owned(), address: address.parse().map_err(|_| problem())? })
    }
}

/// Tasks of hyper stay on this thread.
#[derive(Clone)]
pub struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// Serves until the process is ended.
pub async fn run(listeners: Vec<Listener>) -> io::Result<()> {
    for Listener { name, address } in listeners {
        let listener = TcpListener::bind(address).await?;
        spawn_local(accept(listener, Rc::from(name)));
    }
    std::future::pending().await
}

async fn accept(listener: TcpListener, name: Rc<str>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn_local(connection(stream, name.clone()))),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
}

async fn connection(stream: TcpStream, name: Rc<str>) {
    // An error of either kind means that the other end has gone, which the load reports.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, name.clone()));
    let _ = auto::Builder::new(Local).serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, name: Rc<str>) -> Result<Answer, hyper::Error> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    if header("content-type").starts_with("application/grpc") {
        return echo_call(request).await;
    }
    if header("upgrade").eq_ignore_ascii_case("websocket") {
        return Ok(upgrade(request));
    }
    if request.method() == Method::POST {
        return swallow(request).await;
    }
    if request.uri().path().ends_with("/check") {
        let forwarded =
            ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"].map(header);
        return Ok(text(format!("{name}|{}", forwarded.join("|"))));
    }
    Ok(text(SMALL))
}

fn text(body: impl Into<Bytes>) -> Answer {
    Response::new(Full::new(body.into()).boxed_unsync())
}

/// Answers behind the whole of an upload: an answer before its end would let a proxy drop the rest.
async fn swallow(request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(text(SMALL))
}

/// A unary call: the message comes back, and the status behind it.
async fn echo_call(request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let message = request.into_body().collect().await?.to_bytes();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(message).with_trailers(ready(Some(Ok(trailers)))).boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

fn upgrade(mut request: Request<Incoming>) -> Answer {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        let mut response = text("a WebSocket without its key\n");
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let accept = derive_accept_key(key.as_bytes());
    spawn_local(async move {
        if let Ok(upgraded) = hyper::upgrade::on(&mut request).await {
            echo_messages(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await)
                .await;
        }
    });
    let mut response = text("");
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::from_str(&accept).expect("base64 is a header value");
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

async fn echo_messages<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
) {
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_binary() || message.is_text()) && socket.send(message).await.is_err() {
            return;
        }
    }
}
