//! The TLS of one listener, ready to shake hands.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::certificates::{Certificate, problem, read_chain, read_pair};
use super::sni::Sni;
use super::{ALPN_H2, ALPN_HTTP1, provider};
use crate::config::Problem;
use crate::config::tls::{ClientAuth, ClientNeed, ListenerTls, NamedFile, TlsVersion};

const CA_HELP: &str = "name a PEM file with the authorities that sign for clients";

/// One listener's side of every handshake.
#[derive(Debug)]
pub struct Server {
    pub config: Arc<ServerConfig>,
    pub handshake_timeout: Duration,
    pub identity_header: Option<HeaderName>,
    sni: Arc<Sni>,
    tickets: Tickets,
}

/// Sessions are resumed by tickets that only we can read, so that any worker takes up what another began, and no
/// table of sessions is shared between them. Their keys live on over reloads; not so where clients are asked for
/// another proof than before, because a resumed session is as good as the proof that it began with.
#[derive(Clone, Debug)]
struct Tickets {
    keys: Arc<dyn ProducesTickets>,
    /// What a client had to prove.
    proof: Proof,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Proof {
    need: Option<ClientNeed>,
    authorities: Vec<CertificateDer<'static>>,
}

impl Server {
    /// Reads all files of the listener. `before` is what the same listener has had so far.
    pub(super) fn load(tls: &ListenerTls, before: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let (mut certificates, mut problems) = (Vec::new(), Vec::new());
        for (at, pair) in tls.certificates.iter().enumerate() {
            match read_pair(pair) {
                Ok(certificate) => certificates.push(certificate),
                Err(found) => {
                    let message = format!("tls.certificates item {}: {}", at + 1, found.message);
                    problems.push(Problem { message, ..found });
                }
            }
        }
        let authorities =
            tls.clients.as_ref().map(|clients| read_chain(&clients.ca, "tls.client_ca", CA_HELP));
        let authorities = authorities.transpose().map_err(|found| problems.push(found)).unwrap_or_default();
        if !problems.is_empty() {
            return Err(problems);
        }
        let proof = Proof {
            need: tls.clients.as_ref().map(|clients| clients.need),
            authorities: authorities.unwrap_or_default(),
        };
        Self::build(tls, certificates, proof, before).map_err(|found| vec![found])
    }

    fn build(
        tls: &ListenerTls,
        certificates: Vec<Certificate>,
        proof: Proof,
        before: Option<&Self>,
    ) -> Result<Self, Problem> {
        let first = &tls.certificates[0].cert;
        let refused = |error: rustls::Error| refused(first, "tls", &error.to_string());
        let versions: &[_] = match tls.min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_protocol_versions(versions).map_err(refused)?;
        let builder = match &tls.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(verifier(clients, &proof)?),
        };
        let sni = Arc::new(Sni::new(certificates));
        let tickets = match before {
            Some(before) if before.tickets.proof == proof => before.tickets.clone(),
            _ => Tickets { keys: rustls::crypto::aws_lc_rs::Ticketer::new().map_err(refused)?, proof },
        };
        let mut config = builder.with_cert_resolver(sni.clone());
        config.alpn_protocols = vec![ALPN_H2.into(), ALPN_HTTP1.into()];
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::clone(&tickets.keys);
        let identity_header = tls.clients.as_ref().and_then(|clients| clients.identity_header.clone());
        let handshake_timeout = tls.handshake_timeout;
        Ok(Self { config: Arc::new(config), handshake_timeout, identity_header, sni, tickets })
    }

    /// For those who speak nothing newer inside.
    pub(super) fn http1_only(mut self) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = vec![ALPN_HTTP1.into()];
        self
    }

    /// Whether a client that was let in under `sni` may ask for `host` (in any case, without a port). Where clients
    /// prove who they are, they do so to the name that they were shown, and may not go on to another's routes.
    pub fn may_ask(&self, sni: Option<&str>, host: &str) -> bool {
        self.tickets.proof.need.is_none() || self.sni.covers(sni, &host.to_ascii_lowercase())
    }

    pub(super) fn sni(&self) -> &Sni {
        &self.sni
    }
}

fn verifier(
    clients: &ClientAuth,
    proof: &Proof,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, Problem> {
    let mut roots = RootCertStore::empty();
    for authority in &proof.authorities {
        let added = roots.add(authority.clone());
        added.map_err(|error| refused(&clients.ca, "tls.client_ca", &error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = match clients.need {
        ClientNeed::Required => builder,
        ClientNeed::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| refused(&clients.ca, "tls.client_ca", &error.to_string()))
}

fn refused(file: &NamedFile, key: &str, why: &str) -> Problem {
    problem(file, key, &format!("cannot be used: {why}"), "refused", CA_HELP)
}
