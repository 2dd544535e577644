//! `[admin]`: where it listens and who may.

use std::path::PathBuf;

use super::*;

const SHA: &str = "bb7d1a9bd2f2d1f7fc6d2f5b0d7ef0a9f0d4a0d3b8b7c1f4d6f7a3b2c1d0e9f8";
const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn token(name: &str, role: &str, sha256: &str) -> String {
    format!("[[admin.token]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\n")
}

#[test]
fn nobody_is_named_by_default() {
    let admin = config_of("").admin;
    assert_eq!(admin, Admin::default());
    assert!(!admin.access.names_somebody() && !admin.access.open_metrics);
}

#[test]
fn a_token_has_a_name_a_role_and_a_hash() {
    let admin =
        config_of(&format!("[admin]\nlisten = \"0.0.0.0:1\"\n{}", token("bot", "release", SHA))).admin;
    let token = &admin.access.tokens[0];
    assert_eq!(
        (&*token.name, token.role, token.sha256[0], token.sha256[31]),
        ("bot", Role::Release, 0xbb, 0xf8)
    );
    assert!(!crate::config::admin::is_loopback(&admin.listen));
}

#[test]
fn two_secrets_may_have_one_name_but_not_two_roles() {
    let rotated = format!("{}{}", token("bot", "puller", SHA), token("bot", "puller", OTHER));
    assert_eq!(config_of(&rotated).admin.access.tokens.len(), 2);
    check(
        &format!("{}{}", token("bot", "puller", SHA), token("bot", "admin", OTHER)),
        &[
            "5:1: admin.token: two tokens of \"bot\" have different roles; give both the same role, or each a name of its own: the name says in the record who it was",
        ],
    );
}

#[test]
fn one_secret_is_one_token() {
    check(
        &format!("{}{}", token("a", "puller", SHA), token("b", "puller", &SHA.to_uppercase())),
        &[&format!(
            "8:10: admin.token.sha256 is \"{}… a second time; make another one with `andon token new`: each says who it is",
            &SHA.to_uppercase()[..59]
        )],
    );
}

#[test]
fn names_that_mean_something_else_in_the_record_are_refused() {
    for name in ["file", "Local", "plan", "uid-0", "UID-0"] {
        let found = problems_of(&format!("{}{REST}", token(name, "admin", SHA))).to_string();
        assert!(found.contains("in the record"), "{found}");
    }
    let client = "[admin]\ntls = { certificates = [{ cert = \"a\", key = \"b\" }], client_ca = \"c\" }\n\
                  [[admin.client]]\nname = \"immune system\"\nrole = \"admin\"\n";
    assert!(problems_of(&format!("{client}{REST}")).to_string().contains("in the record"));
}

#[test]
fn what_is_no_hash_is_refused_and_not_repeated() {
    let secret = "andon_the_secret_itself_was_pasted_here";
    let found = problems_of(&format!("{}{REST}", token("a", "admin", secret))).to_string();
    assert!(found.contains("64 hex digits") && !found.contains(secret), "{found}");
    check(
        &token("a", "boss", "xyz"),
        &[
            "3:8: admin.token.role is \"boss\"; write \"observer\", \"puller\", \"release\" or \"admin\"",
            "4:10: admin.token.sha256 is not a SHA-256; write the 64 hex digits that `andon token new` prints beside the token",
        ],
    );
}

#[test]
fn a_client_needs_an_authority() {
    let client = "[[admin.client]]\nname = \"ann.example\"\nrole = \"admin\"\n";
    let found = problems_of(&format!("{client}{REST}")).to_string();
    assert!(found.contains("admin.tls.client_ca is missing"), "{found}");
    let tls = "tls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }], client_ca = \"ca.pem\" }";
    let admin = config_of(&format!("[admin]\nlisten = \"0.0.0.0:1\"\n{tls}\n{client}")).admin;
    assert_eq!((&*admin.access.clients[0].name, admin.access.clients[0].role), ("ann.example", Role::Admin));
    assert_eq!(admin.tls.unwrap().certificates[0].cert.path, PathBuf::from("/etc/andon/a.pem"));
    let identity = tls.replace(" }", ", client_identity_header = \"x-who\" }");
    let found = problems_of(&format!("[admin]\n{identity}\n{REST}")).to_string();
    assert!(found.contains("client_identity_header is an unknown key"), "{found}");
}

#[test]
fn a_socket_is_for_its_user_unless_the_mode_says_more() {
    let socket = config_of("[admin]\nsocket = \"run/andon.sock\"\n").admin.socket.unwrap();
    assert_eq!((socket.path, socket.mode), (PathBuf::from("/etc/andon/run/andon.sock"), 0o600));
    let shared = config_of("[admin]\nsocket = \"s\"\nsocket_mode = \"0660\"\n").admin.socket.unwrap();
    assert_eq!(shared.mode, 0o660);
    for mode in ["0666", "0601", "4600", "rw", "", "0o60", "99"] {
        let text = format!("[admin]\nsocket = \"s\"\nsocket_mode = \"{mode}\"\n{REST}");
        assert!(problems_of(&text).to_string().contains("admin.socket_mode is"), "{mode}");
    }
    check(
        "[admin]\nsocket_mode = \"0660\"\n",
        &["1:1: admin.socket is missing; add `socket = \"andon.sock\"`"],
    );
    let long = format!("[admin]\nsocket = \"{}\"\n{REST}", "s".repeat(108));
    assert!(problems_of(&long).to_string().contains("107 bytes"));
}

#[test]
fn origins_are_kept_as_browsers_write_them() {
    let origins =
        |list: &str| config_of(&format!("[admin]\norigins = {list}\n")).admin.access.origins.clone();
    let kept = origins(r#"["https://Andon.example", "https://a.example:443/", "http://b:8080"]"#);
    assert_eq!(
        kept.iter().map(|one| &**one).collect::<Vec<_>>(),
        ["https://andon.example", "https://a.example", "http://b:8080"]
    );
    for bad in ["andon.example", "ftp://a", "https://a/x", "https://a?x", "https://me@a", "*", "null"] {
        let text = format!("[admin]\norigins = [\"{bad}\"]\n{REST}");
        assert!(problems_of(&text).to_string().contains("admin.origins item 1"), "{bad}");
    }
}

#[test]
fn an_open_address_without_tls_is_warned_about() {
    let text = |tls: &str| {
        let admin = format!("[admin]\nlisten = \"0.0.0.0:2636\"\n{tls}\n{}{REST}", token("a", "admin", SHA));
        parse("f", &admin, Path::new("")).unwrap().admin.warnings()
    };
    assert_eq!(
        text("")[0].message,
        "admin.listen is \"0.0.0.0:2636\", without TLS: tokens can be read on the way"
    );
    assert!(text("tls = { certificates = [{ cert = \"a\", key = \"b\" }] }").is_empty());
    assert!(Admin::default().warnings().is_empty());
}
