//! What a file with problems is told: text in, one line a problem out.

mod access;
mod files;
mod guard;
mod notify;
mod outside;
mod plans;
mod policy;
mod random;
mod routes;
mod sections;
mod tls;
mod upstreams;

use std::path::Path;

use super::*;

/// What a route needs around it. Stands after the text under test, so that its lines count from 1.
const REST: &str = r#"
[[listener]]
name = "rest"
address = "127.0.0.1:1"

[[upstream]]
name = "api"
endpoints = ["127.0.0.1:9001"]

[[upstream]]
name = "web"
endpoints = ["127.0.0.1:9002"]
"#;

fn problems_of(text: &str) -> Problems {
    parse("f", text, Path::new("")).expect_err("the text has a problem")
}

fn config_of(text: &str) -> Config {
    let text = format!("{text}{REST}");
    parse("f", &text, Path::new("/etc/andon")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn route_of(text: &str) -> Route {
    let text = format!("[[route]]\nname = \"r\"\nstable = \"api\"\n{text}");
    config_of(&text).routes.pop().unwrap()
}

/// The text alone has exactly these problems.
#[track_caller]
fn check_alone(text: &str, expected: &[&str]) {
    let found = problems_of(text).to_string();
    let found: Vec<_> = found.lines().map(|line| line.strip_prefix("f:").unwrap()).collect();
    assert_eq!(found, expected, "\n{text}");
}

/// Together with [`REST`].
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_alone(&format!("{text}{REST}"), expected);
}

/// Lines within one good route; they count from 4.
#[track_caller]
fn check_route(text: &str, expected: &[&str]) {
    check(&format!("[[route]]\nname = \"r\"\nstable = \"api\"\n{text}"), expected);
}

#[test]
fn an_empty_file_lacks_a_listener() {
    let lacks =
        "1:1: listener is missing; add `[[listener]]` with a `name` and an `address = \"0.0.0.0:8080\"`";
    check_alone("", &[lacks]);
    check_alone("# nothing\n", &[lacks]);
}

#[test]
fn every_problem_is_told_at_once_in_order_of_place() {
    check(
        r#"[worker]
[admin]
listen = "0.0.0.0:2636"
[[route]]
name = "checkout"
stable = "ap"
[[route.canary]]
upstream = "nothing-like"
weight = "150%"
[route.guard]
tick = 5
"#,
        &[
            "1:2: worker is an unknown section; did you mean `workers`?",
            "3:10: admin.listen is \"0.0.0.0:2636\"; write \"127.0.0.1:2636\", or say who may: `andon token new --name ann --role admin` makes a token and prints its [[admin.token]]; without any, everybody who reaches this address could move weights",
            "6:10: route \"checkout\": stable names upstream \"ap\", which does not exist; did you mean `api`?",
            "8:12: route \"checkout\": canary.upstream names upstream \"nothing-like\", which does not exist; there are \"api\", \"web\"",
            "9:10: route \"checkout\": canary.weight is \"150%\"; write a share from \"0%\" to \"100%\" in steps of 0.0001%, such as \"2.5%\"",
            "11:8: route \"checkout\": guard.tick is 5; write a duration from \"1s\" to \"1m\", such as \"10s\"",
        ],
    );
}

#[test]
fn unknown_keys_are_suggested_listed_or_said_to_come() {
    check(
        r#"[workers]
cuont = 4
[store]
directory = "x"
[store.etcd]
[[listener]]
name = "l"
address = "127.0.0.1:2"
hedder_timeout = "1s"
"#,
        &[
            "2:1: workers.cuont is an unknown key; did you mean `count`?",
            "4:1: store.directory is an unknown key; accepted here: path, evidence_age, evidence_max, decisions_age",
            "5:8: store.etcd is an unknown key; `etcd` is not in this version yet: take it out",
            "9:1: listener \"l\": hedder_timeout is an unknown key; did you mean `header_timeout`?",
        ],
    );
}

#[test]
fn a_table_in_place_of_a_list_is_told_how_to_write_it() {
    check_alone(
        "listener = 5\n[route]\nname = \"x\"\n[[admin]]\n",
        &[
            "1:12: listener is 5; write `[[listener]]`, in two pairs of brackets, for each",
            "2:1: route is [route]; write `[[route]]`, in two pairs of brackets, for each",
            "4:1: admin is [[admin]]; there is only one: write `[admin]`",
        ],
    );
}

#[test]
fn syntax_errors_do_not_hide_the_others() {
    check_alone(
        r#"[[listener]]
name = "p"
address = 127.0.0.1:80
header_timeout = 10s
body_timeout = "10"
[[route]]
name = "r"
stable = "not-read"
pth = "/api/"
name = "q"
[[upstream
key
"#,
        &[
            "3:16: syntax: 127.0.0.1:80 without quotes; text and values with a unit stand in quotes: \"127.0.0.1:80\"",
            "4:18: syntax: 10s without quotes; text and values with a unit stand in quotes: \"10s\"",
            "5:16: listener \"p\": body_timeout is \"10\"; write a duration from \"1ms\" to \"1h\", such as \"10s\"",
            "9:1: route \"r\": pth is an unknown key; did you mean `path`?",
            "10:1: syntax: duplicate key; each key may stand once in its table: take one out",
            "11:11: syntax: unclosed array table, expected `]]`",
            "12:4: syntax: key with no value, expected `=`",
        ],
    );
}

#[test]
fn control_characters_of_the_file_stay_in_the_file() {
    let problems = problems_of(&format!("\"a\\u001b[31m\" = 1\n{REST}"));
    assert!(!problems.to_string().contains('\u{1b}'));
    assert!(!problems.drawn(Color::Plain).contains('\u{1b}'));
}
