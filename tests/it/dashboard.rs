//! The dashboard: what the listener gives a browser, and its stories in a real one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::andon::split;
use crate::support::{Andon, Server, admin};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

/// Node.js with its packages, which `tests/tools` installs if they are not there.
fn node(arguments: &[&str]) -> Command {
    let done = Command::new(root().join("tests/tools")).output().expect("the script is there");
    assert!(done.status.success(), "{}", said(&done));
    let mut node = Command::new("node");
    node.current_dir(root()).args(arguments);
    node
}

#[track_caller]
fn check(mut command: Command) {
    let done = command.output().expect("it is installed");
    assert!(done.status.success(), "{}", said(&done));
}

fn andon() -> Andon {
    let (stable, canary) = (Server::named("stable"), Server::named("canary"));
    Andon::start(&split(stable.address, canary.address, "5%", ""))
}

#[test]
fn a_browser_gets_a_page_of_our_own_under_a_strict_policy_and_curl_a_list() {
    let andon = andon();
    let fetch = |path: &str, accept: &str| {
        admin::ask_with(andon.admin, "GET", path, &format!("Accept: {accept}\r\n"), "").message
    };
    let page = fetch("/", "text/html,*/*;q=0.8");
    assert_eq!((page.status(), page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.field("content-security-policy").expect("it has one");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let links: Vec<&str> =
        page.text().split('"').filter(|part| part.ends_with(".js") || part.ends_with(".css")).collect();
    assert!(links.len() > 2, "{}", page.text());
    for link in links {
        let asset = fetch(&format!("/{link}"), "*/*");
        assert_eq!(asset.status(), 200, "{link}");
        let kind =
            if link.ends_with(".js") { "text/javascript; charset=utf-8" } else { "text/css; charset=utf-8" };
        assert_eq!(asset.field("content-type"), Some(kind));
        assert_eq!(asset.field("x-content-type-options"), Some("nosniff"));
    }
    assert!(fetch("/", "*/*").text().starts_with("andon: a reverse proxy"));
    assert_eq!(fetch("/nothing.js", "*/*").status(), 404);
    let link = fetch("/decisions/01a221e1-2893", "text/html");
    assert_eq!((link.status(), link.field("location")), (302, Some("../#/decision/01a221e1-2893")));
    assert_eq!(fetch("/decisions/%0d%0aX:%20y", "text/html").status(), 404);
}

#[test]
fn its_types_hold() {
    check(node(&[
        "target/tools/dashboard/node_modules/typescript/bin/tsc",
        "-p",
        "tests/dashboard/tsconfig.json",
    ]));
}

#[test]
fn its_charts_and_numbers_are_right() {
    check(node(&["--test", "tests/dashboard/unit.mjs"]));
}

/// A third of the stories. They take turns within one browser, and three browsers are not slower than one.
#[track_caller]
fn check_stories(part: &str) {
    let mut stories = node(&["tests/dashboard/run.mjs", part]);
    stories.env("ANDON_BIN", env!("CARGO_BIN_EXE_andon")).env("ANDON_DASHBOARD", "embedded");
    assert!(Path::new("/usr/bin/chromium").exists(), "install Debian's chromium: tests/run does");
    check(stories);
}

#[test]
fn its_stories_are_as_told_in_a_real_browser_first_third() {
    check_stories("1/3");
}

#[test]
fn its_stories_are_as_told_in_a_real_browser_second_third() {
    check_stories("2/3");
}

#[test]
fn its_stories_are_as_told_in_a_real_browser_last_third() {
    check_stories("3/3");
}
