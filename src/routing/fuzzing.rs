//! A door for `tests/fuzz`: what must hold of any bytes. Text is cut at its line ends into what a target needs.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::OnceLock;

use http::{HeaderMap, HeaderValue, Method, header};

use super::{EndpointIds, Table, View, fields};
use crate::config::{self, normal_path};
use crate::metrics::slots::Slots;

const FILE: &str = r#"
[[listener]]
name = "l"
address = "127.0.0.1:1"
[[upstream]]
name = "u"
endpoints = ["127.0.0.1:2"]
[[route]]
name = "open"
stable = "u"
[[route]]
name = "closed"
path = "/admin"
deny = true
[[route]]
name = "host"
hosts = ["shop.example", "*.shop.example"]
path_regex = "/v[0-9]+/.*"
stable = "u"
[[route]]
name = "exact"
hosts = ["*.example"]
path_exact = "/a/b%20c"
stable = "u"
"#;

/// Host and path: every path finds a route, and a closed one is closed whatever it is called. The normal form is its
/// own, and never climbs above the root.
pub fn find(data: &[u8]) {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let config = config::parse("f", FILE, Path::new("")).expect("the file is ours");
        Table::build(&config, &mut Slots::default(), &mut EndpointIds::default()).expect("it is small")
    });
    let Some((host, path)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once('\n')) else {
        return;
    };
    let Ok(path) = normal_path(path) else { return };
    assert_eq!(normal_path(&path).as_deref(), Ok(&*path), "the normal form is its own");
    assert!(path.starts_with('/') && !path.contains("//"), "{path}");
    assert!(!path.split('/').any(|segment| segment == "." || segment == ".."), "{path}");
    let view = View {
        host,
        path: &path,
        query: None,
        method: &Method::GET,
        headers: &HeaderMap::new(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        scheme: config::Scheme::Http,
    };
    let found = table.find(&view).map(|at| &*table.routes()[at].name);
    let is_admin = path == "/admin" || path.starts_with("/admin/");
    assert!(found.is_some_and(|name| !is_admin || name == "closed"), "{host} {path}: {found:?}");
}

/// A line of cookies, a name, a query: what is found of each stands in it.
pub fn fields(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (Some(cookies), Some(name), query) = (lines.next(), lines.next(), lines.next()) else { return };
    let (Ok(cookies), Ok(name)) = (HeaderValue::from_bytes(cookies), std::str::from_utf8(name)) else {
        return;
    };
    let headers = HeaderMap::from_iter([(header::COOKIE, cookies)]);
    if let Some(value) = fields::cookie(&headers, name) {
        let line = headers[header::COOKIE].as_bytes();
        assert!(value.is_empty() || line.windows(value.len()).any(|part| part == value), "{value:?}");
        assert!(!value.contains(&b';'), "{value:?}");
    }
    if let Some(query) = query.and_then(|query| std::str::from_utf8(query).ok()) {
        let is_there = fields::query_has(query, name, None);
        assert!(is_there || !fields::query_has(query, name, Some("1")), "{query}");
    }
}
