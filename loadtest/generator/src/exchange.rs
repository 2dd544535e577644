//! One request of HTTP/1.1 at a time over a connection. The request is written as it stands and the answer goes into
//! a kept buffer: a load must cost less than what it measures, for it shares its core with the upstreams.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::target::{HOST, Stream, Target};

/// Enough for the head of an answer; a longer one is an error. Bodies may be longer, they are read over.
const BUFFER_BYTES: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

pub struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

struct Head {
    status: u16,
    bytes: usize,
    body_bytes: usize,
}

/// The bytes of a GET; `connection` is what its header of that name says.
pub fn request(target: &Target, connection: &str) -> Vec<u8> {
    format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\nConnection: {connection}\r\n\r\n", target.path).into_bytes()
}

impl Connection {
    pub async fn open(target: &Target) -> io::Result<Self> {
        Ok(Self { stream: target.connect(b"").await?, buffer: vec![0; BUFFER_BYTES] })
    }

    pub fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    /// Sends the request and reads the whole answer; gives its status.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            if let Some(head) = parse(&self.buffer[..filled])? {
                self.read_over(head.body_bytes.saturating_sub(filled - head.bytes)).await?;
                return Ok(head.status);
            }
            if filled == BUFFER_BYTES {
                return Err(io::Error::other("the head of an answer is longer than 16 KiB"));
            }
        }
    }

    async fn read_over(&mut self, mut missing: usize) -> io::Result<()> {
        while missing > 0 {
            let upto = missing.min(BUFFER_BYTES);
            let read = self.stream.read(&mut self.buffer[..upto]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            missing -= read;
        }
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(io::Error::other)?;
    let httparse::Status::Complete(head_bytes) = parsed else {
        return Ok(None);
    };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
    let body_bytes = length.ok_or_else(|| io::Error::other("an answer without a content-length"))?;
    Ok(Some(Head { status: response.code.unwrap_or(0), bytes: head_bytes, body_bytes }))
}

/// A short name of what went wrong, so that equal failures are counted together.
pub fn name_of(result: io::Result<u16>) -> Option<String> {
    match result {
        Ok(200..=299) => None,
        Ok(status) => Some(format!("status {status}")),
        Err(error) => Some(error.to_string()),
    }
}
