//! Listening sockets: one a worker for each listener, sharing the address by `SO_REUSEPORT`, so that the kernel
//! spreads connections and workers share nothing.
//!
//! Sockets that were opened by somebody else, systemd or the process before this one, are taken as they are. However
//! many they are, each is accepted from: the kernel has given it its share of the connections already.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// What one worker accepts from.
#[derive(Debug)]
pub struct Intake {
    pub listener: Listener,
    pub socket: TcpListener,
    pub passed_on: PassedOn,
}

/// Whether another process accepts from a listener now, so that whoever waits in its queue is left there.
#[derive(Clone, Debug, Default)]
pub struct PassedOn(Arc<AtomicBool>);

impl PassedOn {
    /// Before the drain begins.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
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

/// Takes sockets that listen already; there is at least one.
pub fn adopt(listener: &Listener, sockets: Vec<TcpListener>) -> Result<Bound, BindError> {
    let error = |source| BindError { name: listener.name.to_string(), address: listener.address, source };
    let mut address = listener.address;
    for socket in &sockets {
        socket.set_nonblocking(true).map_err(error)?;
        address = socket.local_addr().map_err(error)?;
    }
    Ok(Bound { listener: listener.clone(), address, sockets })
}

/// For each worker what it accepts from. With more sockets than workers a worker has several, with fewer several
/// workers share one.
pub fn spread(sockets: &[TcpListener], workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut shares: Vec<_> = (0..workers).map(|_| Vec::new()).collect();
    for turn in 0..workers.max(sockets.len()) {
        shares[turn % workers].push(sockets[turn % sockets.len()].try_clone()?);
    }
    Ok(shares)
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

    #[test]
    fn every_socket_is_accepted_from_and_every_worker_accepts() {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        for (sockets, workers) in [(1, 1), (1, 3), (2, 3), (3, 2), (4, 1), (7, 3)] {
            let open: Vec<_> = (0..sockets).map(|_| open(free, Sharing::Alone).unwrap()).collect();
            let shares = spread(&open, workers).unwrap();
            assert!(shares.len() == workers && shares.iter().all(|share| !share.is_empty()));
            let mut met: Vec<_> = shares.iter().flatten().map(|one| one.local_addr().unwrap()).collect();
            met.sort_unstable();
            met.dedup();
            assert_eq!(met.len(), sockets, "{sockets} sockets, {workers} workers");
        }
    }
}
