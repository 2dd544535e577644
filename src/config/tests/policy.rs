//! Headers, paths and redirects of a route, and the access log: what each key accepts, and what it says of all else.

use super::*;

#[test]
fn a_route_without_changes_has_no_policy() {
    assert_eq!(route_of("").policy, None);
    assert_eq!(route_of("[route.request_headers]\n[route.response_headers]\nremove = []\n").policy, None);
}

#[test]
fn changes_are_read_as_they_are_written() {
    let policy = route_of(
        r#"variant_header = "X-Variant"
replace_prefix = { from = "/api/", to = "/" }
redirect = "https"
[route.request_headers]
set = { X-A = "1", host = "{variant}.internal:80" }
remove = ["x-b"]
[route.response_headers]
add = { x-c = "{{{client}" }
"#,
    )
    .policy
    .unwrap();
    assert_eq!(policy.variant_header.as_ref().unwrap(), "x-variant");
    assert_eq!(policy.rewrite, Some(Rewrite { from: "/api".into(), to: "".into() }));
    let redirect = policy.redirect.as_ref().unwrap();
    assert_eq!((redirect.scheme, redirect.status.as_u16()), (Some(Scheme::Https), 308));
    let names: Vec<_> = policy.request.set.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-a", "host"]);
    assert_eq!(policy.request.set[0].1, Template::Fixed("1".parse().unwrap()));
    assert_eq!(policy.request.remove, ["x-b"]);
    let pieces = [Piece::Text("{".into()), Piece::Variable(Variable::Client)];
    assert_eq!(policy.response.add[0].1, Template::Pieces(pieces.into()));
}

#[test]
fn what_frames_a_message_is_not_changed_and_variables_are_known() {
    check_route(
        r#"variant_header = "connection"
[route.request_headers]
set = { Content-Length = "1", x-a = "{user}", x-b = "{variant", host = "a/b", "a b" = "", x-c = 1 }
add = { host = "a" }
remove = ["host", "x-d", "TE", "x-C"]
[route.response_headers]
set = { host = "a", transfer-encoding = "chunked", x-a = " a" }
add = "x-a"
"#,
        &[
            "4:18: route \"r\": variant_header is \"connection\"; take it out: this header is Andon's to write",
            "6:9: route \"r\": request_headers.set.Content-Length cannot be changed so; take it out: this header is Andon's to write",
            "6:37: route \"r\": request_headers.set.x-a is \"{user}\"; variables are {variant}, {route}, {client}, {request_id}, {host}, {scheme}; write {{ for a brace",
            "6:53: route \"r\": request_headers.set.x-b is \"{variant\"; variables are {variant}, {route}, {client}, {request_id}, {host}, {scheme}; write {{ for a brace",
            "6:72: route \"r\": request_headers.set.host is \"a/b\"; write a host with an optional port; of variables {variant}, {route} and {host} may stand in it",
            "6:79: route \"r\": request_headers.set.a b cannot be changed so; write the name of a header, such as \"x-variant\"",
            "6:97: route \"r\": request_headers.set.x-c is 1; write text in quotes, up to 1024 bytes",
            "7:9: route \"r\": request_headers.add.host cannot be changed so; set it instead",
            "8:11: route \"r\": request_headers.remove item 1 is \"host\"; set it instead, or leave it as it is",
            "8:26: route \"r\": request_headers.remove item 3 is \"TE\"; take it out: this header is Andon's to write",
            "10:9: route \"r\": response_headers.set.host cannot be changed so; take it out",
            "10:21: route \"r\": response_headers.set.transfer-encoding cannot be changed so; take it out: this header is Andon's to write",
            "10:58: route \"r\": response_headers.set.x-a is \" a\"; write ASCII text without a space at either end",
            "11:7: route \"r\": response_headers.add is \"x-a\"; write a table of names and values, such as { x-variant = \"{variant}\" }",
        ],
    );
    check_route(
        "[route.request_headers]\nset = { x-a = \"1\", X-A = \"2\" }\nremove = [\"x-a\"]\n",
        &[
            "5:20: route \"r\": request_headers.set.X-A cannot be changed so; write it once: case does not matter",
            "6:11: route \"r\": request_headers.remove item 1 is \"x-a\"; take it out: what is set replaces all that is there",
        ],
    );
}

#[test]
fn paths_and_redirects_say_one_thing() {
    check_route(
        r#"strip_prefix = "/"
replace_prefix = { from = "/a", to = "/b" }
redirect = { status = 200 }
"#,
        &[
            "4:16: route \"r\": strip_prefix is \"/\"; write the prefix to take off, such as \"/api\"",
            "5:18: route \"r\": replace_prefix stands beside strip_prefix; write one of strip_prefix and replace_prefix",
            "6:12: route \"r\": redirect.scheme, host or port is missing; add `scheme = \"https\"`",
            "6:23: route \"r\": redirect.status is 200; write 301, 302, 303, 307 or 308",
        ],
    );
    check_route(
        "replace_prefix = { from = \"api\" }\nredirect = { host = \"*.a\", scheme = \"ftp\", port = 0 }\n",
        &[
            "4:18: route \"r\": replace_prefix.to is missing; add `to = \"/v2\"`",
            "4:27: route \"r\": replace_prefix.from is \"api\"; write a path that begins with /, such as \"/api\"",
            "5:21: route \"r\": redirect.host is \"*.a\"; write a host such as \"www.shop.example\"",
            "5:37: route \"r\": redirect.scheme is \"ftp\"; write \"https\" or \"http\"",
            "5:51: route \"r\": redirect.port is 0; write a whole number from 1 to 65535",
        ],
    );
    let text = |keys: &str| format!("[[route]]\nname = \"r\"\n{keys}");
    assert_eq!(config_of(&text("redirect = \"https\"")).routes[0].service, Service::Redirect);
    check(
        &text("redirect = \"https\"\ndeny = true\n"),
        &[
            "3:12: route \"r\": redirect stands beside deny = true; take one of them out: a denied request goes nowhere",
        ],
    );
    check(
        &text("redirect = \"https\"\n[[route.canary]]\nupstream = \"api\"\n"),
        &[
            "1:1: route \"r\": stable is missing; add `stable = \"…\"` with the name of an upstream, or `deny = true`",
        ],
    );
}

#[test]
fn the_access_log_is_off_until_it_is_asked_for() {
    assert_eq!(config_of("").access_log, None);
    let log = |text: &str| config_of(&format!("[access_log]\n{text}")).access_log.unwrap();
    assert_eq!(log(""), AccessLog { target: LogTarget::Stdout, format: LogFormat::Json });
    let file = LogTarget::File("/etc/andon/a.log".into());
    assert_eq!(
        log("path = \"a.log\"\nformat = \"combined\""),
        AccessLog { target: file, format: LogFormat::Combined }
    );
    check(
        "[access_log]\nformat = \"xml\"\npath = \"\"\n",
        &[
            "2:10: access_log.format is \"xml\"; write \"json\" or \"combined\"",
            "3:8: access_log.path is \"\"; write text in quotes, up to 1024 bytes",
        ],
    );
}
