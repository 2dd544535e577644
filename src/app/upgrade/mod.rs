//! USR2: a new process, of the binary that now lies at our path, takes over without losing a connection.
//!
//! # What cannot be lost
//!
//! Listening sockets are never closed and never opened anew: the new process gets those that the old one has, of all
//! workers and of the admin API, with the queues that the kernel keeps for them. It accepts from every one, however
//! many workers it has. So a connection is either accepted by the old process, which serves it to its end, or waits
//! in the queue until the new one does. A listener that the new configuration does not have is closed as in any
//! drain; one that is new is bound by the new process.
//!
//! # The order, and why
//!
//! 1. The old process starts the new one and passes the sockets. The new one reads its configuration and binds what
//!    is missing. Most of what can be wrong with a new binary or file shows here, and nothing has been given up yet.
//! 2. The old one closes the store; the new one opens it. In this order, because a store with two writers has none
//!    that can be trusted, and because what the old one decided must be in the store before the new one reads it.
//!    Meanwhile the old one goes on judging: a back-off takes effect at once, what raises is refused for the moment.
//! 3. The new one says that it is ready. If anything was decided since step 2, it does not know of it and would give
//!    a canary back what it has just lost: then the upgrade is called off. Otherwise the old one is frozen, which
//!    means that it decides nothing and that its admin API is shut, and the new one is told to serve.
//! 4. The new one serves, and says so. The old one stops accepting, drains, and ends.
//!
//! Up to the last word of step 4 the old one can go on as if nothing had happened, and does so if the new one ends,
//! says something else, or takes longer than [`UPGRADE_MAX`]: it makes sure that the new one is dead, takes the store
//! back, stores its own state over whatever was written there, and judges again.
//!
//! Endpoints are asked by both: the new one begins before it is ready, and the old one goes on until it ends.
//!
//! What is lost: counters, the evidence gathered so far, what of a harm budget is used, and what is known of
//! endpoints, as in any restart; what the requests that the old one still serves while it drains would have told the
//! immune system of the new one.

mod channel;
mod successor;

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::{Running, notify};
use crate::control::{HandOver, Refusal};
use crate::store::StoreError;
use channel::Message;
pub use successor::Predecessor;

/// Set for the new process: the old one is at its standard input.
pub const VARIABLE: &str = "ANDON_HAND_OVER";

/// From the start of the new process to its first connection. It may have a large store to check.
const UPGRADE_MAX: Duration = Duration::from_secs(60);

/// What to start, and how: as we were started ourselves.
#[derive(Clone, Debug)]
pub struct Origin {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

#[derive(Debug, Error)]
pub(super) enum UpgradeError {
    #[error("cannot start {program}: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("store.path is \":memory:\": cords and weights would be forgotten; restart instead")]
    NoStore,
    #[error("the new process ended; its log says why")]
    Ended,
    #[error("the new process and this one do not understand each other: {0}")]
    Channel(io::Error),
    #[error("the new process was not ready after {} s", UPGRADE_MAX.as_secs())]
    Slow,
    #[error("the store cannot be handed over: {0:?}")]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("told to end meanwhile")]
    Interrupted,
}

impl From<Refusal> for UpgradeError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for UpgradeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Self::Ended
            }
            _ => Self::Channel(error),
        }
    }
}

/// Returns when the new process serves, or when this one goes on as before. `interrupted` calls it off.
pub(super) async fn hand_over(
    running: &Running,
    origin: &Origin,
    interrupted: impl Future<Output = ()>,
) -> Result<(), UpgradeError> {
    if running.forgets {
        return Err(UpgradeError::NoStore);
    }
    let (mut child, link) = start(origin)?;
    let pid = child.id();
    tracing::info!(pid, program = %origin.program.display(), "a new process is to take over");
    let done = tokio::select! {
        done = converse(running, &link, pid) => done,
        () = tokio::time::sleep(UPGRADE_MAX) => Err(UpgradeError::Slow),
        () = interrupted => Err(UpgradeError::Interrupted),
    };
    match done {
        Ok(()) => tracing::info!(pid, "the new process serves"),
        Err(_) => call_off(running, &mut child).await,
    }
    done
}

fn start(origin: &Origin) -> Result<(Child, Link), UpgradeError> {
    let program = origin.program.display().to_string();
    let spawn = || {
        let (ours, theirs) = channel::pair()?;
        let child = Command::new(&origin.program)
            .args(&origin.arguments)
            .stdin(Stdio::from(theirs))
            .env(VARIABLE, "stdin")
            // It names us. Without it the watchdog is for whoever is the main process.
            .env_remove("WATCHDOG_PID")
            .spawn()?;
        Ok((child, Link::new(ours)?))
    };
    spawn().map_err(|source| UpgradeError::Spawn { program, source })
}

async fn converse(running: &Running, link: &Link, pid: u32) -> Result<(), UpgradeError> {
    for one in &running.listening {
        let (name, configured) = (one.name.clone(), one.configured);
        let message = Message::Socket { name, configured, admin: one.passed_on.is_none() };
        for socket in &one.sockets {
            link.say(&message, Some(socket.as_fd())).await?;
        }
    }
    if let Some((path, socket)) = &running.unix {
        link.say(&Message::Unix { path: path.clone() }, Some(socket.as_fd())).await?;
    }
    link.say(&Message::AllSockets, None).await?;
    let mut kept = Vec::new();
    loop {
        match link.hear().await? {
            Message::Kept(name) => kept.push(name),
            Message::MayOpenStore => break,
            other => return Err(unexpected(&other)),
        }
    }
    running.handle.hand_over(HandOver::Lend).await?;
    running.store.lend().await?;
    link.say(&Message::OpenStore, None).await?;
    link.expect(&Message::Ready).await?;
    running.handle.hand_over(HandOver::Freeze).await?;
    running.shut_admin();
    link.say(&Message::Serve, None).await?;
    link.expect(&Message::Serving).await?;
    // Only now: were this called off later, systemd would believe nothing more of us.
    notify::pass_on_to(pid);
    running.pass_on(&kept);
    Ok(())
}

/// Everything as it was. Nothing in here may fail in a way that ends traffic.
async fn call_off(running: &Running, child: &mut Child) {
    // It may have ended by itself. Until it has, the store is not ours.
    let _ = child.kill();
    if let Err(error) = child.wait() {
        tracing::error!(%error, "the new process cannot be waited for");
    }
    if let Err(error) = running.store.take_back().await {
        tracing::error!(%error, "the store cannot be opened again yet");
    }
    if let Err(refusal) = running.handle.hand_over(HandOver::TakeBack).await {
        tracing::error!(?refusal, "the control thread is gone; traffic goes on with the last configuration");
    }
    running.open_admin();
}

fn unexpected(message: &Message) -> UpgradeError {
    UpgradeError::Channel(io::Error::other(format!("it says {message:?}")))
}

/// The old process's end of the channel. It keeps packets apart, which a stream does not; the type is borrowed for
/// its readiness alone.
struct Link(UnixStream);

impl Link {
    fn new(channel: OwnedFd) -> io::Result<Self> {
        UnixStream::from_std(channel.into()).map(Self)
    }

    async fn say(&self, message: &Message, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.0.async_io(Interest::WRITABLE, || channel::send(&self.0, message, socket)).await
    }

    /// What comes attached is not for us, and closed.
    async fn hear(&self) -> io::Result<Message> {
        self.0.async_io(Interest::READABLE, || channel::receive(&self.0)).await.map(|(message, _)| message)
    }

    async fn expect(&self, wanted: &Message) -> Result<(), UpgradeError> {
        let message = self.hear().await?;
        if message == *wanted { Ok(()) } else { Err(unexpected(&message)) }
    }
}
