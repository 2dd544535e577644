//! What happens to a request: route, variant, endpoint, headers. The draw is by chance, or by the user's cookie.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::http::RequestHeader;
use pingora::prelude::{HTTPStatus, HttpPeer};
use pingora::proxy::{ProxyHttp, Session};
use pingora::{Error, Result};

use crate::metrics::{AccessLog, Metrics};

/// Idle clients keep their connection for as long as any run takes; pingora itself would close it after a minute.
const KEEP_ALIVE_SECONDS: u64 = 3600;
const H2_STREAMS_MAX: usize = 128;

pub struct Proxy {
    pub stable: Vec<SocketAddr>,
    pub canary: SocketAddr,
    /// Clients come over TLS.
    pub secure: bool,
    pub upstream_h2: bool,
    /// First segments of paths; none: one route for every path.
    pub routes: Option<HashSet<String>>,
    /// The cookie's name with its `=`.
    pub sticky: Option<String>,
    pub metrics: Option<Arc<Metrics>>,
    pub access_log: Option<AccessLog>,
}

/// What is known of a request between its steps.
#[derive(Default)]
pub struct Context {
    pub is_canary: bool,
}

/// The routes r0 to rN-1, or none where one route takes everything.
pub fn routes(count: u32) -> Option<HashSet<String>> {
    (count > 1).then(|| (0..count).map(|number| format!("r{number}")).collect())
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::default()
    }

    async fn request_filter(&self, session: &mut Session, _context: &mut Context) -> Result<bool> {
        session.set_keepalive(Some(KEEP_ALIVE_SECONDS));
        Ok(false)
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Context) -> Result<Box<HttpPeer>> {
        if !self.has_route_for(session.req_header().uri.path()) {
            return Err(Error::new(HTTPStatus(404)));
        }
        context.is_canary = self.draw(session.req_header()) < 5;
        let endpoint = match self.stable.as_slice() {
            _ if context.is_canary => self.canary,
            [only] => *only,
            several => several[fastrand::usize(..several.len())],
        };
        let mut peer = HttpPeer::new(endpoint, false, String::new());
        if self.upstream_h2 {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = H2_STREAMS_MAX;
        }
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        _context: &mut Context,
    ) -> Result<()> {
        if let Some(client) = session.client_addr().and_then(|address| address.as_inet()) {
            upstream.insert_header("X-Forwarded-For", client.ip().to_string())?;
        }
        upstream.insert_header("X-Forwarded-Proto", if self.secure { "https" } else { "http" })?;
        let request = session.req_header();
        let host = match request.headers.get(http::header::HOST) {
            Some(host) => host.as_bytes(),
            None => request.uri.authority().map_or("", |authority| authority.as_str()).as_bytes(),
        };
        upstream.insert_header("X-Forwarded-Host", host)?;
        upstream.insert_header("X-Request-Id", format!("{:032x}", fastrand::u128(..)))?;
        Ok(())
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, context: &mut Context) {
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        if let Some(metrics) = &self.metrics {
            metrics.count(context.is_canary, status);
        }
        if let Some(access_log) = &self.access_log {
            access_log.write(session, status);
        }
    }
}

impl Proxy {
    fn has_route_for(&self, path: &str) -> bool {
        let Some(routes) = &self.routes else { return true };
        path.split('/').nth(1).is_some_and(|segment| routes.contains(segment))
    }

    /// A number below 100: the same for the same value of the cookie, else by chance.
    fn draw(&self, request: &RequestHeader) -> u64 {
        match self.sticky.as_ref().and_then(|name| cookie(request, name)) {
            None => fastrand::u64(..100),
            Some(value) => {
                let mut hasher = DefaultHasher::new();
                value.hash(&mut hasher);
                hasher.finish() % 100
            }
        }
    }
}

fn cookie<'a>(request: &'a RequestHeader, name: &str) -> Option<&'a str> {
    let lines = request.headers.get_all(http::header::COOKIE);
    lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split("; "))
        .find_map(|pair| pair.strip_prefix(name))
}
