//! Descriptors that are kept back, so that a flood of clients starves neither the upstream side nor the admin API.
//!
//! The kernel gives the lowest free number. So a fresh descriptor with a high number says that all below it are
//! taken, and each worker can tell by the one in its hand how full the whole process is: nothing is counted or shared.
//! Above [`Reserve::clients`] clients wait in the kernel's queue; above [`Reserve::upstreams`] nothing is dialled,
//! which is our own shortage and never evidence. What is left is for the store, the log, the admin API.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use super::error;

/// How often to look whether there is room again.
const LOOK: Duration = Duration::from_millis(50);
/// Kept for all but traffic: an eighth of the limit, within these.
const KEPT_MIN: u64 = 8;
const KEPT_MAX: u64 = 1_024;

/// For a process that may have so many descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// A quarter of what traffic may use is left for the upstream side: a client without one is of no use.
    clients: RawFd,
    upstreams: RawFd,
}

impl Reserve {
    pub fn of_limit(limit: u64) -> Self {
        let limit = limit.min(i32::MAX.unsigned_abs().into());
        let traffic = limit.saturating_sub((limit / 8).clamp(KEPT_MIN, KEPT_MAX));
        let number = |count| RawFd::try_from(count).unwrap_or(RawFd::MAX);
        Self { clients: number(traffic - traffic / 4), upstreams: number(traffic) }
    }

    /// So many clients at most have a descriptor; fewer while others are in use.
    pub fn clients_max(&self) -> usize {
        usize::try_from(self.clients).unwrap_or(0)
    }

    pub(super) fn admits(&self, client: &TcpStream) -> bool {
        client.as_raw_fd() < self.clients
    }

    /// Whether an upstream's side may have this one.
    pub(super) fn spares(&self, descriptor: RawFd) -> bool {
        descriptor < self.upstreams
    }

    /// Until there is room for another client, or `ends` says that it does not matter any more.
    pub(super) async fn room(&self, client: &TcpStream, ends: impl Fn() -> bool) {
        while !ends() {
            // A copy has the lowest free number. One that cannot be made finds no room either.
            let copy = client.as_fd().try_clone_to_owned();
            if copy.is_ok_and(|copy| copy.as_raw_fd() < self.clients) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A new connection, unless it would take one of the descriptors that are kept.
    pub(super) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if !self.spares(socket.as_raw_fd()) {
            return Err(error::too_many_files());
        }
        socket.connect(address).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_a_quarter_to_upstreams_and_both_leave_some_to_the_rest() {
        let of = |limit| {
            let Reserve { clients, upstreams } = Reserve::of_limit(limit);
            (clients, upstreams)
        };
        assert_eq!(of(1_024), (672, 896));
        assert_eq!(of(64), (42, 56));
        assert_eq!(of(1 << 20), (785_664, 1_047_552));
        assert_eq!(of(0), (0, 0));
        assert!(of(u64::MAX).1 > 2_000_000_000);
    }
}
