//! What requests and answers have in common: where a head ends, its fields, and what they say of the body behind it.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;

use super::super::headers::{has_token, is_plain_number};
use super::Error;

/// Fields in the head of an answer, or in trailers; in the head of a request, if nobody wants another number.
pub(super) const FIELDS_MAX: usize = 100;

/// Room for those that are put in on the way, so that the map need not grow.
const FIELDS_ADDED: usize = 5;

/// How a message says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunked,
    /// It does not: whatever comes before the connection ends is of the body.
    Connection,
}

pub(super) type Field<'a> = httparse::Header<'a>;

/// `bytes` are fields, the empty line behind them included.
pub(super) fn parse_trailers(bytes: &Bytes) -> Result<HeaderMap, Error> {
    let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX];
    match httparse::parse_headers(bytes, &mut slots).map_err(Error::Head)? {
        httparse::Status::Complete((length, found)) if length == bytes.len() => {
            let mut places = Places::default();
            places.find(found, bytes);
            let (mut trailers, name) =
                (HeaderMap::new(), |letters: &[u8]| HeaderName::from_bytes(letters).ok());
            read_fields((bytes, &places), &mut trailers, name, |_, _| true)?;
            Ok(trailers)
        }
        _ => Err(Error::Malformed("its trailers are cut short")),
    }
}

/// Behind the first empty line, if there is one behind `from`.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let behind_line = |newline| from + newline + 1;
    memchr::memchr_iter(b'\n', bytes.get(from..)?).map(behind_line).find_map(|next| match bytes[next..] {
        [b'\n', ..] => Some(next + 1),
        [b'\r', b'\n', ..] => Some(next + 2),
        _ => None,
    })
}

/// Where a part of a head is in it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    begin: usize,
    length: usize,
}

impl Place {
    /// `part` is one of `whole`; or it is empty, and lies anywhere.
    pub(super) fn of(part: &[u8], whole: &[u8]) -> Self {
        if part.is_empty() {
            return Self { begin: 0, length: 0 };
        }
        let begin = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        Self { begin, length: part.len() }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.begin..self.begin + self.length
    }
}

/// Of names and values.
#[derive(Default)]
pub(super) struct Places(SmallVec<[(Place, Place); FIELDS_MAX]>);

impl Places {
    /// Into what stands where it is needed: it is large.
    pub(super) fn find(&mut self, found: &[Field<'_>], whole: &[u8]) {
        for field in found {
            self.0.push((Place::of(field.name.as_bytes(), whole), Place::of(field.value, whole)));
        }
    }
}

/// Into an empty map. The values stay where they are, in `bytes`.
pub(super) fn read_fields(
    (bytes, places): (&Bytes, &Places),
    headers: &mut HeaderMap,
    name_of: impl Fn(&[u8]) -> Option<HeaderName>,
    mut goes_on: impl FnMut(&HeaderName, &HeaderValue) -> bool,
) -> Result<(), Error> {
    headers.reserve(places.0.len() + FIELDS_ADDED);
    for (name, value) in &places.0 {
        let name = name_of(&bytes[name.range()]);
        let value = HeaderValue::from_maybe_shared(bytes.slice(value.range()));
        let (Some(name), Ok(value)) = (name, value) else {
            return Err(Error::Malformed("a field of its head is none"));
        };
        if goes_on(&name, &value) {
            headers.append(name, value);
        }
    }
    Ok(())
}

/// What the fields say of framing and connection.
#[derive(Default)]
pub(super) struct Told {
    pub(super) length: Option<u64>,
    pub(super) says_length: bool,
    /// A length that is no plain number, or differs from another.
    pub(super) odd_length: bool,
    /// The same length more than once.
    pub(super) repeated_length: bool,
    pub(super) chunked: bool,
    /// A transfer coding beside chunked, or chunked twice.
    pub(super) foreign_coding: bool,
    close: bool,
    keep_alive: bool,
}

impl Told {
    /// Whether the field goes on from here. What says no more than how this message is framed and whether this
    /// connection stays does not.
    pub(super) fn hear(&mut self, name: &HeaderName, value: &HeaderValue) -> bool {
        match *name {
            header::CONTENT_LENGTH => {
                let length = plain_number(value);
                self.odd_length |= length.is_none() || (self.says_length && length != self.length);
                self.repeated_length |= self.says_length;
                self.says_length = true;
                self.length = length;
                true
            }
            header::TRANSFER_ENCODING => {
                let is_chunked = value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
                self.foreign_coding |= self.chunked || !is_chunked;
                self.chunked = true;
                false
            }
            header::CONNECTION if value.as_bytes().eq_ignore_ascii_case(b"keep-alive") => {
                self.keep_alive = true;
                false
            }
            header::CONNECTION => {
                self.close |= has_token(value, "close");
                self.keep_alive |= has_token(value, "keep-alive");
                // It may name fields that end here.
                true
            }
            _ => true,
        }
    }

    /// The connection is meant to outlive the message.
    pub(super) fn keeps_alive(&self, is_http_11: bool) -> bool {
        !self.close && (is_http_11 || self.keep_alive)
    }
}

/// What is larger than any body is taken for none.
fn plain_number(value: &HeaderValue) -> Option<u64> {
    let number = if is_plain_number(value) { value.to_str().ok()?.parse().ok() } else { None };
    number.filter(|number| *number <= i64::MAX as u64)
}

pub(super) fn write_field(into: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    let name = name.as_str().as_bytes();
    // Once, not four times.
    into.reserve(name.len() + value.len() + 4);
    into.extend_from_slice(name);
    into.extend_from_slice(b": ");
    into.extend_from_slice(value);
    into.extend_from_slice(b"\r\n");
}

pub(super) fn write_length(into: &mut Vec<u8>, length: u64) {
    write_field(into, &header::CONTENT_LENGTH, itoa::Buffer::new().format(length).as_bytes());
}
