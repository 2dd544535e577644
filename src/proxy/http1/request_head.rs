//! The head of a request: read by httparse, and weighed for how its body is framed (RFC 9112, 6.3); and written.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use http_body::Body;
use thiserror::Error;

use super::super::headers::{expects_continue, has_token};
use super::super::message::Request;
use super::answer_head::Asker;
use super::head::{FIELDS_MAX, Field, Framing, Place, Places, Told, read_fields, write_field, write_length};
use super::stock::Stock;
use crate::config::RequestLimits;

/// A longer target cannot be held, whatever the limits say.
const TARGET_BYTES_MAX: usize = u16::MAX as usize - 1;

/// A request as it came, and what its head says beside that.
pub(in crate::proxy) struct RequestHead {
    pub(in crate::proxy) request: Request<()>,
    pub(in crate::proxy) asker: Asker,
    pub(super) framing: Framing,
    /// The client sends the body when it is asked to.
    pub(super) waits: bool,
}

/// Why a head is none of a request that we would read on behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(in crate::proxy) enum Unread {
    #[error("this is not a request in HTTP/1.1")]
    Malformed,
    #[error("the head of the request is too large")]
    TooLarge,
    #[error("the target is too long")]
    TargetTooLong,
    #[error("Content-Length is not one plain number")]
    Length,
    #[error("the only Transfer-Encoding accepted is one chunked, in HTTP/1.1")]
    Coding,
}

impl Unread {
    pub(in crate::proxy) fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::Length | Self::Coding => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
        }
    }
}

impl From<httparse::Error> for Unread {
    fn from(error: httparse::Error) -> Self {
        if error == httparse::Error::TooManyHeaders { Self::TooLarge } else { Self::Malformed }
    }
}

/// The one that the buffer begins with, if all of it is here. What cannot become one is refused before that.
pub(super) fn take(
    buffer: &mut BytesMut,
    limits: &RequestLimits,
    stock: &Stock,
) -> Result<Option<RequestHead>, Unread> {
    let mut places = Places::default();
    let found = with_slots(limits.headers_max, |slots| find(buffer, slots, &mut places))?;
    let length = found.as_ref().map_or(buffer.len(), |found| found.length);
    if length > limits.header_bytes_max {
        return Err(Unread::TooLarge);
    }
    let Some(found) = found else { return Ok(None) };
    read(&buffer.split_to(length).freeze(), found, &places, stock).map(Some)
}

/// The parts of a head.
struct Found {
    length: usize,
    method: Method,
    target: Place,
    is_http_11: bool,
}

fn find<'a>(
    bytes: &'a [u8],
    slots: &mut [MaybeUninit<Field<'a>>],
    places: &mut Places,
) -> Result<Option<Found>, Unread> {
    let mut found = httparse::Request::new(&mut []);
    let parsed = parser().parse_request_with_uninit_headers(&mut found, bytes, slots)?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let (Some(method), Some(target), Some(version)) = (found.method, found.path, found.version) else {
        return Err(Unread::Malformed);
    };
    if target.len() > TARGET_BYTES_MAX {
        return Err(Unread::TargetTooLong);
    }
    places.find(found.headers, bytes);
    Ok(Some(Found {
        length,
        method: Method::from_bytes(method.as_bytes()).map_err(|_| Unread::Malformed)?,
        target: Place::of(target.as_bytes(), bytes),
        is_http_11: version == 1,
    }))
}

fn parser() -> httparse::ParserConfig {
    httparse::ParserConfig::default()
}

/// Places for so many fields.
fn with_slots<'a, T>(fields_max: usize, then: impl FnOnce(&mut [MaybeUninit<Field<'a>>]) -> T) -> T {
    if fields_max <= FIELDS_MAX {
        let mut slots = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        then(&mut slots[..fields_max])
    } else {
        let mut slots = Vec::new();
        slots.resize_with(fields_max, MaybeUninit::uninit);
        then(&mut slots)
    }
}

fn read(bytes: &Bytes, found: Found, places: &Places, stock: &Stock) -> Result<RequestHead, Unread> {
    let Found { method, target, is_http_11, .. } = found;
    let uri = Uri::from_maybe_shared(bytes.slice(target.range())).map_err(|_| Unread::Malformed)?;
    let mut told = Told::default();
    let mut head = stock.request();
    let name_of = |letters: &[u8]| stock.name(letters);
    let fields = read_fields((bytes, places), &mut head.headers, name_of, |name, value| match *name {
        // Chunked overrides it, whatever it says.
        header::CONTENT_LENGTH if told.chunked => {
            told.says_length = true;
            false
        }
        // It tells what is behind this head that there is a body.
        header::TRANSFER_ENCODING => {
            told.hear(name, value);
            true
        }
        _ => told.hear(name, value),
    });
    fields.map_err(|_| Unread::Malformed)?;
    let headers = &mut head.headers;
    let framing = framing(&told, is_http_11, headers)?;
    let asker = Asker {
        method: method.clone(),
        is_http_11,
        // A length beside chunked: who else reads this connection may have taken that for the end (RFC 9112, 6.1).
        keep_alive: told.keeps_alive(is_http_11) && !(told.chunked && told.says_length),
        takes_trailers: headers.get(header::TE).is_some_and(|te| has_token(te, "trailers")),
    };
    let waits = is_http_11 && !matches!(framing, Framing::Length(0)) && expects_continue(headers);
    (head.method, head.uri) = (method, uri);
    head.version = if is_http_11 { Version::HTTP_11 } else { Version::HTTP_10 };
    Ok(RequestHead { request: Request::from_parts(head, ()), asker, framing, waits })
}

fn framing(told: &Told, is_http_11: bool, headers: &mut HeaderMap) -> Result<Framing, Unread> {
    if told.foreign_coding || (told.chunked && !is_http_11) {
        return Err(Unread::Coding);
    }
    if told.odd_length {
        return Err(Unread::Length);
    }
    Ok(match (told.chunked, told.length) {
        (true, _) => {
            if told.says_length {
                // One that came before.
                headers.remove(header::CONTENT_LENGTH);
            }
            Framing::Chunked
        }
        (false, Some(length)) => {
            if told.repeated_length {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            Framing::Length(length)
        }
        (false, None) => Framing::Length(0),
    })
}

/// How the body of a request is sent: as its fields say; where they say nothing, as the body does. `None`: there is none.
pub(super) fn sizing(headers: &HeaderMap, body: &impl Body) -> Option<Framing> {
    if body.is_end_stream() {
        return None;
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Some(Framing::Chunked);
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse().ok());
    Some(length.or_else(|| body.size_hint().exact()).map_or(Framing::Chunked, Framing::Length))
}

pub(super) fn write<B>(into: &mut Vec<u8>, request: &Request<B>, sizing: Option<Framing>) {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    into.extend_from_slice(request.method().as_str().as_bytes());
    into.push(b' ');
    into.extend_from_slice(target.as_bytes());
    into.extend_from_slice(b" HTTP/1.1\r\n");
    let mut says_length = false;
    for (name, value) in request.headers() {
        match *name {
            // How the body is framed is settled, and said once.
            header::TRANSFER_ENCODING => {}
            header::CONTENT_LENGTH => says_length = true,
            _ => write_field(into, name, value.as_bytes()),
        }
    }
    match sizing {
        // A request without a body need not say so, but may.
        None if says_length => write_length(into, 0),
        None => {}
        Some(Framing::Length(length)) => write_length(into, length),
        Some(Framing::Chunked | Framing::Connection) => {
            into.extend_from_slice(b"transfer-encoding: chunked\r\n")
        }
    }
    into.extend_from_slice(b"\r\n");
}
