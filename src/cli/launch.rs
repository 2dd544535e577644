//! How this process was started, and with what: the arguments and the environment, read once and before any thread
//! runs.

use std::env;
use std::io;
use std::net::TcpListener;
use std::path::{self, Path, PathBuf};

use listenfd::ListenFd;

use crate::app::{Giver, HAND_OVER_VARIABLE, Launch, Origin, Passed, Predecessor};

pub(super) fn read() -> io::Result<Launch> {
    let passed = sockets()?;
    let predecessor = match env::var_os(HAND_OVER_VARIABLE) {
        Some(_) => Some(Predecessor::on_stdin()?),
        None => None,
    };
    let mut arguments = env::args_os();
    let program = program(Path::new(&arguments.next().unwrap_or_default()))?;
    Ok(Launch { origin: Origin { program, arguments: arguments.collect() }, passed, predecessor })
}

/// What to start on USR2. A path that was typed is kept as it was, so that a link that now leads to a new version is
/// followed anew; what was found by `PATH` is asked of the kernel, now: after the file is replaced it would say
/// "(deleted)".
fn program(named: &Path) -> io::Result<PathBuf> {
    if named.components().count() > 1 {
        return path::absolute(named);
    }
    env::current_exe()
}

/// The sockets that systemd opened for us (`LISTEN_FDS`), with their names.
fn sockets() -> io::Result<Vec<Passed>> {
    let mut inherited = ListenFd::from_env();
    let names = env::var_os("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.to_string_lossy();
    let mut names = names.split(':');
    let mut passed = Vec::with_capacity(inherited.len());
    for index in 0..inherited.len() {
        let name = names.next().unwrap_or_default().to_owned();
        let Some(socket) = inherited.take_tcp_listener(index)? else { continue };
        must_listen(&socket, &name)?;
        passed.push(Passed { name, socket, from: Giver::Systemd });
    }
    Ok(passed)
}

fn must_listen(socket: &TcpListener, name: &str) -> io::Result<()> {
    if socket2::SockRef::from(socket).is_listener()? {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "socket {name:?} does not listen; in its unit, use ListenStream= and Accept=no"
    )))
}
