//! An upstream on HTTP/2 that answers by itself, or as the test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::h2::{Arriving, Background, Payload, Pen, Tunnel, text_of};
use super::wait::PATIENCE;

type Handler = dyn Fn(Request<Incoming>) -> Response<Payload> + Send + Sync;

/// Answers by itself, or hands every request to the test as a [`Call`].
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    background: Background,
    calls: Receiver<Call>,
    connections: Arc<AtomicUsize>,
}

/// A request to the upstream.
pub(crate) struct Call {
    pub(crate) request: http::request::Parts,
    pub(crate) body: Arriving,
    answer: oneshot::Sender<Response<Payload>>,
}

impl Call {
    pub(crate) fn reply(self, response: Response<Payload>) {
        let _ = self.answer.send(response);
    }

    /// An answer that the test writes, and the body that it reads meanwhile.
    pub(crate) fn converse(self, fields: &[(&str, &str)]) -> (Pen, Arriving) {
        let (pen, body) = Payload::piped();
        let _ = self.answer.send(response(200, fields, body));
        (pen, self.body)
    }

    /// Says yes to a WebSocket.
    #[track_caller]
    pub(crate) fn agree(mut self, fields: &[(&str, &str)]) -> Tunnel {
        let upgrade = self.request.extensions.remove::<hyper::upgrade::OnUpgrade>().expect("a CONNECT");
        let _ = self.answer.send(response(200, fields, Payload::Empty));
        let background = self.body.background;
        let io = TokioIo::new(background.wait("the tunnel", upgrade).expect("a tunnel"));
        Tunnel { background, io }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.answer.is_closed()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        text_of(&self.request.headers, name)
    }
}

pub(crate) fn response(status: u16, fields: &[(&str, &str)], body: Payload) -> Response<Payload> {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(body).expect("it is a valid response")
}

impl Upstream {
    /// The test answers.
    pub(crate) fn manual() -> Self {
        Self::serve(None)
    }

    pub(crate) fn start(
        answer: impl Fn(Request<Incoming>) -> Response<Payload> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Some(Arc::new(answer)))
    }

    /// Sends back what comes, while it comes.
    pub(crate) fn echo() -> Self {
        Self::start(|request| {
            let kind = request.headers().get("content-type").cloned();
            let mut response = Response::new(Payload::Echo(request.into_body()));
            response.headers_mut().extend(kind.map(|kind| (http::header::CONTENT_TYPE, kind)));
            response
        })
    }

    #[track_caller]
    pub(crate) fn call(&self) -> Call {
        self.calls.recv_timeout(PATIENCE).expect("a request reaches the upstream")
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn serve(handler: Option<Arc<Handler>>) -> Self {
        let background = Background::start();
        let listener =
            background.wait("a port", TcpListener::bind("127.0.0.1:0")).expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let (sender, calls) = channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let weak = background.handle.clone();
        background.handle.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                weak.spawn(serve(stream, weak.clone(), sender.clone(), handler.clone()));
            }
        });
        Self { address, background, calls, connections }
    }

    /// Everything that it has goes, connections and all.
    pub(crate) fn vanish(self) {
        drop(self.background);
    }
}

async fn serve(stream: TcpStream, handle: Handle, calls: Sender<Call>, handler: Option<Arc<Handler>>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (calls, handler, handle) = (calls.clone(), handler.clone(), handle.clone());
        async move {
            if let Some(handler) = handler {
                return Ok::<_, std::convert::Infallible>(handler(request));
            }
            let (answer, answered) = oneshot::channel();
            let (parts, body) = request.into_parts();
            let background = Background { handle, _alive: Arc::new(oneshot::channel().0) };
            let (headers, status) = (HeaderMap::new(), StatusCode::OK);
            let _ = calls.send(Call {
                request: parts,
                body: Arriving { background, headers, status, body },
                answer,
            });
            Ok(answered.await.unwrap_or_else(|_| response(500, &[], Payload::Empty)))
        }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol().max_concurrent_streams(200);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}
