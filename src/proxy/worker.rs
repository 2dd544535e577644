//! One data-plane thread: a current-thread runtime, its own sockets, pools, dice, shard. Nothing is shared with
//! other workers but the live snapshot.

use std::cell::{Cell, Ref, RefCell};
use std::hint::black_box;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_local;

use super::accept::accept;
use super::access_log::{AccessLog, Line};
use super::admission::Admission;
use super::clock;
use super::connection::lobby::{self, Lobby};
use super::deadline::Deadlines;
use super::http1::Stock;
use super::listener::Intake;
use super::pool::Pools;
use super::recall;
use super::reserve::Reserve;
use super::retry::Budgets;
use super::spans::Spans;
use super::splice::{Pipe, Pipes};
use crate::metrics::Shard;
use crate::metrics::load::Pressure;
use crate::metrics::shard::Refused;
use crate::routing::live::Reader;
use crate::routing::{self, Answer, Decided, Decision, Dice, Live, Mirrored, Snapshot, TlsId, View};
use crate::tls::{Client, Material};

/// What hyper may keep of one HTTP/2 connection: a client that does not read must not cost a megabyte.
pub(super) const BUFFER_BYTES_MAX: usize = 64 * 1024;
pub(super) const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
/// Of requests: connect, response head, body.
const REQUEST_TICK: Duration = Duration::from_millis(25);
/// Of connections: idle, head, blocked.
const CONNECTION_TICK: Duration = Duration::from_millis(250);
const SWEEP: Duration = Duration::from_secs(5);
/// Longer than mimalloc keeps a page that is free.
const GIVE_BACK_AFTER: Duration = Duration::from_millis(1_500);
/// An allocation that has a page of its own. Nobody writes to it, so it costs no memory.
const OWN_PAGE_BYTES: usize = 1024 * 1024;
/// While draining, an idle connection may send one more request for this long: it may be on its way already.
pub(super) const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// Where the process stands in its life. Workers only watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Serving,
    /// No new connections; what is in flight may finish.
    Draining,
    /// The drain deadline passed: everything ends now.
    Cut,
}

/// What a worker is given. Everything in it may cross to the worker's thread.
pub struct Setup {
    pub live: Live,
    pub shard: Arc<Shard>,
    pub admission: Arc<Admission>,
    pub intakes: Vec<Intake>,
    /// What to shake hands with; the latest holds.
    pub tls: watch::Receiver<Arc<Material>>,
    pub phase: watch::Receiver<Phase>,
    /// A number that goes up: each is answered in the shard, to show that this worker goes round.
    pub pulse: watch::Receiver<u64>,
    pub reserve: Reserve,
    /// When the process started: counters tell times from here.
    pub epoch: Instant,
    pub access_log: Option<AccessLog>,
    pub spans: Option<Spans>,
    /// Of the lots and the endpoint choice; differs from worker to worker.
    pub seed: u64,
}

pub(super) struct Worker {
    live: RefCell<Reader>,
    tls: RefCell<Arc<Material>>,
    dice: RefCell<Dice>,
    pub(super) pools: Pools,
    pub(super) pipes: Pipes,
    pub(super) lobby: Lobby,
    pub(super) budgets: Budgets,
    pub(super) reserve: Reserve,
    pub(super) shard: Arc<Shard>,
    pub(super) admission: Arc<Admission>,
    pub(super) deadlines: Rc<Deadlines>,
    pub(super) connection_deadlines: Rc<Deadlines>,
    pub(super) epoch: Instant,
    pub(super) date: clock::Date,
    pub(super) stock: Stock,
    pub(super) access_log: Option<AccessLog>,
    pub(super) spans: Option<Spans>,
    ids: RefCell<fastrand::Rng>,
    phase: Cell<Phase>,
    /// The generation that closed a canary last; 0: none did.
    pub(super) last_closing: Cell<u64>,
    /// Copies of requests under way.
    pub(super) copies: Cell<u32>,
    pub(super) connections: Cell<usize>,
    /// A connection has gone to rest.
    pub(super) rested: Notify,
    pub(super) all_closed: Notify,
    /// Wakes the accept tasks.
    pub(super) drain_begins: Notify,
}

impl Worker {
    /// Takes what is for one alone out of the setup; nothing runs yet.
    pub(super) fn new(setup: &mut Setup) -> Self {
        Self {
            live: RefCell::new(setup.live.reader()),
            tls: RefCell::new(Arc::clone(&setup.tls.borrow())),
            dice: RefCell::new(Dice::new(setup.seed)),
            pools: Pools::default(),
            pipes: Pipes::default(),
            lobby: Lobby::default(),
            budgets: Budgets::default(),
            reserve: setup.reserve,
            shard: Arc::clone(&setup.shard),
            admission: Arc::clone(&setup.admission),
            deadlines: Deadlines::new(REQUEST_TICK),
            connection_deadlines: Deadlines::new(CONNECTION_TICK),
            epoch: setup.epoch,
            date: clock::Date::default(),
            stock: Stock::default(),
            access_log: setup.access_log.take(),
            spans: setup.spans.take(),
            ids: RefCell::new(fastrand::Rng::new()),
            phase: Cell::new(Phase::Serving),
            last_closing: Cell::new(0),
            copies: Cell::new(0),
            connections: Cell::new(0),
            rested: Notify::new(),
            all_closed: Notify::new(),
            drain_begins: Notify::new(),
        }
    }

    /// Routes one request. The snapshot is borrowed for this call only: decide, then await. What else a request
    /// needs of it, `also` takes.
    pub(super) fn decide(
        &self,
        view: &View<'_>,
        also: impl FnOnce(&Snapshot, &Answer, Option<Box<Mirrored>>),
    ) -> Decided {
        let mut live = self.live.borrow_mut();
        let mut dice = self.dice.borrow_mut();
        let snapshot = live.snapshot();
        let in_flight = |endpoint| self.pools.in_flight(endpoint);
        let decided = routing::decide(snapshot, view, &mut dice, in_flight);
        let mirrored = routing::mirror(snapshot, view, &decided.answer, &mut dice, in_flight);
        also(snapshot, &decided.answer, mirrored);
        decided
    }

    /// The canary that was decided for takes nobody any more.
    pub(super) fn has_closed(&self, decision: &Decision) -> bool {
        self.live.borrow_mut().snapshot().has_closed(decision)
    }

    /// Counts and logs a head that was refused before it was a request.
    pub(super) fn refuse_unread(&self, client: IpAddr, status: u16, reason: Refused) {
        self.shard.refuse(reason);
        if let Some(log) = &self.access_log {
            log.send(Line::unread(client, status, reason), &self.shard);
        }
    }

    /// What to shake hands with from now on.
    pub(super) fn tls(&self) -> Ref<'_, Arc<Material>> {
        self.tls.borrow()
    }

    /// How an endpoint is spoken to over TLS, and its name. `None`: it has gone since it was chosen.
    pub(super) fn tls_client(
        &self,
        tls: TlsId,
        address: IpAddr,
    ) -> Option<(Arc<Client>, ServerName<'static>)> {
        let mut live = self.live.borrow_mut();
        self.tls.borrow().client(live.snapshot().table().tls(tls)?, address)
    }

    /// A request that has just ended, to whoever wants to know.
    pub(super) fn report(&self, mut line: Box<Line>) {
        let mut for_log = self.access_log.as_ref();
        if let (Some(spans), Some(span)) = (&self.spans, line.span.take()) {
            if let Some(log) = for_log.take() {
                log.send(line.clone(), &self.shard);
            }
            return spans.send(span, line, &self.shard);
        }
        if let Some(log) = for_log {
            log.send(line, &self.shard);
        }
    }

    /// What a large body may go through. `None`: not now.
    pub(super) fn pipe(&self) -> Option<Box<Pipe>> {
        self.pipes.take(self.reserve)
    }

    /// For request ids; needs no repeatable seed.
    pub(super) fn random_u64(&self) -> u64 {
        self.ids.borrow_mut().u64(..)
    }

    /// For the handshake of a WebSocket.
    pub(super) fn random_bytes(&self) -> [u8; 16] {
        self.ids.borrow_mut().u128(..).to_le_bytes()
    }

    /// What is cut is counted before anything of it has ended.
    fn enter(&self, phase: Phase) {
        if phase == Phase::Cut && !self.is_cut() {
            self.shard.cut_connections.add(self.connections.get() as u64);
            self.shard.cut_requests.add(self.shard.in_flight());
        }
        self.phase.set(phase);
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self.phase.get(), Phase::Draining | Phase::Cut)
    }

    /// A connection is to end after what it serves now: in a drain, and while memory is short.
    pub(super) fn is_winding_down(&self) -> bool {
        self.is_draining() || self.admission.pressure() >= Pressure::High
    }

    pub(super) fn is_cut(&self) -> bool {
        self.phase.get() == Phase::Cut
    }
}

/// Runs until the phase says drain and the last connection has ended. Blocks its thread.
pub fn run(mut setup: Setup) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default())?;
    runtime.block_on(async {
        let worker = Rc::new(Worker::new(&mut setup));
        spawn_local(Rc::clone(&worker.deadlines).run());
        spawn_local(Rc::clone(&worker.connection_deadlines).run());
        spawn_local(sweep(Rc::clone(&worker)));
        spawn_local(give_back(Rc::clone(&worker)));
        spawn_local(lobby::run(Rc::clone(&worker)));
        spawn_local(follow_tls(Rc::clone(&worker), setup.tls));
        spawn_local(recall::follow(Rc::clone(&worker), setup.live.closings()));
        let mut accepting = Vec::new();
        for intake in setup.intakes {
            accepting.push(spawn_local(accept(Rc::clone(&worker), intake)));
        }
        spawn_local(answer_pulse(Rc::clone(&worker), setup.pulse));
        follow_phase(&worker, setup.phase).await;
        worker.drain_begins.notify_waiters();
        for listener in accepting {
            // An error is a panic in there: that listener is closed, too.
            let _ = listener.await;
        }
        drain(&worker).await;
        Ok(())
    })
}

/// Returns when the drain begins; goes on telling the worker of the cut.
async fn follow_phase(worker: &Rc<Worker>, mut phase: watch::Receiver<Phase>) {
    loop {
        // The sender is gone only if the process is ending without a drain.
        let now = if phase.changed().await.is_ok() { *phase.borrow_and_update() } else { Phase::Cut };
        worker.enter(now);
        if worker.is_draining() {
            break;
        }
    }
    worker.connection_deadlines.wake_all();
    let worker = Rc::clone(worker);
    spawn_local(async move {
        while !worker.is_cut() {
            worker.enter(if phase.changed().await.is_ok() { *phase.borrow() } else { Phase::Cut });
        }
        worker.connection_deadlines.wake_all();
    });
}

/// Ends when the control thread does; what was there last holds on.
async fn follow_tls(worker: Rc<Worker>, mut tls: watch::Receiver<Arc<Material>>) {
    while tls.changed().await.is_ok() {
        let next = Arc::clone(&tls.borrow_and_update());
        *worker.tls.borrow_mut() = next;
    }
}

async fn drain(worker: &Worker) {
    while worker.connections.get() > 0 {
        worker.all_closed.notified().await;
    }
}

async fn answer_pulse(worker: Rc<Worker>, mut pulse: watch::Receiver<u64>) {
    while pulse.changed().await.is_ok() {
        worker.shard.pulse.set(*pulse.borrow_and_update());
    }
}

async fn sweep(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        worker.pools.sweep(clock::now());
    }
}

/// What connections held before they rest goes back to the kernel. mimalloc does that a second after a page became free, but
/// looks only when the next page becomes free, and after a rush there may be none for hours: here is one.
async fn give_back(worker: Rc<Worker>) {
    loop {
        worker.rested.notified().await;
        tokio::time::sleep(GIVE_BACK_AFTER).await;
        drop(black_box(Vec::<u8>::with_capacity(OWN_PAGE_BYTES)));
    }
}
