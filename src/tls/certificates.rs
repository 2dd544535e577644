//! One certificate with its chain and key, from two PEM files, and what is written in it.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::provider;
use crate::config::Problem;
use crate::config::tls::{KeyPair, NamedFile};

/// A larger file holds no certificates that we want. The roots of a whole machine take a quarter of a megabyte.
const FILE_BYTES_MAX: u64 = 4 << 20;

const CERT_HELP: &str = "name a PEM file with the certificate, then those between it and the root";
const KEY_HELP: &str = "name the PEM file of the certificate's private key, without a password";

/// A certificate that can be shown to a peer.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) names: Names,
    pub(super) validity: Validity,
}

/// Whose it is, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// `shop.example`, `*.shop.example`
    pub(super) dns: Vec<Box<str>>,
    pub(super) addresses: Vec<IpAddr>,
    /// Where the others are missing: people still want to know which one it is.
    pub(super) common: Option<Box<str>>,
}

/// Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

impl Names {
    /// What metrics and messages call it.
    pub(super) fn first(&self) -> Arc<str> {
        match (self.dns.first(), self.addresses.first(), &self.common) {
            (Some(name), _, _) => Arc::from(&**name),
            (None, Some(address), _) => address.to_string().into(),
            (None, None, Some(name)) => Arc::from(&**name),
            (None, None, None) => "unnamed".into(),
        }
    }

    /// Whether a client may take it for this host, which is in lower case and has no port.
    pub(super) fn cover(&self, host: &str) -> bool {
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let parent = host.split_once('.').map(|(_, parent)| parent);
        let is = |name: &str| match name.strip_prefix("*.") {
            Some(suffix) => parent == Some(suffix),
            None => name == host,
        };
        self.dns.iter().any(|name| is(name))
    }
}

/// Reads a pair and checks that it is one.
pub(super) fn read_pair(pair: &KeyPair) -> Result<Certificate, Problem> {
    let chain = read_chain(&pair.cert, "cert", CERT_HELP)?;
    let key = read_key(&pair.key)?;
    let (names, validity) = chain.first().and_then(look_into).ok_or_else(|| {
        problem(&pair.cert, "cert", "holds a certificate that cannot be read", "not X.509", CERT_HELP)
    })?;
    let key =
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| mismatch(pair, &names, &error))?;
    Ok(Certificate { key: Arc::new(key), names, validity })
}

fn mismatch(pair: &KeyPair, names: &Names, error: &Error) -> Problem {
    if matches!(error, Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) {
        let cert = pair.cert.path.display();
        let found = format!("does not belong to the certificate of \"{}\" in {cert}", names.first());
        return problem(
            &pair.key,
            "key",
            &found,
            "another key",
            "name the key that the certificate was made for",
        );
    }
    problem(&pair.key, "key", &format!("cannot be used: {error}"), "refused", KEY_HELP)
}

/// At least one certificate, in the order of the file.
pub(super) fn read_chain(
    file: &NamedFile,
    key: &str,
    help: &str,
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let bytes = read(file, key, help)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(problem(file, key, "holds no certificate", "no certificate", help)),
        Err(error) => Err(problem(file, key, &format!("is not PEM: {error}"), "not PEM", help)),
    }
}

fn read_key(file: &NamedFile) -> Result<PrivateKeyDer<'static>, Problem> {
    let bytes = read(file, "key", KEY_HELP)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let found = match error {
            rustls::pki_types::pem::Error::NoItemsFound => "holds no private key".to_owned(),
            other => format!("is not PEM: {other}"),
        };
        problem(file, "key", &found, "no private key", KEY_HELP)
    })
}

fn read(file: &NamedFile, key: &str, help: &str) -> Result<Vec<u8>, Problem> {
    let read = |path: &Path| {
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    match read(&file.path) {
        Ok(bytes) if bytes.len() as u64 > FILE_BYTES_MAX => {
            let found = format!("has more than {} MiB", FILE_BYTES_MAX >> 20);
            Err(problem(file, key, &found, "too large", help))
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(problem(file, key, &format!("cannot be read: {error}"), "cannot be read", help)),
    }
}

/// `listener "public": tls.` is put in front by who knows it.
pub(super) fn problem(file: &NamedFile, key: &str, found: &str, label: &str, help: &str) -> Problem {
    Problem {
        span: file.place.clone(),
        message: format!("{key} {} {found}", file.path.display()),
        label: label.to_owned(),
        help: Some(help.to_owned()),
    }
}

fn look_into(der: &CertificateDer<'static>) -> Option<(Names, Validity)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut names = Names::default();
    let alternatives = certificate.subject_alternative_name().ok()?;
    for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase().into()),
            GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    let common = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    names.common = common.map(Into::into);
    let validity = certificate.validity();
    let validity =
        Validity { not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() };
    Some((names, validity))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four: Result<[u8; 4], _> = bytes.try_into();
    let sixteen: Result<[u8; 16], _> = bytes.try_into();
    four.map(IpAddr::from).or(sixteen.map(IpAddr::from)).ok()
}
