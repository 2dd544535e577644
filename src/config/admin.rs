//! `[admin]`: where the API, the metrics and the health answers listen.

use std::net::{Ipv4Addr, SocketAddr};

use super::reader::Section;
use super::values;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Loopback only: there are no tokens yet, so another address is refused when read.
    pub listen: SocketAddr,
}

impl Default for Admin {
    /// A-N-D-O on a keypad.
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 2636)) }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Admin {
    let listen = section.or("listen", Admin::default().listen, |value| {
        let address = values::address("127.0.0.1:2636")(value)?;
        if address.ip().to_canonical().is_loopback() {
            return Ok(address);
        }
        let help = format!(
            "write \"127.0.0.1:{}\": there are no tokens yet, so anyone who reaches it could move weights",
            address.port()
        );
        Err(value.wrong("not a loopback address", help))
    });
    section.finish();
    Admin { listen }
}
