//! Well-behaved HTTP/2: a client, and what it has in common with [`super::h2_upstream`]. hyper speaks for both.
//!
//! The calls block, like those of [`super::Wire`], with a deadline; a thread in the background moves the connections.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

pub(crate) use super::h2_upstream::{Upstream, response};
use super::wait::PATIENCE;

/// Where the connections live. It ends with the last of these.
#[derive(Clone, Debug)]
pub(crate) struct Background {
    pub(super) handle: Handle,
    pub(super) _alive: Arc<oneshot::Sender<()>>,
}

impl Background {
    pub(super) fn start() -> Self {
        let (alive, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime needs little");
        let handle = runtime.handle().clone();
        std::thread::spawn(move || {
            let _ = runtime.block_on(ended);
        });
        Self { handle, _alive: Arc::new(alive) }
    }

    #[track_caller]
    pub(super) fn wait<F: Future>(&self, what: &str, future: F) -> F::Output {
        let ended = self.handle.block_on(async { tokio::time::timeout(PATIENCE, future).await });
        ended.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
    }
}

/// The body of what the test sends.
pub(crate) enum Payload {
    Empty,
    Whole(Option<Bytes>),
    Piped(mpsc::Receiver<io::Result<Frame<Bytes>>>),
    /// What comes in, trailers and all.
    Echo(Incoming),
}

impl Payload {
    pub(crate) fn of(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// One that the test writes piece by piece.
    pub(crate) fn piped() -> (Pen, Self) {
        let (sender, receiver) = mpsc::channel(1);
        (Pen(sender), Self::Piped(receiver))
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Piped(receiver) => receiver.poll_recv(context),
            Self::Echo(incoming) => Pin::new(incoming).poll_frame(context).map_err(io::Error::other),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty | Self::Whole(None))
    }
}

/// Writes a body. Dropped, it ends the body as it should.
pub(crate) struct Pen(mpsc::Sender<io::Result<Frame<Bytes>>>);

impl Pen {
    #[track_caller]
    pub(crate) fn write(&self, bytes: impl Into<Bytes>) {
        self.0.blocking_send(Ok(Frame::data(bytes.into()))).expect("somebody takes the body");
    }

    /// Whether there was room: without it, back-pressure has come to us.
    pub(crate) fn try_write(&self, bytes: impl Into<Bytes>) -> bool {
        self.0.try_send(Ok(Frame::data(bytes.into()))).is_ok()
    }

    #[track_caller]
    pub(crate) fn trailers(self, fields: HeaderMap) {
        self.0.blocking_send(Ok(Frame::trailers(fields))).expect("somebody takes the body");
    }

    /// Nobody wants the body any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.is_closed()
    }

    /// The body breaks off.
    pub(crate) fn break_off(self) {
        let _ = self.0.blocking_send(Err(io::ErrorKind::BrokenPipe.into()));
    }
}

/// What came, whole or up to the error.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) error: Option<hyper::Error>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        text_of(&self.headers, name)
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        text_of(self.trailers.as_ref()?, name)
    }
}

pub(super) fn text_of<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    fields.get(name).map(|value| value.to_str().expect("text"))
}

/// A message whose body arrives.
pub(crate) struct Arriving {
    pub(super) background: Background,
    pub(crate) headers: HeaderMap,
    pub(crate) status: StatusCode,
    pub(super) body: Incoming,
}

impl Arriving {
    fn answer(background: &Background, response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        Self { background: background.clone(), headers: parts.headers, status: parts.status, body }
    }

    /// The next piece. `None`: the end of the body.
    #[track_caller]
    pub(crate) fn piece(&mut self) -> Option<hyper::Result<Frame<Bytes>>> {
        self.background.wait("a piece of a body", self.body.frame())
    }

    #[track_caller]
    pub(crate) fn data(&mut self) -> Bytes {
        let piece = self.piece().expect("the body goes on").expect("the body goes on");
        piece.into_data().expect("data, not trailers")
    }

    #[track_caller]
    pub(crate) fn rest(mut self) -> Answer {
        let Self { status, headers, .. } = &self;
        let (status, headers) = (*status, headers.clone());
        let mut answer = Answer { status, headers, body: Vec::new(), trailers: None, error: None };
        while let Some(piece) = self.piece() {
            match piece.map(Frame::into_data) {
                Ok(Ok(data)) => answer.body.extend(data),
                Ok(Err(trailers)) => answer.trailers = trailers.into_trailers().ok(),
                Err(error) => {
                    answer.error = Some(error);
                    break;
                }
            }
        }
        answer
    }
}

/// The code by which a stream, or its connection, was ended.
pub(crate) fn code_of(error: &hyper::Error) -> Option<h2::Reason> {
    std::error::Error::source(error)?.downcast_ref::<h2::Error>()?.reason()
}

pub(crate) struct Client {
    background: Background,
    sender: SendRequest<Payload>,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let background = Background::start();
        let sender = background.wait("a connection", async {
            let stream = TcpStream::connect(address).await.expect("andon accepts connections");
            let io = TokioIo::new(stream);
            let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            let (sender, mut connection) = builder.handshake(io).await.expect("andon speaks HTTP/2");
            // With andon's settings it is known that there is extended CONNECT; nothing tells when they come.
            while !connection.is_extended_connect_protocol_enabled() {
                let polled =
                    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut connection).poll(context)));
                assert!(polled.await.is_pending(), "andon closes the connection");
                tokio::task::yield_now().await;
            }
            background.handle.spawn(connection);
            sender
        });
        Self { background, sender }
    }

    pub(crate) fn begin(&self, request: Request<Payload>) -> Asked {
        let answer = self.sender.clone().send_request(request);
        Asked { background: self.background.clone(), answer: self.background.handle.spawn(answer) }
    }

    #[track_caller]
    pub(crate) fn ask(&self, request: Request<Payload>) -> Answer {
        self.begin(request).head().rest()
    }

    /// A whole exchange that must succeed: its body.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> String {
        let answer = self.ask(get(path));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.error.is_none(), "{answer:?}");
        answer.text().to_owned()
    }
}

pub(crate) fn get(path: &str) -> Request<Payload> {
    request("GET", path, &[], Payload::Empty)
}

pub(crate) fn request(method: &str, path: &str, fields: &[(&str, &str)], body: Payload) -> Request<Payload> {
    let uri = format!("http://shop.example{path}");
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(body).expect("it is a valid request")
}

/// A request under way.
pub(crate) struct Asked {
    background: Background,
    answer: tokio::task::JoinHandle<hyper::Result<Response<Incoming>>>,
}

impl Asked {
    #[track_caller]
    pub(crate) fn try_head(self) -> hyper::Result<Arriving> {
        let response = self.background.wait("a response", self.answer).expect("no panic");
        response.map(|response| Arriving::answer(&self.background, response))
    }

    #[track_caller]
    pub(crate) fn head(self) -> Arriving {
        self.try_head().expect("an answer comes")
    }

    /// The bytes that the stream has become.
    #[track_caller]
    pub(crate) fn tunnel(self) -> (HeaderMap, Tunnel) {
        let response = self.background.wait("a response", self.answer).expect("no panic").expect("an answer");
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        let upgraded = self.background.wait("the tunnel", hyper::upgrade::on(response)).expect("a tunnel");
        (headers, Tunnel { background: self.background, io: TokioIo::new(upgraded) })
    }

    /// Takes the request back.
    pub(crate) fn cancel(self) {
        self.answer.abort();
    }
}

/// Bytes both ways on a stream.
pub(crate) struct Tunnel {
    pub(super) background: Background,
    pub(super) io: TokioIo<hyper::upgrade::Upgraded>,
}

impl Tunnel {
    #[track_caller]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.background.wait("room in a tunnel", self.io.write_all(bytes)).expect("the tunnel is open");
    }

    #[track_caller]
    pub(crate) fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.background
            .wait("bytes of a tunnel", self.io.read_exact(&mut bytes))
            .expect("the tunnel is open");
        bytes
    }

    #[track_caller]
    pub(crate) fn finish(&mut self) {
        self.background.wait("room in a tunnel", self.io.shutdown()).expect("the tunnel is open");
    }

    /// Everything up to its end.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.background.wait("the end of a tunnel", self.io.read_to_end(&mut bytes)).map(|_| bytes)
    }
}
