//! Certificates and keys: read, checked, and kept as fresh as the files that they came from.
//!
//! [`load`] reads all that a configuration names; [`Keeper`] is its owner in a running process, and shows workers a
//! [`Material`] to shake hands with. The handshakes themselves, and their deadlines, are the data plane's.
//!
//! TLS 1.2 and 1.3 by rustls, nothing older, and no switch that turns the checking of a certificate off.

mod certificates;
mod client;
mod files;
mod identity;
mod keeper;
mod loaded;
mod server;
mod sni;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::HeaderName;
use rustls::SupportedCipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite as suite, default_provider};
use rustls::pki_types::ServerName;

use crate::config::tls::{EndpointTls, UpstreamTls};

pub use client::{Client, machine_roots};
pub use identity::{header_value as identity, names};
pub use keeper::Keeper;
pub use loaded::{Loaded, load};
pub use server::Server;

pub const ALPN_H2: &[u8] = b"h2";
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// In the order in which we choose: what is safe and costs least first. All have forward secrecy and authenticate what
/// they encrypt, so the order is about cost alone.
const SUITES: &[SupportedCipherSuite] = &[
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// What workers shake hands with.
#[derive(Debug, Default)]
pub struct Material {
    servers: HashMap<Arc<str>, Arc<Server>>,
    admin: Option<Arc<Server>>,
    clients: HashMap<Arc<UpstreamTls>, Arc<Client>>,
    identity_headers: Box<[HeaderName]>,
}

impl Material {
    pub fn server(&self, listener: &str) -> Option<&Arc<Server>> {
        self.servers.get(listener)
    }

    /// Of the admin listener; `None`: it is cleartext.
    pub fn admin(&self) -> Option<&Arc<Server>> {
        self.admin.as_ref()
    }

    /// And the name that the endpoint's certificate must have.
    pub fn client(
        &self,
        endpoint: &EndpointTls,
        address: IpAddr,
    ) -> Option<(Arc<Client>, ServerName<'static>)> {
        let client = self.clients.get(&endpoint.upstream)?;
        Some((Arc::clone(client), client::name_of(endpoint, address)))
    }

    fn and_clients_of(mut self, before: &Self) -> Self {
        for (upstream, client) in &before.clients {
            self.clients.entry(Arc::clone(upstream)).or_insert_with(|| Arc::clone(client));
        }
        self
    }

    /// Of all listeners. A client may send them on none, or it could say who it is where nobody checks.
    pub fn identity_headers(&self) -> &[HeaderName] {
        &self.identity_headers
    }
}

/// The one source of cryptography. It is passed on explicitly: rustls' own default panics as soon as a second one
/// is linked in by some dependency.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = || Arc::new(CryptoProvider { cipher_suites: SUITES.to_vec(), ..default_provider() });
    Arc::clone(PROVIDER.get_or_init(provider))
}

#[cfg(test)]
mod tests;
