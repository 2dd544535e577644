//! Words that may not stand in the repository, and words that must.

use super::lexer::{Kind, Token};
use super::{Complaint, File, lines_of};

const NOTES: [&str; 3] = ["TODO", "FIXME", "XXX"];
/// Where people and their machines keep things. A path from here works for nobody else.
const MACHINE_FOLDERS: [&str; 4] = ["/root/", "/home/", "/work/", "/Users/"];
/// The one place where a test may wait: it polls a condition until a deadline.
const WAIT_HELPER: &str = "tests/it/support/wait.rs";

pub(super) fn no_note_for_later(file: &File) -> Vec<Complaint> {
    if file.is_tidy_itself() {
        return Vec::new();
    }
    let remedy = |note| format!("{note}: do it now, or open an issue and delete the note");
    numbered_lines(file)
        .flat_map(|(number, line)| {
            let found = NOTES.into_iter().find(|note| has_word(line, note));
            found.map(|note| Complaint::new(file, number, remedy(note)))
        })
        .collect()
}

pub(super) fn no_machine_path(file: &File) -> Vec<Complaint> {
    if file.is_tidy_itself() {
        return Vec::new();
    }
    let remedy = |folder| {
        format!("{folder}… exists on one machine only; write a path from the root of the repository")
    };
    numbered_lines(file)
        .flat_map(|(number, line)| {
            let found = MACHINE_FOLDERS.into_iter().find(|folder| begins_path(line, folder));
            found.map(|folder| Complaint::new(file, number, remedy(folder)))
        })
        .collect()
}

pub(super) fn no_allow(file: &File) -> Vec<Complaint> {
    let remedy = "write #[expect(lint, reason = \"…\")], which complains when it is no longer needed";
    let tokens = rust_tokens(file);
    let found = tokens.windows(3).filter(|seen| {
        matches!(seen[0].text, "[" | ",")
            && seen[1].text == "allow"
            && seen[2].text == "("
            && is_code(&seen[1])
    });
    found.map(|seen| Complaint::new(file, seen[1].line, remedy)).collect()
}

pub(super) fn honest_tests(file: &File) -> Vec<Complaint> {
    let tokens = rust_tokens(file);
    let remedy_for = |before: &str, token: &Token<'_>| match token.text {
        "ignore" if before == "[" => Some("an ignored test proves nothing; fix it or delete it"),
        "should_panic" => Some("assert on the error itself; any panic would satisfy should_panic"),
        "sleep" | "sleep_until" if file.path != WAIT_HELPER && file.is_test_line(token.line) => Some(
            "a sleep is a guess; wait for the condition with tests/it/support/wait.rs, pause the clock, \
             or await a channel that nobody sends to",
        ),
        _ => None,
    };
    let before = std::iter::once("").chain(tokens.iter().map(|token| token.text));
    let found = before.zip(&tokens).filter(|(_, token)| is_code(token));
    found
        .filter_map(|(before, token)| Some(Complaint::new(file, token.line, remedy_for(before, token)?)))
        .collect()
}

/// A metric that is only in the code is a metric that nobody looks at. Names are those of `src/metrics`.
pub(super) fn metrics_are_in_the_readme(files: &[File]) -> Vec<Complaint> {
    let readme = files.iter().find(|file| file.path == "README.md").map_or("", |file| &file.text);
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_under("src/metrics") && file.is_rust()) {
        for token in file.tokens().iter().filter(|token| is_metric_name(token)) {
            if !file.is_test_line(token.line) && !has_word(readme, token.text) {
                let remedy = format!("add {} to the table of metrics in README.md", token.text);
                complaints.push(Complaint::new(file, token.line, remedy));
            }
        }
    }
    complaints
}

fn is_metric_name(token: &Token<'_>) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    token.kind == Kind::String
        && token.text.strip_prefix("andon_").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

fn is_code(token: &Token<'_>) -> bool {
    token.kind == Kind::Word
}

fn rust_tokens(file: &File) -> Vec<Token<'_>> {
    if file.is_rust() { file.tokens() } else { Vec::new() }
}

fn numbered_lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// The word stands alone: no letter, digit or `_` touches it.
fn has_word(text: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(joins) && !text[at + word.len()..].starts_with(joins))
}

/// A path begins with it, rather than goes on with it, as in `example.org/home/`.
fn begins_path(line: &str, folder: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "_-.}~$>)*".contains(c);
    line.match_indices(folder).any(|(at, _)| !line[..at].ends_with(goes_on))
}

#[test]
fn notes_are_found_as_words_in_any_file() {
    assert_eq!(lines_of(no_note_for_later, "src/a.rs", "x\n// TODO: later\n"), [2]);
    assert_eq!(lines_of(no_note_for_later, "tests/run", "# FIXME\n"), [1]);
    assert!(lines_of(no_note_for_later, "src/a.rs", "let TODOS = mktemp(\"XXXXXX\");\n").is_empty());
}

#[test]
fn machine_paths_are_found_and_addresses_are_not() {
    assert_eq!(lines_of(no_machine_path, "README.md", "cd /home/ann/andon\n"), [1]);
    assert_eq!(lines_of(no_machine_path, "src/a.rs", "\"/root/x\"\n"), [1]);
    assert!(lines_of(no_machine_path, "README.md", "https://example.org/home/ and ./work/x\n").is_empty());
}

#[test]
fn allow_is_found_in_every_form_of_attribute() {
    assert_eq!(lines_of(no_allow, "src/a.rs", "#[allow(dead_code)]\n#![allow(x)]\n"), [1, 2]);
    assert_eq!(lines_of(no_allow, "src/a.rs", "#[cfg_attr(test, allow(x))]"), [1]);
    assert!(lines_of(no_allow, "src/a.rs", "// #[allow(x)]\nroute.allow(x); \"[allow(\"").is_empty());
}

#[test]
fn dishonest_tests_are_found() {
    let text = "#[test]\n#[ignore]\nfn a() {}\n#[test]\n#[should_panic]\nfn b() {}\n";
    assert_eq!(lines_of(honest_tests, "src/a/tests.rs", text), [2, 5]);
    assert_eq!(lines_of(honest_tests, "src/a.rs", "#[ignore = \"slow\"]"), [1]);
    assert!(lines_of(honest_tests, "src/a.rs", "let ignore = 1; // #[ignore]\n").is_empty());
}

#[test]
fn sleeping_is_for_code_and_for_the_waiting_helper() {
    let text =
        "fn a() { tokio::time::sleep(x).await }\n#[cfg(test)]\nmod tests {\nuse std::thread::{sleep};\n}\n";
    assert_eq!(lines_of(honest_tests, "src/a.rs", text), [4]);
    assert_eq!(lines_of(honest_tests, "tests/it/a.rs", "std::thread::sleep(x);"), [1]);
    assert!(lines_of(honest_tests, WAIT_HELPER, "std::thread::sleep(x);").is_empty());
}

#[test]
fn a_metric_that_the_readme_lacks_is_named() {
    let names = |readme: &str| {
        let code = "let a = \"andon_harm_total\";\n// \"andon_comment\"\nlet b = \"andon_{x}\";\n";
        let files = [File::example("README.md", readme), File::example("src/metrics/exposition.rs", code)];
        metrics_are_in_the_readme(&files).len()
    };
    assert_eq!(names("| `andon_harm_total` |"), 0);
    assert_eq!(names("| `andon_harm_total_ever` |"), 1);
    assert_eq!(names(""), 1);
}
