//! What an upstream says of the choice among its endpoints, and of those that are left out of it.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::reader::{Section, Value, Wrong};
use super::{DnsName, Ejection, Health, ejection, health, values};

const SLOW_START: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

/// The default: no names, no checks, the default ejection, no slow start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// Endpoints beside the fixed ones: whatever these names stand for.
    pub names: Vec<DnsName>,
    pub balance: Balance,
    pub health: Option<Health>,
    pub ejection: Option<Ejection>,
    /// How long an endpoint that comes back takes to get its full part. Zero: at once.
    pub slow_start: Duration,
}

/// Which endpoint a request gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Of two chosen at random, the one with fewer requests.
    #[default]
    LeastRequest,
    RoundRobin,
    /// The same for the same sticky key, or for the same client address where the route has none.
    Hash,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            balance: Balance::default(),
            health: None,
            ejection: Some(Ejection::default()),
            slow_start: Duration::ZERO,
        }
    }
}

pub(super) fn read(upstream: &mut Section<'_>, names: Vec<DnsName>) -> Upkeep {
    Upkeep {
        names,
        balance: upstream.or("balance", Balance::default(), balance),
        health: health::read(upstream),
        ejection: ejection::read(upstream),
        slow_start: upstream.or("slow_start", Duration::ZERO, values::duration(SLOW_START)),
    }
}

fn balance(value: &Value<'_>) -> Result<Balance, Wrong> {
    match value.str() {
        Some("least-request") => Ok(Balance::LeastRequest),
        Some("round-robin") => Ok(Balance::RoundRobin),
        Some("hash") => Ok(Balance::Hash),
        _ => Err(value.wrong("unknown", "write \"least-request\", \"round-robin\" or \"hash\"")),
    }
}
