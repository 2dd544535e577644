//! Listening sockets: one a worker for each listener, sharing the address by `SO_REUSEPORT`, so that the kernel
//! spreads connections and workers share nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::config::Listener;

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 4_096;

/// The sockets of one listener, in the order of the workers.
#[derive(Debug)]
pub struct Bound {
    pub listener: Listener,
    /// The real one, if the configuration said port 0.
    pub address: SocketAddr,
    pub sockets: Vec<TcpListener>,
}

#[derive(Debug, Error)]
#[error("listener {name:?}: cannot bind {address}: {source}{}", hint(.source))]
pub struct BindError {
    name: String,
    address: SocketAddr,
    source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop what listens there or choose another port",
        io::ErrorKind::PermissionDenied => "; run with CAP_NET_BIND_SERVICE or choose a port above 1023",
        io::ErrorKind::AddrNotAvailable => "; choose an address of this machine, or 0.0.0.0 for all",
        _ => "",
    }
}

pub fn bind(listener: &Listener, workers: usize) -> Result<Bound, BindError> {
    let error = |source| BindError { name: listener.name.to_string(), address: listener.address, source };
    let address = claim(listener.address).map_err(error)?;
    let sockets: io::Result<Vec<_>> = (0..workers).map(|_| open(address, Sharing::Shared)).collect();
    Ok(Bound { listener: listener.clone(), address, sockets: sockets.map_err(error)? })
}

/// Binds the address once without sharing. A shared bind would succeed beside another process of the same user
/// that shares it too, and the two would take turns with the clients.
fn claim(address: SocketAddr) -> io::Result<SocketAddr> {
    open(address, Sharing::Alone)?.local_addr()
}

#[derive(Clone, Copy)]
enum Sharing {
    Alone,
    Shared,
}

fn open(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if matches!(sharing, Sharing::Shared) {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_even_where_both_would_share_it() {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = claim(free).unwrap();
        let _held = open(first, Sharing::Shared).unwrap();
        assert_eq!(claim(first).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
