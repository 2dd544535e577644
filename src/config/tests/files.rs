//! Files as they lie on a disk: the two that we ship, large ones, and those that are none.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;
use toml::de::{DeTable, DeValue};

use super::*;

const ANDON_TOML: &str = include_str!("../../../config/andon.toml");
const MINIMAL_TOML: &str = include_str!("../../../config/minimal.toml");

/// Every `# key = value` line of `config/andon.toml` without its `# `.
fn uncommented() -> String {
    let commented_key = |line: &&str| {
        let key = line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).map(|(key, _)| key);
        key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    };
    let line = |line| if commented_key(&line) { &line[2..] } else { line };
    ANDON_TOML.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// With the examples of what is not there by default.
fn with_examples() -> String {
    let text = uncommented();
    text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn read(text: &str) -> Config {
    parse("config/andon.toml", text, Path::new("")).unwrap_or_else(|problems| panic!("{problems}"))
}

/// `route.guard.tick`, … for everything that a table holds.
fn paths(prefix: &str, value: &DeValue<'_>, found: &mut BTreeSet<String>) {
    match value {
        DeValue::Array(items) => items.iter().for_each(|item| paths(prefix, item.get_ref(), found)),
        DeValue::Table(table) => {
            for (key, value) in table {
                let path = format!("{prefix}{}", key.get_ref());
                paths(&format!("{path}."), value.get_ref(), found);
                found.insert(path);
            }
        }
        _ => {}
    }
}

#[test]
fn andon_toml_loads_and_what_it_comments_out_is_the_default() {
    let as_it_stands = read(ANDON_TOML);
    let mut uncommented = read(&uncommented());
    // The one default that depends on the machine.
    assert_eq!(uncommented.workers.count, 4);
    uncommented.workers = as_it_stands.workers;
    assert_eq!(uncommented, as_it_stands);
    let written = &as_it_stands.routes[0].guard;
    assert_eq!((written.failures.len(), written.events.len(), written.outside.len()), (3, 3, 4));
    let (failures, events, outside) =
        (written.failures.clone(), written.events.clone(), written.outside.clone());
    let default = Guard { failures, events, outside, ..Guard::default() };
    let judge = Judge { events: written.judge.events.clone(), ..Judge::default() };
    assert_eq!(*written, Guard { judge, ..default });
}

#[test]
fn andon_toml_holds_every_key_that_is_asked_for() {
    let text = with_examples();
    read(&text);
    let (_, asked) = parse_noting_keys("config/andon.toml", &text, Path::new(""));
    let mut written = BTreeSet::new();
    let tree = DeTable::parse(&text).unwrap().into_inner();
    paths("", &DeValue::Table(tree), &mut written);
    let missing: Vec<_> = asked.iter().filter(|path| !written.contains(*path)).collect();
    assert!(missing.is_empty(), "add to config/andon.toml, with unit, range and default: {missing:?}");
    assert!(asked.len() > 40, "{asked:?}");
}

#[test]
fn minimal_toml_sends_5_percent_to_the_canary() {
    let config = read(MINIMAL_TOML);
    let Service::Split { stable, canaries } = &config.routes[0].service else { panic!() };
    assert_eq!((&**stable, canaries[0].weight.to_string().as_str()), ("shop-v1", "5%"));
    assert_eq!((config.listeners.len(), config.upstreams.len(), config.routes.len()), (1, 2, 1));
}

#[test]
fn ten_thousand_routes_are_read() {
    let route = |n| format!("[[route]]\nname = \"r{n}\"\nhosts = [\"h{n}.example\"]\nstable = \"api\"\n");
    let text: String = (0..10_000).map(route).collect();
    assert_eq!(config_of(&text).routes.len(), 10_000);
}

#[test]
fn a_hundred_problems_are_kept_and_the_others_counted() {
    let unknown = |count: usize| {
        let keys: String = (0..count).map(|n| format!("unknown_{n} = 1\n")).collect();
        problems_of(&format!("{keys}{REST}"))
    };
    let problems = unknown(100);
    assert_eq!((problems.list.len(), problems.more), (problem::PROBLEMS_MAX, 0));
    let problems = unknown(101);
    assert!(problems.to_string().ends_with("\nf: and 1 more problem"));
    let problems = unknown(150);
    assert_eq!((problems.list.len(), problems.more), (problem::PROBLEMS_MAX, 50));
    assert!(problems.drawn(Color::Plain).ends_with("\nf: and 50 more problems\n"));
}

#[test]
fn a_problem_is_drawn_at_its_place() {
    let text =
        format!("[[route]]\nname = \"shop\"\nstable = \"shop-v1\"\n{REST}").replace("\"api\"", "\"shop-v2\"");
    let problems = parse("config/andon.toml", &text, Path::new("")).unwrap_err();
    assert_eq!(
        problems.drawn(Color::Plain),
        r#"error: route "shop": stable names upstream "shop-v1", which does not exist
 --> config/andon.toml:3:10
  |
3 | stable = "shop-v1"
  |          ^^^^^^^^^ no such upstream
  |
  = help: did you mean `shop-v2`?

"#
    );
    assert!(problems.drawn(Color::Ansi).contains("\u{1b}["));
}

#[test]
fn of_a_value_over_several_lines_the_first_is_drawn() {
    let problems = problems_of(&format!("# ü\n[workers]\ncount = [ # ü\n  4,\n]\n{REST}"));
    assert_eq!(
        problems.drawn(Color::Plain),
        "error: workers.count is [ # ü…
 --> f:3:9
  |
3 | count = [ # ü
  |         ^^^^^ this is a list
  |
  = help: write a whole number from 1 to 256

"
    );
}

#[test]
fn a_line_too_long_to_draw_is_named() {
    let problems = problems_of(&format!("hosts = \"{}\"\n{REST}", "x".repeat(5_000)));
    let drawn = problems.drawn(Color::Plain);
    assert!(drawn.contains("--> f:1:1\n") && drawn.len() < 200, "{drawn}");
}

#[test]
fn problems_are_data_too() {
    let lines = problems_of(&format!("\n  worker = 1\n{REST}")).lines();
    let found = "worker is an unknown section";
    let accepted = "did you mean `workers`?";
    assert_eq!(
        serde_json::to_value(&lines).unwrap(),
        json!([{ "file": "f", "line": 2, "column": 3, "found": found, "accepted": accepted }])
    );
}

#[test]
fn what_is_no_file_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("andon.toml");
    let told = |path: &Path| {
        let problems = load(path).unwrap_err().to_string();
        problems.replace(&directory.path().display().to_string(), "D")
    };
    assert_eq!(told(&path), "D/andon.toml:1:1: there is no such file; name a TOML file");
    assert_eq!(told(directory.path()), "D:1:1: is a directory; name a TOML file, such as config/andon.toml");
    fs::write(&path, b"# \xff").unwrap();
    assert_eq!(
        told(&path),
        "D/andon.toml:1:1: is not UTF-8: the first bad byte is at offset 2; save it as UTF-8 text"
    );
    let large = fs::File::create(&path).unwrap();
    large.set_len(FILE_BYTES_MAX as u64 + 1).unwrap();
    assert!(told(&path).starts_with("D/andon.toml:1:1: has more than 16 MiB; "));
    fs::write(&path, MINIMAL_TOML).unwrap();
    assert_eq!(load(&path).unwrap().store, Store::File(directory.path().join("andon.db")));
}
