//! How long files may be, and that each begins by saying what it is.

use super::{
    Complaint, FILE_LINES_MAX, FUNCTION_LINES_MAX, File, TRACKED_BYTES_EXEMPT, TRACKED_BYTES_MAX, lines_of,
};

pub(super) fn says_what_it_is(file: &File) -> Vec<Complaint> {
    if !file.is_under("src") || !file.is_rust() || file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Complaint::new(file, 1, "begin with `//!`: what this file is, why it is so, what it refuses to do")]
}

pub(super) fn is_short(file: &File) -> Vec<Complaint> {
    let limited = ["src", "tests", "benches"].iter().any(|folder| file.is_under(folder));
    if !limited || !file.is_rust() {
        return Vec::new();
    }
    let lines = match file.tests_start() {
        Some(start) if file.is_under("src") => start - 1,
        _ => file.text.lines().count(),
    };
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    let remedy =
        format!("{lines} lines, at most {FILE_LINES_MAX}; move an idea with a name to a file of its own");
    vec![Complaint::new(file, lines, remedy)]
}

pub(super) fn is_small_in_git(file: &File) -> Vec<Complaint> {
    if file.bytes <= TRACKED_BYTES_MAX || TRACKED_BYTES_EXEMPT.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let remedy =
        format!("{} bytes, at most {TRACKED_BYTES_MAX}; keep it out of git or make it smaller", file.bytes);
    vec![Complaint::new(file, 1, remedy)]
}

/// Clippy counts the lines of functions; a missing setting would let them grow unseen.
pub(super) fn function_limit_is_set(file: &File) -> Vec<Complaint> {
    let wanted = match file.path.as_str() {
        ".clippy.toml" => format!("too-many-lines-threshold = {FUNCTION_LINES_MAX}"),
        "Cargo.toml" => "too_many_lines = \"deny\"".to_owned(),
        _ => return Vec::new(),
    };
    if file.text.lines().any(|line| line.split('#').next().unwrap_or_default().trim() == wanted) {
        return Vec::new();
    }
    vec![Complaint::new(file, 1, format!("write `{wanted}`: a function fits a screen"))]
}

#[test]
fn a_source_file_without_its_opening_is_named() {
    assert_eq!(lines_of(says_what_it_is, "src/a.rs", "use b;\n"), [1]);
    assert_eq!(lines_of(says_what_it_is, "src/a.rs", ""), [1]);
    assert!(lines_of(says_what_it_is, "src/a.rs", "//! This.\n").is_empty());
    assert!(lines_of(says_what_it_is, "README.md", "# a\n").is_empty());
}

#[test]
fn length_counts_to_the_tests_in_src_and_to_the_end_elsewhere() {
    let code = |lines: usize| "x;\n".repeat(lines);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", code(500));
    assert!(lines_of(is_short, "src/a.rs", &code(FILE_LINES_MAX)).is_empty());
    assert_eq!(lines_of(is_short, "src/a.rs", &code(FILE_LINES_MAX + 1)), [401]);
    assert!(lines_of(is_short, "src/a.rs", &(code(FILE_LINES_MAX) + &tests)).is_empty());
    assert_eq!(lines_of(is_short, "src/a.rs", &(code(FILE_LINES_MAX + 1) + &tests)), [401]);
    assert_eq!(lines_of(is_short, "tests/it/a.rs", &tests), [503]);
    assert_eq!(lines_of(is_short, "src/a/tests.rs", &code(401)), [401]);
    assert_eq!(lines_of(is_short, "benches/a.rs", &code(401)), [401]);
}

#[test]
fn a_large_file_is_named_unless_a_tool_wrote_it() {
    let bytes = |path: &str, bytes| is_small_in_git(&File { bytes, ..File::example(path, "") }).len();
    assert_eq!(bytes("a.png", TRACKED_BYTES_MAX), 0);
    assert_eq!(bytes("a.png", TRACKED_BYTES_MAX + 1), 1);
    assert_eq!(bytes("Cargo.lock", TRACKED_BYTES_MAX + 1), 0);
}

#[test]
fn a_weaker_function_limit_is_named() {
    assert!(lines_of(function_limit_is_set, ".clippy.toml", "too-many-lines-threshold = 70\n").is_empty());
    assert_eq!(lines_of(function_limit_is_set, ".clippy.toml", "too-many-lines-threshold = 71\n"), [1]);
    assert!(lines_of(function_limit_is_set, "Cargo.toml", "too_many_lines = \"deny\" # 70\n").is_empty());
    assert_eq!(lines_of(function_limit_is_set, "Cargo.toml", "# too_many_lines = \"deny\"\n"), [1]);
}
