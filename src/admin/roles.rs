//! Who may do what: the one table. What does not stand in it is not there for anybody, so a new endpoint that was
//! forgotten here cannot be reached rather than reached by all.

use axum::http::Method;

use crate::config::{Access, Role};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Anybody, unasked: what says nothing, or is how one says who one is.
    Nobody,
    Role(Role),
}

const OPEN: Need = Need::Nobody;
const OBSERVER: Need = Need::Role(Role::Observer);
const PULLER: Need = Need::Role(Role::Puller);
const RELEASE: Need = Need::Role(Role::Release);
const ADMIN: Need = Need::Role(Role::Admin);

/// Method, path as the router has it, what it takes. GET stands for HEAD as well.
const TABLE: &[(&str, &str, Need)] = &[
    ("GET", "/", OPEN),
    ("GET", "/{file}", OPEN),
    ("GET", "/decisions/{id}", OPEN),
    ("GET", "/livez", OPEN),
    ("GET", "/readyz", OPEN),
    ("GET", METRICS, OBSERVER),
    ("GET", "/api/v1/session", OBSERVER),
    ("POST", "/api/v1/session", OPEN),
    ("DELETE", "/api/v1/session", OBSERVER),
    ("GET", "/api/v1/routes", OBSERVER),
    ("GET", "/api/v1/routes/{route}", OBSERVER),
    ("PUT", "/api/v1/routes/{route}/weight", RELEASE),
    ("POST", "/api/v1/routes/{route}/cord", PULLER),
    ("DELETE", "/api/v1/routes/{route}/cord", RELEASE),
    ("GET", "/api/v1/routes/{route}/forecast", OBSERVER),
    ("POST", "/api/v1/routes/{route}/drill", RELEASE),
    ("DELETE", "/api/v1/routes/{route}/drill", RELEASE),
    ("GET", "/api/v1/routes/{route}/releases", OBSERVER),
    ("POST", "/api/v1/routes/{route}/releases", RELEASE),
    ("GET", "/api/v1/routes/{route}/releases/{id}", OBSERVER),
    ("POST", "/api/v1/routes/{route}/releases/{id}/{verb}", RELEASE),
    ("POST", "/api/v1/routes/{route}/rollback", RELEASE),
    ("POST", "/api/v1/cord", PULLER),
    ("GET", "/api/v1/upstreams", OBSERVER),
    ("GET", "/api/v1/upstreams/{upstream}", OBSERVER),
    ("PUT", "/api/v1/upstreams/{upstream}", ADMIN),
    ("DELETE", "/api/v1/upstreams/{upstream}", ADMIN),
    ("GET", "/api/v1/decisions", OBSERVER),
    ("GET", "/api/v1/decisions/head", OBSERVER),
    ("GET", "/api/v1/decisions/verify", OBSERVER),
    ("GET", "/api/v1/decisions/{id}", OBSERVER),
    ("GET", "/api/v1/decisions/{id}/evidence", OBSERVER),
    // A question that has a body.
    ("POST", "/api/v1/what-if", OBSERVER),
    ("POST", "/api/v1/notify/{name}/test", RELEASE),
    ("GET", "/api/v1/events", OBSERVER),
    ("GET", "/api/v1/drift", OBSERVER),
    ("GET", "/api/v1/config", OBSERVER),
    ("POST", "/api/v1/config/reload", ADMIN),
    ("GET", "/api/v1/openapi.json", OBSERVER),
];

const METRICS: &str = "/metrics";

/// `None`: the path does not take this method.
pub(super) fn need(method: &Method, path: &str, access: &Access) -> Option<Need> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let row = TABLE.iter().find(|(taken, place, _)| *taken == method && *place == path)?;
    if path == METRICS && access.open_metrics { Some(OPEN) } else { Some(row.2) }
}

/// What the path takes, for `Allow`.
pub(super) fn allowed(path: &str) -> String {
    let taken = TABLE.iter().filter(|(_, place, _)| *place == path);
    let named = taken.map(|(method, ..)| if *method == "GET" { "GET,HEAD" } else { method });
    named.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use regex::Regex;

    /// `("GET", "/api/v1/routes")` of each `.route("/routes", get(…).post(…))` in a source.
    fn routed(prefix: &str, source: &str) -> BTreeSet<(String, String)> {
        let route = Regex::new(r#"\.route\(\s*"([^"]+)",((?s:.*?))\n?\s*\)\s*\n"#).unwrap();
        let method = Regex::new(r"\b(get|post|put|delete|patch|any)\(").unwrap();
        let mut found = BTreeSet::new();
        for route in route.captures_iter(source) {
            for method in method.captures_iter(&route[2]) {
                found.insert((method[1].to_uppercase(), format!("{prefix}{}", &route[1])));
            }
        }
        found
    }

    #[test]
    fn every_route_of_the_router_stands_in_the_table_and_no_other() {
        let mut routed_ones = routed("", include_str!("mod.rs"));
        routed_ones.extend(routed("/api/v1", include_str!("api/mod.rs")));
        let table: BTreeSet<_> =
            TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(routed_ones, table);
        assert_eq!(table.len(), TABLE.len(), "each once");
    }

    #[test]
    fn whatever_changes_something_needs_a_role() {
        for (method, path, need) in TABLE {
            let is_read = *method == "GET" || *path == "/api/v1/what-if" || path.ends_with("/session");
            assert!(is_read || *need >= PULLER, "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_there_is_for_nobody() {
        let access = Access::default();
        assert_eq!(need(&Method::DELETE, "/api/v1/routes", &access), None);
        assert_eq!(need(&Method::OPTIONS, "/metrics", &access), None);
        assert_eq!(need(&Method::GET, "/api/v1/new", &access), None);
        assert_eq!(need(&Method::HEAD, "/api/v1/routes", &access), Some(OBSERVER));
        assert_eq!(allowed("/api/v1/routes/{route}/cord"), "POST,DELETE");
        assert_eq!(allowed("/api/v1/routes"), "GET,HEAD");
    }

    #[test]
    fn metrics_can_be_opened_and_nothing_else() {
        let open = Access { open_metrics: true, ..Access::default() };
        assert_eq!(need(&Method::GET, METRICS, &Access::default()), Some(OBSERVER));
        assert_eq!(need(&Method::GET, METRICS, &open), Some(OPEN));
        assert_eq!(need(&Method::GET, "/api/v1/routes", &open), Some(OBSERVER));
    }

    impl PartialOrd for Need {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            let rank = |need: &Self| match need {
                Self::Nobody => None,
                Self::Role(role) => Some(*role),
            };
            rank(self).partial_cmp(&rank(other))
        }
    }
}
