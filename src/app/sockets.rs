//! Listening sockets: those that somebody opened for us, and the rest opened by ourselves.
//!
//! systemd (socket activation) passes them with names, and the name decides; a socket without a name of ours is
//! taken for the listener with its address. What `andon.socket` says of an address then counts, not the
//! configuration. The process before us (`upgrade`) passes those that it has, and the configured address decides,
//! so that a listener that moved to another port is bound anew.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use thiserror::Error;

use super::admin_socket::UnixDoor;
use crate::config::admin::is_loopback;
use crate::config::{Access, AdminSocket, Config};
use crate::proxy::PassedOn;
use crate::proxy::listener::{self, BindError, Bound};

/// How the admin socket is called, here and in `FileDescriptorName=`.
pub(super) const ADMIN: &str = "admin";

#[derive(Debug, Error)]
pub enum SocketError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(
        "admin: cannot bind {address}: {source}; stop what listens there or choose another [admin] listen"
    )]
    Admin { address: SocketAddr, source: std::io::Error },
    #[error(
        "admin: was passed a socket on {0}; pass one on loopback, or say with [[admin.token]] who may: anyone who reaches \
         it could move weights"
    )]
    Exposed(SocketAddr),
    #[error(
        "admin: cannot open the socket {path}: {source}; choose another [admin] socket, or remove the file"
    )]
    Unix { path: String, source: std::io::Error },
}

/// A socket that was open before us.
#[derive(Debug)]
pub struct Passed {
    pub name: String,
    pub socket: TcpListener,
    pub from: Giver,
}

/// The admin listener's Unix socket of the process before us, and where it is.
pub(super) type PassedUnix = (PathBuf, UnixListener);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giver {
    Systemd,
    /// `admin` tells the admin socket from a listener of that name.
    Predecessor {
        configured: SocketAddr,
        admin: bool,
    },
}

/// All sockets of a process, ready to be accepted from.
pub(super) struct Sockets {
    pub(super) admin: TcpListener,
    pub(super) admin_address: SocketAddr,
    pub(super) admin_configured: SocketAddr,
    pub(super) unix: Option<UnixDoor>,
    /// Of the process before us, where nobody listens once we serve.
    pub(super) left: Option<PathBuf>,
    pub(super) listeners: Vec<(Bound, PassedOn)>,
    /// Names of those that came from the process before us and are used.
    pub(super) kept: Vec<String>,
}

impl Sockets {
    pub(super) fn open(
        config: &Config,
        mut passed: Vec<Passed>,
        passed_unix: Option<PassedUnix>,
    ) -> Result<Self, SocketError> {
        let mut kept = Vec::new();
        let taken = take_admin(&mut passed, config);
        let (admin, admin_address) = open_admin(config.admin.listen, taken, &config.admin.access)?;
        let (unix, left) = open_unix(config.admin.socket.as_ref(), passed_unix)?;
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for wanted in &config.listeners {
            let sockets = take(&mut passed, &wanted.name, wanted.address, &mut kept);
            let bound = match sockets.is_empty() {
                true => listener::bind(wanted, config.workers.count)?,
                false => listener::adopt(wanted, sockets)?,
            };
            listeners.push((bound, PassedOn::default()));
        }
        for left in passed.into_iter().filter(|left| left.from == Giver::Systemd) {
            let address = left.socket.local_addr().ok();
            tracing::warn!(
                name = left.name,
                ?address,
                "no listener takes this socket of systemd; it is closed"
            );
        }
        let admin_configured = config.admin.listen;
        Ok(Self { admin, admin_address, admin_configured, unix, left, listeners, kept })
    }
}

fn take_admin(passed: &mut Vec<Passed>, config: &Config) -> Option<TcpListener> {
    let is_listener = |name: &str| config.listeners.iter().any(|listener| &*listener.name == name);
    let wanted = config.admin.listen;
    let fits = |one: &Passed| match one.from {
        Giver::Systemd if is_listener(&one.name) => false,
        Giver::Systemd => one.name == ADMIN || has_address(one, wanted),
        Giver::Predecessor { configured, admin } => admin && configured == wanted,
    };
    let at = passed.iter().position(fits)?;
    Some(passed.remove(at).socket)
}

/// The sockets of one listener. There may be several.
fn take(
    passed: &mut Vec<Passed>,
    name: &str,
    wanted: SocketAddr,
    kept: &mut Vec<String>,
) -> Vec<TcpListener> {
    let named = passed.iter().any(|one| one.from == Giver::Systemd && one.name == name);
    let fits = |one: &mut Passed| match one.from {
        Giver::Systemd if named => one.name == name,
        Giver::Systemd => has_address(one, wanted),
        // With port 0 the address alone does not tell two listeners apart.
        Giver::Predecessor { configured, admin } => {
            !admin && configured == wanted && (wanted.port() != 0 || one.name == name)
        }
    };
    let taken = passed.extract_if(.., fits);
    taken
        .map(|one| {
            if one.from != Giver::Systemd {
                kept.push(one.name);
            }
            one.socket
        })
        .collect()
}

fn has_address(one: &Passed, wanted: SocketAddr) -> bool {
    one.socket.local_addr().is_ok_and(|address| address == wanted)
}

fn open_unix(
    wanted: Option<&AdminSocket>,
    passed: Option<PassedUnix>,
) -> Result<(Option<UnixDoor>, Option<PathBuf>), SocketError> {
    let opened = match (wanted, passed) {
        (None, passed) => return Ok((None, passed.map(|(path, _)| path))),
        (Some(wanted), Some((path, listener))) if path == wanted.path => {
            UnixDoor::adopt(listener, wanted).map(|door| (door, None))
        }
        (Some(wanted), passed) => UnixDoor::bind(wanted).map(|door| (door, passed.map(|(path, _)| path))),
    };
    let path = wanted.map(|wanted| wanted.path.display().to_string()).unwrap_or_default();
    opened.map(|(door, left)| (Some(door), left)).map_err(|source| SocketError::Unix { path, source })
}

fn open_admin(
    address: SocketAddr,
    passed: Option<TcpListener>,
    access: &Access,
) -> Result<(TcpListener, SocketAddr), SocketError> {
    let was_passed = passed.is_some();
    let open = || {
        let socket = passed.map_or_else(|| TcpListener::bind(address), Ok)?;
        socket.set_nonblocking(true)?;
        let real = socket.local_addr()?;
        Ok((socket, real))
    };
    let (socket, real) = open().map_err(|source| SocketError::Admin { address, source })?;
    if was_passed && !is_loopback(&real) && !access.names_somebody() {
        return Err(SocketError::Exposed(real));
    }
    Ok((socket, real))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn socket() -> (TcpListener, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn passed(name: &str, from: Giver) -> (Passed, SocketAddr) {
        let (socket, address) = socket();
        (Passed { name: name.to_owned(), socket, from }, address)
    }

    fn config(listeners: &[(&str, SocketAddr)]) -> Config {
        let mut text = "[admin]\nlisten = \"127.0.0.1:0\"\n[workers]\ncount = 1\n".to_owned();
        for (name, address) in listeners {
            text += &format!("[[listener]]\nname = \"{name}\"\naddress = \"{address}\"\n");
        }
        text += "[[upstream]]\nname = \"u\"\nendpoints = [\"127.0.0.1:1\"]\n[[route]]\nname = \"r\"\nstable = \"u\"\n";
        crate::config::parse("test", &text, Path::new("")).unwrap()
    }

    fn addresses(sockets: &Sockets) -> Vec<SocketAddr> {
        sockets.listeners.iter().map(|(bound, _)| bound.address).collect()
    }

    #[test]
    fn a_name_decides_what_systemd_passed_and_then_the_address() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (by_name, first) = passed("public", Giver::Systemd);
        let (by_address, second) = passed("andon.socket", Giver::Systemd);
        let (admin, third) = passed(ADMIN, Giver::Systemd);
        let config = config(&[("public", any), ("other", second), ("own", any)]);
        let sockets = Sockets::open(&config, vec![by_address, admin, by_name], None).unwrap();
        assert_eq!(addresses(&sockets)[..2], [first, second]);
        assert_eq!(sockets.admin_address, third);
        assert_eq!(sockets.listeners[2].0.sockets.len(), 1);
        assert!(sockets.kept.is_empty());
    }

    #[test]
    fn an_admin_socket_that_others_reach_is_refused() {
        let socket = TcpListener::bind("0.0.0.0:0").unwrap();
        let admin = Passed { name: ADMIN.to_owned(), socket, from: Giver::Systemd };
        let error =
            Sockets::open(&config(&[("a", ([127, 0, 0, 1], 0).into())]), vec![admin], None).err().unwrap();
        assert!(matches!(error, SocketError::Exposed(_)), "{error:?}");
    }

    #[test]
    fn of_a_predecessor_all_sockets_with_the_configured_address_are_taken() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (_, moved) = socket();
        let of = |configured| Giver::Predecessor { configured, admin: false };
        let (first, address) = passed("public", of(any));
        let second =
            Passed { name: "public".into(), socket: first.socket.try_clone().unwrap(), from: of(any) };
        let (elsewhere, old) = passed("moved", of(any));
        let config = config(&[("public", any), ("moved", moved)]);
        let sockets = Sockets::open(&config, vec![first, second, elsewhere], None).unwrap();
        assert_eq!(addresses(&sockets)[0], address);
        assert_eq!(sockets.listeners[0].0.sockets.len(), 2);
        assert!(addresses(&sockets)[1] == moved && moved != old);
        assert_eq!(sockets.kept, ["public", "public"]);
    }
}
