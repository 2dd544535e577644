//! `Idempotency-Key`: what is sent twice is done once.

use std::sync::atomic::Ordering;

use crate::admin::{Answer, JSON, send};
use crate::admin_auth::{bearer, everybody};
use crate::fake_admin::FakeAdmin;
use crate::support::{Wire, wait};

const WEIGHT: &str = "PUT /api/v1/routes/shop/weight";
const RAISE: &str = r#"{"weight":"10%","why":"a test"}"#;

fn changes(admin: &FakeAdmin) -> usize {
    admin.changes.load(Ordering::SeqCst)
}

fn keyed(admin: &FakeAdmin, key: &str, body: &str) -> Answer {
    send(admin, WEIGHT, &[JSON, &format!("idempotency-key: {key}")], body)
}

#[test]
fn the_same_request_again_gets_the_same_answer() {
    let admin = FakeAdmin::start();
    let first = keyed(&admin, "one", RAISE);
    assert_eq!((first.status, changes(&admin)), (200, 1));
    assert!(!first.head.contains("idempotency-replayed"), "{}", first.head);
    for _ in 0..3 {
        let again = keyed(&admin, "one", RAISE);
        assert_eq!((again.status, &again.body, changes(&admin)), (200, &first.body, 1));
        for header in [
            "idempotency-replayed: true",
            "etag: \"8\"",
            "content-type: application/json",
            "cache-control: no-store",
        ] {
            assert!(again.has_header(header), "no {header} in {}", again.head);
        }
    }
    assert_eq!(keyed(&admin, "two", RAISE).status, 200);
    assert_eq!(changes(&admin), 2);
}

#[test]
fn a_key_is_for_one_request_of_one_caller() {
    let admin = FakeAdmin::naming(everybody());
    let ask = |who: &str, line: &str, body: &str| {
        send(&admin, line, &[JSON, &bearer(who), "idempotency-key: k"], body)
    };
    assert_eq!(ask("release", WEIGHT, RAISE).status, 200);
    let other = ask("release", WEIGHT, r#"{"weight":"11%","why":"a test"}"#);
    assert_eq!((other.status, &other.json()["type"]), (422, &"urn:andon:problem:key-reused".into()));
    assert_eq!(ask("release", "PUT /api/v1/routes/multi/weight", RAISE).status, 422);
    let conditional = [JSON, &bearer("release"), "idempotency-key: k", "if-match: \"7\""];
    assert_eq!(send(&admin, WEIGHT, &conditional, RAISE).status, 422);
    assert_eq!(changes(&admin), 1);
    // Another caller's key is another key, and one who may not does not learn what was answered.
    assert_eq!(ask("admin", WEIGHT, RAISE).status, 200);
    assert_eq!(ask("observer", WEIGHT, RAISE).status, 403);
    assert_eq!(changes(&admin), 2);
}

#[test]
fn a_refusal_is_an_answer_and_a_failure_is_none() {
    let admin = FakeAdmin::start();
    let refused = keyed(&admin, "r", r#"{"weight":"150%","why":"x"}"#);
    let again = keyed(&admin, "r", r#"{"weight":"150%","why":"x"}"#);
    assert_eq!((refused.status, again.status), (422, 422));
    assert_eq!(refused.body, again.body);
    assert!(again.has_header("idempotency-replayed: true"), "{}", again.head);
    for count in 1..=3 {
        let failed = keyed(&admin, "f", r#"{"weight":"5%","why":"store down"}"#);
        assert_eq!((failed.status, changes(&admin)), (503, count));
        assert!(!failed.head.contains("idempotency-replayed"), "{}", failed.head);
    }
}

#[test]
fn of_two_at_the_same_time_one_is_done() {
    let admin = FakeAdmin::start();
    admin.held.send_replace(true);
    let request = |address| {
        format!(
            "{WEIGHT} HTTP/1.1\r\nHost: {address}\r\n{JSON}\r\nIdempotency-Key: k\r\nContent-Length: {}\r\n\r\n{RAISE}",
            RAISE.len()
        )
    };
    let mut wires: Vec<Wire> = (0..8).map(|_| Wire::connect(admin.address)).collect();
    wires.iter_mut().for_each(|wire| wire.send(request(admin.address)));
    // The first waits for the controller; all others are told so.
    let mut told = vec![false; wires.len()];
    wait::until("seven are told that the first is under way", || {
        for (told, wire) in told.iter_mut().zip(&mut wires).filter(|(told, _)| !**told) {
            *told = !wire.is_silent();
        }
        (told.iter().filter(|told| **told).count() == 7).then_some(())
    });
    for (_, wire) in told.iter().zip(&mut wires).filter(|(told, _)| **told) {
        let answer = wire.response();
        assert_eq!((answer.status(), answer.field("retry-after")), (409, Some("1")));
    }
    admin.held.send_replace(false);
    let (_, first) = told.iter().zip(&mut wires).find(|(told, _)| !**told).expect("one was not told");
    assert_eq!(first.response().status(), 200);
    assert!(keyed(&admin, "k", RAISE).has_header("idempotency-replayed: true"));
    assert_eq!(changes(&admin), 1);
}

#[test]
fn an_answer_waits_for_a_caller_who_left() {
    let admin = FakeAdmin::start();
    admin.held.send_replace(true);
    let mut wire = Wire::connect(admin.address);
    wire.send(format!(
        "{WEIGHT} HTTP/1.1\r\nHost: {}\r\n{JSON}\r\nIdempotency-Key: k\r\nContent-Length: {}\r\n\r\n{RAISE}",
        admin.address,
        RAISE.len()
    ));
    wait::until("the change is under way", || (changes(&admin) == 1).then_some(()));
    wire.reset();
    admin.held.send_replace(false);
    let answer = wait::until("the answer is there", || {
        let answer = keyed(&admin, "k", RAISE);
        (answer.status != 409).then_some(answer)
    });
    assert!(answer.status == 200 && answer.has_header("idempotency-replayed: true"), "{}", answer.head);
    assert_eq!(changes(&admin), 1);
}

#[test]
fn odd_keys_are_refused_and_reading_needs_none() {
    let admin = FakeAdmin::start();
    let long = "k".repeat(256);
    for key in ["", long.as_str(), "\u{e9}"] {
        assert_eq!(keyed(&admin, key, RAISE).status, 400, "{key:?}");
    }
    let twice = [JSON, "idempotency-key: a", "idempotency-key: b"];
    assert_eq!(send(&admin, WEIGHT, &twice, RAISE).status, 400);
    assert_eq!(changes(&admin), 0);
    for _ in 0..2 {
        let read = send(&admin, "GET /api/v1/routes", &["idempotency-key: k"], "");
        assert!(read.status == 200 && !read.head.contains("idempotency-replayed"), "{}", read.head);
    }
}

#[test]
fn so_many_keys_are_remembered_and_no_more() {
    let admin = FakeAdmin::start();
    assert_eq!(keyed(&admin, "first", RAISE).status, 200);
    for n in 0..1_024_u32 {
        assert_eq!(keyed(&admin, &format!("k{n}"), RAISE).status, 200);
    }
    let again = keyed(&admin, "first", RAISE);
    assert!(again.status == 200 && !again.head.contains("idempotency-replayed"), "{}", again.head);
    assert!(keyed(&admin, "k1023", RAISE).has_header("idempotency-replayed: true"));
}
