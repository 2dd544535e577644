//! The comparisons with the peers are as right as what they read and compute: their own tests say so.

use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/loadtest");

#[test]
fn the_rules_of_the_peers_give_the_known_answers() {
    run_the_tests_of("verdict");
}

#[test]
fn the_costs_are_read_and_compared_as_in_the_known_cases() {
    run_the_tests_of(".");
}

fn run_the_tests_of(folder: &str) {
    let mut command = Command::new("python3");
    command.args(["-B", "-m", "unittest"]).current_dir(format!("{FOLDER}/{folder}"));
    let output = command.output().expect("python3 is there: tests/packages python3/python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("\nOK") && !said.contains("Ran 0 tests"), "no test was found: {said}");
}
