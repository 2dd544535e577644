//! What README.md says is run here: each command of its console blocks, in order, in one shell, and what they print
//! is held against what the page shows.
//!
//! A block is ```` ```console ````; `$ ` begins a command, `> ` goes on with it, all else is its output (both
//! streams), and a line `…` stands for any number of lines. What differs from run to run (times, rates, counts)
//! may differ, and nothing else: see [`Shape`]. The shell gets its own folder, ports and a clean environment.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use regex::{Captures, Regex};

use crate::support::port;

const README: &str = include_str!("../../README.md");

/// What is not run, and who runs it instead.
const ELSEWHERE: [(&str, &str); 3] = [
    ("cargo run --release -- demo", "tests/it/demo.rs runs `andon demo` with the binary that was built"),
    ("tests/run", "it is what runs this test"),
    ("cargo build --release --locked", "cargo has built the binary that this test puts in its place"),
];

/// The ports that the page and config/minimal.toml name.
const PORTS: [&str; 4] = ["8080", "9001", "9002", "2636"];
/// Stands before the output of each command.
const MARK: char = '\u{1e}';
/// A command that never returns must not hold up the tests for ever.
const SESSION_SECONDS_MAX: &str = "100";

#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    shown: Vec<String>,
}

#[test]
fn every_command_of_the_page_prints_what_the_page_shows() {
    let steps: Vec<Step> =
        steps(README).into_iter().filter(|step| !is_run_elsewhere(&step.command)).collect();
    assert!(steps.len() > 10, "the tutorial is missing: {steps:?}");
    let ports = free_ports();
    let real = run(&steps, &ports);
    let shape = Shape::new();
    let mut complaints = String::new();
    for (index, step) in steps.iter().enumerate() {
        let empty = Vec::new();
        let printed = real.get(index).unwrap_or(&empty);
        if !matches(&shape.of(&step.shown), &shape.of(printed)) {
            let (shown, printed) = (step.shown.join("\n"), printed.join("\n"));
            writeln!(complaints, "$ {}\nshown:\n{shown}\nprinted:\n{printed}\n", step.command).unwrap();
        }
    }
    assert!(complaints.is_empty(), "README.md shows what is not so\n\n{complaints}");
}

#[test]
fn only_what_cannot_run_here_is_run_elsewhere() {
    let steps = steps(README);
    let skipped: BTreeSet<&str> =
        steps.iter().map(|step| step.command.as_str()).filter(|command| is_run_elsewhere(command)).collect();
    assert_eq!(skipped, ELSEWHERE.iter().map(|(command, _)| *command).collect::<BTreeSet<_>>());
}

#[test]
fn every_verb_of_the_command_line_is_on_the_page() {
    let help = Command::new(env!("CARGO_BIN_EXE_andon")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.contains(&"run"), "{help}");
    for verb in verbs {
        assert!(README.contains(&format!("| `andon {verb}")), "the command line table lacks `andon {verb}`");
    }
}

fn is_run_elsewhere(command: &str) -> bool {
    ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == command)
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_block = line == "```console";
        } else if !in_block {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), shown: Vec::new() });
        } else {
            let step = steps.last_mut().expect("a console block begins with a command");
            match line.strip_prefix("> ") {
                Some(more) => step.command = format!("{}\n{more}", step.command),
                None => step.shown.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Free ones, each beside the one that it stands for. None has a documented one within: one is put in the place of the other
/// by text.
fn free_ports() -> Vec<(String, &'static str)> {
    let mut free = BTreeSet::new();
    while free.len() < PORTS.len() {
        let port = port::free().port().to_string();
        if !PORTS.iter().any(|documented| port.contains(documented)) {
            free.insert(port);
        }
    }
    free.into_iter().zip(PORTS).collect()
}

/// What each command printed. Whatever it left running ends with the shell.
fn run(steps: &[Step], ports: &[(String, &'static str)]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir_all(at.join("target/release")).unwrap();
    symlink(env!("CARGO_BIN_EXE_andon"), at.join("target/release/andon")).unwrap();
    put_config(at, ports);
    fs::write(at.join("session"), script(steps, ports)).unwrap();
    let output = at.join("output");
    let both = File::create(&output).unwrap();
    let mut shell = Command::new("timeout");
    shell.args(["--kill-after=5", SESSION_SECONDS_MAX, "bash", "session"]).current_dir(at).env_clear();
    shell.env("PATH", std::env::var_os("PATH").unwrap()).env("LC_ALL", "C.UTF-8").env("USER", "ana");
    shell.env("HOME", at).env("TMPDIR", at).env("ANDON_ADMIN", format!("http://127.0.0.1:{}", ports[3].0));
    shell.stdin(Stdio::null()).stdout(both.try_clone().unwrap()).stderr(both);
    let ended = shell.status().expect("bash and timeout run; install coreutils and bash");
    let mut text = fs::read_to_string(output).unwrap();
    assert!(ended.success(), "the session ended with {ended}:\n{text}");
    for (real, documented) in ports {
        text = text.replace(real, documented);
    }
    let parts = text.split(MARK).skip(1);
    parts.map(|part| part.lines().skip(1).map(str::to_owned).collect()).collect()
}

/// The admin listener has no line in the smallest file, so it takes the place of the comment: line numbers stay.
fn put_config(at: &Path, ports: &[(String, &'static str)]) {
    let minimal = with_ports(include_str!("../../config/minimal.toml"), ports);
    let (comment, rest) = minimal.split_once('\n').unwrap();
    assert!(comment.starts_with('#'), "{comment}");
    let admin = format!("admin = {{ listen = \"127.0.0.1:{}\" }}\n{rest}", ports[3].0);
    fs::create_dir(at.join("config")).unwrap();
    fs::write(at.join("config/minimal.toml"), admin).unwrap();
}

fn script(steps: &[Step], ports: &[(String, &'static str)]) -> String {
    // The mark leaves `$?` as it was, so that the page may show it.
    let mut script = format!(
        "trap 'kill $(jobs -p) 2>/dev/null' EXIT\nmark() {{ local was=$?; echo '{MARK}'; return $was; }}\n"
    );
    for step in steps {
        write!(script, "mark\n{}\n", with_ports(&step.command, ports)).unwrap();
    }
    script + "exit 0\n"
}

fn with_ports(text: &str, ports: &[(String, &'static str)]) -> String {
    ports.iter().fold(text.to_owned(), |text, (real, documented)| text.replace(documented, real))
}

/// Lines without what differs from run to run.
struct Shape {
    rules: Vec<(Regex, &'static str)>,
    number: Regex,
}

impl Shape {
    fn new() -> Self {
        let rules = [
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "<time>"),
            (r"\d+ (s|min) ago", "<ago>"),
            (r"\d+(\.\d+)? (µs|ms|s)\b", "<duration>"),
            (r"\[\d+(\.\d+)?, \d+(\.\d+)?\]", "<interval>"),
            // Seen by the clock a moment before the command, or not.
            (r"^(reloaded|unchanged): generation", "<reloaded>: generation"),
            // REQ/S to P99 of a row of `andon status`; whole seconds are shown, so they may lag behind.
            (
                r"^(\S+ (?:stable|canary) .*) (?:[\d.]+|-) (?:[\d.]+%|-)(?: (?:<duration>|-)){3} (\S+)$",
                "$1 <window> $2",
            ),
            (r"\d+\.\d+%", "<share>"),
            (r"\b\d[\d.]*(?:e\+\d+)?:1\b", "<odds>"),
        ];
        let rules = rules.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word)).into();
        Self { rules, number: Regex::new(r"^(\(?)\d+(?:\.\d+)?(?:/\d+)?([),;]*)$").unwrap() }
    }

    fn of(&self, lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| self.of_line(line)).filter(|line| !line.is_empty()).collect()
    }

    fn of_line(&self, line: &str) -> String {
        let mut line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        for (rule, word) in &self.rules {
            line = rule.replace_all(&line, *word).into_owned();
        }
        let words: Vec<&str> = line.split(' ').collect();
        let shapes = words.iter().enumerate().map(|(at, word)| {
            // A status is no count, and neither is a line number beside the quoted line.
            let is_exact = at > 0 && words[at - 1] == "HTTP" || words.get(at + 1) == Some(&"|");
            let count = |found: &Captures<'_>| format!("{}<n>{}", &found[1], &found[2]);
            if is_exact { (*word).to_owned() } else { self.number.replace(word, count).into_owned() }
        });
        shapes.collect::<Vec<_>>().join(" ")
    }
}

/// `…` stands for any number of lines.
fn matches(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == "…" => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((line, rest)) => printed.first() == Some(line) && matches(rest, &printed[1..]),
    }
}

#[test]
fn steps_are_commands_with_what_they_print() {
    let page = "$ no\n```console\n$ a |\n> b\nout\n\n$ c &\n```\n```toml\n$ no\n```\n";
    let step = |command: &str, shown: &[&str]| Step {
        command: command.to_owned(),
        shown: shown.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(steps(page), [step("a |\nb", &["out", ""]), step("c &", &[])]);
}

#[test]
fn counts_and_times_may_differ_and_nothing_else() {
    let shape = Shape::new();
    let check = |shown: &str, printed: &str, same: bool| {
        let (shown, printed) = (shape.of_line(shown), shape.of_line(printed));
        assert_eq!(shown == printed, same, "{shown:?} {printed:?}");
    };
    check("    950 hello from v1", "1 hello from v1", true);
    check("    950 hello from v1", "950 hello from v2", false);
    check("992 HTTP 200", "3 HTTP 200", true);
    check("992 HTTP 200", "992 HTTP 502", false);
    check("21 | weight = 5", "22 | weight = 5", false);
    check("cord pulled by ana 3 s ago: 8 of 8 (x)", "cord pulled by ana 1 min ago: 9 of 9 (x)", true);
    check("cord pulled by ana 3 s ago", "cord pulled by bob 3 s ago", false);
    check("fails 0% [0, 4.6] (0/146) in the last 9 s", "fails 0% [0, 3] (0/9) in the last 1.2 s", true);
    check("fails 0%", "fails 1%", false);
    let row = |effective, aim, errors, verdict| {
        format!("shop  canary  v2  {effective}  {aim}  9.7  {errors}  1.7 ms  5 µs  -  {verdict}")
    };
    check(&row("0%", "25%, ceiling 0%", "3.1%", "bad"), &row("0%", "25%, ceiling 0%", "0%", "bad"), true);
    check(&row("0%", "25%", "3.1%", "bad"), &row("0%", "5%", "3.1%", "bad"), false);
    check(&row("0%", "25%", "3.1%", "bad"), &row("5%", "25%", "3.1%", "bad"), false);
    check(&row("0%", "25%", "3.1%", "bad"), &row("0%", "25%", "3.1%", "good"), false);
}

#[test]
fn an_ellipsis_stands_for_lines() {
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a … d"), &lines("a b c d")));
    assert!(matches(&lines("a … d"), &lines("a d")));
    assert!(!matches(&lines("a … d"), &lines("a b c")));
    assert!(!matches(&lines("a"), &lines("a b")));
}
