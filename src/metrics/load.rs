//! What the process carries as a whole: connections, those turned away at each listener, and whether memory is short.
//!
//! Unlike a shard it is written by all workers, for a limit of the process or of a listener cannot be told from one
//! worker's share: the kernel does not spread connections evenly. They meet here once a connection, never once a
//! request; a request only reads the pressure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use prometheus::proto::MetricFamily;

use super::exposition::Family;

/// How short memory is, of what `limits.memory_max` allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    #[default]
    None,
    /// From 95% on: nothing new is taken on, and connections end after their present request.
    High,
    /// From 98% on: nor is any request served.
    Full,
}

/// Why a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// `limits.connections_max`, or what the system's limit on descriptors leaves of it.
    Process,
    /// `listener.connections_max`.
    Listener,
    /// `listener.connections_per_address_max`.
    Address,
    Memory,
}

impl TurnedAway {
    pub const ALL: [Self; 4] = [Self::Process, Self::Listener, Self::Address, Self::Memory];

    pub fn label(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Listener => "listener",
            Self::Address => "address",
            Self::Memory => "memory",
        }
    }
}

#[derive(Debug, Default)]
pub struct Load {
    pub connections: AtomicUsize,
    pressure: AtomicU8,
    doors: Box<[Door]>,
}

/// One listener.
#[derive(Debug)]
pub struct Door {
    pub listener: Arc<str>,
    pub connections: AtomicUsize,
    turned_away: [AtomicU64; TurnedAway::ALL.len()],
}

/// A copy for `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadGauges {
    pub pressure: Pressure,
    pub turned_away: Vec<(Arc<str>, [u64; TurnedAway::ALL.len()])>,
}

impl Load {
    pub fn new(listeners: impl Iterator<Item = Arc<str>>) -> Self {
        let door = |listener| Door {
            listener,
            connections: AtomicUsize::default(),
            turned_away: Default::default(),
        };
        Self { doors: listeners.map(door).collect(), ..Self::default() }
    }

    /// In the order in which they were named.
    pub fn doors(&self) -> &[Door] {
        &self.doors
    }

    pub fn pressure(&self) -> Pressure {
        match self.pressure.load(Ordering::Relaxed) {
            0 => Pressure::None,
            1 => Pressure::High,
            _ => Pressure::Full,
        }
    }

    pub fn set_pressure(&self, pressure: Pressure) {
        self.pressure.store(pressure as u8, Ordering::Relaxed);
    }

    pub fn gauges(&self) -> LoadGauges {
        let counts = |door: &Door| {
            let counts = door.turned_away.each_ref().map(|count| count.load(Ordering::Relaxed));
            (Arc::clone(&door.listener), counts)
        };
        LoadGauges { pressure: self.pressure(), turned_away: self.doors.iter().map(counts).collect() }
    }
}

impl Door {
    pub fn turn_away(&self, why: TurnedAway) {
        self.turned_away[why as usize].fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn families(load: &LoadGauges) -> Vec<MetricFamily> {
    let mut refused = Family::counter(
        "andon_connections_refused_total",
        "Connections that were closed as soon as they came, by reason",
    );
    for (listener, counts) in &load.turned_away {
        for why in TurnedAway::ALL {
            refused.count(&[("listener", listener), ("reason", why.label())], counts[why as usize]);
        }
    }
    let mut level = Family::gauge(
        "andon_overload_level",
        "0; 1: memory is short, no new connections; 2: no requests either",
    );
    level.set(&[], f64::from(load.pressure as u8));
    [refused, level].into_iter().filter_map(Family::done).collect()
}
