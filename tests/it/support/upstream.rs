//! Scripted upstreams: one that the test plays by hand, one that answers by itself.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::message::Message;
use super::wait::{self, PATIENCE};
use super::wire::Wire;

/// An answer with a body of known length.
pub(crate) fn reply(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Accepts and answers only what the test tells it to, in the test's own thread.
pub(crate) struct Manual {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
}

impl Manual {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        listener.set_nonblocking(true).expect("the socket is fresh");
        Self { address: listener.local_addr().expect("it is bound"), listener }
    }

    /// The kernel takes little on its behalf, so that a sender notices when it does not read.
    pub(crate) fn start_unbuffered() -> Self {
        let manual = Self::start();
        let shrunk = socket2::SockRef::from(&manual.listener).set_recv_buffer_size(128 * 1024);
        shrunk.expect("the socket is open");
        manual
    }

    #[track_caller]
    pub(crate) fn accept(&self) -> Wire {
        wait::until("andon connects to the upstream", || self.accepted())
    }

    /// Whether andon has opened a connection that was not accepted yet.
    pub(crate) fn has_caller(&self) -> bool {
        self.accepted().is_some()
    }

    fn accepted(&self) -> Option<Wire> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("the socket is open");
                Some(Wire::new(stream))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("accept: {error}"),
        }
    }
}

/// Answers every request by itself, on any number of connections, and remembers what came.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Receiver<Message>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
    stop: AtomicBool,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), answer)
    }

    pub(crate) fn start_at(
        address: SocketAddr,
        answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let (sender, seen) = channel();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                if shared.stop.load(Ordering::SeqCst) {
                    break;
                }
                let (sender, counts, answer) = (sender.clone(), Arc::clone(&shared), Arc::clone(&answer));
                std::thread::spawn(move || serve(Wire::new(stream), &sender, &counts, &*answer));
            }
        });
        Self { address, seen, counts }
    }

    /// Says its name, and nothing else.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::start(move |_| reply(200, name))
    }

    /// The next request that came, in order.
    #[track_caller]
    pub(crate) fn request(&self) -> Message {
        self.seen.recv_timeout(PATIENCE).expect("a request reaches the upstream")
    }

    pub(crate) fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::SeqCst);
        // Wakes the accept, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(mut wire: Wire, seen: &Sender<Message>, counts: &Counts, answer: &dyn Fn(&Message) -> Vec<u8>) {
    counts.connections.fetch_add(1, Ordering::SeqCst);
    while let Some(request) = wire.try_request().filter(|request| request.whole) {
        counts.requests.fetch_add(1, Ordering::SeqCst);
        let bytes = answer(&request);
        // Nobody listens any more once the test has ended.
        let _ = seen.send(request);
        if wire.try_send(bytes).is_err() {
            return;
        }
    }
}
