//! A table is built whole or not at all, and counting goes on over rebuilds.

use super::*;
use crate::config::tls::UpstreamTls;
use crate::config::{DnsName, PathPattern};
use crate::routing::testing::{config, route, split_route, table, upstream};

#[test]
fn variants_stand_in_file_order_with_their_endpoints() {
    let table = table(vec![split_route("shop", &["v2", "v4"])]).unwrap();
    let serving = table.routes()[0].serving.as_ref().unwrap();
    let names: Vec<&str> = serving.variants.iter().map(|variant| &*variant.name).collect();
    assert_eq!(names, ["stable", "v2", "v4"]);
    assert_eq!(serving.variants[2].group.endpoints.len(), 2);
    assert_eq!(serving.variants[0].group.timeouts.connect.as_secs(), 1);
    assert_eq!(table.route_index("shop"), Some(0));
    assert_eq!(table.route_index("nobody"), None);
    assert_eq!(table.routes()[0].canaries(), 2);
}

#[test]
fn slots_and_endpoint_ids_live_on_over_a_rebuild() {
    let (mut slots, mut ids) = (Slots::default(), EndpointIds::default());
    let mut build = |config: &Config| Table::build(config, &mut slots, &mut ids).unwrap();
    let seen = |table: &Table| {
        let serving = table.routes()[0].serving.as_ref().unwrap();
        (serving.variants[0].slot, serving.variants[0].group.endpoints[0].id)
    };
    let mut changed = config(vec![route("shop")]);
    let first = seen(&build(&changed));
    changed.upstreams.reverse();
    changed.routes.push(route("more"));
    assert_eq!(seen(&build(&changed)), first);

    let stable = changed.upstreams.pop().unwrap();
    changed.upstreams.push(upstream("v1", &[9_099]));
    let moved = seen(&build(&changed));
    assert_eq!(moved.0, first.0);
    assert_ne!(moved.1, first.1);
    changed.upstreams.pop();
    changed.upstreams.push(stable);
    let back = seen(&build(&changed));
    assert!(back.1 > moved.1, "a number was used again");
}

#[test]
fn the_table_knows_the_tls_of_endpoints_that_are_still_to_be_found() {
    let (mut slots, mut ids) = (Slots::default(), EndpointIds::default());
    let mut secure = config(vec![route("shop")]);
    let host: Arc<str> = "shop.internal".into();
    let ways = Arc::new(UpstreamTls { ca: None, server_name: None, identity: None });
    secure.upstreams[0].tls = Some(Arc::clone(&ways));
    secure.upstreams[0].upkeep.names = vec![DnsName { host: Arc::clone(&host), port: 443 }];
    let table = Table::build(&secure, &mut slots, &mut ids).unwrap();
    let name = Arc::clone(&secure.upstreams[0].name);
    let address = "192.0.2.1:443".parse().unwrap();
    let mut found = |host| ids.endpoint(&name, address, Some(EndpointTls::new(&ways, host))).unwrap();
    let (by_name, by_address) = (found(Some(&host)), found(None));
    assert_ne!(by_name.id, by_address.id, "a connection to the one is none to the other");
    let asked = |endpoint: Endpoint| table.tls(endpoint.tls.unwrap()).unwrap().server_name.clone();
    assert_eq!((asked(by_name), asked(by_address)), (Some(host), None));
    assert_eq!(table.groups()[0].endpoints[0].tls, by_address.tls);

    let table = Table::build(&config(vec![route("shop")]), &mut slots, &mut ids).unwrap();
    assert!(table.tls(by_name.tls.unwrap()).is_none(), "no upstream speaks so any more");
}

#[test]
fn a_bad_config_forgets_no_endpoint() {
    let (mut slots, mut ids) = (Slots::default(), EndpointIds::default());
    let good = config(vec![route("shop")]);
    let id = |table: Table| table.routes()[0].serving.as_ref().unwrap().variants[0].group.endpoints[0].id;
    let before = id(Table::build(&good, &mut slots, &mut ids).unwrap());
    let mut bad = good.clone();
    bad.upstreams.remove(0);
    let error = Table::build(&bad, &mut slots, &mut ids).unwrap_err();
    assert_eq!(error, TableError::UnknownUpstream { route: "shop".into(), upstream: "v1".into() });
    assert_eq!(id(Table::build(&good, &mut slots, &mut ids).unwrap()), before);
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let mut empty = config(vec![route("shop")]);
    empty.upstreams[0].endpoints.clear();
    let error = Table::build(&empty, &mut Slots::default(), &mut EndpointIds::default()).unwrap_err();
    assert_eq!(error.to_string(), "upstream \"v1\": has no endpoints; at least one is needed");

    let deep = |segments: usize| {
        let path = PathPattern::Prefix("/a".repeat(segments).into());
        table(vec![config::Route { path, ..route("deep") }])
    };
    assert!(deep(paths::SEGMENTS_MAX).is_ok());
    let error = deep(paths::SEGMENTS_MAX + 1).unwrap_err();
    assert_eq!(error.to_string(), "route \"deep\": path has 65 segments; at most 64 are accepted");

    let alike = |count: usize| table((0..count).map(|n| route(&format!("r{n}"))).collect());
    assert!(alike(matcher::ALIKE_MAX).is_ok());
    let error = alike(matcher::ALIKE_MAX + 1).unwrap_err();
    assert_eq!(error, TableError::TooManyAlike { route: "r1024".into() });
}

#[test]
fn too_many_expressions_for_one_host_are_refused() {
    let expressions = |count: usize| {
        let route = |n: usize| {
            let regex = regex::Regex::new(&format!("/{n}")).unwrap();
            config::Route { path: PathPattern::Regex(regex), ..route(&format!("r{n}")) }
        };
        table((0..count).map(route).collect())
    };
    assert!(expressions(paths::REGEXES_MAX).is_ok());
    let error = expressions(paths::REGEXES_MAX + 1).unwrap_err();
    assert_eq!(error, TableError::TooManyRegexes { route: "r256".into() });
}
