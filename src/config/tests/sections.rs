//! Workers, admin, store, listeners and upstreams: what each key accepts, and what it says of all else.

use std::time::Duration;

use super::*;

#[test]
fn names_are_unique_in_their_kind_and_of_plain_letters() {
    let longest = "n".repeat(64);
    check(
        &format!(
            r#"[[upstream]]
name = "api"
endpoints = ["127.0.0.1:1"]
[[upstream]]
name = "a b"
endpoints = ["127.0.0.1:1"]
[[upstream]]
name = "{longest}"
endpoints = ["127.0.0.1:1"]
[[upstream]]
name = "{longest}n"
endpoints = ["127.0.0.1:1"]
[[upstream]]
name = ""
endpoints = ["127.0.0.1:1"]
[[upstream]]
endpoints = ["127.0.0.1:1"]
[[route]]
name = "r"
stable = "a b"
"#
        ),
        &[
            "5:8: upstream \"a b\": name is \"a b\"; write 1 to 64 letters, digits, `.`, `_` or `-`, such as \"shop-v1\"",
            &format!(
                "11:8: upstream \"{}…\": name is \"{}…; write 1 to 64 letters, digits, `.`, `_` or `-`, such as \"shop-v1\"",
                &longest[..60],
                &longest[..59]
            ),
            "14:8: upstream \"\": name is \"\"; write 1 to 64 letters, digits, `.`, `_` or `-`, such as \"shop-v1\"",
            "16:1: upstream #6: name is missing; add `name = \"…\"`",
            "27:8: upstream \"api\": name is \"api\" a second time; give each upstream a name of its own",
        ],
    );
}

#[test]
fn two_listeners_cannot_share_an_address() {
    check_alone(
        r#"[[listener]]
name = "a"
address = "127.0.0.1:80"
[[listener]]
name = "b"
address = "127.0.0.1:80"
[[listener]]
name = "c"
address = "127.0.0.1:2636"
[[listener]]
name = "d"
address = "[::1]:0"
[[listener]]
name = "e"
address = "[::1]:0"
"#,
        &[
            "6:11: listener \"b\": address is \"127.0.0.1:80\", where listener \"a\" listens already; choose another address or port",
            "9:11: listener \"c\": address is \"127.0.0.1:2636\", where admin.listen listens already; choose another address or port",
        ],
    );
}

#[test]
fn an_address_that_is_none_is_told_what_was_meant() {
    for (written, help) in [
        ("localhost:9001", "write \"127.0.0.1:9001\": names are for endpoints, as \"dns://name:port\""),
        ("dns://api", "write a name and a port, such as \"dns://shop-v1.internal:9001\""),
        ("dns://api..internal:1", "write a name and a port, such as \"dns://shop-v1.internal:9001\""),
        ("dns://api.internal:0", "write a port from 1 to 65535"),
        (
            "api.internal:90",
            "names are for endpoints, as \"dns://name:port\": write IP:port, such as \"127.0.0.1:9001\"",
        ),
        ("http://127.0.0.1:9000/", "write \"127.0.0.1:9000\""),
        ("127.0.0.1", "write IP:port, such as \"127.0.0.1:9001\""),
        ("::1", "write IP:port, such as \"127.0.0.1:9001\""),
        ("127.0.0.1:65536", "write IP:port, such as \"127.0.0.1:9001\""),
        (":80", "write \"0.0.0.0:80\" for all of this machine's"),
        ("127.0.0.1:0", "write a port from 1 to 65535"),
        ("", "write IP:port, such as \"127.0.0.1:9001\""),
    ] {
        check(
            &format!("[[upstream]]\nname = \"u\"\nendpoints = [\"{written}\"]\n"),
            &[&format!("3:14: upstream \"u\": endpoints item 1 is \"{written}\"; {help}")],
        );
    }
}

#[test]
fn endpoints_are_1_to_4096_without_duplicates() {
    let endpoints = |count: usize| {
        let list: Vec<_> = (1..=count).map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        format!("[[upstream]]\nname = \"u\"\nendpoints = [{}]\n", list.join(", "))
    };
    assert_eq!(config_of(&endpoints(4_096)).upstreams[0].endpoints.len(), Upstream::ENDPOINTS_MAX);
    check(&endpoints(4_097), &["3:13: upstream \"u\": endpoints has 4097 items; at most 4096 are accepted"]);
    check(
        &endpoints(0),
        &[
            "3:13: upstream \"u\": endpoints is an empty list; write a list of IP:port, such as [\"127.0.0.1:9001\"]",
        ],
    );
    check(
        "[[upstream]]\nname = \"u\"\nendpoints = [\"127.0.0.1:1\", \"127.0.0.1:1\"]\n",
        &[
            "3:29: upstream \"u\": endpoints item 2 is \"127.0.0.1:1\" a second time; name each endpoint once: all have an equal part",
        ],
    );
    check(
        "[[upstream]]\nname = \"u\"\n",
        &["1:1: upstream \"u\": endpoints is missing; add `endpoints = [\"127.0.0.1:9001\"]`"],
    );
}

#[test]
fn numbers_keep_to_the_range_of_their_key() {
    for (good, count) in [("1", 1), ("256", 256), ("0x10", 16)] {
        assert_eq!(config_of(&format!("[workers]\ncount = {good}\n")).workers.count, count);
    }
    for bad in ["0", "257", "-1", "4.0", "\"4\"", "99999999999999999999", "true", "[4]"] {
        check(
            &format!("[workers]\ncount = {bad}\n"),
            &[&format!("2:9: workers.count is {bad}; write a whole number from 1 to 256")],
        );
    }
}

#[test]
fn durations_keep_to_the_range_of_their_key() {
    let listener = |value: &str| {
        format!("[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:2\"\nheader_timeout = {value}\n")
    };
    for good in ["\"1ms\"", "\"1h\"", "\"60m\""] {
        config_of(&listener(good));
    }
    for bad in ["\"0s\"", "\"3601s\"", "\"10\"", "\"10sec\"", "10", "\"\"", "\"ten\"", "{}"] {
        check(
            &listener(bad),
            &[&format!(
                "4:18: listener \"l\": header_timeout is {bad}; write a duration from \"1ms\" to \"1h\", such as \"10s\""
            )],
        );
    }
}

#[test]
fn sizes_keep_to_the_range_of_their_key() {
    let listener = |value: &str| {
        format!("[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:2\"\nuri_bytes_max = {value}\n")
    };
    assert_eq!(config_of(&listener("\"60KiB\"")).listeners[0].limits.uri_bytes_max, 60 * 1_024);
    for bad in ["\"63B\"", "\"61KiB\"", "\"64\"", "\"1KB\"", "64", "\"\""] {
        check(
            &listener(bad),
            &[&format!(
                "4:17: listener \"l\": uri_bytes_max is {bad}; write a size from \"64B\" to \"60KiB\", such as \"16KiB\""
            )],
        );
    }
}

#[test]
fn networks_may_be_lone_addresses() {
    let text = "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:2\"\ntrusted_proxies = ";
    let config = config_of(&format!("{text}[\"10.1.2.3/8\", \"::1\"]\n"));
    let networks: Vec<_> = config.listeners[0].trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    check(
        &format!("{text}[\"10.0.0.0/33\"]\n"),
        &[
            "4:20: listener \"l\": trusted_proxies item 1 is \"10.0.0.0/33\"; write a network or an address, such as \"10.0.0.0/8\" or \"192.0.2.7\"",
        ],
    );
}

#[test]
fn the_admin_listener_stays_on_loopback_while_it_names_nobody() {
    for good in ["127.0.0.1:0", "127.0.0.2:1", "[::1]:2636", "[::ffff:127.0.0.1]:1"] {
        let config = config_of(&format!("[admin]\nlisten = \"{good}\"\n"));
        assert_eq!(config.admin.listen.to_string(), good);
    }
    for bad in ["10.0.0.1:2636", "[::]:2636"] {
        check(
            &format!("[admin]\nlisten = \"{bad}\"\n"),
            &[&format!(
                "2:10: admin.listen is \"{bad}\"; write \"127.0.0.1:2636\", or say who may: `andon token new --name ann --role admin` makes a token and prints its [[admin.token]]; without any, everybody who reaches this address could move weights"
            )],
        );
    }
}

#[test]
fn the_store_lies_beside_the_file_unless_it_says_where() {
    assert_eq!(config_of("").store, Store::File("/etc/andon/andon.db".into()));
    assert_eq!(config_of("[store]\npath = \"d/x.db\"\n").store, Store::File("/etc/andon/d/x.db".into()));
    assert_eq!(config_of("[store]\npath = \"/x.db\"\n").store, Store::File("/x.db".into()));
    assert_eq!(config_of("[store]\npath = \":memory:\"\n").store, Store::Memory);
    check("[store]\npath = \"\"\n", &["2:8: store.path is \"\"; write text in quotes, up to 1024 bytes"]);
}

#[test]
fn evidence_is_kept_for_a_week_unless_the_file_says_otherwise() {
    let kept = |keys: &str| config_of(&format!("[store]\n{keys}\n")).evidence;
    assert_eq!(kept(""), EvidenceKept { age: Duration::from_hours(168), bytes_max: 256 << 20 });
    assert_eq!(
        kept("evidence_age = \"1h\"\nevidence_max = \"1TiB\""),
        EvidenceKept { age: Duration::from_hours(1), bytes_max: 1 << 40 }
    );
    check(
        "[store]\nevidence_age = \"59m\"\nevidence_max = \"2TiB\"\n",
        &[
            "2:16: store.evidence_age is \"59m\"; write a duration from \"1h\" to \"8760h\", such as \"10s\"",
            "3:16: store.evidence_max is \"2TiB\"; write a size from \"1MiB\" to \"1TiB\", such as \"16KiB\"",
        ],
    );
}

#[test]
fn decisions_are_kept_for_two_years_unless_said_otherwise() {
    let age = |keys: &str| config_of(&format!("[store]\n{keys}\n")).decisions_age;
    assert_eq!(age(""), Duration::from_hours(17_520));
    assert_eq!(age("decisions_age = \"24h\""), Duration::from_hours(24));
    check(
        "[store]\ndecisions_age = \"23h\"\n",
        &[
            "2:17: store.decisions_age is \"23h\"; write a duration from \"24h\" to \"87600h\", such as \"10s\"",
        ],
    );
}

#[test]
fn an_upstream_is_tried_again_where_nothing_was_sent() {
    let upstream = |keys: &str| {
        let text = format!("[[upstream]]\nname = \"shop\"\nendpoints = [\"127.0.0.1:1\"]\n{keys}\n");
        config_of(&text).upstreams.remove(0)
    };
    let plain = upstream("");
    assert_eq!((plain.retry, plain.concurrent_max), (Some(Retry::default()), None));
    let off = upstream("retries = false\nconcurrent_max = false");
    assert_eq!((off.retry, off.concurrent_max), (None, None));
    let asked =
        upstream("retries = { attempts = 3, on = [\"reset\"], backoff = \"0s\" }\nconcurrent_max = 7");
    let retry = asked.retry.unwrap();
    assert_eq!((retry.attempts, retry.on.connect, retry.on.reset), (3, false, true));
    assert_eq!((retry.backoff, asked.concurrent_max), (std::time::Duration::ZERO, Some(7)));
    check(
        r#"[[upstream]]
name = "own"
endpoints = ["127.0.0.1:1"]
retries = { attempts = 0, on = ["conect"], min_per_second = 1001, backoff = "2s" }
concurrent_max = 0
"#,
        &[
            "4:24: upstream \"own\": retries.attempts is 0; write a whole number from 1 to 3",
            "4:33: upstream \"own\": retries.on item 1 is \"conect\"; did you mean `connect`?",
            "4:61: upstream \"own\": retries.min_per_second is 1001; write a whole number from 0 to 1000",
            "4:77: upstream \"own\": retries.backoff is \"2s\"; write a duration from \"0s\" to \"1s\", such as \"10s\"",
            "5:18: upstream \"own\": concurrent_max is 0; write false, or a whole number from 1 to 1000000, such as 200",
        ],
    );
}
