//! What counts as well, against scripted endpoints on loopback.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Response;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn_local;

use super::*;
use crate::config::Weight;

mod preface;

fn health(probe: Probe) -> Health {
    Health {
        probe,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        healthy_after: 1,
        unhealthy_after: 1,
        panic: Weight::ZERO,
    }
}

fn http(statuses: RangeInclusive<u16>) -> Health {
    let path = PathAndQuery::from_static("/healthz?deep=1");
    health(Probe::Http { path, host: None, statuses: vec![statuses] })
}

fn grpc(service: &str) -> Health {
    health(Probe::Grpc { service: service.into(), host: None })
}

/// Runs a check beside an endpoint.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(work)
}

/// Answers one connection with these bytes and closes it. Says what it was asked.
async fn asked(health: &Health, answer: &'static str) -> (Found, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    let found = check(address, health, Preface::default()).await;
    (found, serve.await.unwrap())
}

#[test]
fn an_http_endpoint_is_well_if_it_says_so_in_a_status_of_the_range() {
    run(async {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Found::Passed),
            ("HTTP/1.1 204 None\r\n\r\n", Found::Passed),
            ("HTTP/1.1 399 Last\r\n\r\n", Found::Passed),
            ("HTTP/1.1 400 Bad\r\n\r\n", Found::Failed),
            ("HTTP/1.1 503 Down\r\nContent-Length: 100\r\n\r\n", Found::Failed),
            ("HELLO\r\n\r\n", Found::Failed),
            ("", Found::Failed),
        ] {
            let (found, head) = asked(&http(200..=399), answer).await;
            assert_eq!(found, expected, "{answer:?}");
            assert!(head.starts_with("GET /healthz?deep=1 HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("host: 127.0.0.1:") && head.contains("user-agent: andon-health"), "{head}");
        }
    });
}

#[test]
fn the_host_is_what_the_file_says() {
    let probe = Probe::Http {
        path: PathAndQuery::from_static("/"),
        host: Some(HeaderValue::from_static("shop.example")),
        statuses: vec![200..=200],
    };
    let (_, head) = run(asked(&health(probe), "HTTP/1.1 200 OK\r\n\r\n"));
    assert!(head.contains("host: shop.example\r\n"), "{head}");
}

#[test]
fn a_connection_is_enough_for_tcp_and_no_connection_is_not() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(check(address, &health(Probe::Tcp), Preface::default()).await, Found::Passed);
        drop(listener);
        assert_eq!(check(address, &health(Probe::Tcp), Preface::default()).await, Found::Failed);
        assert_eq!(check(address, &http(200..=200), Preface::default()).await, Found::Failed);
        assert_eq!(check(address, &grpc(""), Preface::default()).await, Found::Failed);
    });
}

#[test]
fn silence_is_a_failure_when_the_time_is_up() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health { timeout: Duration::from_millis(50), ..http(200..=200) };
        assert_eq!(check(address, &health, Preface::default()).await, Found::Failed);
    });
}

/// A gRPC server that answers everybody with these bytes and this `grpc-status`.
async fn grpc_asked(service: &str, message: &'static [u8], status: &'static str) -> (Found, Bytes) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let question = Rc::new(Cell::new(Bytes::new()));
    let seen = Rc::clone(&question);
    spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let answer = service_fn(move |request: Request<Incoming>| {
            let seen = Rc::clone(&seen);
            async move {
                assert_eq!(request.uri().path(), GRPC_PATH);
                assert_eq!(request.headers()["content-type"], "application/grpc");
                seen.set(request.into_body().collect().await.unwrap().to_bytes());
                Ok::<_, Infallible>(Response::new(Answer::new(status, message)))
            }
        });
        // It ends when the check hangs up.
        let _ = Builder::new(LocalExecutor).serve_connection(TokioIo::new(stream), answer).await;
    });
    let found = check(address, &grpc(service), Preface::default()).await;
    (found, question.take())
}

/// A message, then trailers.
struct Answer(std::array::IntoIter<Frame<Bytes>, 2>);

impl Answer {
    fn new(status: &'static str, message: &'static [u8]) -> Self {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(status));
        Self([Frame::data(Bytes::from_static(message)), Frame::trailers(trailers)].into_iter())
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

#[test]
fn a_grpc_endpoint_is_well_if_its_health_service_says_serving() {
    const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];
    const NOT_SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 2];
    run(async {
        for (message, status, expected) in [
            (SERVING, "0", Found::Passed),
            (NOT_SERVING, "0", Found::Failed),
            (SERVING, "13", Found::Failed),
            (&[], "5", Found::Failed),
        ] {
            let (found, question) = grpc_asked("", message, status).await;
            assert_eq!(found, expected, "{message:?} {status}");
            assert_eq!(question, &[0, 0, 0, 0, 0][..]);
        }
        let (found, question) = grpc_asked("shop", SERVING, "0").await;
        assert_eq!(found, Found::Passed);
        assert_eq!(question, &b"\x00\x00\x00\x00\x06\x0a\x04shop"[..]);
    });
}
