//! How large a request may be, and how many of them a connection may bring: keys of `[[listener]]`.
//!
//! Each limit is there to be reached only by those who attack or by mistake, so all but one have a default. What a
//! body may weigh only the service knows.

use std::ops::RangeInclusive;

use super::reader::Section;
use super::values;

const KIB: u64 = 1 << 10;
const URI_BYTES: RangeInclusive<u64> = 64..=60 * KIB;
const HEADER_BYTES: RangeInclusive<u64> = KIB..=1 << 20;
const HEADERS: RangeInclusive<u64> = 1..=1_000;
const BODY_BYTES: RangeInclusive<u64> = 0..=1 << 40;
const REQUESTS: RangeInclusive<u64> = 1..=1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Of the target, with its query: 414 beyond.
    pub uri_bytes_max: usize,
    /// Of the whole head: 431 beyond.
    pub header_bytes_max: usize,
    /// Lines of the head: 431 beyond.
    pub headers_max: usize,
    /// 413 beyond. `None`: any.
    pub body_bytes_max: Option<u64>,
    /// The answer to the last one closes the connection.
    pub requests_per_connection_max: u64,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            uri_bytes_max: 16 * 1_024,
            header_bytes_max: 64 * 1_024,
            headers_max: 100,
            body_bytes_max: None,
            requests_per_connection_max: 100_000,
        }
    }
}

pub(super) fn read(section: &mut Section<'_>) -> RequestLimits {
    let default = RequestLimits::default();
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let uri_bytes_max = section.optional("uri_bytes_max", values::bytes(URI_BYTES));
    let header_bytes_max = section.optional("header_bytes_max", values::bytes(HEADER_BYTES));
    let headers_max = section.optional("headers_max", values::whole(HEADERS));
    RequestLimits {
        uri_bytes_max: uri_bytes_max.map_or(default.uri_bytes_max, size),
        header_bytes_max: header_bytes_max.map_or(default.header_bytes_max, size),
        headers_max: headers_max.map_or(default.headers_max, size),
        body_bytes_max: section.optional("body_bytes_max", values::bytes(BODY_BYTES)),
        requests_per_connection_max: section.or(
            "requests_per_connection_max",
            default.requests_per_connection_max,
            values::whole(REQUESTS),
        ),
    }
}
