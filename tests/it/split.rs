//! Who gets the canary: by share, by override, by sticky key.

use std::collections::BTreeSet;

use crate::support::andon::split;
use crate::support::{Andon, Server, get_with};

fn variants() -> (Server, Server) {
    (Server::named("stable"), Server::named("canary"))
}

/// How many of so many requests, each with these fields, the canary answered.
fn canary_answers(andon: &Andon, requests: usize, fields: &str) -> usize {
    let mut client = andon.connect();
    let request = get_with("/", fields);
    let mut by_canary = 0;
    for _ in 0..requests {
        client.send(&request);
        let answer = client.response();
        by_canary += usize::from(answer.text() == "canary");
        if answer.field("connection") == Some("close") {
            client = andon.connect();
        }
    }
    by_canary
}

#[test]
fn five_percent_are_a_hundred_of_two_thousand() {
    let (stable, canary) = variants();
    let andon = Andon::between(stable.address, canary.address, "5%");
    let by_canary = canary_answers(&andon, 2_000, "");
    assert!((92..=108).contains(&by_canary), "{by_canary}");
    assert_eq!(canary.requests(), by_canary);
}

#[test]
fn weight_zero_sends_nothing_and_the_whole_sends_all() {
    let (stable, canary) = variants();
    let andon = Andon::between(stable.address, canary.address, "0%");
    assert_eq!(canary_answers(&andon, 500, ""), 0);
    andon.set_weight("100%").ok();
    assert_eq!(canary_answers(&andon, 500, ""), 500);
    andon.set_weight("0%").ok();
    assert_eq!(canary_answers(&andon, 500, ""), 0);
}

#[test]
fn overrides_by_header_cookie_and_query_choose_the_variant() {
    let (stable, canary) = variants();
    let rules = r#"overrides = [
        { header = "x-canary", value = "never", to = "stable" },
        { header = "x-canary", value = "always" },
        { cookie = "beta", value = "1" },
        { query = "preview" },
    ]"#;
    let andon = Andon::start(&split(stable.address, canary.address, "0%", rules));
    assert_eq!(canary_answers(&andon, 20, "X-Canary: always\r\n"), 20);
    assert_eq!(canary_answers(&andon, 20, "Cookie: a=b; beta=1; c=d\r\n"), 20);
    assert_eq!(canary_answers(&andon, 20, "X-Canary: sometimes\r\nCookie: beta=10; alphabeta=1\r\n"), 0);
    assert_eq!(andon.exchange(get_with("/?a=b&preview=yes", "")).text(), "canary");
    assert_eq!(andon.exchange(get_with("/?a=preview", "")).text(), "stable");
    andon.set_weight("100%").ok();
    assert_eq!(canary_answers(&andon, 20, "X-Canary: never\r\n"), 0);
    assert_eq!(canary_answers(&andon, 20, ""), 20);
}

/// The users that the canary serves, each asked twice.
fn canary_users(andon: &Andon) -> BTreeSet<u32> {
    let served = |user: &u32| {
        let answers = canary_answers(andon, 2, &format!("Cookie: uid=user-{user}\r\n"));
        assert_ne!(answers, 1, "user {user} saw both variants");
        answers == 2
    };
    (0..300).filter(served).collect()
}

#[test]
fn raising_the_weight_moves_sticky_users_only_from_stable_to_canary() {
    let (stable, canary) = variants();
    let sticky = "[route.sticky]\ncookie = \"uid\"";
    let andon = Andon::start(&split(stable.address, canary.address, "20%", sticky));
    let at_20 = canary_users(&andon);
    assert!((30..=90).contains(&at_20.len()), "{}", at_20.len());
    andon.set_weight("50%").ok();
    let at_50 = canary_users(&andon);
    assert!((115..=185).contains(&at_50.len()), "{}", at_50.len());
    assert!(at_20.is_subset(&at_50), "moved back: {:?}", at_20.difference(&at_50));
    andon.set_weight("20%").ok();
    assert_eq!(canary_users(&andon), at_20);
}
