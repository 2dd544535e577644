//! The comparison with the peers' rules is as right as its copies of those rules: their own tests say so.

use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/loadtest/verdict");

#[test]
fn the_rules_of_the_peers_give_the_known_answers() {
    let output = Command::new("python3").args(["-B", "-m", "unittest"]).current_dir(FOLDER).output();
    let output = output.expect("python3 is there: tests/packages python3/python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("\nOK") && !said.contains("Ran 0 tests"), "no test was found: {said}");
}
