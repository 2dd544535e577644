//! Ports for what must know its own before it starts.

use std::net::{SocketAddr, TcpListener};

/// Below the range from which the kernel takes ports for outgoing connections, so nobody gets it by accident.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A loopback address that nobody listens on.
pub(crate) fn free() -> SocketAddr {
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], fastrand::u16(PORTS)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
