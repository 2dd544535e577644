//! Routes, their canaries and what protects users from them: what each key accepts, and what it says of all else.

use super::*;

#[test]
fn hosts_are_brought_to_one_form() {
    let route = route_of("hosts = [\"Shop.Example\", \"*.SHOP.example\", \"[::1]\", \"127.0.0.1\"]\n");
    let exact = |name: &str| HostPattern::Exact(name.into());
    let suffix = HostPattern::Suffix(".shop.example".into());
    assert_eq!(route.hosts, [exact("shop.example"), suffix, exact("[::1]"), exact("127.0.0.1")]);
    let help = "write a host such as \"shop.example\", or \"*.shop.example\" for every name below it";
    for (bad, help) in [
        ("a.b:80", "write it without the port, \"a.b\": any port matches"),
        ("[::1]:80", "write it without the port, \"[::1]\": any port matches"),
        ("*", "leave hosts out to match any host"),
        ("bücher.de", "write the form that clients send, with labels such as \"xn--bcher-kva\""),
        ("", help),
        (".", help),
        ("a.b.", help),
        ("*a.b", help),
        ("*.*.b", help),
        ("http://a", help),
    ] {
        check_route(
            &format!("hosts = [\"{bad}\"]\n"),
            &[&format!("4:10: route \"r\": hosts item 1 is \"{bad}\"; {help}")],
        );
    }
    check_route(
        "hosts = []\n",
        &[
            "4:9: route \"r\": hosts is an empty list; write a list of hosts, such as [\"shop.example\"]; without the key any host matches",
        ],
    );
}

#[test]
fn a_slash_at_the_end_of_a_prefix_means_nothing() {
    for (written, kept) in [("/", "/"), ("/api", "/api"), ("/api/", "/api")] {
        assert_eq!(route_of(&format!("path = \"{written}\"\n")).path, PathPattern::Prefix(kept.into()));
    }
    assert_eq!(route_of("").path, PathPattern::Prefix("/".into()));
    assert_eq!(route_of("path_exact = \"/api/\"\n").path, PathPattern::Exact("/api/".into()));
}

#[test]
fn a_path_that_is_not_in_normal_form_is_refused_with_the_one_that_is() {
    for (written, normal) in
        [("//a", "/a"), ("/%61", "/a"), ("/a%2d/../b", "/b"), ("/[", "/%5B"), ("/%c3", "/%C3")]
    {
        check_route(
            &format!("path = \"{written}\"\n"),
            &[&format!("4:8: route \"r\": path is \"{written}\"; write \"{normal}\"")],
        );
    }
    check_route(
        "path_exact = \"/a%2fb\"\n",
        &["4:14: route \"r\": path_exact is \"/a%2fb\"; write a path that begins with /, such as \"/api\""],
    );
}

#[test]
fn a_regex_is_held_to_the_whole_path() {
    let PathPattern::Regex(regex) = route_of("path_regex = \"/a|/b[0-9]\"\n").path else { panic!() };
    assert!(regex.is_match("/a") && regex.is_match("/b1"));
    assert!(!regex.is_match("/ab") && !regex.is_match("/x/b1") && !regex.is_match("/a\n"));
    let help = "write a regular expression for the whole path, such as \"/v[0-9]+/.*\"";
    for bad in ["/a(b", "/a)|(b", "/(a{1000}){1000}"] {
        check_route(
            &format!("path_regex = \"{bad}\"\n"),
            &[&format!("4:14: route \"r\": path_regex is \"{bad}\"; {help}")],
        );
    }
    check_route(
        "path = \"api\"\npath_regex = \"/\"\n",
        &[
            "4:8: route \"r\": path is \"api\"; write a path that begins with /, such as \"/api\"",
            "5:14: route \"r\": path_regex stands beside path; write one of path, path_exact and path_regex",
        ],
    );
    check_route(
        "path = \"/a?b=1\"\n",
        &["4:8: route \"r\": path is \"/a?b=1\"; write the path alone, without ? and #"],
    );
    check_route(
        "path = \"/a b\"\n",
        &[
            "4:8: route \"r\": path is \"/a b\"; write it as it stands in a request, with other bytes as %XX, such as \"/a%20b\"",
        ],
    );
}

#[test]
fn methods_and_headers_are_what_http_allows() {
    let route = route_of("methods = [\"PURGE\"]\nheaders = [{ name = \"X-Tenant\" }]\n");
    assert_eq!(route.methods[0].as_str(), "PURGE");
    assert_eq!(route.headers, [HeaderMatch { name: "x-tenant".parse().unwrap(), value: None }]);
    check_route(
        "methods = [\"get\", \"\"]\nheaders = [{ name = \"x y\" }, { nam = \"x\" }, { name = \"x\", value = \" a\" }]\n",
        &[
            "4:12: route \"r\": methods item 1 is \"get\"; did you mean `GET`?",
            "4:19: route \"r\": methods item 2 is \"\"; write a method in upper case, such as \"GET\"",
            "5:21: route \"r\": headers.name is \"x y\"; write the name of a header, such as \"x-canary\"",
            "5:30: route \"r\": headers.name is missing; add `name = \"x-tenant\"`",
            "5:32: route \"r\": headers.nam is an unknown key; did you mean `name`?",
            "5:67: route \"r\": headers.value is \" a\"; write the value as it is sent: no control characters, no space at either end",
        ],
    );
}

#[test]
fn a_route_that_can_never_be_reached_is_refused() {
    check(
        r#"[[route]]
name = "a"
hosts = ["x.example", "*.y.example"]
path = "/api"
methods = ["GET", "HEAD"]
stable = "api"
[[route]]
name = "b"
hosts = ["*.Y.example", "X.example"]
path = "/api/"
methods = ["HEAD", "GET"]
stable = "web"
[[route]]
name = "c"
hosts = ["x.example"]
path = "/api"
stable = "web"
[[route]]
name = "d"
hosts = ["x.example"]
path_exact = "/api"
stable = "web"
"#,
        &[
            "7:1: route \"b\": matches exactly what route \"a\" at line 1 matches; give them different hosts, paths, methods or headers, or take one out",
        ],
    );
}

#[test]
fn a_route_has_a_stable_upstream_or_denies() {
    check(
        "[[route]]\nname = \"r\"\n",
        &[
            "1:1: route \"r\": stable is missing; add `stable = \"…\"` with the name of an upstream, or `deny = true`",
        ],
    );
    check(
        "[[route]]\nname = \"r\"\ndeny = true\nstable = \"api\"\n[[route.canary]]\nupstream = \"web\"\n",
        &[
            "4:10: route \"r\": stable stands beside deny = true; take one of them out: a denied request goes nowhere",
            "5:1: route \"r\": canary stands beside deny = true; take one of them out: a denied request goes nowhere",
        ],
    );
    assert_eq!(config_of("[[route]]\nname = \"r\"\ndeny = true\n").routes[0].service, Service::Deny);
    check_alone(
        "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n[[route]]\nname = \"r\"\nstable = \"x\"\n",
        &[
            "6:10: route \"r\": stable names upstream \"x\", which does not exist; there is no upstream yet: add `[[upstream]]`",
        ],
    );
}

#[test]
fn canaries_are_named_after_their_upstream_unless_alone() {
    let names = |text: &str| {
        let Service::Split { canaries, .. } = route_of(text).service else { panic!() };
        canaries.iter().map(|canary| canary.name.to_string()).collect::<Vec<_>>()
    };
    let api = "[[route.canary]]\nupstream = \"api\"\n";
    let web = "[[route.canary]]\nupstream = \"web\"\n";
    assert_eq!(names(web), ["canary"]);
    assert_eq!(names(&format!("{api}{web}")), ["api", "web"]);
    assert_eq!(names(&format!("{web}name = \"v2\"\n")), ["v2"]);
    check_route(
        &format!("{web}{web}"),
        &[
            "6:1: route \"r\": two canaries are named \"web\"; give each canary of a route a `name` of its own",
        ],
    );
    check_route(
        &format!("{web}name = \"stable\"\n"),
        &[
            "6:8: route \"r\": canary.name is \"stable\"; choose another name: stable is what the canary is compared with, mirror is who gets copies",
        ],
    );
    check_route(
        &format!("{api}{web}name = \"api\"\n"),
        &[
            "8:8: route \"r\": two canaries are named \"api\"; give each canary of a route a `name` of its own",
        ],
    );
}

#[test]
fn weights_sum_to_at_most_everything() {
    let route = |first: &str, second: &str| {
        format!(
            "[[route.canary]]\nupstream = \"api\"\nweight = \"{first}\"\n[[route.canary]]\nupstream = \"web\"\nweight = \"{second}\"\n"
        )
    };
    route_of(&route("0%", "100%"));
    route_of(&route("40%", "60%"));
    check_route(
        &route("40%", "60.0001%"),
        &[
            "9:10: route \"r\": the weights of the canaries sum to 100.0001%; lower them to at most 100% in all: stable has the rest",
        ],
    );
    let Service::Split { canaries, .. } = route_of("[[route.canary]]\nupstream = \"web\"\n").service else {
        panic!()
    };
    assert_eq!(canaries[0].weight, Weight::ZERO);
}

#[test]
fn a_route_has_at_most_16_canaries() {
    let canaries = |count: usize| {
        let canary = |n| format!("[[route.canary]]\nupstream = \"web\"\nname = \"c{n}\"\n");
        (0..count).map(canary).collect::<String>()
    };
    route_of(&canaries(16));
    check_route(&canaries(17), &["4:1: route \"r\": canary has 17 items; at most 16 are accepted"]);
}

#[test]
fn an_override_looks_at_one_thing() {
    let canary = |overrides: &str| format!("[[route.canary]]\nupstream = \"web\"\noverrides = {overrides}\n");
    let Service::Split { canaries, .. } = route_of(&canary(
        r#"[{ header = "X-Canary", value = "1" }, { cookie = "Beta", to = "stable" }, { query = "q" }]"#,
    ))
    .service
    else {
        panic!()
    };
    let rule = |trigger, value: Option<&str>, to| Override {
        from: Vec::new(),
        matcher: Matcher { trigger, value: value.map(Into::into) },
        to,
    };
    assert_eq!(
        canaries[0].overrides,
        [
            rule(Trigger::Header("x-canary".parse().unwrap()), Some("1"), OverrideTo::Canary),
            rule(Trigger::Cookie("Beta".into()), None, OverrideTo::Stable),
            rule(Trigger::Query("q".into()), None, OverrideTo::Canary),
        ]
    );
    check_route(
        &canary(r#"[{ header = "a", cookie = "b" }, { value = "c" }, { query = "q", to = "canary" }, "x"]"#),
        &[
            "6:39: route \"r\": canary.overrides.cookie stands beside header; write one of header, cookie and query: a rule looks at one thing",
            "6:46: route \"r\": canary.overrides.header, cookie or query is missing; add `header = \"x-canary\"`",
            "6:83: route \"r\": canary.overrides.to is \"canary\"; write \"stable\", or leave it out to send the request to the canary that the rule stands in",
            "6:95: route \"r\": canary.overrides item 4 is \"x\"; write a list of tables, `overrides = [{ … }]` or `[[route.canary.overrides]]`",
        ],
    );
}

#[test]
fn a_user_is_tied_by_one_thing() {
    assert_eq!(route_of("").sticky, None);
    assert_eq!(route_of("[route.sticky]\naddress = true\n").sticky, Some(StickyKey::Address));
    assert_eq!(route_of("sticky = { cookie = \"Uid\" }\n").sticky, Some(StickyKey::Cookie("Uid".into())));
    check_route(
        "[route.sticky]\ncookie = \"uid\"\nheader = \"x-user\"\n",
        &[
            "6:10: route \"r\": sticky.header stands beside cookie; write one of cookie, header and address = true",
        ],
    );
    check_route(
        "[route.sticky]\naddress = false\n",
        &["5:11: route \"r\": sticky.address is false; write address = true, or leave [route.sticky] out"],
    );
    check_route(
        "[route.sticky]\n",
        &["4:1: route \"r\": sticky.cookie, header or address is missing; add `cookie = \"uid\"`"],
    );
}

#[test]
fn a_rescue_is_for_methods_that_may_be_sent_twice() {
    assert_eq!(route_of("[route.guard]\nrescue = false\n").guard.rescue, None);
    assert_eq!(route_of("[route.guard]\nrescue = {}\n").guard.rescue, Some(Rescue::default()));
    let rescue = route_of(
        "[route.guard]\nrescue = { methods = [\"PUT\"], statuses = [], body_max = \"0B\", budget = \"100%\" }\n",
    );
    let rescue = rescue.guard.rescue.unwrap();
    assert!(rescue.methods.contains(&http::Method::PUT) && !rescue.methods.contains(&http::Method::GET));
    assert!(!rescue.statuses.contains(http::StatusCode::BAD_GATEWAY));
    assert_eq!((rescue.body_bytes_max, rescue.budget), (0, Weight::WHOLE));
    check_route(
        r#"[route.guard]
rescue = { methods = ["get", "CONNECT"], statuses = [404, 600], body_max = "17MiB", budget = "101%" }
harm_max = 0
"#,
        &[
            "5:23: route \"r\": guard.rescue.methods item 1 is \"get\"; write a method in upper case: GET, HEAD, OPTIONS, TRACE, PUT, DELETE, POST or PATCH",
            "5:30: route \"r\": guard.rescue.methods item 2 is \"CONNECT\"; write a method in upper case: GET, HEAD, OPTIONS, TRACE, PUT, DELETE, POST or PATCH",
            "5:54: route \"r\": guard.rescue.statuses item 1 is 404; write a whole number from 500 to 599",
            "5:59: route \"r\": guard.rescue.statuses item 2 is 600; write a whole number from 500 to 599",
            "5:76: route \"r\": guard.rescue.body_max is \"17MiB\"; write a size from \"0B\" to \"16MiB\", such as \"64KiB\"",
            "5:94: route \"r\": guard.rescue.budget is \"101%\"; write a share from \"0%\" to \"100%\" in steps of 0.0001%, such as \"2.5%\"",
            "6:12: route \"r\": guard.harm_max is 0; write false, or a whole number from 1 to 1000000, such as 25",
        ],
    );
    check_route(
        "[route.guard]\nrescue = true\nharm_max = \"25\"\n",
        &[
            "5:10: route \"r\": guard.rescue is true; write false, or a table such as { methods = [\"GET\", \"HEAD\"] }",
            "6:12: route \"r\": guard.harm_max is \"25\"; write false, or a whole number from 1 to 1000000, such as 25",
        ],
    );
}

#[test]
fn a_harm_budget_is_off_unless_it_is_asked_for() {
    let harm_max = |value: &str| route_of(&format!("[route.guard]\nharm_max = {value}\n")).guard.harm_max;
    assert_eq!(route_of("").guard.harm_max, None);
    assert_eq!((harm_max("25"), harm_max("1000000"), harm_max("false")), (Some(25), Some(1_000_000), None));
}
