//! `[[route.guard.outside]]`: what is asked of others, and what cannot be asked.

use std::time::Duration;

use super::super::outside::Source;
use super::*;

fn outside_of(top: &str, keys: &str) -> Outside {
    let text = format!(
        "{top}\n[[route]]\nname = \"r\"\nstable = \"api\"\n[[route.guard.outside]]\nname = \"orders\"\n{keys}\n"
    );
    config_of(&text).routes.remove(0).guard.outside.remove(0)
}

#[test]
fn a_question_is_one_of_promql_or_http_with_one_limit() {
    let top = "[prometheus]\nurl = \"http://127.0.0.1:9090/prom\"";
    let orders = outside_of(top, "promql = 'sum(orders{v=\"{canary}\"})'\nat_least = 10");
    let Source::Prometheus { server, canary, stable: None } = &orders.source else { panic!("{orders:?}") };
    assert_eq!((&*server.path, &**canary), ("/prom", "sum(orders{v=\"{canary}\"})"));
    assert_eq!((orders.limit, orders.failures, orders.mode), (OutsideLimit::AtLeast(10.0), 3, Mode::Act));
    assert_eq!([orders.every, orders.timeout, orders.after].map(|span| span.as_secs()), [15, 5, 60]);
    assert_eq!(
        outside_of(top, "promql = 'x'\nat_most = -1.5\nevery = \"2s\"").timeout,
        Duration::from_secs(2)
    );
    let keys = "http = \"https://stats.example/{canary}\"\nca = \"ca.pem\"\nstable_http = \"https://other.example/s\"\n\
                at_most_of_stable = \"150%\"\nfield = \"/data/0\"\ntoken_file = \"t\"";
    let queue = outside_of("", keys);
    let Source::Http { canary, stable: Some(stable), field } = &queue.source else { panic!("{queue:?}") };
    assert_eq!((&*canary.path, field.as_deref()), ("/{canary}", Some("/data/0")));
    assert_eq!((&stable.token, &queue.limit), (&canary.token, &OutsideLimit::AtMostOfStable(1.5)));
    let tls = [canary, stable].map(|web| web.tls.clone().unwrap());
    assert_eq!(tls[0].upstream, tls[1].upstream, "trusted alike");
    assert_eq!(tls[1].server_name.as_deref(), Some("other.example"));
}

#[test]
fn what_cannot_be_asked_is_told_all_at_once() {
    check(
        r#"[[route]]
name = "r"
stable = "api"
[[route.guard.outside]]
name = "a"
promql = "x"
at_least = 1
at_most = 2
[[route.guard.outside]]
name = "b"
http = "http://127.0.0.1/x"
stable_promql = "y"
at_least_of_stable = "80%"
[[route.guard.outside]]
name = "c"
http = "ftp://x"
promql = "x"
[[route.guard.outside]]
name = "d"
http = "http://127.0.0.1/x"
stable_http = "http://127.0.0.1/y"
field = "orders"
at_most = "2"
every = "1s"
timeout = "2s"
failures = 0
[[route.guard.outside]]
name = "e"
at_most = 1
[[route.guard.outside]]
name = "f"
http = "http://127.0.0.1/x"
at_most = 1
[[route.guard.outside]]
name = "f"
http = "http://127.0.0.1/x"
at_most = 1
"#,
        &[
            "4:1: route \"r\": guard.outside.server is missing; add `server = \"http://127.0.0.1:9090\"` here, or `url` in \
             `[prometheus]`",
            "8:11: route \"r\": guard.outside.at_most stands beside at_least; write one limit; another one is another signal",
            "9:1: route \"r\": guard.outside.stable_http is missing; add `stable_http = \"…\"`",
            "12:17: route \"r\": guard.outside.stable_promql stands beside http; take it out: it belongs to the other kind of question",
            "14:1: route \"r\": guard.outside.at_least, at_most, at_least_of_stable or at_most_of_stable is missing; add \
             `at_least = 10`",
            "16:8: route \"r\": guard.outside.http is no address of http; write an address such as \"https://hooks.example/andon\"",
            "17:10: route \"r\": guard.outside.promql stands beside http; write one of them",
            "21:15: route \"r\": guard.outside.stable_http stands beside a fixed limit; take it out, or write a limit `…_of_stable`",
            "22:9: route \"r\": guard.outside.field is \"orders\"; write a JSON pointer, such as \"/data/orders\"",
            "23:11: route \"r\": guard.outside.at_most is \"2\"; write a number, such as 10 or 0.5",
            "25:11: route \"r\": guard.outside.timeout is \"2s\"; write at most `every`, which is \"1s\" here",
            "26:12: route \"r\": guard.outside.failures is 0; write a whole number from 1 to 100",
            "27:1: route \"r\": guard.outside.promql or http is missing; add `promql = \
             'sum(rate(orders_total{version=\"v2\"}[1m]))'`",
            "34:1: two outside signals are named \"f\"; give each outside signal of a route a `name` of its own",
        ],
    );
}

#[test]
fn a_guard_by_itself_needs_nobody_who_answers() {
    let text = "[[outside]]\nname = \"orders\"\npromql = \"x\"\nat_least = 1\n";
    assert!(parse_judge("guard.toml", text).is_ok());
}
