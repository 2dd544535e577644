//! Precedence, borders and fall-through, each as a table of requests and the route that must answer.

use http::{HeaderName, HeaderValue};
use regex::Regex;

use super::*;
use crate::config::PathPattern;
use crate::routing::Table;
use crate::routing::testing::{Request, route, table};

fn at(name: &str, hosts: &[&str], path: &str) -> Route {
    let pattern = |host: &&str| match host.strip_prefix('*') {
        Some(suffix) => HostPattern::Suffix(suffix.into()),
        None => HostPattern::Exact((*host).into()),
    };
    let path = match path.split_once(' ') {
        Some(("=", path)) => PathPattern::Exact(path.into()),
        Some(("~", path)) => PathPattern::Regex(Regex::new(path).unwrap()),
        _ => PathPattern::Prefix(path.into()),
    };
    Route { hosts: hosts.iter().map(pattern).collect(), path, ..route(name) }
}

fn header(name: &'static str, value: Option<&'static str>) -> HeaderMatch {
    HeaderMatch { name: HeaderName::from_static(name), value: value.map(HeaderValue::from_static) }
}

fn found<'a>(table: &'a Table, request: &Request) -> Option<&'a str> {
    table.find(&request.view()).map(|index| &*table.routes()[index].name)
}

fn check(table: &Table, host: &str, path: &str, expected: Option<&str>) {
    assert_eq!(found(table, &Request::get(host, path)), expected, "{host} {path}");
}

#[test]
fn the_narrower_host_wins_and_what_it_lacks_falls_through() {
    let table = table(vec![
        at("any", &[], "/"),
        at("wide", &["*.example"], "/"),
        at("shops", &["*.shop.example"], "/api"),
        at("exact", &["eu.shop.example", "[2001:db8::1]"], "/api/v1"),
    ])
    .unwrap();
    for (host, path, expected) in [
        ("eu.shop.example", "/api/v1/x", "exact"),
        ("eu.shop.example", "/api/v2", "shops"),
        ("eu.shop.example", "/", "wide"),
        ("a.b.shop.example", "/api", "shops"),
        ("shop.example", "/api", "wide"),
        (".shop.example", "/api", "wide"),
        ("example", "/api", "any"),
        ("eu.shop.example.org", "/api", "any"),
        ("xshop.example", "/api", "wide"),
        ("EU.Shop.Example:8080", "/api/v1", "exact"),
        ("eu.shop.example.:80", "/api/v1", "exact"),
        ("[2001:DB8::1]:443", "/api/v1", "exact"),
        ("2001:db8::1", "/api/v1", "any"),
        ("", "/", "any"),
    ] {
        check(&table, host, path, Some(expected));
    }
    let endless = format!("{}.shop.example", "a".repeat(300));
    check(&table, &endless, "/api", Some("any"));
}

#[test]
fn exact_path_then_expression_then_longest_prefix() {
    let table = table(vec![
        at("root", &[], "/"),
        at("api", &[], "/api"),
        at("deep", &[], "/api/v1/users/"),
        at("first", &[], "~ /api/v[0-9]+/items"),
        at("second", &[], "~ /api/.*/items|/other"),
        at("exact", &[], "= /api/v1/items"),
        at("slash", &[], "= /api/"),
    ])
    .unwrap();
    for (path, expected) in [
        ("/api/v1/items", "exact"),
        ("/api/v2/items", "first"),
        ("/api/x/items", "second"),
        ("/other", "second"),
        ("/other/x", "root"),
        ("/x/other", "root"),
        ("/api/v2/items/7", "api"),
        ("/api", "api"),
        ("/api/", "slash"),
        ("/api//", "api"),
        ("/apiary", "root"),
        ("/API", "root"),
        ("/api/v1/users", "deep"),
        ("/api/v1/users/", "deep"),
        ("/api/v1/users/7/a/b/c/d/e/f", "deep"),
        ("/api/v1/usersx", "api"),
        ("/", "root"),
        ("//", "root"),
        ("*", "root"),
        ("", "root"),
    ] {
        check(&table, "a", path, Some(expected));
    }
    let long = format!("/api/v1/users{}", "/x".repeat(4_000));
    check(&table, "a", &long, Some("deep"));
    check(&table, "a", &format!("/api{}", "/".repeat(8_000)), Some("api"));
}

#[test]
fn no_route_is_found_where_none_matches() {
    let table = table(vec![at("shop", &["shop.example"], "/shop"), at("é", &["b"], "/é")]).unwrap();
    check(&table, "shop.example", "/", None);
    check(&table, "shop.example", "/shopping", None);
    check(&table, "shop.example", "*", None);
    check(&table, "other.example", "/shop", None);
    check(&table, "b", "/é/x", Some("é"));
    check(&table, "b", "/è", None);
}

#[test]
fn an_expression_must_match_the_whole_path() {
    let table = table(vec![
        at("alternatives", &[], "~ /a|/ab"),
        at("anchored", &[], "~ ^/b$"),
        at("comment", &[], "~ (?x) /c # why"),
        at("lines", &[], "~ (?m)/d$"),
    ])
    .unwrap();
    for (path, expected) in [
        ("/a", Some("alternatives")),
        ("/ab", Some("alternatives")),
        ("/abc", None),
        ("/x/a", None),
        ("/b", Some("anchored")),
        ("/b/", None),
        ("/c", Some("comment")),
        ("/cc", None),
        ("/d", Some("lines")),
        ("/d\n/e", None),
    ] {
        check(&table, "a", path, expected);
    }
}

#[test]
fn the_narrowest_of_the_same_place_wins() {
    let get_or_put = vec![Method::GET, Method::PUT];
    let table = table(vec![
        at("open", &["a"], "/"),
        Route { methods: get_or_put.clone(), ..at("two methods", &["a"], "/") },
        Route { methods: vec![Method::GET], ..at("one method", &["a"], "/") },
        Route { methods: vec![Method::GET], ..at("never", &["a"], "/") },
        Route { headers: vec![header("x-tenant", None)], ..at("tenant", &["a"], "/") },
        Route { headers: vec![header("x-tenant", Some("acme"))], ..at("later", &["a"], "/") },
        Route {
            headers: vec![header("x-tenant", Some("acme")), header("x-beta", None)],
            methods: vec![Method::PUT],
            ..at("two headers", &["a"], "/")
        },
    ])
    .unwrap();
    let put = |request: Request| Request { method: Method::PUT, ..request };
    let get = || Request::get("a", "/");
    for (request, expected) in [
        (get(), "one method"),
        (put(get()), "two methods"),
        (Request { method: Method::HEAD, ..get() }, "open"),
        (get().with("x-tenant", "acme"), "tenant"),
        (get().with("x-tenant", "acme").with("x-beta", "1"), "tenant"),
        (put(get().with("x-tenant", "acme").with("x-beta", "1")), "two headers"),
        (put(get().with("x-tenant", "other").with("x-tenant", "acme").with("x-beta", "")), "two headers"),
        (put(get().with("x-tenant", "ACME").with("x-beta", "1")), "tenant"),
    ] {
        assert_eq!(found(&table, &request), Some(expected), "{:?} {:?}", request.method, request.headers);
    }
}

#[test]
fn a_route_that_does_not_match_in_every_respect_is_not_there() {
    let table = table(vec![
        Route { methods: vec![Method::POST], ..at("exact", &["a"], "= /x/y") },
        Route { methods: vec![Method::POST], ..at("regex", &["a"], "~ /x/.") },
        Route { headers: vec![header("x-beta", Some("1"))], ..at("deep", &["a"], "/x/y") },
        Route { methods: vec![Method::GET], ..at("short", &["a"], "/x") },
        at("any", &[], "/x"),
    ])
    .unwrap();
    let get = || Request::get("a", "/x/y");
    assert_eq!(found(&table, &get()), Some("short"));
    assert_eq!(found(&table, &get().with("x-beta", "1")), Some("deep"));
    assert_eq!(found(&table, &Request { method: Method::POST, ..get() }), Some("exact"));
    assert_eq!(found(&table, &Request { method: Method::POST, ..Request::get("a", "/x/z") }), Some("regex"));
    assert_eq!(found(&table, &Request { method: Method::PUT, ..get() }), Some("any"));
}

#[test]
fn ten_thousand_routes_are_each_found() {
    let hosts = (0..10_000).map(|n| at(&format!("h{n}"), &[&format!("h{n}.example")], "/"));
    let prefixes = (0..10_000).map(|n| at(&format!("p{n}"), &[], &format!("/t/{n}/api")));
    let table = table(hosts.chain(prefixes).collect()).unwrap();
    for n in (0..10_000).step_by(97) {
        check(&table, &format!("h{n}.example"), "/x", Some(&format!("h{n}")));
        check(&table, "other", &format!("/t/{n}/api/x"), Some(&format!("p{n}")));
    }
    check(&table, "other", "/t/10000/api", None);
}
