//! The head of an answer: read by httparse, and weighed for how its body is framed (RFC 9112, 6.3); and written.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{Method, StatusCode, Version, header};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use super::super::headers::has_token;
use super::super::message::Response;
use super::Error;
use super::head::{FIELDS_MAX, Field, Framing, Place, Places, Told, read_fields, write_field, write_length};
use super::stock::Stock;

/// Room for one, before it is known.
const FIELD_BYTES_USUAL: usize = 32;

pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: Framing,
    /// The connection is meant to outlive the answer.
    pub(super) keep_alive: bool,
}

/// The one that the buffer begins with, if all of it is here. It answers a request of this method.
pub(super) fn take(buffer: &mut BytesMut, method: &Method, stock: &Stock) -> Result<Option<Head>, Error> {
    let mut slots = [const { MaybeUninit::<Field<'_>>::uninit() }; FIELDS_MAX];
    let mut found = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let parsed = parser.parse_response_with_uninit_headers(&mut found, buffer, &mut slots);
    let httparse::Status::Complete(length) = parsed.map_err(Error::Head)? else { return Ok(None) };
    let line = Line {
        code: found.code.unwrap_or_default(),
        is_http_11: found.version != Some(0),
        reason: Place::of(found.reason.unwrap_or_default().as_bytes(), buffer),
    };
    let mut places = Places::default();
    places.find(found.headers, buffer);
    read(&buffer.split_to(length).freeze(), &line, &places, method, stock).map(Some)
}

/// The first one of a head.
struct Line {
    code: u16,
    is_http_11: bool,
    reason: Place,
}

fn read(bytes: &Bytes, line: &Line, places: &Places, method: &Method, stock: &Stock) -> Result<Head, Error> {
    let status = StatusCode::from_u16(line.code).map_err(|_| Error::Malformed("the status is none"))?;
    let version = if line.is_http_11 { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut told = Told::default();
    let mut head = stock.answer();
    let name_of = |letters: &[u8]| stock.name(letters);
    read_fields((bytes, places), &mut head.headers, name_of, |name, value| told.hear(name, value))?;
    if told.chunked {
        // Chunked overrides a length (RFC 9112, 6.3). Kept, the length would cut the body where it says.
        head.headers.remove(header::CONTENT_LENGTH);
    }
    (head.status, head.version) = (status, version);
    let reason = &bytes[line.reason.range()];
    if Some(reason) != status.canonical_reason().map(str::as_bytes)
        && let Ok(reason) = ReasonPhrase::try_from(reason)
    {
        head.extensions.insert(reason);
    }
    let keep_alive = told.keeps_alive(line.is_http_11);
    let framing = if status.is_informational() {
        Framing::Length(0)
    } else {
        let framing = framing(&told, version)?;
        if may_have_body(method, status) { framing } else { Framing::Length(0) }
    };
    let keep_alive = keep_alive && !matches!(framing, Framing::Connection);
    Ok(Head { response: Response::from_parts(head, ()), framing, keep_alive })
}

fn framing(told: &Told, version: Version) -> Result<Framing, Error> {
    if told.foreign_coding {
        return Err(Error::ForeignCoding);
    }
    // HTTP/1.0 knows no codings.
    if told.odd_length || told.repeated_length || (told.chunked && version == Version::HTTP_10) {
        return Err(Error::OddLength);
    }
    Ok(match (told.chunked, told.length) {
        (true, _) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::Connection,
    })
}

/// Whether there is one depends on the framing; otherwise there is none, whatever that says.
fn may_have_body(method: &Method, status: StatusCode) -> bool {
    *method != Method::HEAD && !status.is_informational() && !matches!(status.as_u16(), 204 | 304)
}

/// Whom an answer is for, as far as its head depends on that.
pub(in crate::proxy) struct Asker {
    pub(super) method: Method,
    pub(super) is_http_11: bool,
    /// It wants the connection to outlive the answer.
    pub(super) keep_alive: bool,
    /// It takes trailers.
    pub(super) takes_trailers: bool,
}

impl Asker {
    /// Of what was no request.
    pub(in crate::proxy) fn unknown() -> Self {
        Self { method: Method::GET, is_http_11: true, keep_alive: false, takes_trailers: false }
    }
}

/// How the body of this answer is sent. `None`: there is none, whatever the body says.
pub(super) fn sizing(parts: &Parts, body: &impl Body, asker: &Asker) -> Option<Framing> {
    if body.is_end_stream() || !may_have_body(&asker.method, parts.status) {
        return None;
    }
    Some(match body.size_hint().exact() {
        Some(length) => Framing::Length(length),
        None if asker.is_http_11 => Framing::Chunked,
        None => Framing::Connection,
    })
}

/// `length` is that of the body, sent or not, if it is known. False: the connection ends behind this answer.
pub(super) fn write(
    into: &mut Vec<u8>,
    parts: &Parts,
    (sizing, length): (Option<Framing>, Option<u64>),
    asker: &Asker,
    date: &[u8],
) -> bool {
    into.reserve(FIELD_BYTES_USUAL * (parts.headers.len() + 4));
    write_status(into, parts, asker);
    let is_head = asker.method == Method::HEAD;
    let (mut says_date, mut says_length, mut says_close) = (false, false, false);
    for (name, value) in &parts.headers {
        match *name {
            // How the body is framed is settled, and said once. Only of a body that is not sent its head knows more.
            header::TRANSFER_ENCODING => continue,
            header::CONTENT_LENGTH if !is_head || says_length => continue,
            header::CONTENT_LENGTH => says_length = true,
            header::TRAILER if sizing != Some(Framing::Chunked) => continue,
            header::CONNECTION => says_close |= has_token(value, "close"),
            header::DATE => says_date = true,
            _ => {}
        }
        write_field(into, name, value.as_bytes());
    }
    match sizing {
        Some(Framing::Chunked) => into.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Some(Framing::Connection) => {}
        Some(Framing::Length(length)) => write_length(into, length),
        // What a GET would bring, where that is known.
        None if is_head => {
            if let Some(length @ 1..) = length
                && !says_length
            {
                write_length(into, length);
            }
        }
        None if may_have_body(&asker.method, parts.status) => write_length(into, 0),
        None => {}
    }
    if !says_date {
        write_field(into, &header::DATE, date);
    }
    let keep_alive = asker.keep_alive && !says_close && sizing != Some(Framing::Connection);
    match (keep_alive, asker.is_http_11) {
        // It says what becomes of the connection.
        _ if parts.status == StatusCode::SWITCHING_PROTOCOLS => {}
        (false, true) if !says_close => into.extend_from_slice(b"connection: close\r\n"),
        // Not taken for granted there.
        (true, false) => into.extend_from_slice(b"connection: keep-alive\r\n"),
        _ => {}
    }
    into.extend_from_slice(b"\r\n");
    keep_alive
}

fn write_status(into: &mut Vec<u8>, parts: &Parts, asker: &Asker) {
    into.extend_from_slice(if asker.is_http_11 { b"HTTP/1.1 " } else { b"HTTP/1.0 " });
    into.extend_from_slice(parts.status.as_str().as_bytes());
    into.push(b' ');
    let reason = parts.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    // It may be empty, but the space before it is there.
    into.extend_from_slice(
        reason.unwrap_or_else(|| parts.status.canonical_reason().unwrap_or("").as_bytes()),
    );
    into.extend_from_slice(b"\r\n");
}
