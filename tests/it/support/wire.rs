//! One end of a connection, in bytes. Clients and scripted upstreams both speak through it.
//!
//! Every read has a deadline, so a test that waits for what never comes fails with what came instead.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::message::{Message, parse_fields};
use super::wait::PATIENCE;

/// How the other side's bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
    /// They did not: nothing came for [`PATIENCE`].
    Silent,
}

#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("andon accepts connections"))
    }

    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("PATIENCE is not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("PATIENCE is not zero");
        stream.set_nodelay(true).expect("the socket is fresh");
        Self { stream, unread: Vec::new() }
    }

    /// The same connection in another hand: one sends while the other reads.
    pub(crate) fn twin(&self) -> Self {
        Self { stream: self.stream.try_clone().expect("descriptors are left"), unread: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the other side takes bytes");
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends this up to so often without reading anything, until it is not taken any more or the connection is ended.
    pub(crate) fn is_stopped_after(&mut self, bytes: &[u8], times: usize) -> bool {
        let blocked = Duration::from_millis(500);
        self.stream.set_write_timeout(Some(blocked)).expect("it is not zero");
        (0..times).any(|_| self.try_send(bytes).is_err())
    }

    /// The other side reads our end; we can still read.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// Closes with a reset instead of an orderly end.
    pub(crate) fn reset(self) {
        let linger = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        linger.expect("the socket is open");
    }

    /// One request with its body. `None`: the connection ended instead.
    pub(crate) fn try_request(&mut self) -> Option<Message> {
        let mut message = self.try_head().ok()?;
        let framing = match (message.is_chunked(), message.length()) {
            (true, _) => Framing::Chunked,
            (_, length) => Framing::Length(length.unwrap_or(0)),
        };
        self.body(&mut message, framing);
        Some(message)
    }

    #[track_caller]
    pub(crate) fn request(&mut self) -> Message {
        self.try_request().expect("a request comes")
    }

    /// Head only; its body is still to be read.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Message {
        self.try_head().unwrap_or_else(|end| panic!("no head: {end:?} after {:?}", self.seen()))
    }

    /// One response, which may be an early one (1xx), to anything but HEAD.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Message {
        self.response_to("GET")
    }

    #[track_caller]
    pub(crate) fn response_to(&mut self, method: &str) -> Message {
        let head = self.head();
        self.response_after(head, method)
    }

    /// One response. `None`: the connection ended instead.
    pub(crate) fn try_response(&mut self) -> Option<Message> {
        let head = self.try_head().ok()?;
        Some(self.response_after(head, "GET"))
    }

    fn response_after(&mut self, mut message: Message, method: &str) -> Message {
        let status = message.status();
        let bodiless = method == "HEAD" || status < 200 || status == 204 || status == 304;
        let framing = match message.length() {
            _ if bodiless => Framing::Length(0),
            _ if message.is_chunked() => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        self.body(&mut message, framing);
        message
    }

    /// Reads up to and with `needle`.
    #[track_caller]
    pub(crate) fn read_until(&mut self, needle: &str) -> String {
        loop {
            if let Some(at) = find(&self.unread, needle.as_bytes()) {
                let taken = self.unread.drain(..at + needle.len()).collect();
                return String::from_utf8(taken).expect("text");
            }
            if let Err(end) = self.fill() {
                panic!("no {needle:?}: {end:?} after {:?}", self.seen());
            }
        }
    }

    /// The same. `None`: the connection ended before.
    pub(crate) fn try_read_until(&mut self, needle: &str) -> Option<String> {
        loop {
            if let Some(at) = find(&self.unread, needle.as_bytes()) {
                let taken: Vec<u8> = self.unread.drain(..at + needle.len()).collect();
                return Some(String::from_utf8_lossy(&taken).into_owned());
            }
            self.fill().ok()?;
        }
    }

    /// So many bytes. `None`: the connection ended before.
    pub(crate) fn try_read(&mut self, length: usize) -> Option<String> {
        let mut taken = Vec::new();
        self.take(length, &mut taken).ok()?;
        Some(String::from_utf8_lossy(&taken).into_owned())
    }

    #[track_caller]
    pub(crate) fn read_exactly(&mut self, length: usize) {
        let step = self.take(length, &mut Vec::new());
        assert!(step.is_ok(), "fewer than {length} bytes come: {step:?}");
    }

    /// The next bytes, this many.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<Vec<u8>, End> {
        let mut bytes = Vec::new();
        self.take(length, &mut bytes).map(|()| bytes)
    }

    /// Everything that still comes, and how it ends.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(End::Silent) => panic!("the connection stays open after {:?}", self.seen()),
                Err(end) => return (std::mem::take(&mut self.unread), end),
            }
        }
    }

    /// Nothing has come so far beyond what was read, and the connection is open.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("the socket is open");
        let fill = self.fill();
        self.stream.set_nonblocking(false).expect("the socket is open");
        self.unread.is_empty() && fill == Err(End::Silent)
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.unread[..self.unread.len().min(2_000)]).into_owned()
    }

    fn try_head(&mut self) -> Result<Message, End> {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..at + 4).collect();
                return Ok(Message::parse(&String::from_utf8_lossy(&head[..at])));
            }
            self.fill()?;
        }
    }

    fn body(&mut self, message: &mut Message, framing: Framing) {
        let end = match framing {
            Framing::Length(length) => self.take(length, &mut message.body),
            Framing::Chunked => self.chunks(message),
            Framing::UntilClose => loop {
                let step = self.fill();
                message.body.append(&mut self.unread);
                match step {
                    Err(End::Closed) => break Ok(()),
                    Err(end) => break Err(end),
                    Ok(()) => {}
                }
            },
        };
        message.whole = end.is_ok();
    }

    fn chunks(&mut self, message: &mut Message) -> Result<(), End> {
        loop {
            let line = self.line()?;
            let size =
                usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("not a chunk size: {line:?}"));
            if size == 0 {
                break;
            }
            self.take(size, &mut message.body)?;
            assert_eq!(self.line()?, "", "a chunk ends with CRLF");
        }
        loop {
            match self.line()?.as_str() {
                "" => return Ok(()),
                line => message.trailers.extend(parse_fields(line)),
            }
        }
    }

    fn line(&mut self) -> Result<String, End> {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.fill()?;
        }
    }

    /// Moves this many bytes, or as many as come.
    fn take(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), End> {
        let mut step = Ok(());
        while self.unread.len() < length && step.is_ok() {
            step = self.fill();
        }
        let count = length.min(self.unread.len());
        into.extend_from_slice(&self.unread[..count]);
        self.unread.drain(..count);
        step
    }

    fn fill(&mut self) -> Result<(), End> {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(End::Closed),
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => Ok(()),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(End::Silent),
                _ => Err(End::Reset),
            },
        }
    }
}

enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
