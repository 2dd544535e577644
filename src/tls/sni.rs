//! Which certificate a client is shown: by the name that it asks for.
//!
//! Exact names before `*.suffix`, which stands for one label, as clients read it. Several certificates may have one
//! name, say one with an RSA and one with an EC key: the first whose kind of key the client knows is shown. A
//! client without a name, or with one that nobody has, is shown the first certificate of the file.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificates::{Certificate, Names, Validity};

#[derive(Debug)]
pub(super) struct Sni {
    /// Never empty.
    certificates: Box<[Certificate]>,
    /// Name or suffix to places in `certificates`, in file order.
    exact: HashMap<Box<str>, Vec<usize>>,
    /// `shop.example` for `*.shop.example`.
    suffixes: HashMap<Box<str>, Vec<usize>>,
}

impl Sni {
    /// `certificates` is not empty: a listener without one is not read.
    pub(super) fn new(certificates: Vec<Certificate>) -> Self {
        let (mut exact, mut suffixes) = (HashMap::new(), HashMap::new());
        for (place, certificate) in certificates.iter().enumerate() {
            for name in &certificate.names.dns {
                let (map, name): (&mut HashMap<_, Vec<_>>, &str) = match name.strip_prefix("*.") {
                    Some(suffix) => (&mut suffixes, suffix),
                    None => (&mut exact, name),
                };
                map.entry(Box::from(name)).or_default().push(place);
            }
        }
        Self { certificates: certificates.into(), exact, suffixes }
    }

    /// Places of the certificates for this name, which may be none at all.
    fn places(&self, name: Option<&str>) -> &[usize] {
        let Some(name) = name else { return &[0] };
        let name = name.to_ascii_lowercase();
        let suffix = || self.suffixes.get(name.split_once('.')?.1);
        self.exact.get(&*name).or_else(suffix).map_or(&[0], Vec::as_slice)
    }

    /// Whether what a client with this SNI was shown is also good for `host`, in lower case and without a port.
    pub(super) fn covers(&self, sni: Option<&str>, host: &str) -> bool {
        self.places(sni).iter().any(|place| self.certificates[*place].names.cover(host))
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = (&Names, Validity)> {
        self.certificates.iter().map(|certificate| (&certificate.names, certificate.validity))
    }
}

impl ResolvesServerCert for Sni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let places = self.places(hello.server_name());
        let key = |place: &usize| &self.certificates[*place].key;
        let suits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        places.iter().map(key).find(suits).or_else(|| places.first().map(key)).cloned()
    }
}
