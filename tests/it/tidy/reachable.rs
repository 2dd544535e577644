//! A file that no `mod` line names is neither compiled nor tested, and nobody notices.

use super::lexer::Token;
use super::{Complaint, File};
use std::collections::HashSet;

const ROOTS: [&str; 4] = ["src/lib.rs", "src/main.rs", "tests/it/main.rs", "tests/allocations.rs"];

/// Every Rust file of `src` and `tests` is reached from a root by `mod` lines.
pub(super) fn every_file(files: &[File]) -> Vec<Complaint> {
    let mut reached: HashSet<String> = HashSet::new();
    let mut open: Vec<String> = ROOTS.map(str::to_owned).to_vec();
    while let Some(path) = open.pop() {
        let Some(file) = files.iter().find(|file| file.path == path) else { continue };
        if reached.insert(path) {
            open.extend(children(file));
        }
    }
    // Each target of the fuzzer is a root that its own package names.
    let fuzzed = |file: &File| file.is_under("tests/fuzz/targets");
    let ours =
        |file: &&File| file.is_rust() && !fuzzed(file) && (file.is_under("src") || file.is_under("tests"));
    let lost = files.iter().filter(ours).filter(|file| !reached.contains(&file.path));
    lost.map(|file| Complaint::new(file, 1, "no `mod` line reaches this file; add one or delete the file"))
        .collect()
}

/// Where the modules of a file may stand: `mod x;` means `x.rs` or `x/mod.rs` in the file's folder.
fn children(file: &File) -> Vec<String> {
    let folder = folder_of_children(&file.path);
    let tokens = file.tokens();
    let named = |seen: &[Token<'_>]| {
        (seen[0].text == "mod" && seen[2].text == ";").then_some(seen[1].text.to_owned())
    };
    let names = tokens.windows(3).filter_map(named);
    names.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]).collect()
}

fn folder_of_children(path: &str) -> &str {
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    if matches!(name, "lib.rs" | "main.rs" | "mod.rs") { folder } else { path.trim_end_matches(".rs") }
}

#[test]
fn a_file_without_a_mod_line_is_named() {
    let files = [
        File::example("src/lib.rs", "pub mod a;\nmod b;\n// mod lost;\n"),
        File::example("src/a/mod.rs", "mod c;\n"),
        File::example("src/a/c.rs", "#[cfg(test)]\nmod tests;\n"),
        File::example("src/a/c/tests.rs", ""),
        File::example("src/b.rs", "mod inline { fn lost() {} }"),
        File::example("src/lost.rs", ""),
        File::example("tests/it/main.rs", "mod d;"),
        File::example("tests/it/d.rs", ""),
        File::example("tests/lost.rs", ""),
        File::example("benches/a.rs", ""),
    ];
    let lost: Vec<String> = every_file(&files).into_iter().map(|complaint| complaint.path).collect();
    assert_eq!(lost, ["src/lost.rs", "tests/lost.rs"]);
}
