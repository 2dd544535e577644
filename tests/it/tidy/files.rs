//! The files that the rules look at: what git tracks, and what it would track after `git add`.

use super::lexer::{Token, tokens_of};
use std::path::Path;
use std::process::Command;

/// A file with its name from the root of the repository. Text that is not UTF-8 is empty.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) bytes: u64,
}

impl File {
    pub(super) fn example(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), bytes: text.len() as u64 }
    }

    fn read(root: &Path, path: &str) -> Option<Self> {
        let content = std::fs::read(root.join(path)).ok()?; // deleted, but not yet so in git
        let bytes = content.len() as u64;
        Some(Self { path: path.to_owned(), text: String::from_utf8(content).unwrap_or_default(), bytes })
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The rules quote what they forbid, so their own folder is exempt from the rules on words.
    pub(super) fn is_tidy_itself(&self) -> bool {
        self.path.starts_with("tests/it/tidy/")
    }

    pub(super) fn is_under(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The whole file is test code, whatever it says inside.
    fn is_test_file(&self) -> bool {
        self.is_under("tests") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    pub(super) fn tokens(&self) -> Vec<Token<'_>> {
        tokens_of(&self.text)
    }

    /// The line on which the tests inside this file begin: `#[cfg(test)] mod tests {`, not a `mod tests;`.
    pub(super) fn tests_start(&self) -> Option<usize> {
        let tokens = self.tokens();
        let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
        texts
            .windows(10)
            .position(|seen| seen[..8] == ["#", "[", "cfg", "(", "test", ")", "]", "mod"] && seen[9] == "{")
            .map(|at| tokens[at].line)
    }

    pub(super) fn is_test_line(&self, line: usize) -> bool {
        self.is_test_file() || self.tests_start().is_some_and(|start| line >= start)
    }
}

/// All files of this checkout, sorted by name.
pub(super) fn tracked_files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listing = Command::new("git")
        .args(["-c", &format!("safe.directory={}", root.display())]) // a checkout may belong to someone else
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root)
        .output()
        .expect("git lists the files; install git");
    assert!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).expect("file names are UTF-8");
    let mut names: Vec<&str> = names.split_terminator('\0').collect();
    names.sort_unstable();
    let files: Vec<File> = names.into_iter().filter_map(|name| File::read(root, name)).collect();
    assert!(
        files.iter().any(|file| file.path == "src/lib.rs"),
        "git lists no src/lib.rs in {}",
        root.display()
    );
    files
}

#[test]
fn tests_start_at_their_module_and_not_at_a_sibling_file() {
    let start = |text| File::example("src/a.rs", text).tests_start();
    assert_eq!(start("fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n"), Some(3));
    assert_eq!(start("#[cfg(test)]\nmod tests;\nfn a() {}\n"), None);
    assert_eq!(start("#[cfg(test)]\nuse x::y;\nfn a() {}\n"), None);
    assert_eq!(start("// #[cfg(test)] mod tests {\n"), None);
}

#[test]
fn test_lines_are_told_from_others() {
    let inline = File::example("src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {}\n");
    assert!(!inline.is_test_line(1) && inline.is_test_line(2));
    assert!(File::example("src/a/tests.rs", "").is_test_line(1));
    assert!(File::example("tests/it/main.rs", "").is_test_line(1));
    assert!(!File::example("src/latests.rs", "").is_test_line(1));
}
