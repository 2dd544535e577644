//! Who may: roles over every endpoint, tokens that come and go under open connections, guessers, and who signs.

use std::net::SocketAddr;
use std::sync::Arc;

use andon::admin::secret::sha256;
use andon::config::access::{Access, Role, Token};

use crate::admin::{JSON, send};
use crate::fake_admin::FakeAdmin;
use crate::support::{Message, Wire, wait};

const WHY: &str = r#"{"why":"a test"}"#;
const WEIGHT: &str = r#"{"weight":"10%","why":"a test"}"#;

pub(crate) fn token(name: &str, role: Role) -> Token {
    Token { name: name.into(), role, sha256: sha256(name.as_bytes()) }
}

/// The secret of each is its name.
pub(crate) fn everybody() -> Access {
    let tokens = Role::ALL.map(|role| token(role.label(), role)).into();
    Access { tokens, ..Access::default() }
}

pub(crate) fn bearer(secret: &str) -> String {
    format!("authorization: Bearer {secret}")
}

/// A request on a connection that stays open.
fn request(admin: SocketAddr, line: &str, secret: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: {admin}\r\nAuthorization: Bearer {secret}\r\nContent-Length: 0\r\n\r\n")
}

/// Written down once more, by hand: the table in the code must not vouch for itself.
const ENDPOINTS: [(&str, &str, Option<Role>); 23] = [
    ("GET /", "", None),
    ("GET /livez", "", None),
    ("GET /readyz", "", None),
    ("POST /api/v1/session", r#"{"token":"observer"}"#, None),
    ("GET /metrics", "", Some(Role::Observer)),
    ("HEAD /metrics", "", Some(Role::Observer)),
    ("GET /api/v1/session", "", Some(Role::Observer)),
    ("DELETE /api/v1/session", "", Some(Role::Observer)),
    ("GET /api/v1/routes", "", Some(Role::Observer)),
    ("GET /api/v1/routes/shop", "", Some(Role::Observer)),
    ("GET /api/v1/routes/shop/forecast", "", Some(Role::Observer)),
    ("GET /api/v1/upstreams", "", Some(Role::Observer)),
    ("GET /api/v1/decisions", "", Some(Role::Observer)),
    ("GET /api/v1/decisions/x", "", Some(Role::Observer)),
    ("GET /api/v1/decisions/x/evidence", "", Some(Role::Observer)),
    ("POST /api/v1/what-if", r#"{"guard":""}"#, Some(Role::Observer)),
    ("POST /api/v1/routes/shop/cord", WHY, Some(Role::Puller)),
    ("POST /api/v1/cord", WHY, Some(Role::Puller)),
    ("PUT /api/v1/routes/shop/weight", WEIGHT, Some(Role::Release)),
    ("DELETE /api/v1/routes/held/cord", WHY, Some(Role::Release)),
    ("POST /api/v1/routes/shop/drill", r#"{"share":"10%","for":"5s","why":"x"}"#, Some(Role::Release)),
    ("DELETE /api/v1/routes/shop/drill", "", Some(Role::Release)),
    ("POST /api/v1/config/reload", "", Some(Role::Admin)),
];

#[test]
fn each_role_may_what_it_says_and_no_more() {
    let admin = FakeAdmin::naming(everybody());
    for (line, body, needed) in ENDPOINTS {
        let nobody = send(&admin, line, &[JSON], body);
        match needed {
            None => assert!(nobody.status < 400, "{line}: {}", nobody.body),
            Some(_) => {
                assert_eq!(nobody.status, 401, "{line}: {}", nobody.body);
                assert!(nobody.has_header("www-authenticate: Bearer realm=\"andon\""), "{}", nobody.head);
            }
        }
        for role in Role::ALL {
            let before = admin.changes.load(std::sync::atomic::Ordering::SeqCst);
            let answer = send(&admin, line, &[JSON, &bearer(role.label())], body);
            let may = needed.is_none_or(|needed| role >= needed);
            assert_eq!(answer.status != 403, may, "{line} as {role}: {}", answer.body);
            assert_ne!(answer.status, 401, "{line} as {role}");
            if !may {
                assert_eq!(admin.changes.load(std::sync::atomic::Ordering::SeqCst), before, "{line}");
                let problem = answer.json();
                assert_eq!(problem["type"], "urn:andon:problem:role");
                assert_eq!(problem["needed"], needed.unwrap().label());
                assert_eq!(
                    (&problem["role"], &problem["name"]),
                    (&role.label().into(), &role.label().into())
                );
            }
        }
    }
}

#[test]
fn what_is_not_there_is_told_only_to_those_who_may_look() {
    let admin = FakeAdmin::naming(everybody());
    for (line, status) in
        [("GET /nope", 404), ("DELETE /api/v1/routes", 405), ("OPTIONS /api/v1/routes", 405)]
    {
        assert_eq!(send(&admin, line, &[], "").status, 401, "{line}");
        assert_eq!(send(&admin, line, &[&bearer("observer")], "").status, status, "{line}");
    }
}

#[test]
fn no_other_site_is_told_that_it_may_ask() {
    for admin in [FakeAdmin::start(), FakeAdmin::naming(everybody())] {
        let asks = ["origin: https://evil.example", "access-control-request-method: PUT"];
        for line in
            ["OPTIONS /api/v1/routes/shop/weight", "OPTIONS /api/v1/session", "GET /livez", "GET /metrics"]
        {
            let answer = send(&admin, line, &asks, "");
            assert!(!answer.head.to_lowercase().contains("access-control"), "{line}: {}", answer.head);
            assert!(!line.starts_with("OPTIONS") || answer.status >= 400, "{line}: {}", answer.status);
        }
    }
}

#[test]
fn a_token_signs_and_nobody_signs_as_somebody_else() {
    let admin = FakeAdmin::naming(everybody());
    let sign = |by: &str| {
        let body = format!(r#"{{"weight":"10%","why":"x"{by}}}"#);
        let answer = send(&admin, "PUT /api/v1/routes/shop/weight", &[JSON, &bearer("release")], &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["canaries"][0]["verdict"]["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(sign(""), "set by release: x");
    assert_eq!(sign(r#","by":"ann""#), "set by ann via release: x");
    assert_eq!(sign(r#","by":"ann via admin""#), "set by ann via admin via release: x");
}

#[test]
fn everybody_is_told_who_he_is_taken_for() {
    let admin = FakeAdmin::naming(everybody());
    let who = send(&admin, "GET /api/v1/session", &[&bearer("puller")], "").json();
    assert_eq!(
        (&who["name"], &who["role"], &who["proof"]),
        (&"puller".into(), &"puller".into(), &"token".into())
    );
    let local = send(&FakeAdmin::start(), "GET /api/v1/session", &[], "").json();
    assert_eq!(
        (&local["name"], &local["role"], &local["proof"]),
        (&"local".into(), &"admin".into(), &"loopback".into())
    );
}

#[test]
fn metrics_can_be_opened() {
    let admin = FakeAdmin::naming(everybody());
    assert_eq!(send(&admin, "GET /metrics", &[], "").status, 401);
    admin.access.send_replace(Arc::new(Access { open_metrics: true, ..everybody() }));
    assert_eq!(send(&admin, "GET /metrics", &[], "").status, 200);
    assert_eq!(send(&admin, "GET /api/v1/routes", &[], "").status, 401);
}

#[test]
fn any_host_will_do_where_callers_say_who_they_are() {
    let admin = FakeAdmin::naming(everybody());
    let host = "host: andon.example:2636";
    assert_eq!(send(&admin, "GET /api/v1/routes", &[host, &bearer("observer")], "").status, 200);
    assert_eq!(send(&admin, "GET /api/v1/routes", &[host], "").status, 401);
}

#[test]
fn a_secret_is_replaced_under_open_connections() {
    let both = |first: &str, second: &str| {
        let tokens = [first, second]
            .map(|secret| Token { sha256: sha256(secret.as_bytes()), ..token("bot", Role::Release) });
        Arc::new(Access { tokens: tokens.into(), ..Access::default() })
    };
    let admin = FakeAdmin::naming(Access::default());
    admin.access.send_replace(both("one", "one"));
    let mut wire = Wire::connect(admin.address);
    let mut ask = |secret: &str| {
        wire.send(request(admin.address, "GET /api/v1/routes", secret));
        wire.response().status()
    };
    assert_eq!((ask("one"), ask("two")), (200, 401));
    admin.access.send_replace(both("one", "two"));
    assert_eq!((ask("one"), ask("two")), (200, 200));
    admin.access.send_replace(both("two", "three"));
    assert_eq!((ask("one"), ask("two"), ask("three")), (401, 200, 200));
    admin.access.send_replace(Arc::new(Access {
        tokens: vec![Token { role: Role::Observer, ..token("three", Role::Observer) }],
        ..Access::default()
    }));
    assert_eq!((ask("two"), ask("three")), (401, 200));
}

#[test]
fn wrong_tokens_are_slowed_and_right_ones_are_not() {
    let admin = FakeAdmin::naming(everybody());
    let guess = |n: u32| send(&admin, "GET /api/v1/routes", &[&bearer(&format!("guess-{n}"))], "");
    for n in 0..5 {
        assert_eq!(guess(n).status, 401);
        // Who shows nothing guesses nothing.
        assert_eq!(send(&admin, "GET /api/v1/routes", &[], "").status, 401);
    }
    for (n, seconds) in [(5, 1), (6, 1), (7, 1), (8, 2)] {
        let answer = guess(n);
        assert_eq!(answer.status, 429, "{}", answer.body);
        assert!(answer.has_header(&format!("retry-after: {seconds}")), "{}", answer.head);
    }
    // One more waits for seconds now. While it does, everybody with a right token goes on, from the same address.
    let mut guesser = Wire::connect(admin.address);
    guesser.send(request(admin.address, "GET /api/v1/routes", "guess"));
    let mut right = Wire::connect(admin.address);
    for _ in 0..100 {
        right.send(request(admin.address, "GET /api/v1/routes", "observer"));
        assert_eq!(right.response().status(), 200);
    }
    assert!(guesser.is_silent(), "the guess is answered late");
    let answer: Message = guesser.response();
    assert_eq!((answer.status(), answer.field("retry-after")), (429, Some("4")));
}

#[test]
fn guessers_cannot_take_every_seat() {
    let admin = FakeAdmin::naming(everybody());
    let mut guessers: Vec<Wire> = (0..300)
        .map(|n| {
            let mut wire = Wire::connect(admin.address);
            wire.send(request(admin.address, "GET /api/v1/routes", &format!("guess-{n}")));
            wire
        })
        .collect();
    wait::until("a right token gets in", || {
        (send(&admin, "GET /api/v1/routes", &[&bearer("observer")], "").status == 200).then_some(())
    });
    guessers.clear();
}

#[test]
fn odd_credentials_are_refused_in_words() {
    let admin = FakeAdmin::naming(everybody());
    for (fields, status) in [
        (vec!["authorization: Basic b2JzZXJ2ZXI6"], 401),
        (vec!["authorization: Bearer"], 401),
        (vec!["authorization: Bearer "], 401),
        (vec!["authorization: Bearer observer", "authorization: Bearer admin"], 400),
        (vec!["cookie: andon_session=x"], 401),
        (vec!["cookie: andon_session="], 401),
    ] {
        let answer = send(&admin, "GET /api/v1/routes", &fields, "");
        assert_eq!(answer.status, status, "{fields:?}");
        assert!(answer.has_header("content-type: application/problem+json"), "{}", answer.head);
    }
    let long = bearer(&"x".repeat(60_000));
    assert_eq!(send(&admin, "GET /api/v1/routes", &[&long], "").status, 401);
}
