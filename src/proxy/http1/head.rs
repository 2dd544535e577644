//! The head of an answer: read by httparse, and weighed for how its body is framed (RFC 9112, 6.3).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};
use hyper::ext::ReasonPhrase;

use super::super::headers::{has_token, is_plain_number};
use super::Error;
use super::chunked::Chunked;

/// Fields in a head, or in trailers.
const FIELDS_MAX: usize = 100;

pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: Framing,
    /// The connection is meant to outlive the answer.
    pub(super) keep_alive: bool,
}

/// Where a body ends.
pub(super) enum Framing {
    /// Behind so many bytes more.
    Length(u64),
    Chunked(Chunked),
    /// Where the connection does.
    Connection,
}

type Field<'a> = httparse::Header<'a>;

/// `bytes` are a head, its last empty line included. It answers a request of this method.
pub(super) fn parse(bytes: &Bytes, method: &Method) -> Result<Head, Error> {
    let mut slots = [const { MaybeUninit::<Field<'_>>::uninit() }; FIELDS_MAX];
    let mut found = httparse::Response::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut found, bytes, &mut slots);
    let length = parsed.map_err(Error::Head)?;
    let (httparse::Status::Complete(length), Some(code), Some(reason)) = (length, found.code, found.reason)
    else {
        return Err(Error::Malformed("its head is cut short"));
    };
    if length != bytes.len() {
        return Err(Error::Malformed("its head ends twice"));
    }
    let status = StatusCode::from_u16(code).map_err(|_| Error::Malformed("the status is none"))?;
    let version = if found.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut response = Response::new(());
    let mut told = Told::default();
    let mut headers = fields(bytes, found.headers, |name, value| told.hear(name, value))?;
    if told.chunked {
        // Chunked overrides a length (RFC 9112, 6.3). Kept, the length would cut the body where it says.
        headers.remove(header::CONTENT_LENGTH);
    }
    *response.headers_mut() = headers;
    *response.status_mut() = status;
    *response.version_mut() = version;
    if Some(reason) != status.canonical_reason()
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    let keep_alive = if version == Version::HTTP_11 { !told.close } else { told.keep_alive && !told.close };
    let framing = if status.is_informational() {
        Framing::Length(0)
    } else {
        let has_no_body = *method == Method::HEAD || matches!(status.as_u16(), 204 | 304);
        let framing = told.framing(version)?;
        if has_no_body { Framing::Length(0) } else { framing }
    };
    Ok(Head { response, keep_alive: keep_alive && !matches!(framing, Framing::Connection), framing })
}

/// `bytes` are fields, the empty line behind them included.
pub(super) fn parse_trailers(bytes: &Bytes) -> Result<HeaderMap, Error> {
    let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX];
    match httparse::parse_headers(bytes, &mut slots).map_err(Error::Head)? {
        httparse::Status::Complete((length, found)) if length == bytes.len() => {
            fields(bytes, found, |_, _| true)
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

/// The values stay where they are, in `bytes`.
fn fields(
    bytes: &Bytes,
    found: &[Field<'_>],
    mut goes_on: impl FnMut(&HeaderName, &HeaderValue) -> bool,
) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::with_capacity(found.len());
    for field in found {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Error::Malformed("a field of its head is none"));
        };
        if goes_on(&name, &value) {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

/// What the fields say of framing and connection.
#[derive(Default)]
struct Told {
    length: Option<u64>,
    odd_length: bool,
    chunked: bool,
    foreign_coding: bool,
    close: bool,
    keep_alive: bool,
}

impl Told {
    /// Whether the field goes on from here. What says no more than how this message is framed and whether this
    /// connection stays does not.
    fn hear(&mut self, name: &HeaderName, value: &HeaderValue) -> bool {
        match *name {
            header::CONTENT_LENGTH => {
                let length = plain_number(value);
                self.odd_length |= self.length.is_some() || length.is_none();
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

    fn framing(&self, version: Version) -> Result<Framing, Error> {
        if self.foreign_coding {
            return Err(Error::ForeignCoding);
        }
        // HTTP/1.0 knows no codings.
        if self.odd_length || (self.chunked && version == Version::HTTP_10) {
            return Err(Error::OddLength);
        }
        Ok(match (self.chunked, self.length) {
            (true, _) => Framing::Chunked(Chunked::default()),
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::Connection,
        })
    }
}

fn plain_number(value: &HeaderValue) -> Option<u64> {
    if is_plain_number(value) { value.to_str().ok()?.parse().ok() } else { None }
}
