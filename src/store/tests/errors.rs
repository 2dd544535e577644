//! Each thing that can be wrong with the file is made wrong, for real.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;

use rusqlite::ffi;

use super::*;
use crate::store::thread::Request;

fn refused(path: &Path) -> StoreError {
    match Database::open(&place(path), Duration::from_millis(1)) {
        Ok((_, routes)) => panic!("opened, with {routes:?}"),
        Err(error) => error,
    }
}

fn corrupt(path: &Path, part: &str) {
    let error = refused(path);
    let StoreError::Corrupt { found, .. } = &error else { panic!("{error:?}") };
    assert!(found.contains(part), "{found}");
    assert!(!error.retryable());
}

/// A closed file with enough in it to have a middle.
fn filled(path: &Path) {
    let (mut database, _) = database(path);
    let changes: Vec<_> = (0..500).map(|n| change(&format!("shop-{n}"), 1, &n.to_string())).collect();
    database.save(&changes).unwrap();
    database.close().unwrap();
}

#[test]
fn a_missing_directory_is_named() {
    let (directory, path) = directory();
    let missing = directory.path().join("missing").join("andon.db");
    let error = refused(&missing);
    assert!(matches!(error, StoreError::DirectoryMissing { .. }), "{error:?}");
    assert!(error.to_string().contains("/missing does not exist; create it"), "{error}");

    fs::write(&path, "").unwrap();
    let error = refused(&path.join("andon.db"));
    assert!(matches!(error, StoreError::DirectoryMissing { .. }), "{error:?}");
}

#[test]
fn a_directory_is_not_a_store() {
    let (directory, path) = directory();
    let error = refused(directory.path());
    assert!(matches!(error, StoreError::NotAFile { .. }), "{error:?}");
    fs::create_dir(directory.path().join("andon.db.lock")).unwrap();
    let error = refused(&path);
    assert!(matches!(error, StoreError::NotAFile { .. }), "{error:?}");
}

#[test]
fn garbage_in_the_header_is_found() {
    let (_directory, path) = directory();
    filled(&path);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xa5; 100], 0).unwrap();
    corrupt(&path, "not a database");
}

#[test]
fn a_text_file_is_left_as_it_was() {
    let (_directory, path) = directory();
    fs::write(&path, "not a database, but someone's notes\n".repeat(100)).unwrap();
    corrupt(&path, "not a database");
    assert!(fs::read_to_string(&path).unwrap().starts_with("not a database, but someone's notes\n"));
}

#[test]
fn garbage_in_the_middle_is_found() {
    let (_directory, path) = directory();
    filled(&path);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let page = fs::metadata(&path).unwrap().len() / 4096 / 2;
    file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    corrupt(&path, "");
}

#[test]
fn a_truncated_file_is_found() {
    let (_directory, path) = directory();
    filled(&path);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for bytes in [fs::metadata(&path).unwrap().len() / 2, 4096, 50] {
        file.set_len(bytes).unwrap();
        corrupt(&path, "");
    }
}

#[test]
fn an_emptied_file_beside_its_log_is_not_taken_for_a_new_one() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    database.save(&[change("shop", 1, "d-1")]).unwrap();
    let (_copy_directory, copy) = directory_of_copy(&path);
    fs::write(&copy, "").unwrap();
    corrupt(&copy, "it is empty, while");
}

/// The file and its log as they lie on the disk now, as if everything had stopped.
pub(super) fn directory_of_copy(path: &Path) -> (TempDir, PathBuf) {
    let (directory, copy) = directory();
    for name in ["andon.db", "andon.db-wal"] {
        let from = path.with_file_name(name);
        if from.exists() {
            fs::copy(from, copy.with_file_name(name)).unwrap();
        }
    }
    (directory, copy)
}

#[test]
fn a_second_open_of_the_same_file_is_refused_under_any_name() {
    let (directory, path) = directory();
    let (store, _) = Store::open(&place(&path)).unwrap();
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        let error = refused(name);
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
        assert!(error.to_string().contains("andon.db.lock; stop that one"), "{error}");
    }
    store.close().unwrap();
    database(&path);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_directory, path) = directory();
    filled(&path);
    sqlite3(&path).pragma_update(None, "user_version", 99).unwrap();
    let error = refused(&path);
    assert!(matches!(error, StoreError::Newer { found: 99, known: 6, .. }), "{error:?}");
    assert!(error.to_string().contains("run the newer andon"), "{error}");
    sqlite3(&path).pragma_update(None, "user_version", -1).unwrap();
    corrupt(&path, "user_version is -1");
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let (_directory, path) = directory();
    sqlite3(&path).execute_batch("CREATE TABLE bookmark (url TEXT)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_value_out_of_range_is_named_by_table_and_column() {
    for (sql, found) in [
        ("UPDATE canary SET aim_ppm = 1000001 WHERE route = 'shop-7'", "canary.aim_ppm is 1000001"),
        ("UPDATE canary SET ceiling_ppm = -1 WHERE route = 'shop-7'", "canary.ceiling_ppm is -1"),
        ("UPDATE route SET stable_upstream = cast(x'ff' AS TEXT)", "route.stable_upstream is invalid utf-8"),
        (
            "INSERT INTO decision VALUES (9999, 'x', 1, 'r', NULL, 'weight', 'b', 'w', 0, 1000001, NULL, 'h')",
            "decision",
        ),
    ] {
        let (_directory, path) = directory();
        filled(&path);
        sqlite3(&path).execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {sql}")).unwrap();
        corrupt(&path, found);
    }
}

#[test]
fn a_decision_changed_behind_our_back_is_named_by_column() {
    for (values, found) in [
        ("'explode', 'b', 'w', 0, 0, NULL", "decision.action is \"explode\", where only weight, back_off,"),
        (
            "'weight', 'b', 'w', 0, 1000001, NULL",
            "decision.after_ppm is 1000001, where only 0 to 1000000 can be",
        ),
        ("'weight', 'b', 'w', 0, 0, '{\"n\":'", "decision.evidence is EOF"),
    ] {
        let (_directory, path) = directory();
        let (database, _) = database(&path);
        let sql = format!("INSERT INTO decision VALUES (1, 'x', 1, 'r', NULL, {values}, 'h')");
        sqlite3(&path).execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {sql}")).unwrap();
        let read = database.decisions(&filter(1));
        let Err(StoreError::Corrupt { found: said, .. }) = read else { panic!("{read:?}") };
        assert!(said.contains(found), "{said}");
    }
}

#[test]
fn a_missing_table_is_refused() {
    let (_directory, path) = directory();
    filled(&path);
    sqlite3(&path).execute_batch("DROP TABLE cord").unwrap();
    let error = refused(&path);
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("no such table: cord"), "{error}");
}

#[tokio::test]
async fn a_save_fails_while_another_program_holds_the_lock_and_works_again_afterwards() {
    let (_directory, path) = directory();
    let opened = Database::open(&place(&path), Duration::from_millis(1)).unwrap();
    let (store, _) = Store::start(opened, &place(&path)).unwrap();
    store.save(vec![change("shop", 1, "d-1")]).await.unwrap();
    let other = sqlite3(&path);
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = store.save(vec![change("shop", 2, "d-2")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { cause: BusyCause::HeldByProgram, .. }), "{error:?}");
    assert!(error.retryable());
    assert_eq!(ids(&store.decisions(filter(10)).await.unwrap()), ["d-1"]);
    other.execute_batch("ROLLBACK").unwrap();
    store.save(vec![change("shop", 2, "d-2")]).await.unwrap();
    assert_eq!(ids(&store.decisions(filter(10)).await.unwrap()), ["d-2", "d-1"]);
}

#[test]
fn a_file_that_another_program_keeps_for_itself_is_not_opened() {
    let (_directory, path) = directory();
    filled(&path);
    let other = sqlite3(&path);
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let error = refused(&path);
    assert!(matches!(error, StoreError::Busy { cause: BusyCause::HeldByProgram, .. }), "{error:?}");
    drop(other);
    database(&path);
}

#[test]
fn a_full_disk_fails_one_save_and_loses_nothing() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    database.save(&[change("shop", 1, "d-1")]).unwrap();
    let pages = |database: &Database, count| database.limit_pages(count).unwrap();
    pages(&database, 1);
    let mut large = change("shop", 2, "d-2");
    large.decision.as_mut().unwrap().why = "why ".repeat(10_000).into();
    let error = database.save(std::slice::from_ref(&large)).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.retryable());
    assert_eq!(ids(&database.decisions(&filter(10)).unwrap().list), ["d-1"]);
    pages(&database, 1_000_000);
    database.save(&[large]).unwrap();
    drop(database);
    assert_eq!(self::database(&path).1, [record("shop", 2)]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_a_dead_thread_says_so() {
    let (queue, requests) = mpsc::sync_channel(STORE_QUEUE_MAX);
    let store = Store { queue, place: "here".into() };
    for _ in 0..STORE_QUEUE_MAX {
        let (reply, _) = tokio::sync::oneshot::channel();
        store.enqueue(Request::Save(Vec::new(), reply)).unwrap();
    }
    let error = store.save(Vec::new()).await.unwrap_err();
    assert_eq!(error, StoreError::Busy { place: "here".into(), cause: BusyCause::QueueFull });
    assert!(error.retryable());
    drop(requests);
    assert_eq!(store.save(Vec::new()).await, Err(StoreError::Gone { place: "here".into() }));
    assert_eq!(store.close(), Err(StoreError::Gone { place: "here".into() }));
}

#[test]
fn what_the_operating_system_says_is_told_apart() {
    let of = |kind: io::ErrorKind| StoreError::of_io(Path::new("andon.db"), &kind.into());
    assert!(matches!(of(io::ErrorKind::PermissionDenied), StoreError::Denied { .. }));
    assert!(matches!(of(io::ErrorKind::ReadOnlyFilesystem), StoreError::Denied { .. }));
    assert!(matches!(of(io::ErrorKind::StorageFull), StoreError::Full { .. }));
    assert!(matches!(of(io::ErrorKind::Other), StoreError::Io { .. }));
    let StoreError::DirectoryMissing { directory, .. } = of(io::ErrorKind::NotFound) else { panic!() };
    assert_eq!(&*directory, ".");

    let of = |code| {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        StoreError::of_sqlite(&"andon.db".into(), &error)
    };
    assert!(matches!(of(ffi::SQLITE_READONLY), StoreError::Denied { .. }));
    assert!(matches!(of(ffi::SQLITE_IOERR_FSYNC), StoreError::Io { .. }));
    assert!(matches!(of(ffi::SQLITE_CORRUPT), StoreError::Corrupt { .. }));
    assert!(matches!(of(ffi::SQLITE_FULL), StoreError::Full { .. }));
    assert!(matches!(of(ffi::SQLITE_MISUSE), StoreError::Refused { .. }));
}
