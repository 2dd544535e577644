//! `[admin]`: where the API, the metrics and the health answers listen.

use std::net::SocketAddr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Loopback only: there are no tokens yet, so another address is refused when read.
    pub listen: SocketAddr,
}
