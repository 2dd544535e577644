//! Wiring, and nothing else: builds the parts in order, starts the threads, ends them in order.
//!
//! Everything that can fail for an operator's reason fails before the first connection is accepted: the store,
//! the ports, the routing table.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::sync::watch;

use crate::admin;
use crate::config::{self, Config};
use crate::control::{self, Clock, Handle, StartError};
use crate::metrics::Shards;
use crate::proxy::access_log::Writer;
use crate::proxy::spans::Exporter;
use crate::proxy::{PassedOn, Phase};
use crate::routing::TableError;
use crate::store::{Store, StoreError};
use crate::tls;

mod admin_socket;
mod descriptors;
mod life;
mod notify;
mod prepared;
mod pulse;
mod sockets;
mod threads;
mod upgrade;

pub use sockets::{Giver, Passed, SocketError};
pub use upgrade::{Origin, Predecessor, VARIABLE as HAND_OVER_VARIABLE};

use admin_socket::SocketFile;
use life::{Ending, Life};
use prepared::{Opened, Prepared};
use pulse::Pulse;
use sockets::Sockets;
use threads::Door;

#[derive(Debug, Error)]
pub enum AppError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("access_log: cannot open its path: {0}; choose another [access_log] path")]
    AccessLog(#[source] io::Error),
    #[error("certificates: {0}")]
    Tls(String),
    #[error("tracing: cannot start the export: {0}")]
    Tracing(#[source] std::io::Error),
    #[error("cannot start a thread or its runtime: {0}")]
    Thread(#[source] io::Error),
    #[error("the process that this one was to follow does not hand over: {0}")]
    HandOver(#[source] io::Error),
}

/// A whole Andon, running.
pub struct Running {
    pub handle: Handle,
    pub admin: SocketAddr,
    /// Name and real address of each listener.
    pub listeners: Vec<(String, SocketAddr)>,
    phase: watch::Sender<Phase>,
    ready: watch::Sender<admin::Phase>,
    door: watch::Sender<Door>,
    beat: watch::Sender<u64>,
    /// What the file says of the drain, also after a reload.
    drain: watch::Receiver<config::Drain>,
    /// For a new process; none any more once the drain has begun.
    listening: Vec<Listening>,
    /// Likewise, and where it is.
    unix: Option<(PathBuf, UnixListener)>,
    /// Of that: removed at the end, unless another process has it.
    socket_file: Option<SocketFile>,
    /// The store is in memory.
    forgets: bool,
    shards: Shards,
    workers: Vec<JoinHandle<()>>,
    control: JoinHandle<()>,
    lookout: JoinHandle<()>,
    messenger: JoinHandle<()>,
    inquirer: JoinHandle<()>,
    store: Store,
    access_log: Option<Writer>,
    spans: Option<Exporter>,
}

/// Our own copies of the sockets of one listener.
struct Listening {
    name: String,
    configured: SocketAddr,
    sockets: Vec<std::net::TcpListener>,
    /// `None`: of the admin API, which is shut in another way.
    passed_on: Option<PassedOn>,
}

/// How `andon run` came to be.
pub struct Launch {
    pub origin: Origin,
    /// By systemd.
    pub passed: Vec<Passed>,
    /// To be followed, if this is an upgrade.
    pub predecessor: Option<Predecessor>,
}

/// `andon run`: starts, follows the signals, ends after the drain.
pub fn run(config: Config, path: &Path, launch: Launch) -> ExitCode {
    let life = match Life::listen() {
        Ok(life) => life,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return ExitCode::FAILURE;
        }
    };
    let Launch { origin, passed, predecessor } = launch;
    let mut running = match follow(config, Some(path.to_owned()), passed, predecessor) {
        Ok(running) => running,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    match life.follow(&mut running, &origin) {
        Ending::Drained => {
            running.finish();
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Ending::Stuck => {
            tracing::error!("a worker did not end; leaving it behind");
            ExitCode::FAILURE
        }
    }
}

/// Starts, in the place of another process if there is one. The order is explained in [`upgrade`].
fn follow(
    config: Config,
    path: Option<PathBuf>,
    mut passed: Vec<Passed>,
    predecessor: Option<Predecessor>,
) -> Result<Running, AppError> {
    let reserve = descriptors::reserve(&config.limits);
    let mut unix = None;
    if let Some(predecessor) = &predecessor {
        let (sockets, socket) = predecessor.sockets().map_err(AppError::HandOver)?;
        passed.extend(sockets);
        unix = socket;
    }
    let sockets = Sockets::open(&config, passed, unix)?;
    let epoch = control::clock::process_start();
    let clock = Clock::new(epoch);
    let certificates = certificates(&config, clock.unix_ms() / 1_000)?;
    if let Some(predecessor) = &predecessor {
        predecessor.give_store(&sockets.kept).map_err(AppError::HandOver)?;
    }
    let ready = Prepared::new(config, path, Opened { sockets, certificates, reserve, clock, epoch })?;
    if let Some(predecessor) = &predecessor {
        predecessor.may_serve().map_err(AppError::HandOver)?;
    }
    let running = ready.serve()?;
    if let Some(predecessor) = predecessor {
        predecessor.serving().map_err(AppError::HandOver)?;
    }
    Ok(running)
}

/// `path` is read again on reload; without one a reload is refused.
pub fn start(config: Config, path: Option<PathBuf>) -> Result<Running, AppError> {
    follow(config, path, Vec::new(), None)
}

impl Running {
    /// `readyz` fails from here on, and nothing else changes yet.
    pub fn announce_drain(&self) {
        self.ready.send_replace(admin::Phase::Draining);
    }

    /// No new connections; what is in flight may finish.
    pub fn drain(&mut self) {
        self.announce_drain();
        self.phase.send_replace(Phase::Draining);
        // Nobody could connect to a socket that is closed everywhere but here, and nobody would accept.
        self.listening.clear();
        self.unix = None;
    }

    /// Whatever still runs ends now.
    pub fn cut(&self) {
        self.phase.send_replace(Phase::Cut);
    }

    pub fn has_drained(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// The access log's file was renamed.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
    }

    fn shut_admin(&self) {
        self.door.send_replace(Door::Shut);
    }

    fn open_admin(&self) {
        self.door.send_replace(Door::Open);
    }

    /// Another process accepts from these listeners.
    fn pass_on(&self, kept: &[String]) {
        for listening in self.listening.iter().filter(|one| kept.contains(&one.name)) {
            if let Some(passed_on) = &listening.passed_on {
                passed_on.set();
            }
        }
    }

    /// The admin socket is the other process's now.
    fn leave_socket(&mut self) {
        if let Some(file) = self.socket_file.take() {
            file.leave();
        }
    }

    fn pulse(&self) -> Pulse {
        Pulse { beat: self.beat.clone(), shards: self.shards.clone(), handle: self.handle.clone() }
    }

    /// Waits for the workers, then ends control and store, in this order: the last requests are still counted,
    /// the last decision still stored.
    pub fn finish(self) {
        let Self {
            handle,
            door,
            workers,
            control,
            lookout,
            messenger,
            inquirer,
            store,
            access_log,
            spans,
            ..
        } = self;
        for worker in workers {
            join(worker);
        }
        if let Some(log) = access_log {
            log.finish();
        }
        if let Some(spans) = spans {
            spans.finish();
        }
        door.send_replace(Door::Gone);
        drop(handle);
        join(control);
        join(lookout);
        join(messenger);
        join(inquirer);
        if let Err(error) = store.close() {
            tracing::error!(%error, "the store did not close well");
        }
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(thread = name, "ended by a panic");
    }
}

/// All that the configuration names, or the first problem; `andon run` has told all of them already.
fn certificates(config: &Config, now_s: i64) -> Result<tls::Loaded, AppError> {
    let (loaded, findings) = tls::load(config, None, now_s);
    for warning in &findings.warnings {
        tracing::warn!("{}", warning.message);
    }
    loaded.ok_or_else(|| {
        AppError::Tls(findings.problems.into_iter().map(|one| one.message).next().unwrap_or_default())
    })
}
