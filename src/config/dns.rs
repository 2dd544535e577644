//! `[dns]`: who is asked for the names among the endpoints, and how long an answer holds.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::reader::Section;
use super::values;

const TTL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(24);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Empty: those of the system. At most [`Dns::SERVERS_MAX`].
    pub servers: Vec<SocketAddr>,
    /// For the answer of one server.
    pub timeout: Duration,
    /// An answer holds for its TTL, but at least and at most so long.
    pub ttl_min: Duration,
    pub ttl_max: Duration,
}

impl Dns {
    pub const SERVERS_MAX: usize = 8;
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            ttl_min: Duration::from_secs(5),
            ttl_max: Duration::from_mins(5),
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Dns {
    let default = Dns::default();
    let accepted = "a list of IP:port, such as [\"10.0.0.2:53\"]";
    let servers = section.list("servers", 0..=Dns::SERVERS_MAX, accepted, values::address("10.0.0.2:53"));
    let timeout = section.or("timeout", default.timeout, values::duration(TIMEOUT));
    let ttl_min = section.or("ttl_min", default.ttl_min, values::duration(TTL));
    let ttl_max = section.or("ttl_max", default.ttl_max.max(ttl_min), |value| {
        let ttl_max = values::duration(TTL)(value)?;
        if ttl_max < ttl_min {
            return Err(value.wrong("less than ttl_min", "write at least as much as ttl_min"));
        }
        Ok(ttl_max)
    });
    section.finish();
    Dns { servers: servers.unwrap_or_default(), timeout, ttl_min, ttl_max }
}
