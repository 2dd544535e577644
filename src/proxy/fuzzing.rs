//! A door for `tests/fuzz`: what must hold of any bytes.

use std::fmt::{Debug, Display};

use http::Method;
use tokio::io::AsyncReadExt;

use super::http1::whole::{self, Whole};
use super::{forwarded, proxy_protocol};
use crate::config::{ProxyProtocol, RequestLimits};

/// An element of `Forwarded`: a client that is found is one that the element writes as an address behind `for`.
pub fn forwarded(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for element in text.rsplit(',') {
        if forwarded::element_client(element).is_some() {
            let pairs = element.split(';').map(|pair| pair.trim().to_ascii_lowercase());
            assert_eq!(pairs.filter(|pair| pair.starts_with("for=")).count(), 1, "{element}");
        }
    }
}

/// Where an upstream's answer is cut makes no difference. The first byte says where.
pub fn answer(data: &[u8]) {
    in_pieces(data, |pieces| whole::read(pieces, &Method::GET));
}

/// Nor where a client's request is.
pub fn request(data: &[u8]) {
    in_pieces(data, |pieces| whole::read_request(pieces, &RequestLimits::default()));
}

fn in_pieces<H: Debug, E: Display>(data: &[u8], read: impl Fn(&[&[u8]]) -> Result<Whole<H>, E>) {
    let Some((cut, message)) = data.split_first() else { return };
    let (first, second) = message.split_at(message.len() * usize::from(*cut) / 256);
    let told = |pieces: &[&[u8]]| match read(pieces) {
        Ok(Whole { head, body, trailers, may_go_on, behind }) => {
            Ok((format!("{head:?}"), body, trailers, may_go_on, behind))
        }
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(told(&[message]), told(&[first, second]));
}

/// Reading takes the header and not a byte more, whole or in pieces, and what it says can be written and read again.
pub fn proxy_protocol(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it needs no driver");
    let mut rest = data;
    let whole = runtime.block_on(proxy_protocol::read(&mut rest));
    let length = data.len() - rest.len();
    assert!(length <= 4_096, "the header is bounded");
    let Ok(found) = whole else { return };
    assert_eq!(
        proxy_protocol::parse(&data[..length]).ok(),
        Some(found),
        "it is what was read, and all of it"
    );
    let (first, second) = data.split_at(length / 2);
    let again = runtime.block_on(proxy_protocol::read(&mut first.chain(second)));
    assert_eq!(again.ok(), Some(found), "pieces make no difference");
    let Some(addresses) = found else { return };
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let header = proxy_protocol::header(version, addresses);
        let read = proxy_protocol::parse(&header).ok().flatten().expect("what we write can be read");
        assert_eq!(read.source.ip().to_canonical(), addresses.source.ip().to_canonical());
        assert_eq!(read.source.port(), addresses.source.port());
    }
}
