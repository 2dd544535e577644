//! What a proxy answers, request by request, for the check of equal work in `loadtest/check.py`.

use std::io;

use bytes::Bytes;
use clap::ValueEnum;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::task::spawn_local;

use crate::serve::Local;
use crate::target::{HOST, Target};

/// The frame of a unary call: not compressed, five bytes long.
pub const GRPC_MESSAGE: &[u8] = b"\0\0\0\0\x05hello";

#[derive(Clone, Copy, ValueEnum)]
pub enum Protocol {
    Http1,
    /// With TLS by its negotiation, without it as if it were known that the other end speaks it.
    H2,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

pub async fn run(target: Target, protocol: Protocol, count: u32, grpc: bool) -> io::Result<()> {
    let mut sender = open(&target, protocol).await?;
    for _ in 0..count {
        let request = request(&target, protocol, grpc);
        let response = match &mut sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(io::Error::other)?;
                sender.send_request(request).await
            }
            Sender::H2(sender) => sender.send_request(request).await,
        };
        println!("{}", told(response.map_err(io::Error::other)?).await?);
    }
    Ok(())
}

async fn open(target: &Target, protocol: Protocol) -> io::Result<Sender> {
    match protocol {
        Protocol::Http1 => {
            let stream = TokioIo::new(target.connect(b"http/1.1").await?);
            let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
            spawn_local(connection);
            Ok(Sender::Http1(sender))
        }
        Protocol::H2 => {
            let stream = TokioIo::new(target.connect(b"h2").await?);
            let (sender, connection) = http2::handshake(Local, stream).await.map_err(io::Error::other)?;
            spawn_local(connection);
            Ok(Sender::H2(sender))
        }
    }
}

fn request(target: &Target, protocol: Protocol, grpc: bool) -> Request<Full<Bytes>> {
    let builder = match protocol {
        Protocol::Http1 => Request::builder().uri(&target.path).header("host", HOST),
        Protocol::H2 => Request::builder().uri(format!("{}://{HOST}{}", target.scheme(), target.path)),
    };
    let request = if grpc {
        let call = builder.method("POST").header("content-type", "application/grpc").header("te", "trailers");
        call.body(Full::from(GRPC_MESSAGE))
    } else {
        builder.body(Full::default())
    };
    request.expect("the parts of a request are sound")
}

async fn told(response: Response<Incoming>) -> io::Result<serde_json::Value> {
    let (status, version) = (response.status().as_u16(), format!("{:?}", response.version()));
    let body = response.into_body().collect().await.map_err(io::Error::other)?;
    let grpc_status = body.trailers().and_then(|trailers| trailers.get("grpc-status")?.to_str().ok());
    let grpc_status = grpc_status.map(str::to_owned);
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok(json!({ "status": status, "version": version, "body": body, "grpc_status": grpc_status }))
}
