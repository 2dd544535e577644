//! The admin API byte by byte: every status that it can answer with, and that it answers nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

use andon::admin::Phase;
use serde_json::Value;

use crate::fake_admin::FakeAdmin;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn has_header(&self, line: &str) -> bool {
        self.head.lines().any(|found| found.eq_ignore_ascii_case(line))
    }
}

pub(crate) const JSON: &str = "content-type: application/json";

/// Sends the bytes and reads until the end.
fn send_raw(admin: &FakeAdmin, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(admin.address).unwrap();
    // An answer may come before all was taken, and then the rest is not wanted.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn send(admin: &FakeAdmin, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut request = format!("{line} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|header| header.starts_with("host:")) {
        write!(request, "host: {}\r\n", admin.address).unwrap();
    }
    for header in headers {
        write!(request, "{header}\r\n").unwrap();
    }
    send_raw(admin, format!("{request}\r\n{body}").as_bytes())
}

/// One request to a fresh listener: its status, and texts that the body contains. Errors must be problems.
#[track_caller]
fn check(line: &str, headers: &[&str], body: &str, status: u16, contains: &[&str]) -> Answer {
    let admin = FakeAdmin::start();
    let answer = send(&admin, line, headers, body);
    assert_eq!(answer.status, status, "{line}: {}", answer.body);
    for text in contains {
        assert!(answer.body.contains(text), "{line}: no {text:?} in {}", answer.body);
    }
    assert!(answer.has_header("cache-control: no-store"), "{}", answer.head);
    if status >= 400 {
        assert!(answer.has_header("content-type: application/problem+json"), "{}", answer.head);
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        let path = line.split([' ', '?']).nth(1).unwrap();
        assert_eq!(problem["instance"], path);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
    }
    answer
}

const WEIGHT: &str = "PUT /api/v1/routes/shop/weight";
const RAISE: &str = r#"{"weight":"10%","why":"looks good","by":"ana"}"#;

#[test]
fn all_routes_are_listed_in_order() {
    let answer = check("GET /api/v1/routes", &[], "", 200, &[]);
    let names: Vec<_> =
        answer.json()["routes"].as_array().unwrap().iter().map(|r| r["name"].clone()).collect();
    assert_eq!(names, ["shop", "multi", "held", "closed"]);
    assert!(answer.has_header("content-type: application/json"));
}

#[test]
fn a_route_is_shown_whole_and_in_stable_order() {
    let answer = check("GET /api/v1/routes/shop", &[], "", 200, &[]);
    assert!(answer.has_header("etag: \"7\""), "{}", answer.head);
    let window = |requests, per_second, failures, ratio| {
        format!(
            r#"{{"seconds":10.0,"requests":{requests},"requests_per_second":{per_second},"failures":{failures},"error_ratio":{ratio},"in_flight":1,"p50_seconds":0.0009,"p95_seconds":0.0123,"p99_seconds":null}}"#
        )
    };
    let expected = format!(
        r#"{{"name":"shop","revision":7,"deny":false,"unsaved":false,"drifts":false,"cord":null,"stable":{{"upstream":"v1","effective":"95%","effective_ppm":950000,"window":{}}},"canaries":[{{"name":"canary","upstream":"v2","aim":"5%","aim_ppm":50000,"ceiling":"100%","ceiling_ppm":1000000,"effective":"5%","effective_ppm":50000,"file_aim":"1%","file_aim_ppm":10000,"back_off":{{"strikes":1,"strikes_max":3,"next_step_seconds":530.0,"sentence":"strike 1 of 3; next step up in 9 min"}},"verdict":{{"verdict":"undecided","reason":"2 of 50 failed","odds":100.0,"odds_log10":2.0,"holds":true,"signals":[{{"signal":"errors","odds":1000.0,"odds_log10":3.0}}],"outside":[],"compared_with":"stable"}},"window":{},"lots":null}}],"self_test":null,"drill":null,"release":null,"previous_stable":null,"mirror":null}}"#,
        window(950, "95.0", 0, "0.0"),
        window(50, "5.0", 2, "0.04"),
    );
    assert_eq!(answer.body, expected + "\n");
}

#[test]
fn a_cord_is_shown_with_both_kinds_of_time() {
    let answer = check("GET /api/v1/routes/held", &[], "", 200, &[]);
    let cord = &answer.json()["cord"];
    assert_eq!(cord["by"], "ana");
    assert_eq!(cord["at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(cord["at_ms"], 1_700_000_000_000_i64);
}

#[test]
fn a_route_that_denies_has_no_variants() {
    let route = check("GET /api/v1/routes/closed", &[], "", 200, &[]).json();
    assert_eq!((&route["deny"], &route["stable"]), (&Value::Bool(true), &Value::Null));
}

#[test]
fn an_unknown_route_is_404_with_the_known_ones() {
    let unknown = ["does not exist", "\"known\":[\"shop\",\"multi\",\"held\",\"closed\"]"];
    check("GET /api/v1/routes/nope", &[], "", 404, &unknown);
    check("PUT /api/v1/routes/nope/weight", &[JSON], RAISE, 404, &unknown);
    check("POST /api/v1/routes/nope/cord", &[JSON], r#"{"why":"x"}"#, 404, &unknown);
    check("DELETE /api/v1/routes/nope/cord?why=x", &[], "", 404, &unknown);
}

#[test]
fn names_in_the_path_have_their_escapes_undone() {
    check("GET /api/v1/routes/sh%6Fp", &[], "", 200, &["\"name\":\"shop\""]);
    check("GET /api/v1/routes/a%2Fb%00", &[], "", 404, &["a/b"]);
    check("PUT /api/v1/routes//weight", &[JSON], RAISE, 404, &["route \\\"\\\" does not exist"]);
    check("GET /api/v1/routes/%ff", &[], "", 400, &["UTF-8"]);
}

#[test]
fn what_is_not_there_is_404_and_wrong_methods_are_405() {
    for line in ["GET /nope", "GET /api/v2/routes", "GET /api/v1/routes/", "GET //"] {
        check(line, &[], "", 404, &["GET / lists"]);
    }
    let answer = check("DELETE /api/v1/routes", &[], "", 405, &["DELETE"]);
    assert!(answer.has_header("allow: GET,HEAD"), "{}", answer.head);
    let answer = check("GET /api/v1/routes/shop/cord", &[], "", 405, &["GET"]);
    assert!(answer.has_header("allow: POST,DELETE"), "{}", answer.head);
    check("OPTIONS /metrics", &[], "", 405, &[]);
    check("BREW /livez", &[], "", 405, &["BREW"]);
}

#[test]
fn a_weight_is_set_and_the_new_state_answered() {
    let answer = check(WEIGHT, &[JSON], RAISE, 200, &["\"aim\":\"10%\"", "set by ana: looks good"]);
    assert!(answer.has_header("etag: \"8\""), "{}", answer.head);
    let named = r#"{"weight":"0.25%","canary":"canary","why":" x ","by":null}"#;
    check(WEIGHT, &["Content-Type: Application/JSON; charset=utf-8"], named, 200, &["set by local: x"]);
}

#[test]
fn a_bad_weight_is_422_with_what_is_accepted() {
    for found in ["\"150%\"", "\"5\"", "5", "null", "[]", "{\"a\":1}", "\"-1%\"", "\"\""] {
        let body = format!(r#"{{"weight":{found},"why":"x"}}"#);
        let answer = check(WEIGHT, &[JSON], &body, 422, &["in steps of 0.0001%"]);
        let expected = if found == "null" { "missing" } else { found };
        assert_eq!(answer.json()["found"], expected);
    }
    let long = format!(r#"{{"weight":"{}","why":"x"}}"#, "é".repeat(10_000));
    assert!(check(WEIGHT, &[JSON], &long, 422, &["…"]).body.len() < 1_500);
}

#[test]
fn a_change_needs_a_reason_and_a_name_that_can_be_shown() {
    for why in ["null", "\"\"", "\"  \"", "5", "\"a\\nb\"", "\"\\u001b[2J\"", "\"\\u202egood\""] {
        check(
            WEIGHT,
            &[JSON],
            &format!(r#"{{"weight":"5%","why":{why}}}"#),
            422,
            &["why is", "\"field\":\"why\""],
        );
    }
    check(WEIGHT, &[JSON], r#"{"weight":"5%"}"#, 422, &["why is missing"]);
    check(WEIGHT, &[JSON], &format!(r#"{{"weight":"5%","why":"{}"}}"#, "x".repeat(1_000)), 200, &[]);
    check(WEIGHT, &[JSON], &format!(r#"{{"weight":"5%","why":"{}"}}"#, "x".repeat(1_001)), 422, &["why is"]);
    for by in ["\"\"", "7", "\"\\u0007\"", "\"immune system\"", "\"File\""] {
        check(WEIGHT, &[JSON], &format!(r#"{{"weight":"5%","why":"x","by":{by}}}"#), 422, &["by is"]);
    }
    let name = "n".repeat(128);
    check(WEIGHT, &[JSON], &format!(r#"{{"weight":"5%","why":"x","by":"{name}"}}"#), 200, &[&name]);
    check(WEIGHT, &[JSON], &format!(r#"{{"weight":"5%","why":"x","by":"{name}n"}}"#), 422, &["by is"]);
}

#[test]
fn bodies_are_one_known_object_in_json() {
    check(
        WEIGHT,
        &[JSON],
        r#"{"weight":"5%","why":"x","wieght":1}"#,
        422,
        &["unknown field `wieght`", "`canary`"],
    );
    check(WEIGHT, &[JSON], r#"{"weight":"5%","weight":"6%","why":"x"}"#, 422, &["duplicate field `weight`"]);
    check(WEIGHT, &[JSON], r#"["5%",null,"x","y"]"#, 422, &["not an object"]);
    check(WEIGHT, &[JSON], "7", 422, &[]);
    check(WEIGHT, &[JSON], r#"{"weight":"5%","why":"x","canary":7}"#, 422, &["canary is 7"]);
    for malformed in ["", "{", "{\"weight\"", "nonsense", "{} {}", "[1,2", &"[".repeat(5_000)] {
        check(WEIGHT, &[JSON], malformed, 400, &["not JSON"]);
    }
}

#[test]
fn bodies_of_another_type_are_415() {
    check(WEIGHT, &[], RAISE, 415, &["no Content-Type"]);
    check(WEIGHT, &["content-type: text/plain"], RAISE, 415, &["text/plain"]);
    check("POST /api/v1/cord", &["content-type: application/x-www-form-urlencoded"], "why=x", 415, &[]);
    check("DELETE /api/v1/routes/held/cord", &[], r#"{"why":"x"}"#, 415, &[]);
}

#[test]
fn bodies_over_64_kib_are_413() {
    let fits = format!("{}{RAISE}", " ".repeat(65_536 - RAISE.len()));
    check(WEIGHT, &[JSON], &fits, 200, &[]);
    check(WEIGHT, &[JSON], &format!(" {fits}"), 413, &["65536"]);
}

#[test]
fn if_match_acts_on_the_seen_revision_only() {
    for met in ["\"7\"", "*", "\"5\", \"7\"", "W/\"5\", \"7\""] {
        check(WEIGHT, &[JSON, &format!("if-match: {met}")], RAISE, 200, &["\"revision\":8"]);
    }
    for failed in ["\"6\"", "\"5\", \"6\"", "W/\"7\"", "\"\"", "\"x\""] {
        let answer = check(WEIGHT, &[JSON, &format!("if-match: {failed}")], RAISE, 412, &["revision 7"]);
        assert_eq!(answer.json()["current"]["canaries"][0]["aim"], "5%");
        assert!(answer.has_header("etag: \"7\""), "{}", answer.head);
    }
    check(WEIGHT, &[JSON, "if-match: 7"], RAISE, 400, &["with its quotes"]);
    check(WEIGHT, &[JSON, "if-match:"], RAISE, 400, &["If-Match"]);
    check(WEIGHT, &[JSON, "if-match: \"6\"", "if-match: \"7\""], RAISE, 200, &[]);
}

#[test]
fn what_the_controller_refuses_is_told_with_its_reason() {
    let held = "PUT /api/v1/routes/held/weight";
    let answer =
        check(held, &[JSON], RAISE, 409, &["ana pulled the cord", "2023-11-14T22:13:20.000Z", "errors"]);
    assert_eq!(answer.json()["type"], "urn:andon:problem:cord-pulled");
    assert_eq!(answer.json()["by"], "ana");
    let multi = "PUT /api/v1/routes/multi/weight";
    check(multi, &[JSON], RAISE, 422, &["several canaries", "\"known\":[\"a\",\"b\"]"]);
    check(multi, &[JSON], r#"{"weight":"5%","canary":"c","why":"x"}"#, 422, &["\\\"c\\\" does not exist"]);
    check(
        multi,
        &[JSON],
        r#"{"weight":"100%","canary":"a","why":"x"}"#,
        422,
        &["105%", "\"sum_ppm\":1050000"],
    );
    check("PUT /api/v1/routes/closed/weight", &[JSON], RAISE, 422, &["has no canary"]);
    check(WEIGHT, &[JSON], r#"{"weight":"5%","why":"store down"}"#, 503, &["disk full"]);
    check(WEIGHT, &[JSON], r#"{"weight":"5%","why":"gone"}"#, 503, &["urn:andon:problem:gone"]);
}

#[test]
fn cords_are_pulled_and_reset() {
    let why = r#"{"why":"errors","by":"ana"}"#;
    let pulled = check("POST /api/v1/routes/shop/cord", &[JSON], why, 200, &["\"effective\":\"0%\""]);
    assert_eq!(pulled.json()["cord"]["why"], "errors");
    let all = check("POST /api/v1/cord", &[JSON], why, 200, &[]).json();
    assert_eq!(all["routes"].as_array().unwrap().len(), 3);
    let reset = "DELETE /api/v1/routes/held/cord";
    check(reset, &[JSON], why, 200, &["\"cord\":null"]);
    check(&format!("{reset}?why=fixed%20it&by=ana"), &[], "", 200, &["\"cord\":null"]);
    check(reset, &[], "", 422, &["why is missing"]);
    check(&format!("{reset}?why="), &[], "", 422, &["why is"]);
    check(&format!("{reset}?wy=x"), &[], "", 422, &["\\\"wy\\\"", "why, by"]);
    check("DELETE /api/v1/routes/shop/cord?why=x", &[], "", 409, &["not pulled"]);
    check("POST /api/v1/cord", &[JSON], r#"{"why":"x","route":"shop"}"#, 422, &["unknown field `route`"]);
    check("POST /api/v1/cord", &[JSON], "{}", 422, &["why is missing"]);
}

#[test]
fn decisions_come_in_pages() {
    let first = check("GET /api/v1/decisions?limit=2", &[], "", 200, &[]).json();
    assert_eq!(first["decisions"][0]["action"], "back_off");
    assert_eq!(first["decisions"][0]["evidence"]["limit"], 0.01);
    assert_eq!(first["decisions"][0]["at"], "2023-11-14T22:13:20.003Z");
    let next = first["next"].as_str().unwrap();
    let second = check(&format!("GET /api/v1/decisions?limit=2&before={next}"), &[], "", 200, &[]).json();
    assert_eq!(second["decisions"].as_array().unwrap().len(), 1);
    assert_eq!(second["next"], Value::Null);
    let of_shop = check("GET /api/v1/decisions?route=shop", &[], "", 200, &[]).json();
    assert_eq!(of_shop["decisions"].as_array().unwrap().len(), 2);
    for limit in ["0", "1001", "-1", "x", "", "99999999999999999999"] {
        check(&format!("GET /api/v1/decisions?limit={limit}"), &[], "", 422, &["from 1 to 1000"]);
    }
    check(
        "GET /api/v1/decisions?page=2",
        &[],
        "",
        422,
        &["\\\"page\\\"", "route, action, since, until, limit, before, format"],
    );
}

#[test]
fn one_decision_is_found_by_its_id() {
    let id = "01890000-0000-7000-8000-000000000002";
    check(&format!("GET /api/v1/decisions/{id}"), &[], "", 200, &["\"why\":\"reason 2\""]);
    check("GET /api/v1/decisions/nope", &[], "", 404, &["no decision"]);
    check("GET /api/v1/decisions/00000000", &[], "", 404, &["no decision"]);
}

#[test]
fn a_refused_file_is_400_with_everything_that_is_wrong() {
    let answer = check("POST /api/v1/config/reload", &[], "", 400, &["has 1 problem;"]);
    assert!(answer.json()["diagnostics"].as_str().unwrap().contains("andon.toml:7:10"));
}

#[test]
fn metrics_have_the_type_that_prometheus_knows() {
    let answer = check("GET /metrics", &[], "", 200, &["andon_store_up 1\n"]);
    assert!(answer.has_header("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", answer.head);
}

#[test]
fn the_first_page_lists_what_there_is() {
    check("GET /", &[], "", 200, &["/api/v1/routes/{route}/weight", "/metrics", "/readyz"]);
    let answer = check("HEAD /", &[], "", 200, &[]);
    assert_eq!(answer.body, "");
}

#[test]
fn readiness_follows_the_phase_and_liveness_does_not() {
    let admin = FakeAdmin::start();
    for (phase, ready) in [(Phase::Starting, 503), (Phase::Serving, 200), (Phase::Draining, 503)] {
        admin.phase.send_replace(phase);
        let answer = send(&admin, "GET /readyz", &[], "");
        assert_eq!(answer.status, ready);
        if ready == 503 {
            assert_eq!(answer.json()["phase"], phase.label());
        }
        assert_eq!(send(&admin, "GET /livez", &[], "").body, "ok\n");
    }
}

#[test]
fn only_loopback_names_are_answered() {
    for ours in [
        "localhost",
        "LOCALHOST:99",
        "127.0.0.1",
        "127.9.9.9:1",
        "[::1]:2636",
        "andon.localhost",
        "localhost.",
    ] {
        check("GET /livez", &[&format!("host: {ours}")], "", 200, &[]);
    }
    for theirs in
        ["evil.example", "evil.example:2636", "localhost.evil.example", "10.0.0.1", "127.0.0.1.nip.example"]
    {
        check("GET /livez", &[&format!("host: {theirs}")], "", 403, &["localhost"]);
        check(WEIGHT, &[JSON, &format!("host: {theirs}")], RAISE, 403, &[]);
    }
    check("GET /livez", &["host: a b"], "", 400, &[]);
    check("GET /livez", &["host: localhost", "host: localhost"], "", 400, &["more than one"]);
}

#[test]
fn requests_without_a_host_and_for_another_server_are_refused() {
    let admin = FakeAdmin::start();
    for (request, status) in [
        ("GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n", 400),
        ("GET /livez HTTP/1.0\r\n\r\n", 200),
        ("GET http://evil.example/livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 403),
        ("CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 403),
        ("CONNECT localhost:443 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 404),
        ("OPTIONS * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 404),
        ("nonsense\r\n\r\n", 400),
    ] {
        let answer = send_raw(&admin, request.as_bytes());
        assert_eq!(answer.status, status, "{request}: {}", answer.body);
    }
}

#[test]
fn pages_of_other_origins_change_nothing() {
    let admin = FakeAdmin::start();
    let own = format!("origin: http://{}", admin.address);
    assert_eq!(send(&admin, WEIGHT, &[JSON, &own], RAISE).status, 200);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1", "file://", ""] {
        let origin = format!("origin: {origin}");
        assert_eq!(send(&admin, WEIGHT, &[JSON, &origin], RAISE).status, 403, "{origin}");
        assert_eq!(send(&admin, "POST /api/v1/config/reload", &[&origin], "").status, 403, "{origin}");
        assert_eq!(send(&admin, "GET /livez", &[&origin], "").status, 200, "{origin}");
    }
}
