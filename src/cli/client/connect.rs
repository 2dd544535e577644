//! One connection to the admin listener: TCP, TLS over it, or a Unix socket.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{DnsName, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::address::{Address, bare};
use crate::cli::{Exit, Failure};
use crate::config::tls::{KeyPair, NamedFile, UpstreamTls};
use crate::tls::{self, Client};

/// More is no token.
const TOKEN_FILE_BYTES_MAX: u64 = 4_096;

/// How to show who we are, and whom to believe.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Proof {
    /// The authorities of its certificate, instead of those that this machine trusts
    #[arg(long = "admin-ca", value_name = "FILE", env = "ANDON_ADMIN_CA")]
    ca: Option<PathBuf>,
    /// Our certificate, if it wants one
    #[arg(long = "admin-cert", value_name = "FILE", env = "ANDON_ADMIN_CERT", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of our certificate
    #[arg(id = "key", long = "admin-key", value_name = "FILE", env = "ANDON_ADMIN_KEY", requires = "cert")]
    key: Option<PathBuf>,
    /// A file with our token; ANDON_TOKEN is the token itself
    #[arg(long, value_name = "FILE", env = "ANDON_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Proof {
    /// Never an argument: those can be read by everybody on the machine.
    pub(super) fn token(&self) -> Result<Option<String>, Failure> {
        let given = std::env::var_os("ANDON_TOKEN").filter(|token| !token.is_empty());
        if let Some(token) = given {
            let token = token.into_string().map_err(|_| wrong("ANDON_TOKEN is no text".to_owned()))?;
            return Ok(Some(token.trim().to_owned()));
        }
        self.token_file.as_deref().map(read_token).transpose()
    }

    /// `None`: everything that TLS needs is there, and it is not spoken.
    pub(super) fn tls(&self, address: &Address) -> Result<Option<Arc<Client>>, Failure> {
        let Address::Tcp { secure: true, .. } = address else { return Ok(None) };
        let named = |path: &PathBuf| NamedFile { path: path.clone(), place: 0..0 };
        let identity = self.cert.as_ref().zip(self.key.as_ref());
        let identity = identity.map(|(cert, key)| KeyPair { cert: named(cert), key: named(key) });
        let settings = UpstreamTls { ca: self.ca.as_ref().map(named), server_name: None, identity };
        let client = Client::load(&settings, &mut tls::machine_roots).map_err(|problems| {
            let all: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
            wrong(format!("for TLS to {address}: {}", all.join("; ")))
        })?;
        Ok(Some(Arc::new(client)))
    }
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let told = |why: &str| wrong(format!("token file {}: {why}", path.display()));
    let size = fs::metadata(path).map_err(|error| told(&error.to_string()))?.len();
    if size > TOKEN_FILE_BYTES_MAX {
        return Err(told("has more than a token"));
    }
    let text = fs::read_to_string(path).map_err(|error| told(&error.to_string()))?;
    match text.trim() {
        "" => Err(told("is empty")),
        token => Ok(token.to_owned()),
    }
}

fn wrong(message: String) -> Failure {
    Failure { exit: Exit::Usage, message }
}

pub(super) async fn connect(address: &Address, tls: Option<Arc<Client>>) -> io::Result<Box<dyn Stream>> {
    let (host, port) = match address {
        Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        Address::Tcp { host, port, .. } => (bare(host), *port),
    };
    let stream = TcpStream::connect((host, port)).await?;
    let Some(client) = tls else { return Ok(Box::new(stream)) };
    let name = match host.parse() {
        Ok(address) => ServerName::IpAddress(std::net::IpAddr::into(address)),
        Err(_) => ServerName::DnsName(DnsName::try_from(host.to_owned()).map_err(io::Error::other)?),
    };
    let connector = TlsConnector::from(Arc::clone(&client.http1));
    Ok(Box::new(connector.connect(name, stream).await?))
}
