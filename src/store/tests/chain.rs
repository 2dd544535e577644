//! The chain shows whatever was done to the record, and survives what may be done to it.

use super::*;

fn filled(path: &Path, rows: u32) -> Database {
    let (mut database, _) = database(path);
    let save = |n: u32| {
        let decision = Decision { at_ms: i64::from(n), ..decision(&format!("d-{n}"), "shop") };
        Change { record: record("shop", n), decision: Some(decision) }
    };
    database.save(&(1..=rows).map(save).collect::<Vec<_>>()).unwrap();
    database
}

fn checked(database: &Database, wanted: Option<&Head>) -> Checked {
    let mut checked = database.check_chain(None, wanted).unwrap();
    while !checked.is_done {
        checked = database.check_chain(Some(checked), wanted).unwrap();
    }
    checked
}

/// Where it is broken, and how, after a hand was at work.
#[track_caller]
fn broken_by(sql: &str, seq: i64, fit: u64, says: &str) {
    let (_directory, path) = directory();
    let database = filled(&path, 9);
    assert_eq!(checked(&database, None).broken, None);
    sqlite3(&path)
        .execute_batch(&format!(
            "DROP TRIGGER decision_is_append_only; DROP TRIGGER decision_goes_oldest_first; {sql}"
        ))
        .unwrap();
    let checked = checked(&database, None);
    let broken = checked.broken.unwrap_or_else(|| panic!("{sql}: nothing was seen"));
    assert_eq!(broken.seq, seq, "{sql}: {broken:?}");
    assert!(broken.found.contains(says), "{sql}: {broken:?}");
    assert_eq!(checked.rows, fit, "{sql}");
    drop(database);
    let from_file = Store::check_file(&path, None).unwrap();
    assert_eq!(from_file.broken, Some(broken), "{sql}");
}

#[test]
fn whatever_a_hand_does_to_the_record_is_seen_at_its_place() {
    for column in ["id = 'x'", "at_ms = 7", "route = 'x'", "canary = NULL", "action = 'role'", "by = 'x'"] {
        broken_by(&format!("UPDATE decision SET {column} WHERE seq = 4"), 4, 3, "what it says");
    }
    for column in ["why = 'x'", "before_ppm = 7", "after_ppm = 7", "evidence = '1'", "hash = ''"] {
        broken_by(&format!("UPDATE decision SET {column} WHERE seq = 9"), 9, 8, "what it says");
    }
    broken_by("DELETE FROM decision WHERE seq = 4", 5, 3, "1 rows before it are missing");
    broken_by("DELETE FROM decision WHERE seq <= 4", 5, 0, "4 rows before it are missing");
    broken_by("DELETE FROM decision WHERE seq >= 8", 8, 7, "its end was cut off");
    broken_by("DELETE FROM decision", 1, 0, "its end was cut off");
    broken_by(
        "UPDATE decision SET seq = 100 WHERE seq = 4; UPDATE decision SET seq = 4 WHERE seq = 5; \
         UPDATE decision SET seq = 5 WHERE seq = 100;",
        4,
        3,
        "what it says",
    );
    broken_by(
        "INSERT INTO decision SELECT 10, 'd-10', at_ms, route, canary, action, by, why, before_ppm, after_ppm, evidence, hash
         FROM decision WHERE seq = 9",
        10,
        9,
        "what it says",
    );
}

#[test]
fn a_field_cannot_lend_bytes_to_its_neighbour() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    let one = Decision { by: "ab".into(), why: "c".into(), ..decision("d-1", "shop") };
    database.save(&[Change { record: record("shop", 1), decision: Some(one) }]).unwrap();
    sqlite3(&path)
        .execute_batch("DROP TRIGGER decision_is_append_only; UPDATE decision SET by = 'a', why = 'bc'")
        .unwrap();
    assert!(checked(&database, None).broken.is_some());
}

#[test]
fn what_is_left_after_pruning_still_fits_and_goes_on() {
    let (_directory, path) = directory();
    let mut database = filled(&path, 9);
    assert_eq!(database.prune(5).unwrap(), 4);
    assert_eq!(database.prune(5).unwrap(), 0);
    database.save(&[change("shop", 1, "d-10")]).unwrap();
    let found = checked(&database, None);
    assert_eq!((found.rows, found.pruned, found.head.seq, found.broken), (6, 4, 10, None));
    let oldest = DecisionFilter { part: Part::After(0), ..filter(1) };
    assert!(database.decisions(&oldest).unwrap().list[0].previous.bytes().any(|byte| byte != b'0'));
    // All of it, up to the last.
    assert_eq!(database.prune(i64::MAX).unwrap(), 6);
    let found = checked(&database, None);
    assert_eq!((found.rows, found.pruned, found.head.seq, found.broken), (0, 10, 10, None));
    database.save(&[change("shop", 1, "d-11")]).unwrap();
    assert_eq!(checked(&database, None).head.seq, 11);
    // What was pruned is not to be replaced.
    sqlite3(&path).execute_batch("UPDATE chain SET pruned_hash = '00'").unwrap();
    assert!(checked(&database, None).broken.is_some());
}

#[test]
fn a_young_decision_protects_all_after_it_and_one_look_takes_only_so_many() {
    let (_directory, path) = directory();
    let mut database = filled(&path, 3);
    let late = |n: i64| Change {
        record: record("shop", 1),
        decision: Some(Decision { at_ms: 100 - n, ..decision(&format!("late-{n}"), "shop") }),
    };
    database.save(&(0..700).map(late).collect::<Vec<_>>()).unwrap();
    // Row 4 is from 100; the clock went back after it.
    assert_eq!(database.prune(100).unwrap(), 3);
    assert_eq!(database.prune(101).unwrap(), 500);
    assert_eq!(database.prune(101).unwrap(), 200);
    assert_eq!(checked(&database, None).broken, None);
}

#[test]
fn a_head_that_was_kept_elsewhere_shows_what_a_chain_alone_cannot() {
    let (_directory, path) = directory();
    let mut database = filled(&path, 9);
    let kept = database.head().unwrap();
    assert_eq!(checked(&database, Some(&kept)).broken, None);
    database.save(&[change("shop", 1, "d-10")]).unwrap();
    assert_eq!(checked(&database, Some(&kept)).broken, None, "it need not be the newest");
    let other = Head { hash: "0".repeat(64).into(), ..kept.clone() };
    assert!(checked(&database, Some(&other)).broken.unwrap().found.contains("should carry 000"));
    let later = Head { seq: 11, ..kept.clone() };
    assert!(checked(&database, Some(&later)).broken.unwrap().found.contains("cut off"));
    // Written anew from the beginning, with hashes that fit: it looks whole, but is not the one that was kept.
    drop(database);
    std::fs::remove_file(&path).unwrap();
    let (mut anew, _) = self::database(&path);
    anew.save(&(0..20).map(|n| change("shop", 1, &format!("new-{n}"))).collect::<Vec<_>>()).unwrap();
    assert_eq!(checked(&anew, None).broken, None);
    assert_eq!(checked(&anew, Some(&kept)).broken.unwrap().seq, 9);
    anew.prune(i64::MAX).unwrap();
    assert!(checked(&anew, Some(&kept)).broken.unwrap().found.contains("pruned"));
}

#[test]
fn a_record_from_before_there_was_a_chain_is_linked_as_it_is() {
    let (_directory, path) = directory();
    let database = filled(&path, 2_500);
    let before = database.decisions(&filter(1_000)).unwrap().list;
    database.close().unwrap();
    sqlite3(&path)
        .execute_batch(
            "DROP TABLE release; ALTER TABLE route DROP COLUMN previous_stable;
             DROP TABLE announced_endpoint; DROP TABLE announced; DROP TABLE chain;
             DROP TRIGGER decision_goes_oldest_first; ALTER TABLE decision DROP COLUMN hash; PRAGMA user_version = 3;",
        )
        .unwrap();
    let error = Store::check_file(&path, None).unwrap_err().to_string();
    assert!(error.contains("older andon"), "{error}");
    let (database, _) = self::database(&path);
    assert_eq!(
        database.decisions(&filter(1_000)).unwrap().list,
        before,
        "the same rows give the same hashes"
    );
    assert_eq!((checked(&database, None).rows, checked(&database, None).broken), (2_500, None));
}

#[test]
fn filters_reach_over_what_one_look_scans() {
    let (_directory, path) = directory();
    let database = filled(&path, 10_050);
    let all = |mut filter: DecisionFilter| {
        let (mut found, mut looks) = (Vec::new(), 0);
        loop {
            let page = database.decisions(&filter).unwrap();
            found.extend(page.list.iter().map(|found| found.decision.at_ms));
            looks += 1;
            match page.next {
                Some(next) => filter.part = next,
                None => return (found, looks),
            }
        }
    };
    let old = DecisionFilter { until_ms: Some(3), ..filter(10) };
    assert_eq!(all(old.clone()), (vec![2, 1], 2));
    assert_eq!(all(DecisionFilter { part: Part::After(0), ..old }).0, [1, 2]);
    let young = DecisionFilter { since_ms: Some(10_049), part: Part::After(0), ..filter(10) };
    assert_eq!(all(young).0, [10_049, 10_050]);
    assert_eq!(all(DecisionFilter { action: Some(Action::Role), ..filter(10) }).0, [0_i64; 0]);
    let (found, _) = all(DecisionFilter { part: Part::After(0), ..filter(1_000) });
    assert!(found.is_sorted() && found.len() == 10_050);
}

#[tokio::test]
async fn announced_endpoints_are_loaded_again_until_they_are_taken_back() {
    let (_directory, path) = directory();
    let (store, loaded) = Store::open(&place(&path)).unwrap();
    assert_eq!(loaded.announced, []);
    let announced = Announced {
        upstream: "v2".into(),
        file: vec!["127.0.0.1:9001".into()],
        live: vec!["127.0.0.1:9003".into(), "dns://v2.internal:80".into()],
        by: "bot".into(),
        why: "deploy 7".into(),
        at_ms: 5,
        decision: "d-1".into(),
    };
    store.announce("v2".into(), Some(announced.clone()), Some(decision("d-1", ""))).await.unwrap();
    store.close().unwrap();
    let (store, loaded) = Store::open(&place(&path)).unwrap();
    assert_eq!(loaded.announced, [announced]);
    store.announce("v2".into(), None, Some(decision("d-2", ""))).await.unwrap();
    assert_eq!(ids(&store.decisions(filter(10)).await.unwrap()), ["d-2", "d-1"]);
    store.close().unwrap();
    assert_eq!(Store::open(&place(&path)).unwrap().1.announced, []);
}
