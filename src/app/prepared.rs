//! A process that is ready to serve and does not yet: where an upgrade may still be called off.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::admin_socket::SocketFile;
use super::sockets::{ADMIN, Sockets};
use super::threads::{self, Door, Face};
use super::{AppError, Listening, Running};
use crate::admin;
use crate::config::{self, Config};
use crate::control::{Clock, Controller, Handle, Start, clock};
use crate::metrics::{Load, Shards};
use crate::notify::{Inquirer, Messenger};
use crate::proxy::access_log::{self, AccessLog, Writer};
use crate::proxy::spans::{self, Exporter, Spans};
use crate::proxy::{Admission, Bound, PassedOn, Phase, Reserve, Setup};
use crate::routing::{EndpointIds, Live, Snapshot, Table, TableError};
use crate::store::Store;
use crate::tls;
use crate::upstream::Lookout;

/// What can fail without the store, and so is done before an upgrade asks for it.
pub(super) struct Opened {
    pub(super) sockets: Sockets,
    pub(super) certificates: tls::Loaded,
    pub(super) reserve: Reserve,
    pub(super) clock: Clock,
    /// From which the clock and the workers count.
    pub(super) epoch: Instant,
}

/// Everything that can fail has been done, and nothing is accepted yet.
pub(super) struct Prepared {
    sockets: Sockets,
    reserve: Reserve,
    path: Option<PathBuf>,
    workers: usize,
    forgets: bool,
    epoch: Instant,
    shards: Shards,
    admission: Arc<Admission>,
    material: watch::Receiver<Arc<tls::Material>>,
    live: Live,
    runtime: Runtime,
    controller: Controller,
    lookout: JoinHandle<()>,
    messenger: JoinHandle<()>,
    inquirer: JoinHandle<()>,
    store: Store,
    drain: watch::Receiver<config::Drain>,
    access: watch::Receiver<Arc<config::Access>>,
    log: Option<AccessLog>,
    log_writer: Option<Writer>,
    spans: Option<Spans>,
    exporter: Option<Exporter>,
}

impl Prepared {
    pub(super) fn new(config: Config, path: Option<PathBuf>, opened: Opened) -> Result<Self, AppError> {
        let Opened { sockets, certificates, reserve, clock: ticking, epoch } = opened;
        let (workers, forgets) = (config.workers.count, config.store == config::Store::Memory);
        let (store, loaded) = Store::open(&config.store)?;
        let shards = Shards::new(workers);
        let (log, log_writer) = access_log(&config, &shards)?;
        let (spans, exporter) = spans(&config, &shards)?;
        let load = Arc::new(Load::new(config.listeners.iter().map(|one| Arc::clone(&one.name))));
        let (connections_max, of_each) = (config.limits.connections_max, &config.listeners);
        let admission = Arc::new(Admission::new(connections_max, of_each, Arc::clone(&load)));
        let (keeper, material) = tls::Keeper::new(certificates);
        let live = Live::new(empty_snapshot(&config)?);
        let (told, drain) = watch::channel(config.drain);
        let (says, access) = watch::channel(Arc::clone(&config.admin.access));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::Thread)?;
        // Endpoints are asked from here on, so that more is known of them when the first request comes. The thread
        // ends with the controller, also if this process never serves.
        let (lookout, lookout_thread) = Lookout::start(material.clone()).map_err(AppError::Thread)?;
        let (messenger, messenger_thread) =
            Messenger::start(material.clone(), clock::unix_ms).map_err(AppError::Thread)?;
        let (inquirer, inquirer_thread) =
            Inquirer::start(material.clone(), clock::unix_ms).map_err(AppError::Thread)?;
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
            clock: ticking,
            lookout,
            messenger,
            inquirer,
            drain: told,
            access: says,
        }))?;
        Ok(Self {
            sockets,
            reserve,
            path,
            workers,
            forgets,
            epoch,
            shards,
            admission,
            material,
            live,
            runtime,
            controller,
            lookout: lookout_thread,
            messenger: messenger_thread,
            inquirer: inquirer_thread,
            store,
            drain,
            access,
            log,
            log_writer,
            spans,
            exporter,
        })
    }

    pub(super) fn serve(self) -> Result<Running, AppError> {
        let Self { mut sockets, path, shards, live, epoch, reserve, .. } = self;
        let (phase, phases) = watch::channel(Phase::Serving);
        let (ready, readiness) = watch::channel(admin::Phase::Starting);
        let (door, doors) = watch::channel(Door::Open);
        let (beat, beats) = watch::channel(0);
        let (handle, commands) = Handle::new();
        let workers = threads::spawn_workers(&sockets.listeners, self.workers, |index, intakes| Setup {
            live: live.clone(),
            shard: shards.worker(index),
            admission: Arc::clone(&self.admission),
            intakes,
            tls: self.material.clone(),
            phase: phases.clone(),
            pulse: beats.clone(),
            reserve,
            epoch,
            access_log: self.log.clone(),
            spans: self.spans.clone(),
            seed: fastrand::u64(..),
        })?;
        tracing::info!(address = %sockets.admin_address, "admin listening");
        let admin = sockets.admin.try_clone().map_err(AppError::Thread)?;
        let (unix, socket_file) = serve_unix(&mut sockets);
        let setup = admin::Setup {
            handle: handle.clone(),
            phase: readiness,
            access: self.access,
            tls: self.material,
            counters: Arc::clone(shards.admin()),
        };
        let ours =
            unix.as_ref().map(|(_, socket)| socket.try_clone()).transpose().map_err(AppError::Thread)?;
        let face = Face { tcp: admin, unix: ours, setup, door: doors, path };
        let control = threads::spawn_control(self.runtime, self.controller, commands, face)?;
        ready.send_replace(admin::Phase::Serving);
        let listeners = sockets.listeners.iter();
        let listeners = listeners.map(|(one, _)| (one.listener.name.to_string(), one.address)).collect();
        Ok(Running {
            handle,
            admin: sockets.admin_address,
            listeners,
            phase,
            ready,
            door,
            beat,
            drain: self.drain,
            listening: listening(sockets),
            unix,
            socket_file,
            forgets: self.forgets,
            shards,
            workers,
            control,
            lookout: self.lookout,
            messenger: self.messenger,
            inquirer: self.inquirer,
            store: self.store,
            access_log: self.log_writer,
            spans: self.exporter,
        })
    }
}

fn access_log(config: &Config, shards: &Shards) -> Result<(Option<AccessLog>, Option<Writer>), AppError> {
    let Some(log) = &config.access_log else { return Ok((None, None)) };
    let started = access_log::start(log, Arc::clone(shards.access_log()));
    started.map(|(log, writer)| (Some(log), Some(writer))).map_err(AppError::AccessLog)
}

fn spans(config: &Config, shards: &Shards) -> Result<(Option<Spans>, Option<Exporter>), AppError> {
    let Some(tracing) = &config.tracing else { return Ok((None, None)) };
    let started = spans::start(tracing, Arc::clone(shards.spans()));
    started.map(|(spans, exporter)| (Some(spans), Some(exporter))).map_err(AppError::Tracing)
}

/// What `Live` holds until the controller publishes: no route at all.
fn empty_snapshot(config: &Config) -> Result<Snapshot, TableError> {
    let nothing = Config { routes: Vec::new(), ..config.clone() };
    let table = Table::build(&nothing, &mut Default::default(), &mut EndpointIds::default())?;
    Ok(Snapshot::new(0, Arc::new(table), &[]))
}

/// From here on the file of the Unix socket is ours, and that which the process before us has left is nobody's.
fn serve_unix(sockets: &mut Sockets) -> (Option<(PathBuf, UnixListener)>, Option<SocketFile>) {
    drop(sockets.left.take().map(SocketFile::left_by_predecessor));
    let Some(door) = sockets.unix.take() else { return (None, None) };
    let path = door.path.clone();
    tracing::info!(path = %path.display(), "admin socket open");
    let (socket, file) = door.into_parts();
    (Some((path, socket)), Some(file))
}

fn listening(sockets: Sockets) -> Vec<Listening> {
    let admin = Listening {
        name: ADMIN.to_owned(),
        configured: sockets.admin_configured,
        sockets: vec![sockets.admin],
        passed_on: None,
    };
    let of = |(bound, passed_on): (Bound, PassedOn)| Listening {
        name: bound.listener.name.to_string(),
        configured: bound.listener.address,
        sockets: bound.sockets,
        passed_on: Some(passed_on),
    };
    sockets.listeners.into_iter().map(of).chain([admin]).collect()
}
