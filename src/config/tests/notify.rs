//! `[[notify]]` and `[admin] url`: who is told, and what a receiver must not be.

use std::time::Duration;

use super::super::notify::{Form, Key, Secret};
use super::*;

const ROUTE: &str = "[[route]]\nname = \"shop\"\nstable = \"api\"\n";
const SECRET: &str = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";

fn receiver_of(text: &str) -> Receiver {
    config_of(&format!("[[notify]]\nname = \"ops\"\n{text}\n{ROUTE}")).notify.remove(0)
}

#[test]
fn a_receiver_has_defaults_for_all_but_where_it_is_and_what_signs() {
    let ops = receiver_of(&format!("url = \"https://hooks.example/a\"\n{SECRET}"));
    assert_eq!((ops.form, ops.timeout, ops.attempts), (Form::Json, Duration::from_secs(5), 10));
    assert!(ops.wants("shop", "back_off") && ops.wants("any", "weight"));
    assert_eq!(format!("{:?}", ops.secret), "Some(Key(whsec_…))", "a secret is never shown");
    let chat = receiver_of(
        "url = \"http://127.0.0.1:1/x\"\nform = \"chat\"\non = [\"cord_pull\"]\nroutes = [\"shop\"]\nsecret_file = \"s\"",
    );
    assert!(chat.wants("shop", "cord_pull"));
    assert!(!chat.wants("shop", "back_off") && !chat.wants("other", "cord_pull"));
    assert!(matches!(chat.secret, Some(Secret::File(file)) if file.path == Path::new("/etc/andon/s")));
}

#[test]
fn what_a_receiver_cannot_be_is_told_all_at_once_and_no_secret_is_quoted() {
    check(
        &format!(
            r#"[[notify]]
name = "a"
url = "hooks.example/x"
secret = "hunter2"
on = ["backoff"]
routes = ["shopp"]
template = "{{rote}}"
timeout = "1m"
attempts = 0
[[notify]]
name = "b"
url = "http://127.0.0.1/x"
ca = "ca.pem"
[[notify]]
name = "a"
url = "http://127.0.0.1/x"
form = "xml"
secret = "whsec_c2hvcnQ="
secret_file = "s"
colour = "red"
{ROUTE}"#
        ),
        &[
            "3:7: notify \"a\": url is no address of http; write an address such as \"https://hooks.example/andon\"",
            "4:10: notify \"a\": secret is no secret; write \"whsec_\" and 24 to 64 bytes in Base64; `openssl rand -base64 32` \
             makes some",
            "5:7: notify \"a\": on item 1 is \"backoff\"; did you mean `back_off`?",
            "6:11: notify \"a\": routes item 1 names route \"shopp\", which does not exist; did you mean `shop`?",
            "7:12: notify \"a\": template is \"{rote}\"; it may hold {route}, {canary}, {action}, {before}, {after}, {by}, {why}, \
             {link}, {at}; write {{ for a brace",
            "8:11: notify \"a\": timeout is \"1m\"; write a duration from \"100ms\" to \"30s\", such as \"10s\"",
            "9:12: notify \"a\": attempts is 0; write a whole number from 1 to 20",
            "10:1: notify \"b\": secret_file is missing; add `secret_file = \"ops.secret\"`, or `form = \"chat\"`",
            "13:6: notify \"b\": ca stands beside an address of http; write https, or take it out",
            "15:8: notify \"a\": name is \"a\" a second time; give each notify a name of its own",
            "17:8: notify \"a\": form is \"xml\"; write \"json\" (the decision, signed) or \"chat\" (its text, as Slack and others \
             take it)",
            "18:10: notify \"a\": secret is no secret; write \"whsec_\" and 24 to 64 bytes in Base64; `openssl rand -base64 32` \
             makes some",
            "19:15: notify \"a\": secret_file stands beside secret; write one of them",
            "20:1: notify \"a\": colour is an unknown key; accepted here: name, url, ca, token_file, form, secret, secret_file, \
             on, routes, template, timeout, attempts",
        ],
    );
}

#[test]
fn a_key_has_24_to_64_bytes() {
    let of = |bytes: usize| Key::parse(&format!("whsec_{}", data_encoding::BASE64.encode(&vec![7; bytes])));
    assert!(of(23).is_err() && of(65).is_err());
    assert!(of(24).is_ok() && of(64).is_ok());
    assert!(Key::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
}

#[test]
fn links_begin_with_an_address_without_a_slash_at_its_end() {
    let url = |text: &str| config_of(&format!("[admin]\nurl = \"{text}\"\n")).admin.url;
    assert_eq!(url("https://andon.example/").as_deref(), Some("https://andon.example"));
    assert_eq!(url("http://127.0.0.1:2636/andon").as_deref(), Some("http://127.0.0.1:2636/andon"));
    check(
        "[admin]\nurl = \"https://andon.example/?x\"\n",
        &[
            "2:7: admin.url is \"https://andon.example/?x\"; write an address such as \"https://andon.example\"",
        ],
    );
}

#[test]
fn files_with_secrets_are_looked_at_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("andon.toml");
    let text = "[[notify]]\nname = \"ops\"\nurl = \"http://127.0.0.1:1/x\"\nsecret_file = \"s\"\ntoken_file = \"t\"\n";
    std::fs::write(&file, format!("{text}{REST}")).unwrap();
    std::fs::write(directory.path().join("s"), "hunter2").unwrap();
    std::fs::write(directory.path().join("t"), "two words").unwrap();
    let found = load(&file).unwrap_err().to_string();
    let said = |text: &str| found.contains(text);
    assert!(
        said("secret_file") && said("without whsec_") && said("token_file") && said("not one word"),
        "{found}"
    );
    assert!(!said("hunter2") && !said("two words"), "{found}");
    std::fs::write(directory.path().join("s"), " whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    std::fs::write(directory.path().join("t"), "token\n").unwrap();
    load(&file).unwrap();
}
