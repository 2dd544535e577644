//! `kill -9` at any moment: what was answered is there, and nothing half done is.
//!
//! The test starts its own binary as a child that saves 1, 2, 3 … and says each number after its save returned.
//! The child is killed again and again over one file, which stays as the kill left it; each time a copy of it is
//! opened and counted. A kill is not a power cut: that the disk keeps what was synced is SQLite's word.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::errors::directory_of_copy;
use super::*;

const CHILD_PATH: &str = "ANDON_TEST_KILLED_STORE";
const KILLS: usize = 20;
const SAVES_MAX: u32 = 100_000;

#[test]
fn no_kill_loses_what_was_answered_or_keeps_half_a_save() {
    let (_directory, path) = directory();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut child = start(&path);
        acknowledged = acknowledged.max(kill_after(&mut child, &mut random));
        let (_copy_directory, copy) = directory_of_copy(&path);
        let kept = check(&copy);
        assert!(
            (acknowledged..=acknowledged + 1).contains(&kept),
            "kill {kill}, seed {seed}: {acknowledged} were answered, {kept} were kept"
        );
        // The next child goes on from here.
        acknowledged = kept;
    }
    assert!(acknowledged > 0, "no child saved anything");
    assert_eq!(check(&path), acknowledged);
}

/// Not a fact of its own: the child's part, played only where the parent asks for it.
#[tokio::test]
async fn the_child_saves_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_PATH) else { return };
    let (store, loaded) = Store::open(&place(Path::new(&path))).unwrap();
    let kept = loaded.routes.first().map_or(0, |route| route.canaries[0].aim.ppm());
    for number in kept + 1..SAVES_MAX {
        store.save(vec![change("shop", number, &number.to_string())]).await.unwrap();
        // A line of its own, in one write, past the capture of the test runner.
        std::io::stdout().write_all(format!("\nsaved {number}\n").as_bytes()).unwrap();
    }
}

fn start(path: &Path) -> Child {
    // Its stderr is ours: should it panic, its reason is read in our output.
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::kill::the_child_saves_until_it_is_killed", "--nocapture"])
        .env(CHILD_PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The last number that the child said. Half of the kills fall right after an answer or before the first one.
fn kill_after(child: &mut Child, random: &mut fastrand::Rng) -> u32 {
    let mut numbers = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .filter_map(|line| line.unwrap().strip_prefix("saved ")?.parse::<u32>().ok());
    let saves = random.usize(0..15);
    let heard: Vec<u32> = numbers.by_ref().take(saves).collect();
    assert_eq!(heard.len(), saves, "the child ended by itself: {:?}", child.try_wait());
    for _ in 0..random.choice([0, 0, 1_000, 10_000, 100_000, 1_000_000]).unwrap() {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died, and we had not heard yet.
    numbers.last().or(heard.last().copied()).unwrap_or(0)
}

/// The file opens; its number is that of its newest decision, and no decision before it is missing.
fn check(path: &Path) -> u32 {
    let (database, routes) = database(path);
    let kept = routes.first().map_or(0, |route| route.canaries[0].aim.ppm());
    let mut expected = (1..=kept).rev();
    let mut part = Part::Newest;
    loop {
        let filter = DecisionFilter { part, ..filter(DecisionFilter::LIMIT_MAX) };
        let page = database.decisions(&filter).unwrap();
        for id in ids(&page.list) {
            assert_eq!(expected.next().map(|number| number.to_string()).as_deref(), Some(id));
        }
        match page.next {
            Some(next) => part = next,
            None => break,
        }
    }
    let checked = database.check_chain(None, None).unwrap();
    assert_eq!(checked.broken, None);
    assert_eq!(expected.next(), None, "of {kept}");
    kept
}
