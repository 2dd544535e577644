//! `tls` of a `[[listener]]` and of an `[[upstream]]`: which files prove who we are, and whom we believe.
//!
//! Only names of files are read here. What is in them is looked at by `tls`, which remembers the place of each
//! name, so that a wrong pair is shown where the configuration names it.

use std::hash::{Hash, Hasher};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use rustls::pki_types::DnsName;

use super::reader::{Section, Value, Wrong};
use super::values;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);

/// A file that the configuration names. Two are equal if they are the same file, wherever they are named.
#[derive(Clone, Debug)]
pub struct NamedFile {
    pub path: PathBuf,
    /// Bytes of the text, for messages.
    pub place: Range<usize>,
}

/// A certificate with the chain above it, and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPair {
    pub cert: NamedFile,
    pub key: NamedFile,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one, at most [`ListenerTls::CERTIFICATES_MAX`]. The first is for clients that name no host, or one
    /// that no certificate has.
    pub certificates: Vec<KeyPair>,
    /// `None`: clients are not asked for a certificate.
    pub clients: Option<ClientAuth>,
    pub min_version: TlsVersion,
    pub handshake_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    pub ca: NamedFile,
    pub need: ClientNeed,
    /// Who the client is goes up in this header.
    pub identity_header: Option<HeaderName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientNeed {
    /// A client without a certificate is not let in.
    Required,
    /// A client may have none, but what it shows must be good.
    Optional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// `None`: whom this machine trusts.
    pub ca: Option<NamedFile>,
    /// The name that the upstream's certificate must have. `None`: that by which the endpoint was found in DNS, or
    /// else its address.
    pub server_name: Option<Arc<str>>,
    /// Who we are, if the upstream asks.
    pub identity: Option<KeyPair>,
}

/// TLS towards some endpoints of one upstream: the fixed ones, or those of one DNS name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointTls {
    pub upstream: Arc<UpstreamTls>,
    /// What their certificates must say. `None`: the address of each.
    pub server_name: Option<Arc<str>>,
}

impl EndpointTls {
    /// `host`: the name that the endpoints were found by; fixed ones have none.
    pub fn new(upstream: &Arc<UpstreamTls>, host: Option<&Arc<str>>) -> Self {
        let server_name = upstream.server_name.as_ref().or(host).map(Arc::clone);
        Self { upstream: Arc::clone(upstream), server_name }
    }
}

impl ListenerTls {
    pub const CERTIFICATES_MAX: usize = 1_024;
    pub const HANDSHAKE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
}

impl PartialEq for NamedFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for NamedFile {}

impl Hash for NamedFile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

pub(super) fn of_listener(section: &mut Section<'_>, base: &Path) -> Option<ListenerTls> {
    serving(section, base, |tls| tls.optional("client_identity_header", values::header_name))
}

/// The admin listener passes nobody's identity on.
pub(super) fn of_admin(section: &mut Section<'_>, base: &Path) -> Option<ListenerTls> {
    serving(section, base, |_| None)
}

fn serving(
    section: &mut Section<'_>,
    base: &Path,
    identity_header: impl FnOnce(&mut Section<'_>) -> Option<HeaderName>,
) -> Option<ListenerTls> {
    let mut tls = section.optional_section("tls")?;
    let example = "certificates = [{ cert = \"site.pem\", key = \"site.key\" }]";
    let certificates = tls.sections("certificates", 1..=ListenerTls::CERTIFICATES_MAX);
    if certificates.is_none() && !tls.has("certificates") {
        tls.missing("certificates", example);
    }
    let certificates = certificates.map(|list| list.into_iter().filter_map(|one| pair(one, base)).collect());
    let clients = clients(&mut tls, base, identity_header);
    let min_version = tls.or("min_version", TlsVersion::Tls12, version);
    let handshake_timeout =
        tls.or("handshake_timeout", ListenerTls::HANDSHAKE_TIMEOUT_DEFAULT, values::duration(TIMEOUT));
    tls.finish();
    Some(ListenerTls { certificates: certificates?, clients, min_version, handshake_timeout })
}

fn pair(mut section: Section<'_>, base: &Path) -> Option<KeyPair> {
    let cert = section.required("cert", "cert = \"site.pem\"", file(base));
    let key = section.required("key", "key = \"site.key\"", file(base));
    section.finish();
    Some(KeyPair { cert: cert?, key: key? })
}

fn clients(
    tls: &mut Section<'_>,
    base: &Path,
    identity_header: impl FnOnce(&mut Section<'_>) -> Option<HeaderName>,
) -> Option<ClientAuth> {
    let ca = tls.optional("client_ca", file(base));
    let need = tls.or("client_auth", ClientNeed::Required, need);
    let identity_header = identity_header(tls);
    for key in ["client_auth", "client_identity_header"] {
        if tls.has(key) && !tls.has("client_ca") {
            tls.missing("client_ca", "client_ca = \"ca.pem\"");
            break;
        }
    }
    Some(ClientAuth { ca: ca?, need, identity_header })
}

/// `names`: those of its endpoints.
pub(super) fn of_upstream(
    section: &mut Section<'_>,
    base: &Path,
    names: &[super::DnsName],
) -> Option<Arc<UpstreamTls>> {
    let mut tls = section.optional_section("tls")?;
    let ca = tls.optional("ca", file(base));
    let server_name = tls.optional("server_name", server_name);
    let cert = tls.optional("cert", file(base));
    let key = tls.optional("key", file(base));
    for (one, other, example) in [("cert", "key", "key = \"us.key\""), ("key", "cert", "cert = \"us.pem\"")] {
        if tls.has(one) && !tls.has(other) {
            tls.missing(other, example);
        }
    }
    let unfit = names.iter().find(|name| DnsName::try_from(&*name.host).is_err());
    if let Some(unfit) = unfit.filter(|_| !tls.has("server_name")) {
        let found = format!("tls needs a server_name: no certificate can be for {unfit}");
        let help = "write the name in its certificate, such as server_name = \"shop.internal\"";
        tls.problem(tls.place.clone(), &found, "without server_name".to_owned(), help.to_owned());
    }
    tls.finish();
    let identity = cert.zip(key).map(|(cert, key)| KeyPair { cert, key });
    Some(Arc::new(UpstreamTls { ca, server_name, identity }))
}

pub(super) fn file(base: &Path) -> impl Fn(&Value<'_>) -> Result<NamedFile, Wrong> {
    move |value| {
        let path = values::text(value)?;
        Ok(NamedFile { path: base.join(&*path), place: value.span.clone() })
    }
}

fn version(value: &Value<'_>) -> Result<TlsVersion, Wrong> {
    let help = "write \"1.2\" or \"1.3\"";
    match value.str() {
        None => Err(value.wrong_kind(help)),
        Some("1.2") => Ok(TlsVersion::Tls12),
        Some("1.3") => Ok(TlsVersion::Tls13),
        Some("1.0" | "1.1") => Err(value.wrong("broken, and not spoken", help)),
        Some(_) => Err(value.wrong("not a version", help)),
    }
}

fn need(value: &Value<'_>) -> Result<ClientNeed, Wrong> {
    let help = "write \"required\" or \"optional\"";
    match value.str() {
        None => Err(value.wrong_kind(help)),
        Some("required") => Ok(ClientNeed::Required),
        Some("optional") => Ok(ClientNeed::Optional),
        Some(_) => Err(value.wrong("neither of them", help)),
    }
}

fn server_name(value: &Value<'_>) -> Result<Arc<str>, Wrong> {
    let help = "write the name in the upstream's certificate, such as \"shop.internal\"";
    let name = values::text(value)?;
    match DnsName::try_from(&*name) {
        Ok(_) => Ok(name.to_ascii_lowercase().into()),
        Err(_) => Err(value.wrong("not a DNS name", help)),
    }
}
