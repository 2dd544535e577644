//! HTTP/2 by hand (RFC 9113): frames as bytes, for what no well-behaved library would send, as client and as server.

use std::net::SocketAddr;

use super::wire::{End, Wire};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const END_BOTH: u8 = END_STREAM | END_HEADERS;

pub(crate) const REFUSED_STREAM: u32 = 7;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_TABLE_SIZE: u16 = 1;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("it has a code"))
    }

    /// The `:status` of response headers; our settings keep the dynamic table empty.
    pub(crate) fn status(&self) -> u16 {
        let mut block = &self.payload[..];
        while block[0] & 0xe0 == 0x20 {
            block = &block[1..];
        }
        match block[0] {
            indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
            _ => digits(&block[1..]).parse().expect("a status is a number"),
        }
    }
}

/// A string of digits as HPACK has it, in Huffman's code or without.
fn digits(text: &[u8]) -> String {
    let length = usize::from(text[0] & 0x7f);
    if text[0] & 0x80 == 0 {
        return String::from_utf8_lossy(&text[1..=length]).into_owned();
    }
    let mut bits = text[1..=length].iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    let mut take = |count: usize| (0..count).try_fold(0, |sum, _| Some(sum * 2 + bits.next()?));
    let mut found = String::new();
    while found.len() < 3
        && let Some(start) = take(5)
    {
        let digit = if start < 3 { start } else { start * 2 + take(1).unwrap_or(0) - 0x19 + 3 };
        found.push(char::from(b'0' + digit));
    }
    found
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload is short");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block: literals without indexing, names as they are.
pub(crate) fn block(fields: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_ref());
        string(&mut block, value.as_ref());
    }
    block
}

fn string(block: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).expect("it is below 127"));
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).expect("it is below 128") | 0x80);
            length /= 128;
        }
        block.push(u8::try_from(length).expect("it is below 128"));
    }
    block.extend(text);
}

/// A request's pseudo-fields, then these.
pub(crate) fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "shop.example")];
    block(&[&own[..], more].concat())
}

pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered(u16),
    /// With this code.
    Reset(u32),
    /// The connection said GOAWAY with this code.
    GoAway(u32),
    Ended(End),
}

impl Fate {
    /// By a status of 4xx, a reset, or the end of the connection.
    pub(crate) fn is_refusal(self) -> bool {
        match self {
            Self::Answered(status) => (400..500).contains(&status),
            Self::Reset(_) | Self::GoAway(_) => true,
            Self::Ended(end) => end != End::Silent,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) wire: Wire,
}

impl Frames {
    /// As client; `settings` beside that of the empty table.
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr, settings: &[u8]) -> Self {
        let mut wire = Wire::connect(address);
        wire.send(PREFACE);
        let mut frames = Self { wire };
        frames.send(SETTINGS, 0, 0, &[&setting(HEADER_TABLE_SIZE, 0), settings].concat());
        let theirs = frames.until(|frame| frame.kind == SETTINGS).expect("andon speaks HTTP/2");
        assert_eq!(theirs.flags, 0);
        frames.send(SETTINGS, ACK, 0, &[]);
        frames
    }

    /// As server, to a client that begins.
    #[track_caller]
    pub(crate) fn answer(mut wire: Wire, settings: &[u8]) -> Self {
        assert_eq!(wire.bytes(PREFACE.len()).as_deref(), Ok(PREFACE));
        let mut frames = Self { wire };
        frames.send(SETTINGS, 0, 0, settings);
        frames
    }

    #[track_caller]
    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.wire.send(frame(kind, flags, stream, payload));
    }

    /// Sends what may be too much. `false`: the other side has ended the connection.
    pub(crate) fn flood(&mut self, bytes: &[u8], times: usize) -> bool {
        (0..times).all(|_| self.wire.try_send(bytes).is_ok())
    }

    /// A GET without a body.
    #[track_caller]
    pub(crate) fn get(&mut self, stream: u32, path: &str) {
        self.send(HEADERS, END_BOTH, stream, &request("GET", path, &[]));
    }

    #[track_caller]
    pub(crate) fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    pub(crate) fn next(&mut self) -> Result<Frame, End> {
        let head = self.wire.bytes(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.wire.bytes(usize::try_from(length).expect("24 bits fit"))?;
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    pub(crate) fn until(&mut self, is_wanted: impl Fn(&Frame) -> bool) -> Result<Frame, End> {
        loop {
            let frame = self.next()?;
            if is_wanted(&frame) {
                return Ok(frame);
            }
        }
    }

    /// The next request that begins, seen from the server: the number of its stream.
    #[track_caller]
    pub(crate) fn request(&mut self) -> u32 {
        self.until(|frame| frame.kind == HEADERS).expect("a request comes").stream
    }

    /// The head of an answer, or what came instead of it.
    pub(crate) fn fate(&mut self, stream: u32) -> Fate {
        let told = self.until(|frame| {
            frame.kind == GOAWAY || frame.stream == stream && matches!(frame.kind, HEADERS | RST_STREAM)
        });
        match told {
            Ok(frame) if frame.kind == HEADERS => Fate::Answered(frame.status()),
            Ok(frame) if frame.kind == RST_STREAM => Fate::Reset(frame.code()),
            Ok(frame) => Fate::GoAway(frame.code()),
            Err(end) => Fate::Ended(end),
        }
    }

    /// Everything that the stream gets until its end: the frames, or the end of the connection behind them.
    pub(crate) fn stream(&mut self, stream: u32) -> (Vec<Frame>, Option<End>) {
        let mut frames = Vec::new();
        loop {
            match self.until(|frame| frame.stream == stream && frame.kind != WINDOW_UPDATE) {
                Ok(frame) => {
                    let last = frame.ends_stream() || frame.kind == RST_STREAM;
                    frames.push(frame);
                    if last {
                        return (frames, None);
                    }
                }
                Err(end) => return (frames, Some(end)),
            }
        }
    }

    /// The connection is ended from the other side; the code of its GOAWAY, if it sent one.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> Option<u32> {
        let mut code = None;
        loop {
            match self.next() {
                Ok(frame) if frame.kind == GOAWAY => code = Some(frame.code()),
                Ok(_) => {}
                Err(End::Silent) => panic!("the connection stays open"),
                Err(_) => return code,
            }
        }
    }
}
