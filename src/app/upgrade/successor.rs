//! The new process: takes the sockets, then the store, and serves when it is told to. Blocks at each step.
//!
//! Whatever goes wrong here ends this process, and the old one goes on: the end of the channel tells it.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::super::sockets::{Giver, Passed, PassedUnix};
use super::channel::{self, Message};

/// The old process answers at once, but for the store, which it may have to write to first.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The process that we are to follow.
pub struct Predecessor {
    channel: OwnedFd,
}

impl Predecessor {
    /// It is at the other end of standard input, which is nothing from here on.
    pub fn on_stdin() -> io::Result<Self> {
        let channel = io::stdin().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        set_socket_timeout(&channel, Timeout::Recv, Some(ANSWER_MAX))?;
        set_socket_timeout(&channel, Timeout::Send, Some(ANSWER_MAX))?;
        Ok(Self { channel })
    }

    pub(in crate::app) fn sockets(&self) -> io::Result<(Vec<Passed>, Option<PassedUnix>)> {
        let (mut passed, mut unix) = (Vec::new(), None);
        loop {
            match channel::receive(&self.channel)? {
                (Message::AllSockets, None) => return Ok((passed, unix)),
                (Message::Unix { path }, Some(socket)) => unix = Some((path, UnixListener::from(socket))),
                (Message::Socket { name, configured, admin }, Some(socket)) => passed.push(Passed {
                    name,
                    socket: TcpListener::from(socket),
                    from: Giver::Predecessor { configured, admin },
                }),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Everything that can fail without the store has been done.
    pub(in crate::app) fn give_store(&self, kept: &[String]) -> io::Result<()> {
        for name in kept {
            channel::send(&self.channel, &Message::Kept(name.clone()), None)?;
        }
        channel::send(&self.channel, &Message::MayOpenStore, None)?;
        self.hear(&Message::OpenStore)
    }

    /// Everything that can fail has been done.
    pub(in crate::app) fn may_serve(&self) -> io::Result<()> {
        channel::send(&self.channel, &Message::Ready, None)?;
        self.hear(&Message::Serve)
    }

    pub(in crate::app) fn serving(self) -> io::Result<()> {
        channel::send(&self.channel, &Message::Serving, None)
    }

    fn hear(&self, wanted: &Message) -> io::Result<()> {
        match channel::receive(&self.channel)? {
            (message, None) if message == *wanted => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
