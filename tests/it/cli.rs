//! The command line from outside: what each verb prints, where, and how it exits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use crate::fake_admin::FakeAdmin;

fn andon(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.args(arguments).stdin(Stdio::null());
    command
        .env_remove("ANDON_ADMIN")
        .env_remove("ANDON_LOG")
        .env_remove("ANDON_LOG_FORMAT")
        .env("USER", "ana");
    command
}

#[track_caller]
fn check_output(output: &Output, exit: i32, stdout: &str, stderr: &str) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "stdout: {out}\nstderr: {err}");
    assert!(out.contains(stdout) && (!stdout.is_empty() || out.is_empty()), "stdout: {out}");
    assert!(err.contains(stderr) && (!stderr.is_empty() || err.is_empty()), "stderr: {err}");
}

/// Runs a remote verb: its exit code, and what stdout and stderr contain (empty: nothing at all).
#[track_caller]
fn check(arguments: &[&str], exit: i32, stdout: &str, stderr: &str) -> String {
    let admin = FakeAdmin::start();
    let output = andon(arguments).env("ANDON_ADMIN", format!("http://{}", admin.address)).output().unwrap();
    check_output(&output, exit, stdout, stderr);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn status_is_a_table_with_the_cord_below_its_route() {
    let text = check(&["status"], 0, "ROUTE", "").lines().map(str::to_owned).collect::<Vec<_>>();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&text[0]), "ROUTE VARIANT UPSTREAM WEIGHT AIM REQ/S ERRORS P50 P95 P99 VERDICT");
    assert_eq!(words(&text[1]), "shop stable v1 95% - 95.0 0% 900 µs 12.3 ms - -");
    assert_eq!(words(&text[2]), "shop canary v2 5% 5% 5.0 4.0% 900 µs 12.3 ms - undecided");
    assert_eq!(words(&text[7]), "held canary v2 0% 5% 5.0 4.0% 900 µs 12.3 ms - unhealthy");
    assert!(
        text[8].starts_with("  cord pulled by ana ") && text[8].ends_with(" days ago: errors"),
        "{}",
        text[8]
    );
    assert_eq!(words(&text[9]), "closed denied");
    assert_eq!(text[10], "multi is not as the file declares: see andon drift");
    assert_eq!(text.len(), 11);
}

#[test]
fn top_is_the_same_again_and_again_with_trouble_first() {
    let text = check(&["top", "--times", "2", "--every", "100ms"], 0, "3 in trouble", "");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = text.lines().map(words).collect();
    assert!(lines[0].starts_with("andon top http://127.0.0.1:"), "{}", lines[0]);
    assert!(lines[3].starts_with("held stable v1"), "the pulled cord comes first: {}", lines[3]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("andon top ")).count(), 2);
    let json = check(&["top", "--times", "2", "--every", "100ms", "-o", "json"], 0, "\"routes\"", "");
    let each: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(each.len(), 2);
}

#[test]
fn top_has_a_screen_of_its_own_and_gives_the_old_one_back() {
    let admin = FakeAdmin::start();
    let top = format!("{} top --times 1", env!("CARGO_BIN_EXE_andon"));
    let output = Command::new("script")
        .args(["-qec", &top, "/dev/null"])
        .env("ANDON_ADMIN", format!("http://{}", admin.address))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let places = ["\x1b[?1049h", "andon top", "ROUTE", "\x1b[?1049l"].map(|part| text.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text:?}");
    // A signal ends it in order as well.
    let endless = format!("timeout --foreground -s INT 1 {} top", env!("CARGO_BIN_EXE_andon"));
    let output = Command::new("script")
        .args(["-qec", &endless, "/dev/null"])
        .env("ANDON_ADMIN", format!("http://{}", admin.address))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.trim_end().ends_with("\x1b[?1049l"), "{text:?}");
}

#[test]
fn status_of_one_route_gives_the_reasons() {
    let text = check(&["status", "shop"], 0, "  canary: undecided: 2 of 50 failed\n", "");
    assert!(text.contains("  canary: strike 1 of 3; next step up in 9 min\n"), "{text}");
    assert!(text.contains("the file declares 1%, the aim was set to 5%"), "{text}");
    check(&["status", "nope"], 1, "", "No such route: route \"nope\" does not exist; there are \"shop\"");
    check(&["status", "a/b ?"], 1, "", "route \"a/b ?\" does not exist");
}

#[test]
fn json_is_the_answer_as_it_is() {
    let text = check(&["status", "shop", "-o", "json"], 0, "{\"name\":\"shop\",\"revision\":7,", "");
    assert!(text.ends_with("}\n"));
    check(&["status", "--output", "json"], 0, "{\"routes\":[", "");
    check(&["decisions", "-o", "json"], 0, "{\"decisions\":[", "");
    check(&["weight", "shop", "10%", "--why", "x", "-o", "json"], 0, "\"revision\":8", "");
    check(&["cord", "pull", "--why", "x", "-o", "json"], 0, "{\"routes\":[", "");
}

#[test]
fn weight_shows_old_and_new() {
    let moved = "shop canary: aim 5% → 10%; it gets 10%, stable gets 95%\n";
    check(&["weight", "shop", "10%", "--why", "looks good"], 0, moved, "");
    check(&["weight", "multi", "2%", "--canary", "b", "--why", "x"], 0, "multi b: aim 5% → 2%", "");
    check(&["weight", "multi", "2%", "--why", "x"], 1, "", "several canaries");
    check(&["weight", "held", "10%", "--why", "x"], 1, "", "The cord is pulled: route \"held\": ana pulled");
    check(&["weight", "shop", "10%", "--why", "store down"], 1, "", "disk full");
}

#[test]
fn changes_are_signed() {
    let who = |arguments: &[&str], by: &str| {
        let all = [&["weight", "shop", "10%", "--why", "x", "-o", "json"], arguments].concat();
        check(&all, 0, &format!("set by {by}: x"), "");
    };
    who(&[], "ana");
    who(&["--by", "release-bot"], "release-bot");
    check(&["cord", "pull", "--why", "x", "--by", "immune system"], 1, "", "by is \"immune system\"");
}

#[test]
fn cords_are_pulled_and_reset() {
    check(
        &["cord", "pull", "shop", "--why", "errors"],
        0,
        "shop: cord pulled; canary gets 0% (aim 5%)\n",
        "",
    );
    let all = check(&["cord", "pull", "--why", "errors"], 0, "multi: cord pulled; a gets 0% (aim 5%), b", "");
    assert_eq!(all.lines().count(), 3);
    check(&["cord", "reset", "held", "--why", "fixed"], 0, "held: cord reset; canary gets 5%\n", "");
    check(&["cord", "reset", "shop", "--why", "fixed"], 1, "", "not pulled");
}

#[test]
fn decisions_are_a_table_newest_first() {
    let text = check(&["decisions"], 0, "WHEN", "");
    let newest = text.lines().nth(1).unwrap();
    assert!(newest.starts_with("2023-11-14T22:13:20.003Z  held"), "{newest}");
    assert!(
        newest.contains("back_off") && newest.contains("5% → 0%") && newest.ends_with("reason 3"),
        "{newest}"
    );
    assert_eq!(check(&["decisions", "--limit", "1"], 0, "WHEN", "").lines().count(), 2);
    assert_eq!(check(&["decisions", "shop"], 0, "WHEN", "").lines().count(), 3);
    check(&["decisions", "nope"], 0, "no decisions\n", "");
}

#[test]
fn reload_prints_what_is_wrong_with_the_file() {
    check(&["reload"], 1, "", "--> andon.toml:7:10");
    check(&["reload", "-o", "json"], 1, "", "has 1 problem; nothing was changed");
}

#[test]
fn nobody_listening_is_exit_5_with_what_to_do_next() {
    let url = format!("http://{}", crate::support::port::free());
    let message =
        format!("no answer from {url}: connection refused; is andon running? set --admin URL or ANDON_ADMIN");
    for verb in [
        &["status"][..],
        &["decisions"],
        &["reload"],
        &["weight", "shop", "5%", "--why", "x"],
        &["cord", "pull", "--why", "x"],
        &["cord", "reset", "shop", "--why", "x"],
    ] {
        check_output(&andon(verb).args(["--admin", &url]).output().unwrap(), 5, "", &message);
    }
}

/// Answers one connection with these bytes.
#[track_caller]
fn check_answered(answer: &'static str, exit: i32, stderr: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 4_096];
        assert!(stream.read(&mut asked).unwrap() > 0);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    check_output(&andon(&["status"]).env("ANDON_ADMIN", url).output().unwrap(), exit, "", stderr);
    server.join().unwrap();
}

#[test]
fn answers_that_are_not_andons_are_told_apart() {
    check_answered("nonsense\r\n\r\n", 5, "not HTTP or broke off");
    check_answered("", 5, "not HTTP or broke off");
    check_answered("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}", 5, "not HTTP or broke off");
    check_answered("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 1, "not understood");
    check_answered("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", 1, "not in andon's words");
    check_answered("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", 5, "401");
    check_answered("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", 5, "403");
    check_answered("HTTP/1.1 307 Temporary\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", 1, "307");
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_is_right() {
    for (arguments, stderr) in [
        (&["weight", "shop", "150%", "--why", "x"][..], "from \"0%\" to \"100%\""),
        (&["weight", "shop", "5", "--why", "x"], "such as \"2.5%\""),
        (&["weight", "shop", "5%"], "--why"),
        (&["weight", "shop", "5%", "--why", " "], "say the reason"),
        (&["cord", "reset", "--why", "x"], "<ROUTE>"),
        (&["cord", "pull"], "--why"),
        (&["status", "-o", "xml"], "json"),
        (&["status", ""], "value is required"),
        (&["status", "--admin", "ftp://localhost"], "http://HOST:PORT"),
        (&["decisions", "--limit", "0"], "1..=1000"),
        (&["run"], "--config"),
        (&["demo", "--for", "1s"], "from 10s to 10m"),
        (&["nope"], "nope"),
        (&[], "Usage"),
    ] {
        check_output(&andon(arguments).output().unwrap(), 2, "", stderr);
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    check_output(&andon(&["--help"]).output().unwrap(), 0, "Exit codes", "");
    check_output(&andon(&["--version"]).output().unwrap(), 0, "andon ", "");
}

#[test]
fn a_file_that_cannot_be_read_fails_check_and_run_each_in_its_way() {
    let missing = ["-c", "/nonexistent/andon.toml"];
    check_output(&andon(&["check"]).args(missing).output().unwrap(), 1, "", "/nonexistent/andon.toml");
    check_output(&andon(&["run"]).args(missing).output().unwrap(), 78, "", "/nonexistent/andon.toml");
    let output = andon(&["check", "-o", "json"]).args(missing).output().unwrap();
    check_output(&output, 1, "\"file\": \"/nonexistent/andon.toml\"", "");
}

#[test]
fn a_bad_log_filter_is_told_before_anything_starts() {
    let run = ["run", "-c", "/nonexistent/andon.toml"];
    let output = andon(&run).env("ANDON_LOG", "inof").output().unwrap();
    check_output(&output, 2, "", "did you mean \"info\"");
    let output = andon(&run).env("ANDON_LOG_FORMAT", "xml").output().unwrap();
    check_output(&output, 2, "", "json");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let admin = FakeAdmin::start();
    let mut child = andon(&["status"])
        .args(["--admin", &format!("http://{}", admin.address)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    check_output(&output, 0, "", "");
}
