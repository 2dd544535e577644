//! What receivers read.

use super::*;
use crate::config;
use crate::config::notify::Blank;

fn decision(action: Action, canary: Option<&str>, why: &str) -> Decision {
    Decision {
        id: "0190-1".into(),
        at_ms: 1_700_000_000_123,
        route: "checkout".into(),
        canary: canary.map(Into::into),
        action,
        by: "ann".into(),
        why: why.into(),
        before: Weight::parse("5%").unwrap(),
        after: Weight::ZERO,
        evidence: Some(json!({ "odds": 1_234.5 })),
    }
}

fn receiver(form: &str, template: &str) -> Receiver {
    let text = format!(
        "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n\
         [[notify]]\nname = \"ops\"\nurl = \"http://127.0.0.1:9/x\"\nform = \"{form}\"\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n{template}\n"
    );
    config::parse("f", &text, std::path::Path::new("")).unwrap().notify.remove(0)
}

fn text_of(decision: &Decision, receiver: &Receiver, base: Option<&str>) -> String {
    let body: Value = serde_json::from_slice(&body(decision, receiver, base)).unwrap();
    body.get("text").unwrap_or(&body["data"]["text"]).as_str().unwrap().to_owned()
}

#[test]
fn every_action_has_a_sentence_and_a_receiver_may_ask_for_it() {
    for (action, expected) in [
        (Action::BackOff, "route \"checkout\": canary backed off 5% → 0%: too slow"),
        (Action::Weight, "route \"checkout\": weight of canary 5% → 0% by ann: too slow"),
        (Action::Raise, "route \"checkout\": canary raised 5% → 0% by ann: too slow"),
        (Action::Watch, "route \"checkout\": canary found unhealthy, and only watched: too slow"),
        (Action::CordPull, "route \"checkout\": cord pulled by ann, canary 5% → 0%: too slow"),
        (Action::CordReset, "route \"checkout\": cord reset by ann, canary 5% → 0%: too slow"),
        (Action::SelfTest, "route \"checkout\": the self-test found stable worse than itself: too slow"),
        (Action::Role, "route \"checkout\": role of canary by ann: too slow"),
        (Action::Drill, "route \"checkout\": drill of canary by ann: too slow"),
    ] {
        assert_eq!(sentence(&decision(action, Some("canary"), "too slow")), expected);
    }
    assert_eq!(Receiver::ACTIONS.to_vec(), Action::ALL.map(Action::label).to_vec());
}

#[test]
fn a_line_stays_a_line_and_names_a_canary_that_has_a_name() {
    let said = sentence(&decision(Action::BackOff, Some("v2"), "a\nb\u{1b}[31m"));
    assert_eq!(said, "route \"checkout\": canary \"v2\" backed off 5% → 0%: a b [31m");
    assert!(sentence(&decision(Action::CordPull, None, "x")).contains(", all canaries 5% → 0%: x"));
}

#[test]
fn the_link_is_an_address_or_how_to_ask() {
    let decision = decision(Action::BackOff, Some("canary"), "x");
    let json = receiver("json", "");
    let with = text_of(&decision, &json, Some("https://andon.example"));
    assert!(with.ends_with("; evidence: https://andon.example/decisions/0190-1"), "{with}");
    let without = text_of(&decision, &json, None);
    assert!(without.ends_with("; evidence: andon explain 0190-1"), "{without}");
}

#[test]
fn a_template_fills_every_blank() {
    let names = Blank::NAMED.map(|(name, _)| format!("{{{name}}}")).join("|");
    let receiver = receiver("json", &format!("template = \"{{{{{names}\""));
    let text = text_of(&decision(Action::BackOff, Some("v2"), "slow"), &receiver, Some("http://a"));
    assert_eq!(
        text,
        "{checkout|v2|back_off|5%|0%|ann|slow|http://a/decisions/0190-1|2023-11-14T22:13:20.123Z"
    );
}

#[test]
fn a_reason_calls_nobody_in_a_chat_and_a_template_may_link() {
    let decision = decision(Action::BackOff, Some("canary"), "<!channel> & more");
    assert!(text_of(&decision, &receiver("chat", ""), None).contains("&lt;!channel&gt; &amp; more"));
    let linked = receiver("chat", "template = \"<{link}|{why}>\"");
    let text = text_of(&decision, &linked, Some("http://a"));
    assert_eq!(text, "<http://a/decisions/0190-1|&lt;!channel&gt; &amp; more>");
    assert!(text_of(&decision, &receiver("json", ""), None).contains("<!channel> & more"));
}
