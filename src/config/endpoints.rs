//! `endpoints`: addresses, and names that stand for as many addresses as DNS says.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use toml::de::DeTable;

use super::reader::{Section, Value, Wrong};
use super::report::Report;
use super::{Problems, Upstream, syntax, values};

const SCHEME: &str = "dns://";
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// `dns://shop-v1.internal:9001`: every A and AAAA record is an endpoint with this port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName {
    /// In lower case, without a dot at the end.
    pub host: Arc<str>,
    pub port: u16,
}

impl fmt::Display for DnsName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{SCHEME}{}:{}", self.host, self.port)
    }
}

/// Both lists in file order, without duplicates; together at least one, at most [`Upstream::ENDPOINTS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub fixed: Vec<SocketAddr>,
    pub names: Vec<DnsName>,
}

impl Endpoints {
    /// Reads what could stand in the file, one endpoint an item, and finds the same problems. `name` is that of the
    /// text in messages.
    pub fn parse(name: &str, list: &[impl AsRef<str>]) -> Result<Self, Problems> {
        let items: Vec<String> = list.iter().map(|item| quoted(item.as_ref())).collect();
        let text = format!("endpoints = [{}]\n", items.join(", "));
        let (tree, errors) = DeTable::parse_recoverable(&text);
        let report = Report::new(&text, syntax::problems(&text, &errors));
        let mut root = Section::root(&report, tree.get_ref());
        let endpoints = read(&mut root);
        root.finish();
        let (problems, more, _) = report.into_parts();
        match endpoints.filter(|_| problems.is_empty()) {
            Some(endpoints) => Ok(endpoints),
            None => Err(Problems::new(name, &text, problems, more)),
        }
    }
}

/// As a basic string of TOML.
fn quoted(text: &str) -> String {
    let escaped = |char: char| match char {
        '"' | '\\' => format!("\\{char}"),
        char if char.is_control() => format!("\\u{:04x}", u32::from(char)),
        char => char.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

pub(super) fn read(section: &mut Section<'_>) -> Option<Endpoints> {
    let accepted = "a list of IP:port, such as [\"127.0.0.1:9001\"]";
    let mut seen = HashSet::new();
    let mut endpoints = Endpoints::default();
    let list = section.list("endpoints", 1..=Upstream::ENDPOINTS_MAX, accepted, |value| {
        let one = endpoint(value)?;
        if !seen.insert(one.clone()) {
            return Err(twice(value));
        }
        match one {
            Endpoint::Fixed(address) => endpoints.fixed.push(address),
            Endpoint::Name(name) => endpoints.names.push(name),
        }
        Ok(())
    });
    if list.is_none() && !section.has("endpoints") {
        section.missing("endpoints", "endpoints = [\"127.0.0.1:9001\"]");
    }
    list.map(|_| endpoints)
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Endpoint {
    Fixed(SocketAddr),
    Name(DnsName),
}

fn endpoint(value: &Value<'_>) -> Result<Endpoint, Wrong> {
    let name = value.str().and_then(|text| text.strip_prefix(SCHEME));
    if let Some(name) = name.filter(|name| name.parse::<SocketAddr>().is_err()) {
        return dns_name(value, name).map(Endpoint::Name);
    }
    let address = values::address("127.0.0.1:9001")(value)?;
    if address.port() == 0 {
        return Err(port_zero(value));
    }
    Ok(Endpoint::Fixed(address))
}

fn dns_name(value: &Value<'_>, text: &str) -> Result<DnsName, Wrong> {
    let help = "write a name and a port, such as \"dns://shop-v1.internal:9001\"";
    let Some((host, port)) = text.rsplit_once(':') else { return Err(value.wrong("no port", help)) };
    let port = port.parse::<u16>().map_err(|_| value.wrong("not a port", help))?;
    if port == 0 {
        return Err(port_zero(value));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let letters = |label: &str| label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let fits = |label: &str| !label.is_empty() && label.len() <= LABEL_BYTES_MAX && letters(label);
    if host.len() > NAME_BYTES_MAX || !host.split('.').all(fits) {
        return Err(value.wrong("not a DNS name", help));
    }
    Ok(DnsName { host: host.to_ascii_lowercase().into(), port })
}

fn port_zero(value: &Value<'_>) -> Wrong {
    value.wrong("nobody can be reached at port 0", "write a port from 1 to 65535")
}

fn twice(value: &Value<'_>) -> Wrong {
    Wrong {
        says: format!("is {} a second time", value.shown()),
        label: "named already".to_owned(),
        help: "name each endpoint once: all have an equal part".to_owned(),
    }
}
