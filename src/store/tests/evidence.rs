//! Evidence is appended once, read by time and in order, and goes when it is old or too much.

use super::*;
use crate::config::EvidenceKept;

const KEPT: EvidenceKept = EvidenceKept { age: Duration::from_secs(3_600), bytes_max: 1 << 20 };

fn minute(canary: &str, minute: i64) -> Arc<Evidence> {
    Arc::new(Evidence {
        route: "shop".into(),
        canary: canary.into(),
        upstream: "v2".into(),
        began_ms: minute * 60_000,
        ended_ms: minute * 60_000 + 60_000,
        frames: 60,
        fresh: minute == 0,
        blob: vec![7; 1_000],
    })
}

fn filter(from_ms: i64, to_ms: i64) -> EvidenceFilter {
    EvidenceFilter { route: "shop".into(), canary: Some("canary".into()), from_ms, to_ms, after: 0 }
}

fn began(database: &Database, filter: &EvidenceFilter) -> Vec<i64> {
    database.evidence(filter).unwrap().list.iter().map(|one| one.began_ms / 60_000).collect()
}

#[test]
fn what_overlaps_a_stretch_of_time_is_read_in_order() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    let list: Vec<_> = (0..5).map(|at| minute("canary", at)).chain([minute("other", 2)]).collect();
    database.append(&list, KEPT, 0).unwrap();
    database.append(&list, KEPT, 0).unwrap(); // an answer was lost
    assert_eq!(database.evidence(&filter(0, i64::MAX)).unwrap().list[0], *list[0]);
    assert_eq!(began(&database, &filter(i64::MIN, i64::MAX)), [0, 1, 2, 3, 4]);
    assert_eq!(began(&database, &filter(121_000, 180_000)), [2, 3]);
    assert_eq!(began(&database, &filter(300_001, i64::MAX)), [0; 0]);
    let all = EvidenceFilter { canary: None, ..filter(120_001, 179_999) };
    assert_eq!(database.evidence(&all).unwrap().list.len(), 2);
    let other = EvidenceFilter { route: "api".into(), ..filter(0, i64::MAX) };
    assert_eq!(database.evidence(&other).unwrap(), EvidencePage::default());
}

#[test]
fn pages_follow_one_another_without_gaps_or_repeats() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    let count = i64::try_from(EvidencePage::SEGMENTS_MAX).unwrap() * 2 + 1;
    let list: Vec<_> = (0..count).map(|at| minute("canary", at)).collect();
    let kept = EvidenceKept { bytes_max: 1 << 30, ..KEPT };
    database.append(&list, kept, 0).unwrap();
    let (mut read, mut wanted, mut pages) = (Vec::new(), filter(0, i64::MAX), 0);
    loop {
        let page = database.evidence(&wanted).unwrap();
        read.extend(page.list.iter().map(|one| one.began_ms / 60_000));
        pages += 1;
        let Some(next) = page.next else { break };
        wanted.after = next;
    }
    assert_eq!(pages, 3);
    assert!(read.into_iter().eq(0..count));
}

#[test]
fn the_oldest_goes_by_age_and_by_size_a_little_at_a_time() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    let list: Vec<_> = (0..100).map(|at| minute("canary", at)).collect();
    database.append(&list, KEPT, 0).unwrap();
    let all = filter(0, i64::MAX);
    database.append(&[], KEPT, 3_600_000 + 10 * 60_000 + 1).unwrap();
    assert_eq!(began(&database, &all)[0], 10, "those that ended an hour ago are gone");
    let small = EvidenceKept { bytes_max: 5_000, ..KEPT };
    database.append(&[minute("canary", 100)], small, 0).unwrap();
    assert_eq!(began(&database, &all).len(), 91 - 64, "64 at a time");
    database.append(&[], small, 0).unwrap();
    assert_eq!(began(&database, &all), [96, 97, 98, 99, 100]);

    // It is added up anew by the next process.
    database.close().unwrap();
    let (mut database, _) = super::database(&path);
    database.append(&[minute("canary", 101)], small, 0).unwrap();
    assert_eq!(began(&database, &all), [97, 98, 99, 100, 101]);
}

#[tokio::test]
async fn of_each_canary_the_newest_is_found_again() {
    let (_directory, path) = directory();
    let (store, _) = Store::open(&place(&path)).unwrap();
    let list = vec![minute("canary", 1), minute("other", 3), minute("canary", 2), minute("old", 0)];
    store.append(list, KEPT, 0).await.unwrap();
    let newest = store.newest_evidence(60_001).await.unwrap();
    let found: Vec<_> = newest.iter().map(|one| (&*one.canary, one.began_ms / 60_000)).collect();
    assert_eq!(found, [("other", 3), ("canary", 2)]);
}

#[test]
fn damage_to_evidence_keeps_nothing_from_starting() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    database.save(&[change("shop", 1, "a")]).unwrap();
    let list: Vec<_> = (0..500).map(|at| minute("canary", at)).collect();
    database.append(&list, KEPT, 0).unwrap();
    database.close().unwrap();
    let sqlite = sqlite3(&path);
    let page: i64 = sqlite
        .query_row("SELECT max(pageno) FROM dbstat WHERE name = 'evidence'", [], |row| row.get(0))
        .unwrap();
    drop(sqlite);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let at = (page.unsigned_abs() - 1) * 4096;
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4096], at).unwrap();
    let (_database, routes) = super::database(&path);
    assert_eq!(routes.len(), 1);
}
