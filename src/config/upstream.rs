//! `[[upstream]]`: a named group of interchangeable endpoints.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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
    pub const ENDPOINTS_MAX: usize = 4_096;
}
