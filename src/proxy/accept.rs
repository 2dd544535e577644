//! From a listening socket to a connection that is served: within all limits, and with a file descriptor left for it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::admission::Admitted;
use super::connection::{self, Arrival};
use super::listener::Intake;
use super::stream::Stream;
use super::worker::Worker;
use crate::config::Listener;

/// Connections taken from the kernel's queue before a listener closes; more are reset.
const LAST_ACCEPTS_MAX: usize = 65_536;
/// After a failed accept: one that fails at once, for want of descriptors, must not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Lets clients in until the drain begins.
pub(super) async fn accept(worker: Rc<Worker>, intake: Intake) {
    let Intake { listener, socket, passed_on } = intake;
    let listener = Rc::new(listener);
    let socket = match TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(listener = %listener.name, %error, "cannot accept at all"),
    };
    let mut short = false;
    while !worker.is_draining() {
        let accepted = tokio::select! {
            biased;
            () = worker.drain_begins.notified() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(guest) = let_in(&worker, &listener, stream, peer) else { continue };
                short = wait_for_room(&worker, &listener, &guest, short).await;
                serve(&worker, &listener, guest);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(listener = %listener.name, %error, "cannot accept; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if passed_on.is_set() {
        return;
    }
    // Who stands in the kernel's queue was let in: closing the socket would reset them.
    for _ in 0..LAST_ACCEPTS_MAX {
        let next = poll_fn(|context| Poll::Ready(socket.poll_accept(context))).await;
        let Poll::Ready(Ok((stream, peer))) = next else { break };
        if let Some(guest) = let_in(&worker, &listener, stream, peer) {
            serve(&worker, &listener, guest);
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// A connection that is within all limits.
struct Guest {
    stream: TcpStream,
    peer: SocketAddr,
    open: Open,
}

/// `None`: it was one too many, and is closed. Before anything else, so that only those who may stay wait for room.
fn let_in(worker: &Rc<Worker>, listener: &Listener, stream: TcpStream, peer: SocketAddr) -> Option<Guest> {
    match worker.admission.admit(&listener.name, peer.ip()) {
        Some(admitted) => Some(Guest { stream, peer, open: Open::new(worker, admitted) }),
        // Not an orderly close: after a flood of those the kernel would remember each one for a minute.
        None => {
            Stream::Plain(stream).reset();
            None
        }
    }
}

/// Whether there was none at first. While a client waits nobody else is accepted here; `short` before says that this
/// was told already.
async fn wait_for_room(worker: &Worker, listener: &Listener, guest: &Guest, short: bool) -> bool {
    if worker.reserve.admits(&guest.stream) {
        return false;
    }
    if !short {
        tracing::warn!(listener = %listener.name, "few file descriptors are left; clients wait");
    }
    worker.reserve.room(&guest.stream, || worker.is_draining()).await;
    true
}

fn serve(worker: &Rc<Worker>, listener: &Rc<Listener>, guest: Guest) {
    let Guest { stream, peer, open } = guest;
    let (worker, listener) = (Rc::clone(worker), Rc::clone(listener));
    let arrival = Box::new(Arrival { worker, listener, socket: stream, peer });
    spawn_local(connection::serve(arrival, open));
}

/// Counts one open connection for as long as it lives, also if its task is dropped or panics.
pub(super) struct Open(Rc<Worker>, #[expect(dead_code, reason = "its drop is its use")] Admitted);

impl Open {
    fn new(worker: &Rc<Worker>, admitted: Admitted) -> Self {
        worker.connections.set(worker.connections.get() + 1);
        worker.shard.connections_opened.add(1);
        Self(Rc::clone(worker), admitted)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
        self.0.shard.connections_closed.add(1);
        if self.0.connections.get() == 0 {
            self.0.all_closed.notify_one();
        }
    }
}
