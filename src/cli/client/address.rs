//! `--admin`: `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`.

use std::fmt;
use std::path::PathBuf;

use http::Uri;

const DEFAULT: &str = "http://127.0.0.1:2636";

/// Where the admin listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Address {
    Tcp { host: String, port: u16, secure: bool },
    Unix(PathBuf),
}

impl Address {
    pub(in crate::cli) const DEFAULT: &str = DEFAULT;

    /// An empty text is the default, as if the variable were not set.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, String> {
        let text = if text.is_empty() { DEFAULT } else { text };
        let accepted = || {
            format!("write http://HOST:PORT, such as {DEFAULT}, https://HOST:PORT, or unix:PATH of a socket")
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(accepted()) } else { Ok(Self::Unix(path.into())) };
        }
        let uri: Uri = text.parse().map_err(|_| accepted())?;
        let (secure, default_port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(accepted()),
        };
        let authority = uri.authority().ok_or_else(accepted)?;
        let has_more = uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@');
        if has_more || authority.host().is_empty() {
            return Err(accepted());
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => default_port,
            _ => authority.port_u16().ok_or_else(accepted)?,
        };
        Ok(Self::Tcp { host: authority.host().to_owned(), port, secure })
    }

    /// What `Host` says.
    pub(super) fn host(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// An IPv6 address without its brackets.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, secure: false } => write!(out, "http://{host}:{port}"),
            Self::Tcp { host, port, secure: true } => write!(out, "https://{host}:{port}"),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_url_is_a_host_and_a_port_or_a_path() {
        for (text, shown) in [
            ("http://127.0.0.1:2636", "http://127.0.0.1:2636"),
            ("http://localhost:80/", "http://localhost:80"),
            ("http://[::1]:2636", "http://[::1]:2636"),
            ("http://localhost", "http://localhost:80"),
            ("https://andon.example", "https://andon.example:443"),
            ("https://andon.example:2636", "https://andon.example:2636"),
            ("unix:/run/andon.sock", "unix:/run/andon.sock"),
            ("unix:andon.sock", "unix:andon.sock"),
            ("", DEFAULT),
        ] {
            assert_eq!(Address::parse(text).map(|admin| admin.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for text in [
            "127.0.0.1:2636",
            "localhost",
            "ftp://localhost:2636",
            "http://localhost:2636/admin",
            "http://localhost:2636?x",
            "http://me@localhost:2636",
            "http://localhost:70000",
            "http://localhost:",
            "http://",
            "unix:",
            " ",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        assert_eq!((bare("[::1]"), bare("localhost")), ("::1", "localhost"));
    }
}
