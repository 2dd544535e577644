//! Where connections rest: a client's connection between two requests that are far apart is a socket, and what is known of
//! the client. It has no task and no place among what the runtime watches, which would cost four times as much; the
//! kernel tells of all of them together when one has something to say, and then it is served as before.
//!
//! Inside TLS a connection rests in its task: what the session knows is larger than both.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::super::accept::Open;
use super::super::clock;
use super::super::proxy_protocol::Addresses;
use super::super::stream::Stream;
use super::super::worker::{DRAIN_IDLE, Worker};
use super::{Protocol, http1};
use crate::config::Listener;

/// How often it is looked whose time is up.
const TICK: Duration = Duration::from_millis(250);
/// Called at once. Between two such lots others have their turn.
const LOT: usize = 128;
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Those of a worker.
#[derive(Default)]
pub(in crate::proxy) struct Lobby {
    /// Made for the first guest.
    epoll: OnceCell<OwnedFd>,
    guests: RefCell<Guests>,
    /// There is somebody in it.
    occupied: Notify,
    /// The runtime cannot watch it.
    is_closed: Cell<bool>,
}

#[derive(Default)]
struct Guests {
    all: Slab<Guest>,
    /// When the time of each is up, and its key: only those whose time is up are looked at, however many rest.
    due: BTreeSet<(Instant, usize)>,
}

/// A connection at rest.
pub(super) struct Guest {
    pub(super) socket: std::net::TcpStream,
    pub(super) listener: Rc<Listener>,
    pub(super) addresses: Addresses,
    /// That it has brought so far.
    pub(super) requests: u64,
    /// Then it has rested for long enough.
    pub(super) until: Instant,
    pub(super) open: Open,
}

impl Lobby {
    /// Until the client says something, or its time is up. An error closes it: the kernel cannot watch it, or is short of
    /// descriptors, which a connection at rest gives back first.
    pub(super) fn rest(&self, guest: Guest) -> io::Result<()> {
        let epoll = match self.epoll.get() {
            Some(epoll) => epoll,
            None => {
                let epoll = epoll::create(CreateFlags::CLOEXEC)?;
                self.epoll.get_or_init(|| epoll)
            }
        };
        let mut guests = self.guests.borrow_mut();
        let key = guests.all.vacant_key();
        epoll::add(epoll, &guest.socket, EventData::new_u64(key as u64), EventFlags::IN | EventFlags::RDHUP)?;
        guests.due.insert((guest.until, key));
        guests.all.insert(guest);
        self.occupied.notify_one();
        Ok(())
    }

    pub(super) fn is_open(&self) -> bool {
        !self.is_closed.get()
    }

    /// Those who have something to say, or have left; at most a lot. None where the kernel was interrupted.
    fn called(&self) -> Vec<Guest> {
        let Some(epoll) = self.epoll.get() else { return Vec::new() };
        let mut events: Vec<Event> = Vec::with_capacity(LOT);
        let _ = epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), Some(&AT_ONCE));
        let mut guests = self.guests.borrow_mut();
        let called = events.iter().filter_map(|event| guests.remove(usize::try_from(event.data.u64()).ok()?));
        let called = called.inspect(|guest| {
            // The runtime watches it from now on. One that could not be forgotten here is so when it closes.
            let _ = epoll::delete(epoll, &guest.socket);
        });
        called.collect()
    }

    /// Those whose time is up at `now`, which closes them.
    fn dismiss(&self, now: Instant) {
        let mut guests = self.guests.borrow_mut();
        while let Some((until, key)) = guests.due.first().copied()
            && until <= now
        {
            guests.due.pop_first();
            guests.all.try_remove(key);
        }
        if guests.all.is_empty() {
            // With the room that a rush has taken.
            *guests = Guests::default();
        }
    }

    fn empty(&self) {
        *self.guests.borrow_mut() = Guests::default();
    }

    /// In a drain: each may have one more request on its way.
    fn hurry(&self, until: Instant) {
        let Guests { all, due } = &mut *self.guests.borrow_mut();
        for (_, guest) in all.iter_mut() {
            guest.until = guest.until.min(until);
        }
        *due = all.iter().map(|(key, guest)| (guest.until, key)).collect();
    }
}

impl Guests {
    fn remove(&mut self, key: usize) -> Option<Guest> {
        let guest = self.all.try_remove(key)?;
        self.due.remove(&(guest.until, key));
        Some(guest)
    }
}

/// The descriptor that the runtime watches for all of them.
struct Calls(Rc<Worker>);

impl AsRawFd for Calls {
    fn as_raw_fd(&self) -> RawFd {
        self.0.lobby.epoll.get().map_or(-1, AsRawFd::as_raw_fd)
    }
}

/// Runs as long as the worker does.
pub(in crate::proxy) async fn run(worker: Rc<Worker>) {
    worker.lobby.occupied.notified().await;
    if let Err(error) = look_after(&worker).await {
        tracing::error!(%error, "connections rest in their tasks: what watches them together cannot be watched");
        worker.lobby.is_closed.set(true);
        worker.lobby.empty();
    }
}

async fn look_after(worker: &Rc<Worker>) -> io::Result<()> {
    let lobby = &worker.lobby;
    #[expect(
        deprecated,
        reason = "what follows it is unsafe code; the worker owns the descriptor as long as this runs"
    )]
    let calls = AsyncFd::with_interest(Calls(Rc::clone(worker)), Interest::READABLE)?;
    let mut is_hurried = false;
    loop {
        if lobby.guests.borrow().all.is_empty() {
            lobby.occupied.notified().await;
        }
        let look = tokio::time::sleep(TICK);
        tokio::pin!(look);
        loop {
            tokio::select! {
                biased;
                () = &mut look => break,
                ready = calls.readable() => {
                    let called = lobby.called();
                    if called.len() < LOT {
                        ready?.clear_ready();
                    }
                    for guest in called {
                        serve_again(worker, guest);
                    }
                }
            }
        }
        let now = clock::now();
        if worker.is_draining() && !std::mem::replace(&mut is_hurried, true) {
            lobby.hurry(now + DRAIN_IDLE);
        }
        if worker.is_cut() {
            lobby.empty();
        }
        lobby.dismiss(now);
    }
}

fn serve_again(worker: &Rc<Worker>, guest: Guest) {
    let Guest { socket, listener, addresses, requests, open, .. } = guest;
    // It is closed if the runtime cannot watch it.
    let Ok(socket) = TcpStream::from_std(socket) else { return };
    let downstream = super::open(Rc::clone(worker), listener, addresses, (Protocol::Http1, None));
    downstream.has_brought(requests);
    spawn_local(http1::serve(downstream, Stream::Plain(socket), BytesMut::new(), open));
}
