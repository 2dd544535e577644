//! Who may use the admin listener: tokens, client certificates, roles. A reload changes all of it.
//!
//! The file holds no secret: of a token it has the SHA-256, and from that nobody gets back to 256 random bits.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use http::Uri;

use super::names;
use super::reader::{Section, Value, Wrong};
use super::values;

const SHA256_HELP: &str = "write the 64 hex digits that `andon token new` prints beside the token";
const ROLE_HELP: &str = "write \"observer\", \"puller\", \"release\" or \"admin\"";
/// Who acts without showing anything.
const RESERVED: [&str; 4] = ["file", "immune system", "local", "plan"];
const ORIGIN_HELP: &str = "write scheme and host as browsers send them, such as \"https://andon.example\"";

/// Everything that a reload may change. Empty: nobody is named, and whoever reaches loopback is admin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub tokens: Vec<Token>,
    pub clients: Vec<Client>,
    /// Beside the listener's own: where a browser may have the dashboard from.
    pub origins: Vec<Box<str>>,
    /// `/metrics` is for anybody.
    pub open_metrics: bool,
}

/// Two may have one name: the old one and the new one, while a secret is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub name: Arc<str>,
    pub role: Role,
    pub sha256: [u8; 32],
}

/// Whoever shows a certificate of `client_ca` with this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub name: Arc<str>,
    pub role: Role,
}

/// Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads everything.
    Observer,
    /// And pulls cords.
    Puller,
    /// And moves weights, resets cords, runs releases and drills.
    Release,
    /// And everything else.
    Admin,
}

impl Access {
    pub const TOKENS_MAX: usize = 256;
    pub const CLIENTS_MAX: usize = 256;
    pub const ORIGINS_MAX: usize = 16;

    pub fn names_somebody(&self) -> bool {
        !self.tokens.is_empty() || !self.clients.is_empty()
    }
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Observer, Self::Puller, Self::Release, Self::Admin];

    pub fn label(self) -> &'static str {
        match self {
            Self::Observer => "observer",
            Self::Puller => "puller",
            Self::Release => "release",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.label() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.label())
    }
}

pub(super) fn read(admin: &mut Section<'_>) -> Access {
    let tokens = tokens(admin);
    let clients = clients(admin);
    let accepted = "a list of origins, such as [\"https://andon.example\"]";
    let origins = admin.list("origins", 0..=Access::ORIGINS_MAX, accepted, origin).unwrap_or_default();
    let open_metrics = admin.or("open_metrics", false, values::flag);
    Access { tokens, clients, origins, open_metrics }
}

fn tokens(admin: &mut Section<'_>) -> Vec<Token> {
    let sections = admin.sections("token", 0..=Access::TOKENS_MAX).unwrap_or_default();
    let (mut hashes, mut roles) = (HashSet::new(), HashMap::new());
    let read = |mut section: Section<'_>| {
        let name = section.required("name", "name = \"release-bot\"", person);
        let role = section.required("role", "role = \"observer\"", role);
        let sha256 = section.required("sha256", "sha256 = \"…\"", |value| {
            let sha256 = sha256(value)?;
            if hashes.insert(sha256) { Ok(sha256) } else { Err(same_token(value)) }
        });
        if let (Some(name), Some(role)) = (&name, role)
            && *roles.entry(Arc::clone(name)).or_insert(role) != role
        {
            let found = format!("admin.token: two tokens of \"{name}\" have different roles");
            let help =
                "give both the same role, or each a name of its own: the name says in the record who it was";
            section.problem(section.place.clone(), &found, "another role".to_owned(), help.to_owned());
        }
        section.finish();
        Some(Token { name: name?, role: role?, sha256: sha256? })
    };
    sections.into_iter().filter_map(read).collect()
}

fn clients(admin: &mut Section<'_>) -> Vec<Client> {
    let sections = admin.sections("client", 0..=Access::CLIENTS_MAX).unwrap_or_default();
    let mut names = HashSet::new();
    let read = |mut section: Section<'_>| {
        let name = section.required("name", "name = \"ann.example\"", |value| {
            let name = certified(value)?;
            let twice = || value.wrong("named already", "name each client once");
            if names.insert(Arc::clone(&name)) { Ok(name) } else { Err(twice()) }
        });
        let role = section.required("role", "role = \"observer\"", role);
        section.finish();
        Some(Client { name: name?, role: role? })
    };
    sections.into_iter().filter_map(read).collect()
}

/// The name of a token stands in the record, where it must not be taken for somebody who needs none.
fn person(value: &Value<'_>) -> Result<Arc<str>, Wrong> {
    names::checked(value).and_then(|name| unreserved(value, name))
}

/// What certificates have as names is less plain than what we let others be called.
fn certified(value: &Value<'_>) -> Result<Arc<str>, Wrong> {
    values::text(value).and_then(|name| unreserved(value, name.into()))
}

fn unreserved(value: &Value<'_>, name: Arc<str>) -> Result<Arc<str>, Wrong> {
    let lower = name.to_ascii_lowercase();
    if !RESERVED.contains(&lower.as_str()) && !lower.starts_with("uid-") {
        return Ok(name);
    }
    let reserved = RESERVED.map(|name| format!("\"{name}\"")).join(", ");
    let help =
        format!("choose another name: in the record {reserved} and \"uid-…\" are those who show no token");
    Err(value.wrong("reserved", help))
}

fn role(value: &Value<'_>) -> Result<Role, Wrong> {
    let Some(text) = value.str() else { return Err(value.wrong_kind(ROLE_HELP)) };
    Role::parse(text).ok_or_else(|| value.wrong("no such role", ROLE_HELP))
}

/// What was found is not repeated: it may be the secret itself.
fn sha256(value: &Value<'_>) -> Result<[u8; 32], Wrong> {
    let wrong = |says: &str| Wrong {
        says: says.to_owned(),
        label: "not 64 hex digits".to_owned(),
        help: SHA256_HELP.to_owned(),
    };
    let text = value.str().ok_or_else(|| wrong("is no text"))?;
    let mut hash = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong("is not a SHA-256"));
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong("is not a SHA-256"))?;
    }
    Ok(hash)
}

fn same_token(value: &Value<'_>) -> Wrong {
    Wrong {
        says: format!("is {} a second time", value.shown()),
        label: "the same token".to_owned(),
        help: "make another one with `andon token new`: each says who it is".to_owned(),
    }
}

/// As browsers write it: in lower case, without a path, and without the port that the scheme has anyway.
fn origin(value: &Value<'_>) -> Result<Box<str>, Wrong> {
    let Some(text) = value.str() else { return Err(value.wrong_kind(ORIGIN_HELP)) };
    let uri: Uri = text.parse().map_err(|_| value.wrong("not an origin", ORIGIN_HELP))?;
    let (scheme, authority) = uri
        .scheme_str()
        .zip(uri.authority())
        .ok_or_else(|| value.wrong("no scheme and host", ORIGIN_HELP))?;
    let default_port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return Err(value.wrong("neither http nor https", ORIGIN_HELP)),
    };
    if uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@') {
        return Err(value.wrong("more than an origin", ORIGIN_HELP));
    }
    let host = authority.host().to_ascii_lowercase();
    Ok(match authority.port_u16() {
        Some(port) if port != default_port => format!("{scheme}://{host}:{port}").into(),
        _ => format!("{scheme}://{host}").into(),
    })
}
