//! The threads: one a worker, and one for the controller with its face.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::AppError;
use crate::admin;
use crate::control::{Command, Controller, watch_file};
use crate::proxy::listener::{self, Bound};
use crate::proxy::{Intake, PassedOn, Setup, worker};

pub(super) fn spawn_workers(
    listeners: &[(Bound, PassedOn)],
    count: usize,
    setup: impl Fn(usize, Vec<Intake>) -> Setup,
) -> Result<Vec<JoinHandle<()>>, AppError> {
    let mut intakes: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for (bound, passed_on) in listeners {
        tracing::info!(listener = %bound.listener.name, address = %bound.address, "listening");
        let shares = listener::spread(&bound.sockets, count).map_err(AppError::Thread)?;
        for (intakes, sockets) in intakes.iter_mut().zip(shares) {
            let intake =
                |socket| Intake { listener: bound.listener.clone(), socket, passed_on: passed_on.clone() };
            intakes.extend(sockets.into_iter().map(intake));
        }
    }
    let mut threads = Vec::with_capacity(count);
    for (index, intakes) in intakes.into_iter().enumerate() {
        let setup = setup(index, intakes);
        let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            if let Err(error) = worker::run(setup) {
                tracing::error!(index, %error, "worker cannot run");
            }
        });
        threads.push(thread.map_err(AppError::Thread)?);
    }
    Ok(threads)
}

/// Whether the admin API takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    /// Another process may be answering there, or is about to. Connections wait in the kernel's queue.
    Shut,
    /// The process ends.
    Gone,
}

/// What the control thread serves beside the controller.
pub(super) struct Face {
    pub(super) tcp: TcpListener,
    pub(super) unix: Option<UnixListener>,
    pub(super) setup: admin::Setup,
    pub(super) door: watch::Receiver<Door>,
    pub(super) path: Option<PathBuf>,
}

pub(super) fn spawn_control(
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
            // A file on a mount that hangs must not keep the process: dropping the runtime would wait for its reader.
            runtime.shutdown_background();
        })
        .map_err(AppError::Thread)
}

async fn show(face: Face) {
    let Face { tcp, unix, setup, door, path } = face;
    let handle = setup.handle.clone();
    let mut face = admin::Admin::new(setup);
    let served = async {
        let mut door_seen = door.clone();
        while until(&mut door_seen, |door| door != Door::Shut).await == Door::Open {
            let mut leaves = door.clone();
            let shut = async move {
                until(&mut leaves, |door| door != Door::Open).await;
            };
            let served = match listeners(&tcp, unix.as_ref()) {
                Ok(listeners) => face.serve(listeners, shut).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                return tracing::error!(%error, "the admin API cannot be served");
            }
        }
    };
    let mut ends = door.clone();
    let watched = async {
        tokio::select! {
            () = watch_file::run(path, handle.clone()) => {}
            _ = until(&mut ends, |door| door == Door::Gone) => {}
        }
    };
    tokio::join!(served, watched);
}

fn listeners(tcp: &TcpListener, unix: Option<&UnixListener>) -> io::Result<admin::Listeners> {
    let unix = unix.map(|unix| unix.try_clone().and_then(tokio::net::UnixListener::from_std)).transpose()?;
    Ok(admin::Listeners { tcp: tokio::net::TcpListener::from_std(tcp.try_clone()?)?, unix })
}

/// The first state that is meant. That nobody sets it any more is an end as well.
async fn until(door: &mut watch::Receiver<Door>, meant: impl Fn(Door) -> bool) -> Door {
    door.wait_for(|door| meant(*door)).await.map_or(Door::Gone, |door| *door)
}
