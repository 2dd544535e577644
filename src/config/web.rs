//! Other people's HTTP servers that Andon asks or tells something: where they are, whom to believe there, and what to
//! show to be let in.
//!
//! The path of such an address may be a secret (that of a chat's webhook is one), so it is never shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use http::Uri;

use super::Problem;
use super::reader::{Section, Value, Wrong};
use super::tls::{self, EndpointTls, NamedFile, UpstreamTls};

/// Bytes of an address.
const URL_BYTES_MAX: usize = 2_048;
/// Bytes of a file with a secret.
pub const SECRET_FILE_BYTES_MAX: usize = 4_096;

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Web {
    /// A name or an address, without brackets.
    pub host: Box<str>,
    pub port: u16,
    /// With its query, as it is sent.
    pub path: Box<str>,
    /// `None`: `http`.
    pub tls: Option<EndpointTls>,
    /// A file with a token that is sent as `Authorization: Bearer`.
    pub token: Option<NamedFile>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

impl Web {
    /// What may be shown of it: `https://hooks.example`.
    pub fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// As in the header `Host`.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        let usual = if self.tls.is_some() { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

/// Reads the address at `key`, and beside it `ca` and, where somebody must be let in, `token_file`.
pub(super) fn read(section: &mut Section<'_>, key: &'static str, base: &Path) -> Option<Web> {
    let web = section.optional(key, url);
    let ca = section.optional("ca", tls::file(base));
    let token = section.optional("token_file", tls::file(base));
    let mut web = web?;
    web.token = token;
    if web.tls.is_none() && ca.is_some() {
        for (ca, value) in section.chosen(&["ca"]) {
            section.clash("an address of http", (ca, &value), "write https, or take it out");
        }
    }
    if let (Some(tls), Some(_)) = (&mut web.tls, &ca) {
        tls.upstream = Arc::new(UpstreamTls { ca, server_name: None, identity: None });
    }
    Some(web)
}

/// `http://host:port/path?query`, or `https`.
pub(super) fn url(value: &Value<'_>) -> Result<Web, Wrong> {
    let help = "write an address such as \"https://hooks.example/andon\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    parse(text).map_err(|label| Wrong {
        says: "is no address of http".to_owned(),
        label: label.into(),
        help: help.into(),
    })
}

/// Or what is wrong with it. What is in braces is no business of the parser.
fn parse(text: &str) -> Result<Web, &'static str> {
    if text.len() > URL_BYTES_MAX {
        return Err("too long");
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'#';
    if !text.bytes().all(is_plain) {
        return Err("a space, a quote, a # or a letter that is not ASCII stands in it");
    }
    let uri: Uri = text.parse().map_err(|_| "not an address")?;
    let https = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err("neither http nor https"),
    };
    let authority = uri.authority().ok_or("no host")?;
    if authority.as_str().contains('@') {
        return Err("a user stands in it");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_address = host.parse::<IpAddr>().is_ok();
    if !is_address && rustls::pki_types::DnsName::try_from(host).is_err() {
        return Err("not a name of a host");
    }
    let usual = if https { 443 } else { 80 };
    let port = match authority.as_str().strip_prefix(authority.host()) {
        None | Some("") => usual,
        Some(written) => match written.trim_start_matches(':').parse() {
            Ok(port) if port > 0 => port,
            _ => return Err("not a port"),
        },
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path.into() } else { format!("/{path}").into() };
    let tls = https.then(|| EndpointTls {
        upstream: Arc::new(UpstreamTls { ca: None, server_name: None, identity: None }),
        server_name: (!is_address).then(|| host.to_ascii_lowercase().into()),
    });
    Ok(Web { host: host.into(), port, path, tls, token: None })
}

/// What a file with a secret holds, without the space around it; or what is wrong with the file. Blocks on the disk.
pub fn secret_of(file: &NamedFile) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let mut text = String::new();
    let limit = SECRET_FILE_BYTES_MAX as u64 + 1;
    File::open(&file.path).and_then(|file| file.take(limit).read_to_string(&mut text)).map_err(unreadable)?;
    let secret = text.trim();
    match secret {
        "" => Err("is empty".to_owned()),
        _ if text.len() > SECRET_FILE_BYTES_MAX => Err("is too long".to_owned()),
        _ if !secret.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err("is not one word of ASCII".to_owned())
        }
        _ => Ok(secret.to_owned()),
    }
}

/// What is wrong with the token that is shown there. `owner` says whose it is, as messages begin.
pub(super) fn look(web: &Web, owner: &str) -> Option<Problem> {
    let file = web.token.as_ref()?;
    let found = secret_of(file).err()?;
    Some(Problem {
        span: file.place.clone(),
        message: format!("{owner}token_file {}: {found}", file.path.display()),
        label: "no token there".to_owned(),
        help: Some("name a file with the token and nothing else".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_a_port_and_a_path() {
        for (text, origin, port, path) in [
            ("http://127.0.0.1:9090", "http://127.0.0.1:9090", 9_090, "/"),
            ("https://hooks.example/services/T0/B0?x=1", "https://hooks.example", 443, "/services/T0/B0?x=1"),
            ("https://hooks.example:8443/", "https://hooks.example:8443", 8_443, "/"),
            ("http://[::1]:80/{canary}", "http://[::1]", 80, "/{canary}"),
            ("http://shop?a=b", "http://shop", 80, "/?a=b"),
        ] {
            let web = parse(text).unwrap();
            assert_eq!((web.origin().as_str(), web.port, &*web.path), (origin, port, path), "{text}");
            assert_eq!(format!("{web:?}"), origin, "the path may be a secret");
        }
        for text in [
            "",
            "hooks.example/x",
            "ftp://hooks.example/",
            "http://",
            "http://ann:secret@hooks.example/",
            "http://hooks.example:0/",
            "http://hooks.example:/",
            "http://hooks.example:99999/",
            "http://hooks.example/a b",
            "http://hooks.example/#x",
            "http://hooks_.-/",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
