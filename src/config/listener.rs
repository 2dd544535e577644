//! `[[listener]]`: an address that we accept on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

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
    /// Peers whose `X-Forwarded-*` is believed and appended to; from all others it is replaced.
    pub trusted_proxies: Vec<IpNet>,
}
