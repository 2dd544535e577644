//! `[route.guard]`: what the immune system judges by, and what it does.

use std::time::Duration;

use super::*;
use crate::config::judge::Judge;

fn guard_of(text: &str) -> Guard {
    route_of(&format!("[route.guard]\n{text}\n")).guard
}

#[test]
fn the_guard_is_good_without_a_word() {
    assert_eq!(route_of("").guard, Guard::default());
    assert_eq!(guard_of(""), Guard::default());
    let guard = guard_of("on_unhealthy = \"watch\"\nfast_trip = false\nceilings = []\nself_test = false");
    assert_eq!((guard.on_unhealthy, guard.self_test), (OnUnhealthy::Watch, None));
    assert_eq!((guard.judge.fast_trip, guard.judge.ceilings), (None, vec![]));
    let judge = guard_of("fast_trip = { failures = 3 }\nfalse_alarm = 0.5\nhold_at = 1").judge;
    assert_eq!(judge.fast_trip, Some(FastTrip { failures: 3, ..FastTrip::default() }));
    assert_eq!((judge.false_alarm, judge.hold_at), (0.5, 1.0));
}

#[test]
fn each_signal_can_act_watch_or_be_off() {
    let judge = guard_of("signals = { errors = \"watch\", latency = \"off\", fast_trip = \"watch\" }").judge;
    assert_eq!((judge.errors, judge.latency, judge.harm), (Mode::Watch, Mode::Off, Mode::Act));
    assert_eq!(judge.fast_trip.map(|trip| trip.mode), Some(Mode::Watch));
    assert_eq!(guard_of("signals = { fast_trip = \"off\" }").judge.fast_trip, None);
    assert_eq!(
        guard_of("signals = { fast_trip = \"off\" }\nfast_trip = { failures = 3 }").judge.fast_trip,
        None
    );
}

#[test]
fn percentiles_are_the_shares_that_one_would_write() {
    let judge = guard_of("percentiles = [99.9, 50, 99, 50]").judge;
    assert_eq!(judge.percentiles, [0.5, 0.99, 0.999]);
    assert_eq!(guard_of("percentiles = [50, 90, 99, 99.9]"), Guard::default());
}

#[test]
fn ceilings_are_about_failures_or_latency() {
    let judge = guard_of(
        "ceilings = [{ error_rate = \"1%\", mode = \"watch\" }, { percentile = 99, latency = \"500ms\" }, \
         { percentile = 90, latency = \"2x\", window = \"5m\", min_requests = 7 }]",
    )
    .judge;
    let latency = |percentile, max| CeilingLimit::Latency { percentile, max };
    let window = Duration::from_secs(60);
    let ceiling = |limit, mode| Ceiling { limit, window, min_requests: 100, mode };
    assert_eq!(
        judge.ceilings,
        [
            ceiling(CeilingLimit::Errors(0.01), Mode::Watch),
            ceiling(latency(0.99, LatencyMax::Absolute(Duration::from_millis(500))), Mode::Act),
            Ceiling {
                limit: latency(0.9, LatencyMax::Relative(2.0)),
                window: Duration::from_secs(300),
                min_requests: 7,
                mode: Mode::Act
            },
        ]
    );
}

#[test]
fn a_back_off_has_its_numbers_whatever_it_is_called() {
    let plan = BackOff { cut: 2.0, strikes: 1, ..BackOff::default() };
    let guard = guard_of("on_unhealthy = \"back-off\"\nback_off = { cut = \"2x\", strikes = 1 }");
    assert_eq!(guard.on_unhealthy, OnUnhealthy::BackOff(plan));
    assert_eq!(guard_of("back_off = { cut = \"2x\" }").on_unhealthy, OnUnhealthy::Abort);
}

#[test]
fn a_failure_is_what_a_rule_says() {
    let guard = guard_of(
        "failures = [{ path = \"/search\", methods = [\"GET\"], statuses = [404, \"5xx\"] }, \
         { grpc = [\"NOT_FOUND\", \"UNAUTHENTICATED\"], counts_as = \"nothing\" }]",
    );
    let [search, grpc] = &guard.failures[..] else { panic!("{:?}", guard.failures) };
    let status = |code| http::StatusCode::from_u16(code).unwrap();
    let found = [200, 403, 404, 499, 500, 599, 600].map(|code| search.statuses.contains(status(code)));
    assert_eq!(found, [false, false, true, false, true, true, false]);
    assert!(search.asked.includes(&http::Method::GET, "/search/all"));
    assert!(!search.asked.includes(&http::Method::GET, "/searches"));
    assert!(!search.asked.includes(&http::Method::POST, "/search"));
    assert_eq!([0, 5, 16, 17, 255].map(|code| grpc.grpc.contains(code)), [false, true, true, false, false]);
    assert_eq!((search.counts_as, grpc.counts_as), (CountsAs::Failure, CountsAs::Nothing));
}

#[test]
fn an_event_is_a_success_unless_it_says_otherwise() {
    let guard =
        guard_of("[[route.guard.event]]\nname = \"order\"\npath_exact = \"/orders\"\nmethods = [\"POST\"]");
    let [event] = &guard.events[..] else { panic!("{:?}", guard.events) };
    let status = |code| http::StatusCode::from_u16(code).unwrap();
    assert_eq!(
        [199, 200, 299, 300].map(|code| event.statuses.contains(status(code))),
        [false, true, true, false]
    );
    assert_eq!(guard.judge.events[0].tolerate, 1.25);
    assert_eq!(event.header, None);
}

#[test]
fn the_guard_refuses_impossible_numbers() {
    check_route(
        r#"[route.guard]
on_unhealthy = "backoff"
false_alarm = 0
hold_at = nan
tick = "61s"
tolerate = { errors = "0.5x", extra = "2", latency = "1.25", slack = "11s" }
fast_trip = true
ceilings = [{ error_rate = "100%", window = "2h", min_requests = 0 }, {}]
percentiles = [0, 100]
"#,
        &[
            "5:16: route \"r\": guard.on_unhealthy is \"backoff\"; did you mean `back-off`?",
            "6:15: route \"r\": guard.false_alarm is 0; write a share above 0 and up to 0.5, such as 0.001",
            "7:11: route \"r\": guard.hold_at is nan; write odds from 1 to 1000000, such as 20",
            "8:8: route \"r\": guard.tick is \"61s\"; write a duration from \"1s\" to \"1m\", such as \"10s\"",
            "9:23: route \"r\": guard.tolerate.errors is \"0.5x\"; write a ratio from \"1x\" to \"100x\", such as \"1.25x\"",
            "9:39: route \"r\": guard.tolerate.extra is \"2\"; write a share from \"0%\" to \"100%\", such as \"0.02%\"",
            "9:54: route \"r\": guard.tolerate.latency is \"1.25\"; write a ratio from \"1x\" to \"100x\", such as \"1.25x\"",
            "9:70: route \"r\": guard.tolerate.slack is \"11s\"; write a duration from \"0s\" to \"10s\", such as \"10s\"",
            "10:13: route \"r\": guard.fast_trip is true; write false, or a table such as { failures = 10, for = \"1s\", connect_errors = 5 }",
            "11:28: route \"r\": guard.ceilings.error_rate is \"100%\"; write a share from \"0%\" to \"99.99%\", such as \"5%\"",
            "11:45: route \"r\": guard.ceilings.window is \"2h\"; write a duration from \"1s\" to \"1h\", such as \"10s\"",
            "11:66: route \"r\": guard.ceilings.min_requests is 0; write a whole number from 1 to 1000000000",
            "11:71: route \"r\": guard.ceilings.error_rate is missing; add `error_rate = \"5%\"`",
            "12:16: route \"r\": guard.percentiles item 1 is 0; write a number from 1 to 99.99, such as 99",
            "12:19: route \"r\": guard.percentiles item 2 is 100; write a number from 1 to 99.99, such as 99",
        ],
    );
    check_route(
        "[route.guard]\ntick = \"10s\"\nceilings = [{ error_rate = \"0%\", window = \"9s\" }]\n",
        &[
            "6:43: route \"r\": guard.ceilings.window is \"9s\"; write at least one tick, which is \"10s\" here",
        ],
    );
}

#[test]
fn what_does_not_belong_together_is_refused() {
    check_route(
        r#"[route.guard]
ceilings = [{ error_rate = "1%", percentile = 99 }, { latency = "1ms" }, { latency = "5m", percentile = 99, error_rate = "1%" }]
signals = { errors = "on" }
self_test = { share = "60%", on_alarm = "act" }
failures = [{ path = "/" }, { statuses = [199, "6xx"], grpc = ["ok"], counts_as = "bad" }]
"#,
        &[
            "5:47: route \"r\": guard.ceilings.percentile stands beside error_rate; a percentile belongs to a `latency`",
            "5:53: route \"r\": guard.ceilings.percentile is missing; add `percentile = 99`",
            "5:86: route \"r\": guard.ceilings.latency is \"5m\"; write a duration from \"1ms\" to \"4m\", such as \"500ms\", or a ratio to stable from \"1x\" to \"100x\", such as \"1.5x\"",
            "5:122: route \"r\": guard.ceilings.error_rate stands beside latency; write one of error_rate and latency: a ceiling is about one",
            "6:22: route \"r\": guard.signals.errors is \"on\"; write \"act\" (the canary is unhealthy), \"watch\" (record only) or \"off\"",
            "7:23: route \"r\": guard.self_test.share is \"60%\"; write a share from \"0.1%\" to \"50%\", such as \"5%\"",
            "7:41: route \"r\": guard.self_test.on_alarm is \"act\"; write \"watch\" (record only) or \"suspend\" (the guard acts no more)",
            "8:13: route \"r\": guard.failures.statuses or grpc is missing; add `statuses = [404]`",
            "8:43: route \"r\": guard.failures.statuses item 1 is 199; write a status from 200 to 599, or a class such as \"4xx\"",
            "8:48: route \"r\": guard.failures.statuses item 2 is \"6xx\"; write a status from 200 to 599, or a class such as \"4xx\"",
            "8:64: route \"r\": guard.failures.grpc item 1 is \"ok\"; write a code of gRPC in upper case, such as \"NOT_FOUND\"",
            "8:83: route \"r\": guard.failures.counts_as is \"bad\"; write \"failure\", \"success\" or \"nothing\" (no evidence)",
        ],
    );
    check_route(
        "[[route.guard.event]]\nname = \"order\"\n[[route.guard.event]]\nname = \"order\"\ntolerate = \"0.9x\"\n",
        &[
            "6:1: two events are named \"order\"; give each event of a route a `name` of its own",
            "8:12: route \"r\": guard.event.tolerate is \"0.9x\"; write a ratio from \"1x\" to \"100x\", such as \"1.25x\"",
        ],
    );
}

#[test]
fn the_numbers_of_the_judge_can_be_written_down_and_read_back() {
    let judge = guard_of("[[route.guard.event]]\nname = \"order\"").judge;
    let read: Judge = postcard::from_bytes(&postcard::to_allocvec(&judge).unwrap()).unwrap();
    assert_eq!(read, judge);
}

#[test]
fn what_canaries_are_judged_by_can_stand_alone() {
    let judge = |text: &str| parse_judge("g", text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(judge(""), Judge::default());
    let wanted = Judge { hold_at: 30.0, ..Judge::default() };
    for text in ["hold_at = 30", "[guard]\nhold_at = 30", "[route.guard]\nhold_at = 30"] {
        assert_eq!(judge(text), wanted, "{text}");
    }
    for (text, problem) in [
        ("hold_att = 30", "g:1:1: hold_att is an unknown section; did you mean `hold_at`?"),
        ("[guard]\nhold_at = 0", "g:2:11: guard.hold_at is 0; write odds from 1 to 1000000, such as 20"),
        ("hold_at = 30\n[guard]\n", "g:1:1: hold_at is an unknown section; accepted here: guard"),
        ("[route]\nname = \"shop\"\n", "g:2:1: route.name is an unknown key; accepted here: guard"),
    ] {
        let found = parse_judge("g", text).expect_err(text).to_string();
        assert_eq!(found.trim_end(), problem);
    }
}
