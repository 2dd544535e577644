//! The store by its facts: what is kept, what is refused, and that no kill loses an answer.
//!
//! Errors and kills have files of their own. What needs another user than root to fail (a directory that may
//! not be written) is shown by the mapping of its error only, because tests may run as root.

mod chain;
mod errors;
mod evidence;
mod kill;
mod releases;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::btree_map;
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::record::*;
use super::sqlite::{BUSY_TIMEOUT, Database};
use super::{BusyCause, STORE_QUEUE_MAX, Store, StoreError};
use crate::config::{self, Weight};

fn directory() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("andon.db");
    (directory, path)
}

fn place(path: &Path) -> config::Store {
    config::Store::File(path.to_owned())
}

fn database(path: &Path) -> (Database, Vec<RouteRecord>) {
    Database::open(&place(path), BUSY_TIMEOUT).unwrap()
}

/// Is it just this, wherever it stands in the record?
impl PartialEq<Decision> for Recorded {
    fn eq(&self, other: &Decision) -> bool {
        self.decision == *other
    }
}

/// A second program at the same file.
fn sqlite3(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

fn ppm(ppm: u32) -> Weight {
    Weight::from_ppm(ppm).unwrap()
}

fn role(upstream: &str) -> Role {
    Role { file_upstream: upstream.into(), upstream: format!("{upstream}, now").into() }
}

fn canary(name: &str, aim: u32) -> CanaryRecord {
    CanaryRecord {
        name: name.into(),
        role: role(name),
        file_aim: ppm(50_000),
        aim: ppm(aim),
        ceiling: Weight::WHOLE,
        strikes: None,
    }
}

fn record(route: &str, aim: u32) -> RouteRecord {
    RouteRecord {
        route: route.into(),
        stable: role("v1"),
        canaries: vec![canary("canary", aim)],
        cord: None,
        previous_stable: None,
        release: None,
    }
}

fn decision(id: &str, route: &str) -> Decision {
    Decision {
        id: id.into(),
        at_ms: 1_790_000_000_000,
        route: route.into(),
        canary: Some("canary".into()),
        action: Action::Weight,
        by: "mia".into(),
        why: "it's \"ready\"; DROP TABLE decision; -- ٣🚦\0\n".into(),
        before: Weight::ZERO,
        after: ppm(50_000),
        evidence: None,
    }
}

fn change(route: &str, aim: u32, id: &str) -> Change {
    Change { record: record(route, aim), decision: Some(decision(id, route)) }
}

fn filter(limit: u32) -> DecisionFilter {
    DecisionFilter { limit, ..DecisionFilter::default() }
}

fn ids(found: &[Recorded]) -> Vec<&str> {
    found.iter().map(|found| &*found.decision.id).collect()
}

#[tokio::test]
async fn everything_saved_is_loaded_again() {
    let (_directory, path) = directory();
    let (store, loaded) = Store::open(&place(&path)).unwrap();
    assert_eq!(loaded.routes, []);
    let pulled = RouteRecord {
        cord: Some(Cord { by: "ö'\"".into(), why: "".into(), at_ms: -1, decision: "d-1".into() }),
        canaries: vec![canary("zeta", 0), canary("alpha", 1_000_000)],
        ..record("shop 🛒", 1)
    };
    let bare = RouteRecord { canaries: Vec::new(), ..record("api", 1) };
    let evidence =
        json!({"rate": 0.1 + 0.2, "odds": 1e300, "requests": u64::MAX, "text": "\u{0}'\"🚦", "none": null});
    let automatic = Decision {
        action: Action::BackOff,
        canary: None,
        evidence: Some(evidence),
        ..decision("d-1", "shop 🛒")
    };
    let changes = vec![
        Change { record: pulled.clone(), decision: Some(automatic.clone()) },
        Change { record: bare.clone(), decision: None },
    ];
    store.save(changes).await.unwrap();
    assert_eq!(store.decisions(filter(10)).await.unwrap(), std::slice::from_ref(&automatic));
    store.close().unwrap();

    let (store, loaded) = Store::open(&place(&path)).unwrap();
    assert_eq!(loaded.routes, [bare, pulled]);
    assert_eq!(store.decisions(filter(10)).await.unwrap(), [automatic]);
}

fn any_weight() -> impl Strategy<Value = Weight> {
    (0..=1_000_000_u32).prop_map(ppm)
}

fn any_text() -> impl Strategy<Value = Arc<str>> {
    any::<String>().prop_map(Arc::from)
}

fn any_role() -> impl Strategy<Value = Role> {
    (any_text(), any_text()).prop_map(|(file_upstream, upstream)| Role { file_upstream, upstream })
}

fn any_record() -> impl Strategy<Value = RouteRecord> {
    let strikes = (1..=u32::MAX, any::<i64>()).prop_map(|(count, since_ms)| Strikes { count, since_ms });
    let strikes = proptest::option::of(strikes);
    let canary = (any_role(), any_weight(), any_weight(), any_weight(), strikes);
    let cord = (any_text(), any_text(), any::<i64>(), any_text())
        .prop_map(|(by, why, at_ms, decision)| Cord { by, why, at_ms, decision });
    (any_text(), any_role(), btree_map(any_text(), canary, 0..4), proptest::option::of(cord)).prop_map(
        |(route, stable, canaries, cord)| {
            let canaries =
                canaries.into_iter().rev().map(|(name, (role, file_aim, aim, ceiling, strikes))| {
                    CanaryRecord { name, role, file_aim, aim, ceiling, strikes }
                });
            RouteRecord {
                route,
                stable,
                canaries: canaries.collect(),
                cord,
                previous_stable: None,
                release: None,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_record_comes_back_as_it_was(first in any_record(), second in any_record()) {
        let (_directory, path) = directory();
        let (mut database, _) = self::database(&path);
        let replaced = RouteRecord { route: Arc::clone(&second.route), ..first.clone() };
        let change = |record: &RouteRecord| Change { record: record.clone(), decision: None };
        database.save(&[change(&first), change(&replaced), change(&second)]).unwrap();
        database.close().unwrap();
        let mut saved = if first.route == second.route { vec![second] } else { vec![first, second] };
        saved.sort_by(|left, right| left.route.cmp(&right.route));
        prop_assert_eq!(self::database(&path).1, saved);
    }

    #[test]
    fn any_number_in_evidence_comes_back_to_the_last_bit(number in any::<f64>(), text in any_text()) {
        let (mut database, _) = Database::open(&config::Store::Memory, BUSY_TIMEOUT).unwrap();
        let evidence = Some(json!({ &*text: [number, &*text] }));
        let decision = Decision { evidence, ..decision("d", "shop") };
        let change = Change { record: record("shop", 0), decision: Some(decision.clone()) };
        database.save(&[change]).unwrap();
        prop_assert_eq!(database.decisions(&filter(1)).unwrap().list, [decision]);
    }
}

#[test]
fn every_action_is_kept() {
    let (mut database, _) = Database::open(&config::Store::Memory, BUSY_TIMEOUT).unwrap();
    for action in Action::ALL {
        let decision = Decision { action, ..decision(action.label(), "shop") };
        database.save(&[Change { record: record("shop", 0), decision: Some(decision) }]).unwrap();
    }
    let read: Vec<_> =
        database.decisions(&filter(100)).unwrap().list.iter().rev().map(|d| d.decision.action).collect();
    assert_eq!(read, Action::ALL);
}

#[test]
fn a_replaced_record_leaves_no_rows_behind() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    let cord = Cord { by: "mia".into(), why: "x".into(), at_ms: 0, decision: "d".into() };
    let first = RouteRecord {
        canaries: vec![canary("a", 1), canary("b", 2), canary("c", 3)],
        cord: Some(cord),
        ..record("shop", 0)
    };
    let second = RouteRecord { canaries: vec![canary("b", 9)], ..record("shop", 0) };
    for record in [&first, &second] {
        database.save(&[Change { record: record.clone(), decision: None }]).unwrap();
    }
    let other = sqlite3(&path);
    let rows = |table| {
        other.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(["route", "canary", "cord", "decision"].map(rows), [1, 1, 0, 0]);
    database.close().unwrap();
    assert_eq!(self::database(&path).1, [second]);
}

#[test]
fn all_changes_of_a_save_are_kept_or_none() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    database.save(&[change("shop", 1, "d-1")]).unwrap();
    let twins = RouteRecord { canaries: vec![canary("same", 1), canary("same", 2)], ..record("api", 0) };
    let refused = database.save(&[change("shop", 2, "d-2"), Change { record: twins, decision: None }]);
    let Err(StoreError::Refused { found, .. }) = refused else { panic!("{refused:?}") };
    assert!(found.contains("canary.name"), "{found}");
    assert_eq!(ids(&database.decisions(&filter(10)).unwrap().list), ["d-1"]);
    drop(database);
    assert_eq!(self::database(&path).1, [record("shop", 1)]);
}

#[test]
fn a_file_from_before_there_were_strikes_has_none() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    database.save(&[change("shop", 7, "d-1")]).unwrap();
    database.close().unwrap();
    sqlite3(&path)
        .execute_batch(
            "DROP TABLE release; ALTER TABLE route DROP COLUMN previous_stable;
             DROP TABLE announced_endpoint; DROP TABLE announced; DROP TABLE chain;
             DROP TRIGGER decision_goes_oldest_first; ALTER TABLE decision DROP COLUMN hash;
             DROP TABLE evidence; ALTER TABLE canary DROP COLUMN strikes_since_ms; ALTER TABLE canary DROP COLUMN strikes;
             PRAGMA user_version = 1;",
        )
        .unwrap();
    assert_eq!(self::database(&path).1, [record("shop", 7)]);
}

#[test]
fn strikes_without_a_time_are_neither_written_nor_read() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    database.save(&[change("shop", 7, "d-1")]).unwrap();
    drop(database);
    let other = sqlite3(&path);
    for strikes in ["1", "-1", "4294967296"] {
        assert!(other.execute(&format!("UPDATE canary SET strikes = {strikes}"), []).is_err(), "{strikes}");
    }
    other.execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE canary SET strikes = 1;").unwrap();
    let error = Database::open(&place(&path), BUSY_TIMEOUT).err().unwrap().to_string();
    assert!(error.contains("canary.strikes"), "{error}");
}

#[test]
fn a_save_that_is_repeated_is_recorded_once() {
    let (mut database, _) = Database::open(&config::Store::Memory, BUSY_TIMEOUT).unwrap();
    for _ in 0..2 {
        database.save(&[change("shop", 1, "d-1")]).unwrap();
    }
    assert_eq!(ids(&database.decisions(&filter(10)).unwrap().list), ["d-1"]);
}

#[tokio::test]
async fn decisions_page_newest_first_without_gaps_or_repeats() {
    let (store, _) = Store::open(&config::Store::Memory).unwrap();
    // The ids fall while the record grows: its order is that of saving.
    let all: Vec<(String, &str)> =
        (0..25).map(|n| (format!("d-{:02}", 99 - n), ["shop", "api"][n % 2])).collect();
    for (id, route) in &all {
        store.save(vec![change(route, 1, id)]).await.unwrap();
    }
    for (route, limit) in [(None, 7), (None, 5), (None, 1), (Some("shop"), 3), (Some("api"), 100)] {
        let expected = all.iter().rev().filter(|(_, of)| route.is_none_or(|route| route == *of));
        let expected: Vec<&str> = expected.map(|(id, _)| &**id).collect();
        let mut read: Vec<DecisionId> = Vec::new();
        loop {
            let part = read.last().cloned().map_or(Part::Newest, Part::OlderThan);
            let filter = DecisionFilter { route: route.map(Arc::from), part, ..filter(limit) };
            let page = store.decisions(filter).await.unwrap();
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            read.extend(page.into_iter().map(|found| found.decision.id));
        }
        assert_eq!(read.iter().map(|id| &**id).collect::<Vec<_>>(), expected, "{route:?} by {limit}");
    }
}

#[test]
fn a_page_before_an_unknown_decision_is_empty_and_a_limit_out_of_range_is_brought_into_it() {
    let (mut database, _) = Database::open(&config::Store::Memory, BUSY_TIMEOUT).unwrap();
    let changes: Vec<_> =
        (0..=DecisionFilter::LIMIT_MAX).map(|n| change("shop", 1, &n.to_string())).collect();
    database.save(&changes).unwrap();
    let length = |filter: &DecisionFilter| database.decisions(filter).unwrap().list.len();
    assert_eq!(length(&DecisionFilter { part: Part::OlderThan("nobody".into()), ..filter(10) }), 0);
    assert_eq!(length(&DecisionFilter { route: Some("nowhere".into()), ..filter(10) }), 0);
    assert_eq!(length(&filter(0)), 1);
    assert_eq!(length(&filter(u32::MAX)), DecisionFilter::LIMIT_MAX as usize);
}

#[test]
fn the_database_itself_refuses_to_rewrite_a_decision_and_lets_only_pruned_ones_go() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    database.save(&[change("shop", 1, "d-1"), change("shop", 2, "d-2")]).unwrap();
    let other = sqlite3(&path);
    let error = other.execute("UPDATE decision SET why = 'no reason' WHERE id = 'd-1'", []).unwrap_err();
    assert!(error.to_string().contains("append-only"), "{error}");
    let error = other.execute("DELETE FROM decision WHERE id = 'd-1'", []).unwrap_err();
    assert!(error.to_string().contains("only pruning"), "{error}");
    database.prune(decision("d-2", "shop").at_ms + 1).unwrap();
    assert_eq!(ids(&database.decisions(&filter(10)).unwrap().list), [""; 0]);
}

#[tokio::test]
async fn memory_stores_work_and_are_separate() {
    let (left, _) = Store::open(&config::Store::Memory).unwrap();
    let (right, loaded) = Store::open(&config::Store::Memory).unwrap();
    left.save(vec![change("shop", 1, "d-1")]).await.unwrap();
    assert_eq!(loaded.routes, []);
    assert_eq!(left.decisions(filter(10)).await.unwrap().len(), 1);
    assert!(right.decisions(filter(10)).await.unwrap().is_empty());
}

#[tokio::test]
async fn closing_writes_the_log_back_and_ends_all_other_handles() {
    let (directory, path) = directory();
    let (store, _) = Store::open(&place(&path)).unwrap();
    let other = store.clone();
    store.save(vec![change("shop", 1, "d-1")]).await.unwrap();
    store.close().unwrap();
    let mut left: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["andon.db", "andon.db.lock"]);
    let gone = StoreError::Gone { place: path.display().to_string().into() };
    assert_eq!(other.decisions(filter(1)).await, Err(gone.clone()));
    assert_eq!(other.close(), Err(gone));
    assert_eq!(database(&path).1, [record("shop", 1)]);
}

#[test]
fn a_save_nobody_waits_for_is_still_done() {
    let (_directory, path) = directory();
    let (store, _) = Store::open(&place(&path)).unwrap();
    let (reply, _) = tokio::sync::oneshot::channel();
    store.enqueue(super::thread::Request::Save(vec![change("shop", 1, "d-1")], reply)).unwrap();
    store.close().unwrap();
    assert_eq!(database(&path).1, [record("shop", 1)]);
}
