//! Who may import whom. The picture and its reasons are in `src/lib.rs`; a new folder needs a line here.
//!
//! Tests inside a folder obey the same table: a test that needs more belongs in `tests/it`.

use super::lexer::{Kind, Token};
use super::{Complaint, File, lines_of};

/// A folder of `src`, and the paths from the crate root that it may name besides its own.
const LAYERS: [(&str, &[&str]); 12] = [
    ("config", &[]),
    ("metrics", &["config"]),
    ("routing", &["config", "metrics"]),
    ("tls", &["config", "metrics"]),
    ("immune", &["config", "metrics"]),
    ("release", &["config", "metrics"]),
    ("store", &["config", "metrics", "release"]),
    ("upstream", &["config", "metrics", "routing", "tls"]),
    ("proxy", &["config", "metrics", "routing", "tls", "upstream"]),
    ("notify", &["config", "metrics", "store::record", "tls"]),
    ("control", &["config", "immune", "metrics", "notify", "release", "routing", "store", "tls", "upstream"]),
    ("admin", &["config", "control", "metrics", "store::record", "tls"]),
];

/// They wire the others together, so they may name any.
const WIRING: [&str; 6] = ["app", "cli", "demo", "lib", "logging", "main"];

const PURE: [&str; 3] = ["routing", "immune", "release"];
/// Paths that read the world. A name alone stands for every path that goes through it.
const IMPURE: [&str; 8] = [
    "Instant::now",
    "SystemTime",
    "tokio::net",
    "tokio::time",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "fastrand",
];

const ARC_SWAP_HOME: &str = "src/routing/live.rs";
const PUBLISH_HOME: &str = "src/control/publish.rs";

pub(super) fn imports(file: &File) -> Vec<Complaint> {
    let Some(folder) = folder_in_src(file) else { return Vec::new() };
    if WIRING.contains(&folder) {
        return Vec::new();
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == folder) else {
        return vec![Complaint::new(
            file,
            1,
            format!("say in LAYERS (tests/it/tidy/layers.rs) what {folder} may import"),
        )];
    };
    let permits = |path: &str, rule: &str| path == rule || path.starts_with(&format!("{rule}::"));
    let foreign = crate_paths(file)
        .into_iter()
        .filter(|(path, _)| !permits(path, folder) && !allowed.iter().any(|rule| permits(path, rule)));
    let remedy = |path| match allowed {
        [] => format!("{folder} imports {path}, but may import nothing of ours; pass plain values in"),
        _ => {
            format!("{folder} imports {path}, but only {} of ours; pass plain values in", allowed.join(", "))
        }
    };
    foreign.map(|(path, line)| Complaint::new(file, line, remedy(path))).collect()
}

pub(super) fn purity(file: &File) -> Vec<Complaint> {
    let Some(folder) = folder_in_src(file).filter(|folder| PURE.contains(folder)) else { return Vec::new() };
    let remedy = |path| {
        format!(
            "{folder} is pure and cannot use {path}; take the moment, the draw or the data as an argument"
        )
    };
    let found = all_paths(file).into_iter().filter_map(|(path, line)| {
        let hit =
            IMPURE.into_iter().find(|impure| format!("::{path}::").contains(&format!("::{impure}::")))?;
        Some(Complaint::new(file, line, remedy(hit)))
    });
    let mut complaints: Vec<Complaint> = found.collect();
    complaints.dedup(); // each word of a use tree begins a path of its own
    complaints
}

/// Two swaps for one truth would tear it, and a second publisher could undo a back-off.
pub(super) fn one_arc_swap(file: &File) -> Vec<Complaint> {
    if !file.is_under("src") || !file.is_rust() {
        return Vec::new();
    }
    let tokens = file.tokens();
    let names =
        |start: &str| tokens.iter().find(|token| token.kind == Kind::Word && token.text.starts_with(start));
    let mut complaints = Vec::new();
    if let Some(token) = names("ArcSwap").or_else(|| names("arc_swap")).filter(|_| file.path != ARC_SWAP_HOME)
    {
        complaints.push(Complaint::new(file, token.line, format!("the one ArcSwap is in {ARC_SWAP_HOME}")));
    }
    let home = [PUBLISH_HOME, ARC_SWAP_HOME].contains(&file.path.as_str());
    if names("LiveSnapshot").is_some() && !home {
        let calls = tokens.windows(3).filter(|seen| {
            matches!(seen[0].text, "." | "LiveSnapshot")
                && seen.iter().skip(1).any(|token| token.text == "publish")
        });
        let calls = calls.filter(|seen| !file.is_test_line(seen[0].line));
        let remedy = format!("only {PUBLISH_HOME} publishes a snapshot; send the controller a command");
        complaints.extend(calls.map(|seen| Complaint::new(file, seen[0].line, remedy.as_str())));
    }
    complaints
}

/// `src/admin/api/routes.rs` is in `admin`, `src/app.rs` is `app`.
fn folder_in_src(file: &File) -> Option<&str> {
    let rest = file.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    rest.split('/').next()
}

/// The paths of our own crate that a file names, from the root without `crate::`, with their lines.
fn crate_paths(file: &File) -> Vec<(String, usize)> {
    let home = module_of(&file.path);
    let tokens = file.tokens();
    let inline = inline_depths(&tokens);
    let mut found = Vec::new();
    for at in path_starts(&tokens) {
        let depth = home.len() + inline[at];
        for path in expand(&tokens, &mut at.clone()) {
            let parents = path.iter().take_while(|part| **part == "super").count();
            let from_root = match path[0] {
                "crate" => &path[1..],
                "super" if parents >= depth => &path[parents..],
                _ => continue,
            };
            if !from_root.is_empty() {
                found.push((from_root.join("::"), tokens[at].line)); // empty is `pub(crate)`
            }
        }
    }
    found
}

/// Every path that a file names, ours or not, with its line.
fn all_paths(file: &File) -> Vec<(String, usize)> {
    let tokens = file.tokens();
    let paths = path_starts(&tokens)
        .flat_map(|at| expand(&tokens, &mut at.clone()).into_iter().map(move |path| (path, at)));
    paths.map(|(path, at)| (path.join("::"), tokens[at].line)).collect()
}

/// Words that begin a path: no `::` stands before them.
fn path_starts<'a>(tokens: &'a [Token<'_>]) -> impl Iterator<Item = usize> + 'a {
    let begins = |at: usize| tokens[at].kind == Kind::Word && (at == 0 || tokens[at - 1].text != "::");
    (0..tokens.len()).filter(move |at| begins(*at))
}

/// The paths that a use tree or an expression means: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand<'a>(tokens: &[Token<'a>], at: &mut usize) -> Vec<Vec<&'a str>> {
    let Some(first) = tokens.get(*at).filter(|token| token.kind == Kind::Word || token.text == "*") else {
        return vec![Vec::new()];
    };
    *at += 1;
    let mut rests = vec![Vec::new()];
    if tokens.get(*at).is_some_and(|token| token.text == "::") {
        *at += 1;
        rests = if tokens.get(*at).is_some_and(|token| token.text == "{") {
            group(tokens, at)
        } else {
            expand(tokens, at)
        };
    }
    rests.into_iter().map(|rest| [vec![first.text], rest].concat()).collect()
}

/// The members of `{a, b::c}`; `at` stands on the brace.
fn group<'a>(tokens: &[Token<'a>], at: &mut usize) -> Vec<Vec<&'a str>> {
    let mut members = Vec::new();
    *at += 1;
    while let Some(token) = tokens.get(*at) {
        match token.text {
            "}" => {
                *at += 1;
                break;
            }
            "," => *at += 1,
            _ if token.kind == Kind::Word || token.text == "*" => members.extend(expand(tokens, at)),
            _ => break, // not a use tree
        }
    }
    members
}

/// How many `mod name { … }` of the same file each token stands in.
fn inline_depths(tokens: &[Token<'_>]) -> Vec<usize> {
    let mut is_module: Vec<bool> = Vec::new();
    let mut depths = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        match (token.kind, token.text) {
            (Kind::Sign, "{") => is_module.push(at >= 2 && tokens[at - 2].text == "mod"),
            (Kind::Sign, "}") => drop(is_module.pop()),
            _ => {}
        }
        depths.push(is_module.iter().filter(|module| **module).count());
    }
    depths
}

/// `src/control/mod.rs` is `control`, `src/admin/api/routes.rs` is `admin`, `api`, `routes`.
fn module_of(path: &str) -> Vec<&str> {
    let parts = path.trim_start_matches("src/").trim_end_matches(".rs").split('/');
    parts.filter(|part| !["mod", "lib", "main"].contains(part)).collect()
}

#[test]
fn imports_from_a_higher_layer_are_named() {
    assert_eq!(lines_of(imports, "src/config/a.rs", "\nuse crate::metrics::Outcome;\n"), [2]);
    assert_eq!(lines_of(imports, "src/routing/a.rs", "use crate::{config::Weight, control::View};"), [1]);
    assert_eq!(lines_of(imports, "src/proxy/a.rs", "fn a() { crate::control::command::stop() }"), [1]);
    assert_eq!(lines_of(imports, "src/store/mod.rs", "pub(in crate::control) fn a() {}"), [1]);
    assert!(
        lines_of(imports, "src/control/a.rs", "use crate::{config::{A, B}, store::record::*};").is_empty()
    );
    assert!(lines_of(imports, "src/app.rs", "use crate::proxy;").is_empty());
    assert!(lines_of(imports, "src/config/mod.rs", "pub(crate) fn a() {} pub(super) fn b() {}").is_empty());
    assert!(lines_of(imports, "src/config/a.rs", "//! See [`crate::proxy`].\n\"crate::proxy\"").is_empty());
}

#[test]
fn a_part_of_a_folder_can_be_allowed_alone() {
    assert!(lines_of(imports, "src/admin/a.rs", "use crate::store::record::{Cord, Decision};").is_empty());
    assert_eq!(lines_of(imports, "src/admin/a.rs", "use crate::store::{Store, record::Cord};"), [1]);
    assert_eq!(lines_of(imports, "src/admin/a.rs", "use crate::store::recorder::Cord;"), [1]);
}

#[test]
fn climbing_out_of_the_folder_is_an_import_too() {
    assert_eq!(lines_of(imports, "src/config/a.rs", "use super::super::proxy::X;"), [1]);
    assert_eq!(lines_of(imports, "src/config/mod.rs", "use super::proxy::X;"), [1]);
    assert!(lines_of(imports, "src/config/a.rs", "use super::proxy::X;").is_empty());
    assert!(lines_of(imports, "src/config/a.rs", "mod tests {\nuse super::super::proxy::X;\n}").is_empty());
    assert!(lines_of(imports, "src/admin/api/a.rs", "use super::super::proxy::X;").is_empty());
}

#[test]
fn a_folder_without_a_layer_is_named() {
    assert_eq!(lines_of(imports, "src/novel/mod.rs", "//! New.\n"), [1]);
}

#[test]
fn pure_folders_are_held_pure() {
    assert_eq!(lines_of(purity, "src/immune/a.rs", "let a = 1;\nlet b = std::time::Instant::now();"), [2]);
    assert_eq!(lines_of(purity, "src/routing/a.rs", "use std::{fmt, net::{IpAddr, TcpStream}};"), [1]);
    assert_eq!(lines_of(purity, "src/release/a.rs", "fastrand::u32(..)"), [1]);
    assert!(
        lines_of(purity, "src/routing/a.rs", "use std::net::IpAddr;\nuse std::time::Instant;").is_empty()
    );
    assert!(lines_of(purity, "src/control/a.rs", "Instant::now()").is_empty());
}

#[test]
fn a_second_swap_or_publisher_is_named() {
    assert_eq!(lines_of(one_arc_swap, "src/control/a.rs", "\nuse arc_swap::ArcSwap;"), [2]);
    assert!(lines_of(one_arc_swap, ARC_SWAP_HOME, "ArcSwap::new(); fn publish() {}").is_empty());
    let publisher = "fn a(live: &LiveSnapshot) {\nlive.publish(next);\nLiveSnapshot::publish(live, next)\n}";
    assert_eq!(lines_of(one_arc_swap, "src/admin/a.rs", publisher), [2, 3]);
    assert!(lines_of(one_arc_swap, PUBLISH_HOME, publisher).is_empty());
    assert!(lines_of(one_arc_swap, "src/admin/a.rs", "topic.publish(next)").is_empty());
}
