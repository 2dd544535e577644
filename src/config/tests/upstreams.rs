//! What an upstream says of its endpoints.

use std::time::Duration;

use super::*;

fn upstream_of(keys: &str) -> Upstream {
    let text = format!("[[upstream]]\nname = \"u\"\nendpoints = [\"127.0.0.1:1\"]\n{keys}\n");
    config_of(&text).upstreams.swap_remove(0)
}

/// Lines of one good upstream; they count from 4.
#[track_caller]
fn check_upstream(keys: &str, expected: &[&str]) {
    check(&format!("[[upstream]]\nname = \"u\"\nendpoints = [\"127.0.0.1:1\"]\n{keys}\n"), expected);
}

#[test]
fn left_out_everything_has_its_default() {
    assert_eq!(upstream_of("").upkeep, Upkeep::default());
    assert_eq!(upstream_of("ejection = {}").upkeep, Upkeep::default());
    assert_eq!(upstream_of("ejection = false").upkeep.ejection, None);
    assert_eq!(config_of("").dns, Dns::default());
}

#[test]
fn names_stand_beside_addresses() {
    let text =
        "[[upstream]]\nname = \"u\"\nendpoints = [\"dns://Shop.Internal.:80\", \"[::1]:2\", \"dns://b:1\"]\n";
    let upstream = config_of(text).upstreams.swap_remove(0);
    let names: Vec<_> = upstream.upkeep.names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["dns://shop.internal:80", "dns://b:1"]);
    assert_eq!(upstream.endpoints, ["[::1]:2".parse().unwrap()]);
    check(
        "[[upstream]]\nname = \"u\"\nendpoints = [\"dns://a:1\", \"dns://A:1\"]\n",
        &[
            "3:27: upstream \"u\": endpoints item 2 is \"dns://A:1\" a second time; name each endpoint once: all have an equal part",
        ],
    );
}

#[test]
fn each_protocol_has_its_own_keys() {
    let health = |keys: &str| upstream_of(&format!("health = {{ {keys} }}")).upkeep.health.unwrap();
    let Probe::Http { path, host, statuses } = health("").probe else { panic!() };
    assert_eq!((path.as_str(), host, statuses), ("/", None, vec![200..=399]));
    let Probe::Http { statuses, .. } = health("statuses = [\"200\", \"300-302\"]").probe else { panic!() };
    assert_eq!(statuses, [200..=200, 300..=302]);
    let grpc = Probe::Grpc { service: "shop".into(), host: None };
    assert_eq!(health("protocol = \"grpc\", service = \"shop\"").probe, grpc);
    assert_eq!(health("protocol = \"tcp\"").probe, Probe::Tcp);
    check_upstream(
        "health = { protocol = \"tcp\", path = \"/\" }",
        &[
            "4:10: upstream \"u\": health.path means nothing for this protocol; take it out, or write another protocol: it is for http or grpc",
        ],
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    check_upstream(
        "balance = \"random\"\nslow_start = 5\nejection = { hold = \"10s\", hold_max = \"9s\" }\nhealth = { path = \"x\", statuses = [\"99\"], healthy_after = 0 }",
        &[
            "4:11: upstream \"u\": balance is \"random\"; write \"least-request\", \"round-robin\" or \"hash\"",
            "5:14: upstream \"u\": slow_start is 5; write a duration from \"0s\" to \"1h\", such as \"10s\"",
            "6:39: upstream \"u\": ejection.hold_max is \"9s\"; write at least as much as hold",
            "7:19: upstream \"u\": health.path is \"x\"; write a path, such as \"/healthz\"",
            "7:36: upstream \"u\": health.statuses item 1 is \"99\"; write a status or a range of them, such as \"200\" or \"200-399\"",
            "7:59: upstream \"u\": health.healthy_after is 0; write a whole number from 1 to 100",
        ],
    );
    check(
        "[dns]\nttl_min = \"10s\"\nttl_max = \"9s\"\n",
        &["3:11: dns.ttl_max is \"9s\"; write at least as much as ttl_min"],
    );
    assert_eq!(config_of("[dns]\nttl_min = \"1h\"\n").dns.ttl_max, Duration::from_hours(1));
}
