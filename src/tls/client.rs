//! The TLS towards one upstream, ready to shake hands.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::{DnsName, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

use super::certificates::{problem, read_chain, read_pair};
use super::{ALPN_H2, ALPN_HTTP1, provider};
use crate::config::Problem;
use crate::config::tls::{EndpointTls, UpstreamTls};

const CA_HELP: &str = "name a PEM file with the authorities that sign for this upstream";

/// Our side of every handshake with one upstream.
#[derive(Debug)]
pub struct Client {
    pub http1: Arc<ClientConfig>,
    pub http2: Arc<ClientConfig>,
}

impl Client {
    /// Reads all files of the upstream. `machine` is whom the machine trusts, asked only where no `ca` is named.
    pub fn load(
        tls: &UpstreamTls,
        machine: &mut dyn FnMut() -> Arc<RootCertStore>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let roots = match &tls.ca {
            None => machine(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                match read_chain(file, "tls.ca", CA_HELP) {
                    Err(found) => problems.push(found),
                    Ok(authorities) => problems.extend(authorities.into_iter().find_map(|authority| {
                        let error = roots.add(authority).err()?;
                        let found = format!("cannot be used: {error}");
                        Some(problem(file, "tls.ca", &found, "refused", CA_HELP))
                    })),
                }
                Arc::new(roots)
            }
        };
        let identity = tls.identity.as_ref().map(read_pair).transpose();
        let identity = identity
            .map_err(|found| problems.push(Problem { message: format!("tls.{}", found.message), ..found }));
        if !problems.is_empty() {
            return Err(problems);
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites for both versions")
            .with_root_certificates(roots);
        let config = match identity.ok().flatten() {
            None => builder.with_no_client_auth(),
            Some(us) => {
                let shown = rustls::sign::SingleCertAndKey::from(Arc::unwrap_or_clone(us.key));
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        };
        let with = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Ok(Self { http1: with(ALPN_HTTP1), http2: with(ALPN_H2) })
    }
}

/// What the endpoint's certificate must say.
pub(super) fn name_of(tls: &EndpointTls, address: IpAddr) -> ServerName<'static> {
    let name = tls.server_name.as_deref().and_then(|name| DnsName::try_from(name.to_owned()).ok());
    name.map_or_else(|| ServerName::IpAddress(address.into()), ServerName::DnsName)
}

/// Whom this machine trusts. What it has that cannot be used is left out: it is not ours to mend.
pub fn machine_roots() -> Arc<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a root of this machine cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    Arc::new(roots)
}
