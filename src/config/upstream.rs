//! `[[upstream]]`: a named group of interchangeable endpoints.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::names::Names;
use super::reader::{Section, Value, Wrong};
use super::values;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub name: Arc<str>,
    /// At least one, at most [`Upstream::ENDPOINTS_MAX`], no duplicates.
    pub endpoints: Vec<SocketAddr>,
    pub connect_timeout: Duration,
    /// From the request sent to the response head.
    pub response_timeout: Duration,
    /// Between two reads of a response body.
    pub body_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
}

impl Upstream {
    /// Of one file.
    pub const UPSTREAMS_MAX: usize = 65_536;
    pub const ENDPOINTS_MAX: usize = 4_096;
    pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
    pub const RESPONSE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);
    pub const BODY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
    pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
}

pub(super) fn read_all(root: &mut Section<'_>, names: &mut Names) -> Vec<Upstream> {
    let sections = root.sections("upstream", 0..=Upstream::UPSTREAMS_MAX).unwrap_or_default();
    sections.into_iter().filter_map(|section| read(section, names)).collect()
}

fn read(mut section: Section<'_>, names: &mut Names) -> Option<Upstream> {
    let name = names.claim(&mut section);
    let endpoints = endpoints(&mut section);
    let mut timeout = |key, default| section.or(key, default, values::duration(TIMEOUT));
    let connect_timeout = timeout("connect_timeout", Upstream::CONNECT_TIMEOUT_DEFAULT);
    let response_timeout = timeout("response_timeout", Upstream::RESPONSE_TIMEOUT_DEFAULT);
    let body_timeout = timeout("body_timeout", Upstream::BODY_TIMEOUT_DEFAULT);
    let idle_timeout = timeout("idle_timeout", Upstream::IDLE_TIMEOUT_DEFAULT);
    section.finish();
    let endpoints = endpoints?;
    Some(Upstream { name: name?, endpoints, connect_timeout, response_timeout, body_timeout, idle_timeout })
}

fn endpoints(section: &mut Section<'_>) -> Option<Vec<SocketAddr>> {
    let accepted = "a list of IP:port, such as [\"127.0.0.1:9001\"]";
    let mut seen = HashSet::new();
    let endpoints =
        section.list("endpoints", 1..=Upstream::ENDPOINTS_MAX, accepted, |value| endpoint(value, &mut seen));
    if endpoints.is_none() && !section.has("endpoints") {
        section.missing("endpoints", "endpoints = [\"127.0.0.1:9001\"]");
    }
    endpoints
}

fn endpoint(value: &Value<'_>, seen: &mut HashSet<SocketAddr>) -> Result<SocketAddr, Wrong> {
    let address = values::address("127.0.0.1:9001")(value)?;
    if address.port() == 0 {
        return Err(value.wrong("nobody can be reached at port 0", "write a port from 1 to 65535"));
    }
    if !seen.insert(address) {
        return Err(Wrong {
            says: format!("is {} a second time", value.shown()),
            label: "named already".to_owned(),
            help: "name each endpoint once: all have an equal part".to_owned(),
        });
    }
    Ok(address)
}
