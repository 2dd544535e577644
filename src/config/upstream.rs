//! `[[upstream]]`: a named group of interchangeable endpoints.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::names::Names;
use super::reader::{Section, Value, Wrong};
use super::tls::{self, UpstreamTls};
use super::{Retry, Upkeep, endpoints, retry, upkeep, values};

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);
const STREAM_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(24);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub name: Arc<str>,
    /// Fixed ones; more may come by name. With the names at least one, at most [`Upstream::ENDPOINTS_MAX`], no
    /// duplicates.
    pub endpoints: Vec<SocketAddr>,
    pub protocol: UpstreamProtocol,
    pub connect_timeout: Duration,
    /// From the request sent to the response head.
    pub response_timeout: Duration,
    /// From the request head to the last byte of the answer. `None`: any.
    pub request_timeout: Option<Duration>,
    /// Between two reads of a response body.
    pub body_timeout: Duration,
    /// In a body that is a stream of messages, or a tunnel: without a byte either way.
    pub stream_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    pub upkeep: Upkeep,
    /// `None`: off (`retries = false`).
    pub retry: Option<Retry>,
    /// Requests in flight, over all workers; `None`: as many as come.
    pub concurrent_max: Option<u32>,
    /// `None`: cleartext.
    pub tls: Option<Arc<UpstreamTls>>,
    /// Written in front of each connection.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// Its two forms, of text and of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    V1,
    V2,
}

/// What is spoken to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    #[default]
    Http1,
    Http2,
}

impl Upstream {
    /// With every default.
    pub fn new(name: Arc<str>, endpoints: Vec<SocketAddr>) -> Self {
        Self {
            name,
            endpoints,
            protocol: UpstreamProtocol::default(),
            connect_timeout: Self::CONNECT_TIMEOUT_DEFAULT,
            response_timeout: Self::RESPONSE_TIMEOUT_DEFAULT,
            request_timeout: None,
            body_timeout: Self::BODY_TIMEOUT_DEFAULT,
            stream_timeout: Self::STREAM_TIMEOUT_DEFAULT,
            idle_timeout: Self::IDLE_TIMEOUT_DEFAULT,
            upkeep: Upkeep::default(),
            retry: Some(Retry::default()),
            concurrent_max: None,
            tls: None,
            proxy_protocol: None,
        }
    }

    /// Of one file.
    pub const UPSTREAMS_MAX: usize = 65_536;
    pub const ENDPOINTS_MAX: usize = 4_096;
    pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
    pub const RESPONSE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);
    pub const BODY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
    pub const STREAM_TIMEOUT_DEFAULT: Duration = Duration::from_hours(1);
    pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
}

pub(super) fn read_all(root: &mut Section<'_>, names: &mut Names, base: &Path) -> Vec<Upstream> {
    let sections = root.sections("upstream", 0..=Upstream::UPSTREAMS_MAX).unwrap_or_default();
    sections.into_iter().filter_map(|section| read(section, names, base)).collect()
}

fn read(mut section: Section<'_>, names: &mut Names, base: &Path) -> Option<Upstream> {
    let name = names.claim(&mut section);
    let endpoints = endpoints::read(&mut section).unwrap_or_default();
    let upkeep = upkeep::read(&mut section, endpoints.names);
    let protocol = section.or("protocol", UpstreamProtocol::default(), protocol);
    let mut timeout = |key, default| section.or(key, default, values::duration(TIMEOUT));
    let connect_timeout = timeout("connect_timeout", Upstream::CONNECT_TIMEOUT_DEFAULT);
    let response_timeout = timeout("response_timeout", Upstream::RESPONSE_TIMEOUT_DEFAULT);
    let body_timeout = timeout("body_timeout", Upstream::BODY_TIMEOUT_DEFAULT);
    let stream_timeout =
        section.or("stream_timeout", Upstream::STREAM_TIMEOUT_DEFAULT, values::duration(STREAM_TIMEOUT));
    let request_timeout = section.optional("request_timeout", values::duration(STREAM_TIMEOUT));
    let mut timeout = |key, default| section.or(key, default, values::duration(TIMEOUT));
    let idle_timeout = timeout("idle_timeout", Upstream::IDLE_TIMEOUT_DEFAULT);
    let retry = retry::read(&mut section);
    let concurrent_max = retry::read_concurrent_max(&mut section);
    let tls = tls::of_upstream(&mut section, base, &upkeep.names);
    let proxy_protocol = proxy_protocol(&mut section, protocol);
    section.finish();
    Some(Upstream {
        name: name?,
        endpoints: endpoints.fixed,
        protocol,
        connect_timeout,
        response_timeout,
        request_timeout,
        body_timeout,
        stream_timeout,
        idle_timeout,
        upkeep,
        retry,
        concurrent_max,
        tls,
        proxy_protocol,
    })
}

/// The streams of one connection of HTTP/2 are many clients', so no header in front of it can name them.
fn proxy_protocol(section: &mut Section<'_>, protocol: UpstreamProtocol) -> Option<ProxyProtocol> {
    section.optional("proxy_protocol", |value| match value.str() {
        Some(_) if protocol == UpstreamProtocol::Http2 => Err(value.wrong(
            "names one client",
            "take it out: with protocol = \"h2\" many clients share a connection",
        )),
        Some("v1") => Ok(ProxyProtocol::V1),
        Some("v2") => Ok(ProxyProtocol::V2),
        _ => Err(value.wrong("no version", "write \"v1\" or \"v2\", or leave it out for none")),
    })
}

fn protocol(value: &Value<'_>) -> Result<UpstreamProtocol, Wrong> {
    let help = "write \"http1\" or \"h2\"";
    match value.str() {
        Some("http1") => Ok(UpstreamProtocol::Http1),
        Some("h2") => Ok(UpstreamProtocol::Http2),
        Some(_) => Err(value.wrong("unknown", help)),
        None => Err(value.wrong_kind(help)),
    }
}
