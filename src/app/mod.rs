//! Wiring, and nothing else: builds the parts in order, starts the threads, ends them in order.
//!
//! Everything that can fail for an operator's reason fails before the first connection is accepted: the store,
//! the ports, the routing table.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::admin;
use crate::config::{self, Config};
use crate::control::{self, Clock, Command, Controller, Handle, Start, StartError, watch_file};
use crate::metrics::{Load, Shards};
use crate::proxy::access_log::{self, AccessLog, Writer};
use crate::proxy::listener::{self, BindError, Bound};
use crate::proxy::{Admission, Phase, Setup, worker};
use crate::routing::{EndpointIds, Live, Snapshot, Table, TableError};
use crate::store::{Store, StoreError};
use crate::tls;
use crate::upstream::Lookout;

mod descriptors;
mod life;

use life::{Ending, Life};

#[derive(Debug, Error)]
pub enum AppError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(
        "admin: cannot bind {address}: {source}; stop what listens there or choose another [admin] listen"
    )]
    Admin { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("access_log: cannot open its path: {0}; choose another [access_log] path")]
    AccessLog(#[source] std::io::Error),
    #[error("certificates: {0}")]
    Tls(String),
    #[error("cannot start a thread or its runtime: {0}")]
    Thread(#[source] std::io::Error),
}

/// A whole Andon, running.
pub struct Running {
    pub handle: Handle,
    pub admin: SocketAddr,
    /// Name and real address of each listener.
    pub listeners: Vec<(String, SocketAddr)>,
    phase: watch::Sender<Phase>,
    ready: watch::Sender<admin::Phase>,
    workers: Vec<JoinHandle<()>>,
    control: JoinHandle<()>,
    lookout: JoinHandle<()>,
    store: Store,
    access_log: Option<Writer>,
}

/// `andon run`: starts, follows the signals, ends after the drain.
pub fn run(config: Config, path: &Path) -> ExitCode {
    let life = match Life::listen() {
        Ok(life) => life,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return ExitCode::FAILURE;
        }
    };
    let running = match start(config, Some(path.to_owned())) {
        Ok(running) => running,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    match life.follow(&running) {
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

/// `path` is read again on reload; without one a reload is refused.
pub fn start(config: Config, path: Option<PathBuf>) -> Result<Running, AppError> {
    let connections_max = descriptors::connections_max(&config);
    let (admin, admin_address) = bind_admin(config.admin.listen)?;
    let workers = config.workers.count;
    let bound: Vec<Bound> =
        config.listeners.iter().map(|one| listener::bind(one, workers)).collect::<Result<_, _>>()?;
    let (store, loaded) = Store::open(&config.store)?;
    let (epoch, shards) = (control::clock::process_start(), Shards::new(workers));
    let (log, log_writer) = access_log(&config, &shards)?;
    let load = Arc::new(Load::new(config.listeners.iter().map(|one| Arc::clone(&one.name))));
    let admission = Arc::new(Admission::new(connections_max, &config.listeners, Arc::clone(&load)));
    let clock = Clock::new(epoch);
    let (keeper, material) = tls::Keeper::new(certificates(&config, clock.unix_ms() / 1_000)?);
    let listeners = bound.iter().map(|one| (one.listener.name.to_string(), one.address)).collect();
    let live = Live::new(empty_snapshot(&config)?);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::Thread)?;
    let (lookout, lookout_thread) = Lookout::start(material.clone()).map_err(AppError::Thread)?;
    // Publishes the first snapshot: no worker runs before there is something to route by.
    let controller = runtime.block_on(Controller::new(Start {
        config,
        config_path: path.clone(),
        store: store.clone(),
        loaded,
        live: live.clone(),
        shards: shards.clone(),
        load,
        tls: keeper,
        clock,
        lookout,
    }))?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let (ready, readiness) = watch::channel(admin::Phase::Starting);
    let (handle, commands) = Handle::new();
    let workers = spawn_workers(bound, workers, |index, listeners| Setup {
        live: live.clone(),
        shard: shards.worker(index),
        admission: Arc::clone(&admission),
        listeners,
        tls: material.clone(),
        phase: phases.clone(),
        epoch,
        access_log: log.clone(),
        seed: fastrand::u64(..),
    })?;
    tracing::info!(address = %admin_address, "admin listening");
    let face = Face { admin, handle: handle.clone(), readiness, phases, path };
    let control = spawn_control(runtime, controller, commands, face)?;
    ready.send_replace(admin::Phase::Serving);
    Ok(Running {
        handle,
        admin: admin_address,
        listeners,
        phase,
        ready,
        workers,
        control,
        lookout: lookout_thread,
        store,
        access_log: log_writer,
    })
}

impl Running {
    /// The access log's file was renamed.
    pub fn reopen(&self) {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
    }

    /// No new connections; what is in flight may finish. `readyz` fails from here on.
    pub fn drain(&self) {
        self.ready.send_replace(admin::Phase::Draining);
        self.phase.send_replace(Phase::Draining);
    }

    /// Whatever still runs ends now.
    pub fn cut(&self) {
        self.phase.send_replace(Phase::Cut);
    }

    pub fn has_drained(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the workers, then ends control and store, in this order: the last requests are still counted,
    /// the last decision still stored.
    pub fn finish(self) {
        let Self { handle, phase, workers, control, lookout, store, access_log, .. } = self;
        for worker in workers {
            join(worker);
        }
        if let Some(log) = access_log {
            log.finish();
        }
        phase.send_replace(Phase::Cut);
        drop(handle);
        join(control);
        join(lookout);
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

fn access_log(config: &Config, shards: &Shards) -> Result<(Option<AccessLog>, Option<Writer>), AppError> {
    let Some(log) = &config.access_log else { return Ok((None, None)) };
    let started = access_log::start(log, Arc::clone(shards.access_log()));
    started.map(|(log, writer)| (Some(log), Some(writer))).map_err(AppError::AccessLog)
}

fn bind_admin(address: SocketAddr) -> Result<(TcpListener, SocketAddr), AppError> {
    let bind = || {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let real = socket.local_addr()?;
        Ok((socket, real))
    };
    bind().map_err(|source| AppError::Admin { address, source })
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

/// What `Live` holds until the controller publishes: no route at all.
fn empty_snapshot(config: &Config) -> Result<Snapshot, TableError> {
    let nothing = Config { routes: Vec::new(), ..config.clone() };
    let table = Table::build(&nothing, &mut Default::default(), &mut EndpointIds::default())?;
    Ok(Snapshot::new(0, Arc::new(table), &[]))
}

fn spawn_workers(
    bound: Vec<Bound>,
    count: usize,
    setup: impl Fn(usize, Vec<(config::Listener, TcpListener)>) -> Setup,
) -> Result<Vec<JoinHandle<()>>, AppError> {
    let mut sockets: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for one in bound {
        tracing::info!(listener = %one.listener.name, address = %one.address, "listening");
        for (index, socket) in one.sockets.into_iter().enumerate() {
            sockets[index].push((one.listener.clone(), socket));
        }
    }
    let mut threads = Vec::with_capacity(count);
    for (index, sockets) in sockets.into_iter().enumerate() {
        let setup = setup(index, sockets);
        let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            if let Err(error) = worker::run(setup) {
                tracing::error!(index, %error, "worker cannot run");
            }
        });
        threads.push(thread.map_err(AppError::Thread)?);
    }
    Ok(threads)
}

/// What the control thread serves beside the controller.
struct Face {
    admin: TcpListener,
    handle: Handle,
    readiness: watch::Receiver<admin::Phase>,
    phases: watch::Receiver<Phase>,
    path: Option<PathBuf>,
}

fn spawn_control(
    runtime: Runtime,
    controller: Controller,
    commands: mpsc::Receiver<Command>,
    face: Face,
) -> Result<JoinHandle<()>, AppError> {
    // The controller ends when the last handle is gone: the face's, and that of `Running`.
    let run = async move { tokio::join!(controller.run(commands), show(face)) };
    let thread = thread::Builder::new().name("control".into());
    thread
        .spawn(move || {
            runtime.block_on(run);
        })
        .map_err(AppError::Thread)
}

async fn show(face: Face) {
    let Face { admin, handle, readiness, phases, path } = face;
    let cut = |mut phases: watch::Receiver<Phase>| async move {
        // An error means that the sender is gone, which is an end as well.
        let _ = phases.wait_for(|phase| *phase == Phase::Cut).await;
    };
    let served = async {
        let served = match tokio::net::TcpListener::from_std(admin) {
            Ok(admin) => admin::serve(admin, handle.clone(), readiness, cut(phases.clone())).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::error!(%error, "the admin API cannot be served");
        }
    };
    let watched = async {
        tokio::select! {
            () = watch_file::run(path, handle.clone()) => {}
            () = cut(phases.clone()) => {}
        }
    };
    tokio::join!(served, watched);
}
