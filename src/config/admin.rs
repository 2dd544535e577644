//! `[admin]`: where the API, the metrics and the health answers listen, and who may use them.
//!
//! What anybody on the network reaches needs names: an address beyond loopback without tokens or client
//! certificates is refused here, so that it cannot be forgotten.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::access::{self, Access};
use super::problem::Problem;
use super::reader::{Section, Value, Wrong};
use super::tls::{self, ListenerTls};
use super::{values, web};

/// Of the path of a Unix socket, with the zero at its end: what the kernel has room for.
const SOCKET_PATH_BYTES_MAX: usize = 108;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    pub listen: SocketAddr,
    /// Where people reach it, without a slash at the end: what links begin with.
    pub url: Option<Box<str>>,
    /// `None`: cleartext.
    pub tls: Option<ListenerTls>,
    /// A Unix socket beside `listen`.
    pub socket: Option<AdminSocket>,
    /// Shared with whoever asks at every request.
    pub access: Arc<Access>,
    listen_place: Place,
}

/// Whoever may open it is admin: the file mode decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSocket {
    pub path: PathBuf,
    /// Permission bits, such as 0o600.
    pub mode: u32,
}

/// Bytes of the text. Where something stands is no part of what it is, so any two are equal.
#[derive(Clone, Debug, Default)]
struct Place(Range<usize>);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Default for Admin {
    /// A-N-D-O on a keypad.
    fn default() -> Self {
        Self::on(SocketAddr::from((Ipv4Addr::LOCALHOST, 2636)))
    }
}

impl AdminSocket {
    pub const MODE_DEFAULT: u32 = 0o600;
}

impl Admin {
    /// Nothing but the address.
    pub fn on(listen: SocketAddr) -> Self {
        Self {
            listen,
            url: None,
            tls: None,
            socket: None,
            access: Arc::default(),
            listen_place: Place::default(),
        }
    }

    /// What can be used, and should be looked at.
    pub(super) fn warnings(&self) -> Vec<Problem> {
        if is_loopback(&self.listen) || self.tls.is_some() {
            return Vec::new();
        }
        vec![Problem {
            span: self.listen_place.0.clone(),
            message: format!(
                "admin.listen is \"{}\", without TLS: tokens can be read on the way",
                self.listen
            ),
            label: "cleartext beyond this machine".to_owned(),
            help: Some("add an [admin.tls] table with certificates, or listen on 127.0.0.1".to_owned()),
        }]
    }
}

/// Of an address that only this machine reaches.
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

pub(super) fn read(mut section: Section<'_>, base: &Path) -> Admin {
    let access = access::read(&mut section);
    let mut listen_place = Place::default();
    let listen = section.or("listen", Admin::default().listen, |value| {
        listen_place = Place(value.span.clone());
        let address = values::address("127.0.0.1:2636")(value)?;
        if is_loopback(&address) || access.names_somebody() {
            return Ok(address);
        }
        let help = format!(
            "write \"127.0.0.1:{}\", or say who may: `andon token new --name ann --role admin` makes a token and prints its \
             [[admin.token]]; without any, everybody who reaches this address could move weights",
            address.port()
        );
        Err(value.wrong("not a loopback address, and no token", help))
    });
    let tls = tls::of_admin(&mut section, base);
    if !access.clients.is_empty() && tls.as_ref().is_none_or(|tls| tls.clients.is_none()) {
        section.missing("tls.client_ca", "tls = { certificates = [{ cert = \"andon.pem\", key = \"andon.key\" }], client_ca = \"ca.pem\" }");
    }
    let socket = socket(&mut section, base);
    let url = section.optional("url", url);
    section.finish();
    Admin { listen, url, tls, socket, access: Arc::new(access), listen_place }
}

fn socket(section: &mut Section<'_>, base: &Path) -> Option<AdminSocket> {
    let path = section.optional("socket", |value| {
        let path = base.join(&*values::text(value)?);
        if path.as_os_str().len() < SOCKET_PATH_BYTES_MAX {
            return Ok(path);
        }
        let help = format!("its whole path may have {} bytes at most", SOCKET_PATH_BYTES_MAX - 1);
        Err(value.wrong("too long", help))
    });
    let mode = section.or("socket_mode", AdminSocket::MODE_DEFAULT, mode);
    if section.has("socket_mode") && !section.has("socket") {
        section.missing("socket", "socket = \"andon.sock\"");
    }
    Some(AdminSocket { path: path?, mode })
}

fn mode(value: &Value<'_>) -> Result<u32, Wrong> {
    let help = "write permission bits for user and group, such as \"0600\" or \"0660\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| octal);
    match mode.ok_or_else(|| value.wrong("not permission bits", help))? {
        mode if mode & 0o007 != 0 => Err(value.wrong("anybody on this machine would be admin", help)),
        mode if mode & !0o777 != 0 => Err(value.wrong("more than permission bits", help)),
        mode => Ok(mode),
    }
}

fn url(value: &Value<'_>) -> Result<Box<str>, Wrong> {
    web::url(value)?;
    let text = value.str().unwrap_or_default();
    if text.contains(['?', '<', '>', '|']) {
        return Err(value.wrong("more than an address", "write an address such as \"https://andon.example\""));
    }
    Ok(text.trim_end_matches('/').into())
}
