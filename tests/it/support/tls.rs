//! Certificates made on the spot, and both ends of TLS over real sockets.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use tempfile::TempDir;

use super::wait::PATIENCE;

/// A folder with an authority and what it has signed.
pub(crate) struct Pki {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// PEM.
pub(crate) struct Signed {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names are no bad names");
        params.distinguished_name.push(DnType::CommonName, "andon test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there is randomness");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("the parameters are good");
        let dir = tempfile::Builder::new().prefix("andon-pki-").tempdir().expect("a temporary directory");
        let pki = Self { dir, issuer };
        pki.write("ca.pem", &pki.issuer.pem());
        pki
    }

    /// A new key for these names; the subject is `CN=` the first.
    pub(crate) fn sign(&self, names: &[&str]) -> Signed {
        let owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(owned).expect("the names are good");
        params.distinguished_name = Default::default();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        let key = KeyPair::generate().expect("there is randomness");
        let cert = params.signed_by(&key, &self.issuer).expect("the parameters are good");
        Signed { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// Writes `NAME.pem` and `NAME.key`; returns the table that names them.
    pub(crate) fn issue(&self, name: &str, names: &[&str]) -> String {
        let signed = self.sign(names);
        self.write(&format!("{name}.pem"), &signed.cert);
        self.write(&format!("{name}.key"), &signed.key);
        let path = |extension: &str| self.path(&format!("{name}.{extension}")).display().to_string();
        format!("{{ cert = \"{}\", key = \"{}\" }}", path("pem"), path("key"))
    }

    /// It appears at once and whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let draft = self.dir.path().join("draft");
        fs::write(&draft, text).expect("the directory is ours");
        fs::rename(draft, self.path(name)).expect("the directory is ours");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("it is an authority");
        roots
    }

    /// Trusts this authority; speaks what it is told to.
    pub(crate) fn client(&self, alpn: &[&str]) -> ClientConfig {
        self.client_as(None, alpn)
    }

    pub(crate) fn client_as(&self, who: Option<&Signed>, alpn: &[&str]) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(self.roots());
        let mut config = match who {
            None => builder.with_no_client_auth(),
            Some(signed) => {
                builder.with_client_auth_cert(chain(&signed.cert), key(&signed.key)).expect("a pair")
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(crate) fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("PEM")
}

fn key(pem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("PEM")
}

/// One TLS connection to andon.
pub(crate) struct Secure {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Secure {
    /// The handshake, and whatever the server says of it. Under TLS 1.3 a client learns with the first read that
    /// it was not let in.
    pub(crate) fn connect(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?, config, name)
    }

    /// On a connection that has begun already.
    pub(crate) fn over(mut socket: TcpStream, config: &Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut stream = connection;
        while stream.is_handshaking() {
            stream.complete_io(&mut socket)?;
        }
        Ok(Self { stream: StreamOwned::new(stream, socket) })
    }

    pub(crate) fn leaf(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().expect("a server shows one")[0].to_vec()
    }

    pub(crate) fn kind(&self) -> HandshakeKind {
        self.stream.conn.handshake_kind().expect("it is done")
    }

    pub(crate) fn alpn(&self) -> Option<String> {
        self.stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    /// One answer with a length, as text.
    pub(crate) fn answer(&mut self) -> io::Result<String> {
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte)?;
            text.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&text).to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
        self.stream.read_exact(&mut body)?;
        text.extend(body);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    pub(crate) fn exchange(&mut self, request: &str) -> io::Result<String> {
        self.send(request)?;
        self.answer()
    }

    /// Everything up to the end. An error: the end was no `close_notify`.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut bytes = Vec::new();
        let end = self.stream.read_to_end(&mut bytes).map(drop);
        (bytes, end)
    }
}

/// An upstream behind TLS: answers each connection's first request with the bytes that it was given.
pub(crate) struct SecureUpstream {
    pub(crate) address: SocketAddr,
    /// The name that was asked for, and who asked, of each handshake.
    pub(crate) seen: Receiver<(Option<String>, bool)>,
}

/// Whether the upstream says `close_notify` after its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goodbye {
    Said,
    Missing,
}

impl SecureUpstream {
    pub(crate) fn start(pki: &Pki, names: &[&str], answer: &'static str, goodbye: Goodbye) -> Self {
        let signed = pki.sign(names);
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(pki.roots()), provider());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_client_cert_verifier(verifier.allow_unauthenticated().build().expect("there are roots"))
            .with_single_cert(chain(&signed.cert), key(&signed.key))
            .expect("a pair");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            for socket in listener.incoming().filter_map(Result::ok) {
                let connection =
                    ServerConnection::new(Arc::clone(&config)).expect("the configuration is good");
                let mut stream = StreamOwned::new(connection, socket);
                let mut request = [0; 4_096];
                if stream.read(&mut request).is_err() {
                    continue;
                }
                let name = stream.conn.server_name().map(str::to_owned);
                // The test may have ended.
                let _ = sender.send((name, stream.conn.peer_certificates().is_some()));
                let _ = stream.write_all(answer.as_bytes());
                if goodbye == Goodbye::Said {
                    stream.conn.send_close_notify();
                }
                let _ = stream.flush();
            }
        });
        Self { address, seen }
    }
}

/// For the configuration.
pub(crate) fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}
