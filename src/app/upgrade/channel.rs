//! What two processes say to each other during an upgrade: one packet a message, a socket attached to some.
//!
//! A pair of Unix sockets that keeps packets apart. The new process has its end as standard input: that is the one
//! descriptor that may be handed to a child without unsafe code and without leaving others open by mistake. The
//! listening sockets travel through it (`SCM_RIGHTS`), so their numbers are of no importance.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// A longer packet is not ours.
const PACKET_BYTES_MAX: usize = 1_024;

/// In the order in which they are said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Old to new, with the socket.
    Socket { name: String, configured: SocketAddr, admin: bool },
    /// Old to new, with the Unix socket of the admin listener.
    Unix { path: PathBuf },
    /// Old to new: there are no more sockets.
    AllSockets,
    /// New to old: the sockets of this listener will be accepted from.
    Kept(String),
    /// New to old: the configuration is good, all ports are bound; may I have the store?
    MayOpenStore,
    /// Old to new: it is closed.
    OpenStore,
    /// New to old: everything is there to serve.
    Ready,
    /// Old to new: serve. From here on the old one decides nothing.
    Serve,
    /// New to old: connections are accepted.
    Serving,
}

impl Message {
    fn text(&self) -> String {
        match self {
            Self::Socket { name, configured, admin: false } => format!("socket {configured} {name}"),
            Self::Socket { name, configured, admin: true } => format!("admin {configured} {name}"),
            Self::Unix { path } => format!("unix {}", path.display()),
            Self::AllSockets => "all-sockets".to_owned(),
            Self::Kept(name) => format!("kept {name}"),
            Self::MayOpenStore => "may-open-store".to_owned(),
            Self::OpenStore => "open-store".to_owned(),
            Self::Ready => "ready".to_owned(),
            Self::Serve => "serve".to_owned(),
            Self::Serving => "serving".to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "all-sockets" => Self::AllSockets,
            "may-open-store" => Self::MayOpenStore,
            "open-store" => Self::OpenStore,
            "ready" => Self::Ready,
            "serve" => Self::Serve,
            "serving" => Self::Serving,
            _ => match text.split_once(' ')? {
                ("unix", path) => Self::Unix { path: path.into() },
                ("kept", name) => Self::Kept(name.to_owned()),
                (kind @ ("socket" | "admin"), rest) => {
                    let (configured, name) = rest.split_once(' ')?;
                    let configured = configured.parse().ok()?;
                    Self::Socket { name: name.to_owned(), configured, admin: kind == "admin" }
                }
                _ => return None,
            },
        })
    }
}

/// Ours, which does not block, and that of the new process, which does.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

pub(super) fn send(channel: impl AsFd, message: &Message, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let text = message.text();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let attached = [socket];
    let attached: Vec<_> = attached.into_iter().flatten().collect();
    if !attached.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&attached));
    }
    sendmsg(channel, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The end of the other side is an error.
pub(super) fn receive(channel: impl AsFd) -> io::Result<(Message, Option<OwnedFd>)> {
    let mut bytes = [0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(channel, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let sockets = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    let socket = sockets.flatten().last();
    let text = std::str::from_utf8(&bytes[..received.bytes]).ok();
    let message = text.and_then(Message::parse).ok_or(io::ErrorKind::InvalidData)?;
    Ok((message, socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_socket_arrives_with_its_queue() {
        let (old, new) = pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = TcpStream::connect(address).unwrap();
        let message = Message::Socket { name: "public".into(), configured: address, admin: false };
        send(&old, &message, Some(listener.as_fd())).unwrap();
        send(&old, &Message::AllSockets, None).unwrap();
        drop(listener);
        let (received, socket) = receive(&new).unwrap();
        assert_eq!(received, message);
        let (_, peer) = TcpListener::from(socket.unwrap()).accept().unwrap();
        assert_eq!(peer, waiting.local_addr().unwrap());
        let (received, socket) = receive(&new).unwrap();
        assert!(received == Message::AllSockets && socket.is_none());
        drop(old);
        assert_eq!(receive(&new).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn every_message_reads_back_and_others_are_refused() {
        let configured = SocketAddr::from(([127, 0, 0, 1], 80));
        for message in [
            Message::Socket { name: "a b".into(), configured, admin: true },
            Message::Socket { name: "a".into(), configured, admin: false },
            Message::Unix { path: "/run/a b.sock".into() },
            Message::AllSockets,
            Message::Kept("a".into()),
            Message::MayOpenStore,
            Message::OpenStore,
            Message::Ready,
            Message::Serve,
            Message::Serving,
        ] {
            assert_eq!(Message::parse(&message.text()), Some(message));
        }
        for text in ["", "socket", "socket x y", "admin 127.0.0.1:80", "go", "ready "] {
            assert_eq!(Message::parse(text), None, "{text}");
        }
    }
}
