//! `[limits]`: what the whole process may carry; and how many connections a `[[listener]]` takes.
//!
//! Each is there so that a flood is turned away at the door, where it costs least, and what is served already goes
//! on being served.

use std::ops::RangeInclusive;

use super::reader::Section;
use super::values;

const CONNECTIONS: RangeInclusive<u64> = 1..=10_000_000;
const MEMORY_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 44;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of clients, over all listeners.
    pub connections_max: usize,
    /// Of memory in RAM. Near it new connections are refused, then requests. `None`: no limit of ours.
    pub memory_bytes_max: Option<u64>,
}

/// Of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    pub connections_max: usize,
    /// Of one client address; an IPv6 one stands for its /64. `None`: any.
    pub per_address_max: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections_max: 50_000, memory_bytes_max: None }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { connections_max: 10_000, per_address_max: None }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Limits {
    let connections_max = connections(&mut section, Limits::default().connections_max);
    let memory_bytes_max = section.optional("memory_max", values::bytes(MEMORY_BYTES));
    section.finish();
    Limits { connections_max, memory_bytes_max }
}

pub(super) fn read_of_listener(section: &mut Section<'_>) -> ConnectionLimits {
    let connections_max = connections(section, ConnectionLimits::default().connections_max);
    let per_address_max = section.optional("connections_per_address_max", values::whole(CONNECTIONS));
    ConnectionLimits {
        connections_max,
        per_address_max: per_address_max.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
    }
}

fn connections(section: &mut Section<'_>, default: usize) -> usize {
    let most = section.optional("connections_max", values::whole(CONNECTIONS));
    most.map_or(default, |most| usize::try_from(most).unwrap_or(usize::MAX))
}
