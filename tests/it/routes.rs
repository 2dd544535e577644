//! Which route a request belongs to.

use crate::support::{Andon, Server, reply};

const ROUTES: [(&str, &str); 8] = [
    ("host", r#"hosts = ["shop.example"]"#),
    ("below", r#"hosts = ["*.shop.example"]"#),
    (
        "prefix",
        r#"hosts = ["shop.example"]
        path = "/api""#,
    ),
    (
        "exact",
        r#"hosts = ["shop.example"]
        path_exact = "/api/health""#,
    ),
    (
        "regex",
        r#"hosts = ["shop.example"]
        path_regex = "/v[0-9]+/.*""#,
    ),
    (
        "method",
        r#"hosts = ["method.example"]
        methods = ["PUT", "DELETE"]"#,
    ),
    (
        "header",
        r#"hosts = ["shop.example"]
        path = "/api"
        headers = [{ name = "x-tenant", value = "acme" }]"#,
    ),
    (
        "closed",
        r#"hosts = ["shop.example"]
        path = "/private"
        deny = true"#,
    ),
];

/// Each route has an upstream of its own, which answers with the route's name.
fn andon() -> (Andon, Vec<Server>) {
    let servers: Vec<Server> = ROUTES.iter().map(|(name, _)| Server::start(|_| reply(200, name))).collect();
    let mut body = String::new();
    for ((name, keys), server) in ROUTES.iter().zip(&servers) {
        let stable = if keys.contains("deny") { String::new() } else { format!("stable = \"{name}\"\n") };
        body += &format!(
            "[[upstream]]\nname = \"{name}\"\nendpoints = [\"{}\"]\n[[route]]\nname = \"{name}\"\n{keys}\n{stable}",
            server.address
        );
    }
    (Andon::start(&body), servers)
}

#[test]
fn each_request_goes_to_the_narrowest_route_that_matches() {
    let (andon, _servers) = andon();
    for (request, host, route) in [
        ("GET /", "shop.example", "host"),
        ("GET /apiary", "SHOP.example:8080", "host"),
        ("GET /", "eu.shop.example", "below"),
        ("GET /", "a.b.shop.example", "below"),
        ("GET /api", "shop.example", "prefix"),
        ("GET /api/x?y=/api/health", "shop.example", "prefix"),
        ("GET /api/health?x=1", "shop.example", "exact"),
        ("GET /v1/things", "shop.example", "regex"),
        ("GET /x/v1/things", "shop.example", "host"),
        ("PUT /", "method.example", "method"),
        ("GET /api\tX-Tenant: acme", "shop.example", "header"),
        ("GET /api\tX-Tenant: other", "shop.example", "prefix"),
    ] {
        let (line, field) = request.split_once('\t').unwrap_or((request, "X-Nothing: 1"));
        let answer = andon.exchange(format!("{line} HTTP/1.1\r\nHost: {host}\r\n{field}\r\n\r\n"));
        assert_eq!((answer.status(), answer.text()), (200, route), "{request} at {host}");
    }
}

#[test]
fn what_no_route_matches_is_404_and_what_is_closed_is_403() {
    let (andon, servers) = andon();
    for (line, host, status) in [
        ("GET /", "other.example", 404),
        ("GET /", "badshop.example", 404),
        ("GET /", "method.example", 404),
        ("GET /private", "shop.example", 403),
        ("POST /private/x", "shop.example", 403),
    ] {
        let answer = andon.exchange(format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(answer.status(), status, "{line} at {host}");
    }
    assert_eq!(servers.iter().map(Server::requests).sum::<usize>(), 0);
}
