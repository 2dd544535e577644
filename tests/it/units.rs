//! The systemd units, as systemd itself reads them.

use std::fs;
use std::path::Path;
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/systemd");

/// The units with the real program in place of the installed one: systemd looks whether it is there.
fn copied() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["andon.service", "andon.socket"] {
        let text = fs::read_to_string(Path::new(FOLDER).join(name)).expect("it is in the repository");
        let text = text.replace("/usr/bin/andon", env!("CARGO_BIN_EXE_andon"));
        fs::write(directory.path().join(name), text).expect("there is room");
    }
    directory
}

fn analyze(arguments: &[&str], directory: &Path) -> String {
    let units = ["andon.service", "andon.socket"].map(|name| directory.join(name));
    let mut command = Command::new("systemd-analyze");
    let output = match arguments {
        ["verify", ..] => command.args(arguments).args(units),
        _ => command.args(arguments).arg(&units[0]),
    };
    let output = output.output().expect("systemd-analyze is there: tests/packages systemd/systemd-analyze");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let directory = copied();
    let said = analyze(&["verify", "--man=no", "--recursive-errors=no"], directory.path());
    let ours: Vec<_> = said.lines().filter(|line| line.contains("andon")).collect();
    assert!(ours.is_empty(), "{said}");
}

#[test]
fn the_service_is_exposed_little() {
    let directory = copied();
    let said = analyze(&["security", "--offline=yes", "--threshold=20", "--no-pager"], directory.path());
    assert!(said.contains("Overall exposure level"), "{said}");
}
