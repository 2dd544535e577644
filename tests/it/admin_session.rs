//! The login of browsers, and what other sites' pages try with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::sync::Arc;

use andon::config::access::{Access, Role};

use crate::admin::{Answer, JSON, send};
use crate::admin_auth::{bearer, everybody, token};
use crate::fake_admin::FakeAdmin;

const PULL: &str = "POST /api/v1/cord";
const WHY: &str = r#"{"why":"a test"}"#;

fn log_in(admin: &FakeAdmin, secret: &str, fields: &[&str]) -> Answer {
    let fields = [&[JSON], fields].concat();
    send(admin, "POST /api/v1/session", &fields, &format!(r#"{{"token":"{secret}"}}"#))
}

fn set_cookie(answer: &Answer) -> &str {
    let lines = answer.head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    let cookies: Vec<&str> = lines.collect();
    assert_eq!(cookies.len(), 1, "{}", answer.head);
    cookies[0]
}

/// As the browser sends it back.
fn cookie(admin: &FakeAdmin, secret: &str) -> String {
    let answer = log_in(admin, secret, &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    format!("cookie: {}", set_cookie(&answer).split(';').next().unwrap())
}

#[test]
fn a_login_gives_a_cookie_that_scripts_and_other_sites_do_not_get() {
    let admin = FakeAdmin::naming(everybody());
    let answer = log_in(&admin, "puller", &[]);
    let set = set_cookie(&answer);
    assert!(set.starts_with("andon_session="), "{set}");
    assert!(set.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200"), "{set}");
    assert!(!set.contains("puller") && !answer.body.contains("token"), "{set} {}", answer.body);
    assert_eq!(answer.json()["role"], "puller");
    let behind_tls =
        [FakeAdmin::naming(Access { origins: vec!["https://andon.example".into()], ..everybody() })];
    let answer = log_in(&behind_tls[0], "puller", &["origin: https://andon.example"]);
    assert!(set_cookie(&answer).ends_with("; Secure"), "{}", answer.head);
}

#[test]
fn a_session_is_who_its_token_is() {
    let admin = FakeAdmin::naming(everybody());
    let cookie = cookie(&admin, "puller");
    let who = send(&admin, "GET /api/v1/session", &[&cookie], "").json();
    assert_eq!((&who["name"], &who["proof"]), (&"puller".into(), &"session".into()));
    let ours = format!("origin: http://{}", admin.address);
    let pulled = send(&admin, PULL, &[JSON, &cookie, &ours], WHY);
    assert_eq!(pulled.json()["routes"][0]["cord"]["by"], "puller");
    let refused = send(&admin, "POST /api/v1/config/reload", &[&cookie, &ours], "");
    assert_eq!((refused.status, &refused.json()["needed"]), (403, &"admin".into()));
}

#[test]
fn no_page_but_our_own_changes_anything_with_the_cookie() {
    let access = Access { origins: vec!["https://andon.example".into()], ..everybody() };
    let admin = FakeAdmin::naming(access);
    let cookie = cookie(&admin, "admin");
    let ours = format!("origin: http://{}", admin.address);
    let count = || admin.changes.load(std::sync::atomic::Ordering::SeqCst);
    for fields in [
        vec![],
        vec!["origin: https://evil.example"],
        vec!["origin: null"],
        vec!["origin: https://127.0.0.1"],
        vec!["origin: https://andon.example.evil.example"],
        vec!["sec-fetch-site: cross-site"],
        vec!["sec-fetch-site: same-site"],
        vec!["sec-fetch-site: none"],
        vec!["sec-fetch-site: cross-site", "origin: https://evil.example"],
        vec!["x-forwarded-host: evil.example", "origin: https://evil.example"],
    ] {
        let fields = [&[JSON, &cookie][..], &fields].concat();
        let before = count();
        assert_eq!(send(&admin, PULL, &fields, WHY).status, 403, "{fields:?}");
        assert_eq!(send(&admin, "DELETE /api/v1/session", &fields, "").status, 403, "{fields:?}");
        assert_eq!(count(), before);
        // Looking is no harm: the page does not get to see the answer.
        assert_eq!(send(&admin, "GET /api/v1/routes", &fields, "").status, 200);
    }
    for fields in [
        vec![ours.as_str()],
        vec!["sec-fetch-site: same-origin"],
        vec!["origin: https://andon.example", "sec-fetch-site: same-origin"],
        vec!["origin: https://andon.example"],
    ] {
        let fields = [&[JSON, &cookie][..], &fields].concat();
        assert_eq!(send(&admin, PULL, &fields, WHY).status, 200, "{fields:?}");
    }
    // A form needs no CORS, and cannot send JSON.
    let form = [&cookie, ours.as_str(), "content-type: text/plain"];
    assert_eq!(send(&admin, PULL, &form, WHY).status, 415);
}

#[test]
fn other_pages_cannot_log_a_browser_in() {
    let admin = FakeAdmin::naming(everybody());
    for field in ["origin: https://evil.example", "sec-fetch-site: cross-site"] {
        let answer = log_in(&admin, "admin", &[field]);
        assert_eq!(answer.status, 403);
        assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    }
}

#[test]
fn a_session_ends_by_logging_out_and_with_its_token() {
    let admin = FakeAdmin::naming(everybody());
    let (one, other) = (cookie(&admin, "release"), cookie(&admin, "release"));
    assert_ne!(one, other);
    let ours = format!("origin: http://{}", admin.address);
    let status = |cookie: &str| send(&admin, "GET /api/v1/routes", &[cookie], "").status;
    assert_eq!((status(&one), status(&other)), (200, 200));
    let out = send(&admin, "DELETE /api/v1/session", &[&one, &ours], "");
    assert_eq!(out.status, 204);
    assert!(
        set_cookie(&out).contains("andon_session=; ") && set_cookie(&out).contains("Max-Age=0"),
        "{}",
        out.head
    );
    assert_eq!((status(&one), status(&other)), (401, 200));
    // Its role is that of the token at the moment.
    let lower = Access { tokens: vec![token("release", Role::Observer)], ..Access::default() };
    admin.access.send_replace(Arc::new(lower));
    assert_eq!(send(&admin, PULL, &[JSON, &other, &ours], WHY).status, 403);
    admin
        .access
        .send_replace(Arc::new(Access { tokens: vec![token("new", Role::Admin)], ..Access::default() }));
    assert_eq!(status(&other), 401);
    // It does not come back with it.
    admin.access.send_replace(Arc::new(everybody()));
    assert_eq!(status(&other), 401);
}

#[test]
fn a_login_needs_a_token_that_there_is() {
    let admin = FakeAdmin::naming(everybody());
    for _ in 0..5 {
        assert_eq!(log_in(&admin, "guess", &[]).status, 401);
    }
    assert_eq!(log_in(&admin, "guess", &[]).status, 429);
    assert_eq!(log_in(&admin, "admin", &[]).status, 200);
    let odd = |body| send(&admin, "POST /api/v1/session", &[JSON], body).status;
    assert_eq!((odd("{}"), odd(r#"{"token":7}"#), odd(r#"{"tokn":"x"}"#), odd("")), (422, 422, 422, 400));
    let nothing = log_in(&FakeAdmin::start(), "x", &[]);
    assert_eq!((nothing.status, &nothing.json()["type"]), (409, &"urn:andon:problem:no-tokens".into()));
}

#[test]
fn a_script_with_a_token_needs_no_origin() {
    let admin = FakeAdmin::naming(everybody());
    assert_eq!(send(&admin, PULL, &[JSON, &bearer("puller")], WHY).status, 200);
    let foreign = [JSON, &bearer("puller"), "origin: https://evil.example"];
    assert_eq!(send(&admin, PULL, &foreign, WHY).status, 403);
}
