//! The PROXY protocol, versions 1 and 2: who the client of a connection is, said in front of its first byte.
//!
//! Reads exactly the header and not a byte more, so whatever speaks next finds its socket untouched. The header is
//! bounded, and the caller bounds the time. Nothing is taken back: a connection whose header is wrong must be closed,
//! since its bytes mean nothing any more.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxiedAddress, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::config::ProxyProtocol;

/// `PROXY UNKNOWN\r\n`: no header of either version is shorter.
const SHORTEST: usize = 15;
/// `PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n`: no version 1 with addresses is shorter.
const V1_SHORTEST: usize = 32;
const V1_BYTES_MAX: usize = 107;
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = 16;
/// With its extensions, which are read over. What the specification asks for is 216; clouds send some hundreds.
const V2_BYTES_MAX: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// The client.
    pub(super) source: SocketAddr,
    /// What it connected to.
    pub(super) destination: SocketAddr,
}

/// `None`: the header names nobody, as for a health check by the proxy itself. The socket's own addresses count.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Addresses>> {
    let mut header = vec![0; SHORTEST];
    stream.read_exact(&mut header).await?;
    if header.starts_with(V2_START) {
        more(stream, &mut header, V2_FIXED).await?;
        let length = V2_FIXED + usize::from(u16::from_be_bytes([header[14], header[15]]));
        if length > V2_BYTES_MAX {
            return Err(wrong());
        }
        more(stream, &mut header, length).await?;
    } else if header.starts_with(b"PROXY ") {
        if !header.ends_with(b"\r\n") && !header[6..].starts_with(b"UNKNOWN") {
            more(stream, &mut header, V1_SHORTEST).await?;
        }
        while !header.ends_with(b"\r\n") {
            if header.len() == V1_BYTES_MAX {
                return Err(wrong());
            }
            let one_more = header.len() + 1;
            more(stream, &mut header, one_more).await?;
        }
    }
    parse(&header)
}

async fn more(stream: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let had = header.len();
    header.resize(length.max(had), 0);
    stream.read_exact(&mut header[had..]).await.map(|_| ())
}

/// A whole header, and nothing behind it.
pub(super) fn parse(header: &[u8]) -> io::Result<Option<Addresses>> {
    // The crate takes any letter for the space, and a sign before a port.
    let is_lax_v1 = header.starts_with(b"PROXY") && (header.get(5) != Some(&b' ') || header.contains(&b'+'));
    let (parsed, length) = ProxyHeader::parse(header, ParseConfig::default()).map_err(|_| wrong())?;
    if length != header.len() || is_lax_v1 {
        return Err(wrong());
    }
    let addresses = parsed.proxied_address();
    Ok(addresses.map(|found| Addresses { source: found.source, destination: found.destination }))
}

fn wrong() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// The header that an upstream gets.
pub(super) fn header(version: ProxyProtocol, addresses: Addresses) -> Vec<u8> {
    let (source, destination) = of_one_family(addresses);
    let header = ProxyHeader::with_address(ProxiedAddress::stream(source, destination));
    let mut bytes = Vec::with_capacity(V1_BYTES_MAX);
    let written = match version {
        ProxyProtocol::V1 => header.encode_v1(&mut bytes),
        ProxyProtocol::V2 => header.encode_v2(&mut bytes),
    };
    written.expect("both addresses are of one family, and a vector takes what it is given");
    bytes
}

/// Neither version can name an IPv4 and an IPv6 address at once: then both are written as IPv6.
fn of_one_family(addresses: Addresses) -> (SocketAddr, SocketAddr) {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (canonical(addresses.source), canonical(addresses.destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let mapped = |address: SocketAddr| match address.ip() {
        std::net::IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        std::net::IpAddr::V6(_) => address,
    };
    (mapped(source), mapped(destination))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(source: &str, destination: &str) -> Addresses {
        Addresses { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    /// What is read of these bytes, and what is left of them.
    fn read_of(bytes: &[u8]) -> (io::Result<Option<Addresses>>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut rest = bytes;
        let found = runtime.block_on(read(&mut rest));
        (found, rest.to_vec())
    }

    #[test]
    fn what_is_written_is_read_back_and_not_a_byte_more() {
        for (source, destination) in [
            ("192.0.2.1:4711", "198.51.100.2:443"),
            ("[2001:db8::1]:1", "[::1]:65535"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("255.255.255.255:65535", "255.255.255.255:65535"),
        ] {
            for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
                let sent = addresses(source, destination);
                let (found, rest) = read_of(&[&header(version, sent), &b"GET / HTTP/1.1"[..]].concat());
                assert_eq!((found.unwrap(), &rest[..]), (Some(sent), &b"GET / HTTP/1.1"[..]), "{source}");
            }
        }
    }

    #[test]
    fn addresses_of_two_families_are_written_as_one() {
        let mixed = addresses("[2001:db8::1]:1", "192.0.2.1:2");
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            let found = parse(&header(version, mixed)).unwrap();
            assert_eq!(found, Some(addresses("[2001:db8::1]:1", "[::ffff:192.0.2.1]:2")));
        }
    }

    #[test]
    fn a_header_may_name_nobody() {
        for bytes in [
            &b"PROXY UNKNOWN\r\n"[..],
            b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
            b"\r\n\r\n\0\r\nQUIT\n\x20\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x02",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x00\x03abc",
        ] {
            assert_eq!(read_of(bytes).0.unwrap(), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_and_bounded() {
        let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 1_000]].concat();
        let huge = [V2_START, b"\x21\x11\xff\xff", &[0; 70_000]].concat();
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 22222\r\n",
            b"PROXY TCP4 ::1 ::1 1 2222222222222222\r\n",
            b"PROXYXTCP4 1.2.3.4 1.2.3.4 1 22222\r\n",
            b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2222\r\n",
            b"PROXY TCP9 1.2.3.4 1.2.3.4 1 22222\r\n",
            b"PROXY\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x00",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x03abc",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x77\x00\x00",
            b"PROXY TCP4 1.2.",
            b"",
            &endless,
            &huge,
        ] {
            assert!(
                read_of(bytes).0.is_err(),
                "{:?}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
            );
        }
        assert_eq!(read_of(&endless).1.len(), endless.len() - V1_BYTES_MAX);
        assert_eq!(read_of(&huge).1.len(), huge.len() - V2_FIXED);
    }
}
