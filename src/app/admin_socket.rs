//! The admin listener's Unix socket: a file that nobody else may open, and that is gone when we are.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::AdminSocket;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Listening, and where.
#[derive(Debug)]
pub(super) struct UnixDoor {
    pub(super) listener: UnixListener,
    pub(super) path: PathBuf,
    /// Ours to remove; that of a process before us is not, until we serve in its place.
    file: Option<SocketFile>,
}

/// Removes the file when dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl UnixDoor {
    /// The mode is set before anybody can connect. A file that nobody listens on any more is replaced.
    pub(super) fn bind(wanted: &AdminSocket) -> io::Result<Self> {
        let path = &wanted.path;
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = SocketFile(path.clone());
        fs::set_permissions(path, Permissions::from_mode(wanted.mode))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            listener: UnixListener::from(std::os::fd::OwnedFd::from(socket)),
            path: path.clone(),
            file: Some(file),
        })
    }

    /// One that the process before us has. It keeps the mode that the configuration says now.
    pub(super) fn adopt(listener: UnixListener, wanted: &AdminSocket) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        fs::set_permissions(&wanted.path, Permissions::from_mode(wanted.mode))?;
        Ok(Self { listener, path: wanted.path.clone(), file: None })
    }

    /// We serve there, so the file is ours from here on.
    pub(super) fn into_parts(self) -> (UnixListener, SocketFile) {
        let Self { listener, path, file } = self;
        (listener, file.unwrap_or_else(|| SocketFile(path)))
    }
}

impl SocketFile {
    /// Of a process before us, which has handed over and will not remove it.
    pub(super) fn left_by_predecessor(path: PathBuf) -> Self {
        Self(path)
    }

    /// Another process has it.
    pub(super) fn leave(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty()
            && let Err(error) = fs::remove_file(&self.0)
        {
            tracing::warn!(path = %self.0.display(), %error, "the admin socket cannot be removed");
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::other("there is a file that is no socket"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody answers there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(folder: &tempfile::TempDir) -> AdminSocket {
        AdminSocket { path: folder.path().join("andon.sock"), mode: 0o600 }
    }

    #[test]
    fn the_file_has_its_mode_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(&folder);
        let door = UnixDoor::bind(&wanted).unwrap();
        let mode = fs::metadata(&wanted.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&wanted.path).unwrap();
        let (_listener, file) = door.into_parts();
        drop(file);
        assert!(!wanted.path.exists());
    }

    #[test]
    fn a_stale_file_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(&folder);
        let (listener, file) = UnixDoor::bind(&wanted).unwrap().into_parts();
        file.leave();
        let error = UnixDoor::bind(&wanted).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(wanted.path.exists());
        UnixDoor::bind(&wanted).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(&folder);
        fs::write(&wanted.path, "precious").unwrap();
        UnixDoor::bind(&wanted).unwrap_err();
        assert_eq!(fs::read_to_string(&wanted.path).unwrap(), "precious");
    }

    #[test]
    fn what_was_adopted_is_ours_only_when_we_serve() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(&folder);
        let (listener, file) = UnixDoor::bind(&wanted).unwrap().into_parts();
        drop(UnixDoor::adopt(listener.try_clone().unwrap(), &wanted).unwrap());
        assert!(wanted.path.exists());
        file.leave();
        drop(UnixDoor::adopt(listener, &wanted).unwrap().into_parts());
        assert!(!wanted.path.exists());
    }
}
