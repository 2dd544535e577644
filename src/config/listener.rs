//! `[[listener]]`: an address that we accept on.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::Admin;
use super::limits::{self, ConnectionLimits};
use super::names::Names;
use super::reader::{Section, Value, Wrong};
use super::request_limits::{self, RequestLimits};
use super::tls::{self, ListenerTls};
use super::values;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);

const EXAMPLE: &str = "0.0.0.0:8080";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: Arc<str>,
    pub address: SocketAddr,
    /// From the first byte wanted to the end of the request head.
    pub header_timeout: Duration,
    /// Between two reads of a request body.
    pub body_timeout: Duration,
    /// Of a connection without a request.
    pub keep_alive_timeout: Duration,
    /// Of a stream of HTTP/2 that waits for its client.
    pub stream_idle_timeout: Duration,
    pub connections: ConnectionLimits,
    /// Peers whose `X-Forwarded-*` is believed and appended to; from all others it is replaced.
    pub trusted_proxies: Vec<IpNet>,
    /// A request without a valid `traceparent` gets one.
    pub trace: bool,
    /// A `Forwarded` element of ours is added, and that of trusted proxies is read.
    pub forwarded: bool,
    /// `Via` is added, both ways.
    pub via: bool,
    /// Connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    pub limits: RequestLimits,
    /// `None`: cleartext.
    pub tls: Option<ListenerTls>,
}

impl Listener {
    /// Of one file.
    pub const LISTENERS_MAX: usize = 64;
    pub const TRUSTED_PROXIES_MAX: usize = 1_024;
    pub const HEADER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
    pub const BODY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
    pub const KEEP_ALIVE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
    pub const STREAM_IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);
}

pub(super) fn read_all(root: &mut Section<'_>, admin: &Admin, base: &Path) -> Vec<Listener> {
    let Some(sections) = root.sections("listener", 1..=Listener::LISTENERS_MAX) else {
        if !root.has("listener") {
            root.missing("listener", "[[listener]]` with a `name` and an `address = \"0.0.0.0:8080\"");
        }
        return Vec::new();
    };
    let mut names = Names::new("listener");
    let mut taken = HashMap::from([(admin.listen, "admin.listen".to_owned())]);
    sections.into_iter().filter_map(|section| read(section, &mut names, &mut taken, base)).collect()
}

fn read(
    mut section: Section<'_>,
    names: &mut Names,
    taken: &mut HashMap<SocketAddr, String>,
    base: &Path,
) -> Option<Listener> {
    let name = names.claim(&mut section);
    let owner = match &name {
        Some(name) => format!("listener \"{name}\""),
        None => "another listener".to_owned(),
    };
    let address =
        section.required("address", "address = \"0.0.0.0:8080\"", |value| free(value, owner, taken));
    let header_timeout =
        section.or("header_timeout", Listener::HEADER_TIMEOUT_DEFAULT, values::duration(TIMEOUT));
    let body_timeout = section.or("body_timeout", Listener::BODY_TIMEOUT_DEFAULT, values::duration(TIMEOUT));
    let keep_alive_timeout =
        section.or("keep_alive_timeout", Listener::KEEP_ALIVE_TIMEOUT_DEFAULT, values::duration(TIMEOUT));
    let stream_idle_timeout =
        section.or("stream_idle_timeout", Listener::STREAM_IDLE_TIMEOUT_DEFAULT, values::duration(TIMEOUT));
    let connections = limits::read_of_listener(&mut section);
    let networks = "a list of networks, such as [\"10.0.0.0/8\"]";
    let trusted_proxies =
        section.list("trusted_proxies", 0..=Listener::TRUSTED_PROXIES_MAX, networks, values::network);
    let trace = section.or("trace", false, values::flag);
    let mut flag = |key| section.or(key, false, values::flag);
    let (forwarded, via, proxy_protocol) = (flag("forwarded"), flag("via"), flag("proxy_protocol"));
    let limits = request_limits::read(&mut section);
    let tls = tls::of_listener(&mut section, base);
    section.finish();
    Some(Listener {
        name: name?,
        address: address?,
        header_timeout,
        body_timeout,
        keep_alive_timeout,
        stream_idle_timeout,
        connections,
        trusted_proxies: trusted_proxies.unwrap_or_default(),
        trace,
        forwarded,
        via,
        proxy_protocol,
        limits,
        tls,
    })
}

/// An address that nobody else listens on. Port 0 takes any free port, so it is never the same one twice.
fn free(
    value: &Value<'_>,
    owner: String,
    taken: &mut HashMap<SocketAddr, String>,
) -> Result<SocketAddr, Wrong> {
    let address = values::address(EXAMPLE)(value)?;
    if address.port() == 0 {
        return Ok(address);
    }
    match taken.insert(address, owner) {
        None => Ok(address),
        Some(first) => {
            let wrong = Wrong {
                says: format!("is {}, where {first} listens already", value.shown()),
                label: "taken".to_owned(),
                help: "choose another address or port".to_owned(),
            };
            taken.insert(address, first);
            Err(wrong)
        }
    }
}
