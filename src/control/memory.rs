//! Once a second: how much memory the process has, beside what it may have.
//!
//! It only says how short memory is ([`Pressure`]); what follows from that is the workers' business.

use std::sync::Arc;

use tracing::{info, warn};

use crate::metrics::load::{Load, LoadGauges, Pressure};
use crate::metrics::process;

const LOOK_US: u64 = 1_000_000;
/// Shares of the limit, as Envoy's advice for the edge has them.
const HIGH_PERCENT: u64 = 95;
const FULL_PERCENT: u64 = 98;

pub(super) struct Memory {
    load: Arc<Load>,
    bytes_max: Option<u64>,
    looked_us: u64,
}

impl Memory {
    pub(super) fn new(bytes_max: Option<u64>, load: Arc<Load>) -> Self {
        Self { load, bytes_max, looked_us: 0 }
    }

    pub(super) fn load(&self) -> LoadGauges {
        self.load.gauges()
    }

    /// A reload may have changed it: who is short of memory cannot wait for a restart.
    pub(super) fn limit(&mut self, bytes_max: Option<u64>) {
        self.bytes_max = bytes_max;
    }

    /// Without a limit, or where the system does not tell, nothing is ever short.
    pub(super) fn tick(&mut self, now_us: u64) {
        if now_us.saturating_sub(self.looked_us) < LOOK_US {
            return;
        }
        self.looked_us = now_us;
        let before = self.load.pressure();
        let found = self.bytes_max.and_then(|max| Some((process::resident_bytes()?, max)));
        let (resident, max) = found.unwrap_or_default();
        let pressure = found.map_or(Pressure::None, |(resident, max)| pressure(resident, max));
        self.load.set_pressure(pressure);
        match pressure {
            _ if pressure == before => {}
            Pressure::None => info!(resident, max, "memory is no longer short"),
            Pressure::High => warn!(resident, max, "memory is short: new connections are refused"),
            Pressure::Full => warn!(resident, max, "memory is very short: requests are refused"),
        }
    }
}

fn pressure(resident: u64, max: u64) -> Pressure {
    match resident.saturating_mul(100) / max.max(1) {
        FULL_PERCENT.. => Pressure::Full,
        HIGH_PERCENT.. => Pressure::High,
        _ => Pressure::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_begins_at_its_share_and_not_before() {
        for (resident, expected) in [
            (0, Pressure::None),
            (949, Pressure::None),
            (950, Pressure::High),
            (979, Pressure::High),
            (980, Pressure::Full),
            (5_000, Pressure::Full),
            (u64::MAX, Pressure::Full),
        ] {
            assert_eq!(pressure(resident, 1_000), expected, "{resident}");
        }
    }

    #[test]
    fn memory_is_looked_at_once_a_second_and_pressure_goes_away_again() {
        let load = Arc::new(Load::default());
        // Whatever the tests need, it is more than a byte.
        let mut memory = Memory::new(Some(1), Arc::clone(&load));
        memory.tick(LOOK_US - 1);
        assert_eq!(load.pressure(), Pressure::None);
        memory.tick(LOOK_US);
        assert_eq!(load.pressure(), Pressure::Full);
        memory.limit(Some(u64::MAX / 100));
        memory.tick(2 * LOOK_US - 1);
        assert_eq!(load.pressure(), Pressure::Full);
        memory.tick(2 * LOOK_US);
        assert_eq!(load.pressure(), Pressure::None);
        memory.limit(Some(1));
        memory.tick(3 * LOOK_US);
        memory.limit(None);
        memory.tick(4 * LOOK_US);
        assert_eq!(load.pressure(), Pressure::None, "no limit, no pressure");
    }

    #[test]
    fn without_a_limit_memory_is_never_short() {
        let load = Arc::new(Load::default());
        let mut memory = Memory::new(None, Arc::clone(&load));
        memory.tick(LOOK_US);
        assert_eq!(load.pressure(), Pressure::None);
    }
}
