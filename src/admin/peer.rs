//! The other end of a connection, and what it proves by itself: an address, a certificate, a user of this machine.

use std::net::SocketAddr;
use std::sync::Arc;

/// The server puts it into every request.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    Tcp {
        address: SocketAddr,
        /// Inside TLS.
        secure: bool,
        /// The names in the certificate that the client showed, which is one of `client_ca`.
        certificate: Option<Arc<[String]>>,
    },
    /// It may open the socket, which is all that is asked of it; the kernel says who it is.
    Unix { uid: u32 },
}

impl Peer {
    pub(super) fn is_secure(&self) -> bool {
        matches!(self, Self::Tcp { secure: true, .. })
    }
}
