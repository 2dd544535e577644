//! `andon demo` as a script sees it: exit code, summary, and nothing left behind.

use std::process::Command;

#[test]
fn a_demo_backs_the_bad_canary_off_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_andon"))
        .args(["demo", "--for", "12s", "--plain"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{out}\n{err}");
    for words in [
        "The bad canary was backed off by the immune system.",
        "served by stable        none of ",
        "weight of the canary      25% -> 0%",
        "after the first failing answer",
        "why                       canary fails ",
        "pulled by immune system",
    ] {
        assert!(out.contains(words), "{words:?} is not in\n{out}\n{err}");
    }
    assert!(!out.contains('\x1b'), "plain lines set no colours\n{out}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the demo left a file");
}
