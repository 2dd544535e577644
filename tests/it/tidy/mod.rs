//! The house rules, as tests. Each complaint names the file, the line and the remedy.
//!
//! A rule is a function from a file (its name and text) to complaints, so that small examples test the rules
//! themselves. The limits below are ratchets: they may be lowered, never raised for one file.
//!
//! Refuses to know Rust better than a lexer does: what needs types or name resolution is clippy's.

mod files;
mod layers;
mod lexer;
mod reachable;
mod size;
mod words;

use files::{File, tracked_files};
use std::fmt;

/// Lines of a file in `src` before its tests, and of a whole file in `tests` and `benches`.
const FILE_LINES_MAX: usize = 400;
/// Lines of a function. Clippy counts them; we only hold its setting.
const FUNCTION_LINES_MAX: usize = 70;
/// Bytes of a file in git.
const TRACKED_BYTES_MAX: u64 = 200_000;
/// Files that may be larger: written by a tool, and read by one.
const TRACKED_BYTES_EXEMPT: [&str; 2] = ["Cargo.lock", "tests/vectors.json"];

/// What is wrong, where, and what to do about it.
#[derive(Debug, PartialEq)]
struct Complaint {
    path: String,
    line: usize,
    remedy: String,
}

impl Complaint {
    fn new(file: &File, line: usize, remedy: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, remedy: remedy.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.remedy)
    }
}

/// Runs one rule over every file in git (and every new one that git does not ignore).
fn hold(rule: fn(&File) -> Vec<Complaint>) {
    hold_all(|files| files.iter().flat_map(rule).collect());
}

/// The same for a rule that must see all files at once.
fn hold_all(rule: impl Fn(&[File]) -> Vec<Complaint>) {
    let complaints: Vec<String> = rule(&tracked_files()).iter().map(Complaint::to_string).collect();
    assert!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
}

/// Line and remedy of each complaint about an example.
fn lines_of(rule: fn(&File) -> Vec<Complaint>, path: &str, text: &str) -> Vec<usize> {
    rule(&File::example(path, text)).iter().map(|complaint| complaint.line).collect()
}

#[test]
fn every_source_file_says_what_it_is() {
    hold(size::says_what_it_is);
}

#[test]
fn files_are_short() {
    hold(size::is_short);
}

#[test]
fn git_holds_no_large_file() {
    hold(size::is_small_in_git);
}

#[test]
fn clippy_holds_the_length_of_functions() {
    hold(size::function_limit_is_set);
}

#[test]
fn imports_obey_the_layers() {
    hold(layers::imports);
}

#[test]
fn pure_folders_read_no_clock_socket_or_random_source() {
    hold(layers::purity);
}

#[test]
fn one_arc_swap_is_stored_in_one_place() {
    hold(layers::one_arc_swap);
}

#[test]
fn no_note_is_left_for_later() {
    hold(words::no_note_for_later);
}

#[test]
fn no_path_of_one_machine_is_left() {
    hold(words::no_machine_path);
}

#[test]
fn lints_are_expected_and_never_allowed() {
    hold(words::no_allow);
}

#[test]
fn tests_are_not_ignored_and_do_not_sleep() {
    hold(words::honest_tests);
}

#[test]
fn every_file_is_compiled() {
    hold_all(reachable::every_file);
}

#[test]
fn every_metric_is_in_the_readme() {
    hold_all(words::metrics_are_in_the_readme);
}
