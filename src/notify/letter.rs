//! What receivers are told of a decision: one line for people, and the whole of it for programs.

use std::fmt::Write as _;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::headers::Piece;
use crate::config::notify::{Blank, Form};
use crate::config::{Receiver, Weight};
use crate::store::record::{Action, Decision};

/// What happened and why, in one line: what operators read first.
pub fn sentence(decision: &Decision) -> String {
    let Decision { route, before, after, by, why, .. } = decision;
    let who = who(decision);
    let what = match decision.action {
        Action::BackOff => format!("{who} backed off {before} → {after}"),
        Action::Watch => format!("{who} found unhealthy, and only watched"),
        Action::Weight => format!("weight of {who} {before} → {after} by {by}"),
        Action::Raise => format!("{who} raised {before} → {after} by {by}"),
        Action::CordPull => format!("cord pulled by {by}, {who} {before} → {after}"),
        Action::CordReset => format!("cord reset by {by}, {who} {before} → {after}"),
        Action::SelfTest => "the self-test found stable worse than itself".to_owned(),
        other => format!("{} of {who} by {by}", other.label().replace('_', " ")),
    };
    one_line(&format!("route \"{route}\": {what}: {why}"))
}

/// The canary, by its name where it has one of its own.
fn who(decision: &Decision) -> String {
    match decision.canary.as_deref() {
        None => "all canaries".to_owned(),
        Some("canary") => "canary".to_owned(),
        Some(name) => format!("canary \"{name}\""),
    }
}

/// Reasons come from people, and a line must stay one.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Where the numbers are: an address, or how to ask for them. `base`: what addresses begin with.
fn link(decision: &Decision, base: Option<&str>) -> String {
    match base {
        Some(base) => format!("{base}/decisions/{}", decision.id),
        None => format!("andon explain {}", decision.id),
    }
}

/// The body of a message about a decision.
pub(super) fn body(decision: &Decision, receiver: &Receiver, base: Option<&str>) -> Bytes {
    let body = match receiver.form {
        Form::Chat => json!({ "text": text(decision, receiver, base, &escaped) }),
        Form::Json => {
            let mut data = data(decision);
            data["text"] = text(decision, receiver, base, &str::to_owned).into();
            data["link"] = base.map(|_| link(decision, base)).into();
            let kind = format!("andon.{}", decision.action.label());
            json!({ "type": kind, "timestamp": date(decision.at_ms), "data": data })
        }
    };
    body.to_string().into()
}

/// A message about nothing, to see whether it arrives.
pub(super) fn test_body(receiver: &Receiver, at_ms: i64) -> Bytes {
    let text = format!("a test of notify \"{}\": andon reaches this receiver", receiver.name);
    let body = match receiver.form {
        Form::Chat => json!({ "text": text }),
        Form::Json => {
            json!({ "type": "andon.test", "timestamp": date(at_ms), "data": { "text": text, "link": null } })
        }
    };
    body.to_string().into()
}

fn text(
    decision: &Decision,
    receiver: &Receiver,
    base: Option<&str>,
    clean: &dyn Fn(&str) -> String,
) -> String {
    let Some(template) = &receiver.template else {
        return format!("{}; evidence: {}", clean(&sentence(decision)), link(decision, base));
    };
    let mut text = String::new();
    for piece in template {
        let value = match piece {
            Piece::Text(text) => text.to_string(),
            Piece::Variable(blank) => clean(&one_line(&filled(*blank, decision, base))),
        };
        let _ = text.write_str(&value);
    }
    text
}

fn filled(blank: Blank, decision: &Decision, base: Option<&str>) -> String {
    match blank {
        Blank::Route => decision.route.to_string(),
        Blank::Canary => decision.canary.as_deref().unwrap_or("all canaries").to_owned(),
        Blank::Action => decision.action.label().to_owned(),
        Blank::Before => decision.before.to_string(),
        Blank::After => decision.after.to_string(),
        Blank::By => decision.by.to_string(),
        Blank::Why => decision.why.to_string(),
        Blank::Link => link(decision, base),
        Blank::At => date(decision.at_ms).unwrap_or_default(),
    }
}

/// In a chat these three begin links and calls to everybody, which a reason must not.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As the API shows it; a test compares the two.
fn data(decision: &Decision) -> Value {
    let ppm = |weight: Weight| (weight.to_string(), weight.ppm());
    let ((before, before_ppm), (after, after_ppm)) = (ppm(decision.before), ppm(decision.after));
    json!({
        "id": *decision.id,
        "at": date(decision.at_ms),
        "at_ms": decision.at_ms,
        "route": *decision.route,
        "canary": decision.canary.as_deref(),
        "action": decision.action.label(),
        "by": *decision.by,
        "why": *decision.why,
        "before": before,
        "before_ppm": before_ppm,
        "after": after,
        "after_ppm": after_ppm,
        "evidence": decision.evidence,
    })
}

/// `None`: not a time that a calendar knows.
fn date(at_ms: i64) -> Option<String> {
    Timestamp::from_millisecond(at_ms).ok().map(|at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests;
