//! A body in chunks (RFC 9112, 7.1), taken apart in the buffer it came in.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;

use super::Error;
use super::head;

/// The line with the size of a chunk, what extends it included.
const SIZE_LINE_BYTES_MAX: usize = 4 * 1024;
/// What extends the sizes of the chunks of a body, together, beyond as many bytes as the data.
const EXTENSION_BYTES_MAX: u64 = 16 * 1024;
const TRAILERS_BYTES_MAX: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of extensions, less those of data.
    extended: u64,
}

#[derive(Default)]
enum State {
    /// The line with the size of a chunk is next.
    #[default]
    Size,
    /// So much of the chunk is to come.
    Data(u64),
    /// The line behind the data of a chunk.
    DataEnd,
    /// Behind the last chunk.
    Trailers,
    Ended(Option<HeaderMap>),
}

impl Chunked {
    /// The next piece that is in the buffer, if any.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Error> {
        self.advance(buffer)?;
        match &mut self.state {
            State::Data(left) if !buffer.is_empty() => {
                let piece = usize::try_from(*left).unwrap_or(buffer.len()).min(buffer.len());
                *left -= piece as u64;
                if *left == 0 {
                    self.state = State::DataEnd;
                }
                let data = buffer.split_to(piece).freeze();
                // So that the end is known with the last piece. What is wrong behind this one is found again, by the next call.
                let _ = self.advance(buffer);
                Ok(Some(Frame::data(data)))
            }
            State::Ended(trailers) => Ok(trailers.take().map(Frame::trailers)),
            _ => Ok(None),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(None))
    }

    /// As far as the buffer goes, up to data or to the end.
    fn advance(&mut self, buffer: &mut BytesMut) -> Result<(), Error> {
        loop {
            self.state = match &self.state {
                State::Data(_) | State::Ended(_) => return Ok(()),
                State::Size => match take_size(buffer)? {
                    None => return Ok(()),
                    Some((size, extension)) => {
                        self.extended = (self.extended + extension).saturating_sub(size);
                        if self.extended > EXTENSION_BYTES_MAX {
                            return Err(Error::Malformed("it is more extensions than data"));
                        }
                        if size == 0 { State::Trailers } else { State::Data(size) }
                    }
                },
                State::DataEnd if buffer.starts_with(b"\r\n") => {
                    buffer.advance(2);
                    State::Size
                }
                State::DataEnd if b"\r\n".starts_with(&buffer[..]) => return Ok(()),
                State::DataEnd => return Err(Error::Malformed("a chunk is longer than it says")),
                State::Trailers if buffer.starts_with(b"\r\n") => {
                    buffer.advance(2);
                    State::Ended(None)
                }
                State::Trailers => match take_trailers(buffer)? {
                    None => return Ok(()),
                    trailers => State::Ended(trailers),
                },
            }
        }
    }
}

/// And how many bytes extend it.
fn take_size(buffer: &mut BytesMut) -> Result<Option<(u64, u64)>, Error> {
    let looked_at = &buffer[..buffer.len().min(SIZE_LINE_BYTES_MAX)];
    let Some(newline) = memchr::memchr(b'\n', looked_at) else {
        let is_too_long = buffer.len() >= SIZE_LINE_BYTES_MAX;
        return if is_too_long {
            Err(Error::Malformed("the size of a chunk does not end"))
        } else {
            Ok(None)
        };
    };
    let size = buffer[..newline].strip_suffix(b"\r").and_then(size_of);
    let (size, extension) = size.ok_or(Error::Malformed("the size of a chunk is none"))?;
    buffer.advance(newline + 1);
    Ok(Some((size, extension as u64)))
}

/// Hex digits, and perhaps extensions, which say nothing to us.
fn size_of(line: &[u8]) -> Option<(u64, usize)> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, behind) = line.split_at(digits);
    let extension = behind.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    if extension.is_some_and(|first| *first != b';') || behind.contains(&b'\r') {
        return None;
    }
    Some((u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?, behind.len()))
}

fn take_trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, Error> {
    let end = head::end(buffer, 0);
    if end.unwrap_or(buffer.len()) > TRAILERS_BYTES_MAX {
        return Err(Error::Malformed("its trailers are too long"));
    }
    let Some(end) = end else { return Ok(None) };
    // Taken only once they can be read: who passes over an error finds it again.
    let trailers = head::parse_trailers(&Bytes::copy_from_slice(&buffer[..end]))?;
    buffer.advance(end);
    Ok(Some(trailers))
}
