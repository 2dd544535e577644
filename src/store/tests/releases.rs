//! Releases are kept with their route, and the last ones of those that have ended.

use super::*;
use crate::config::Plan;
use crate::config::plan::{Hours, HoursSpan, Otherwise, PlanStep, Promote};
use crate::release::{Held, Phase, Release};

fn release(id: &str, step: usize) -> Release {
    let step_of = |to: u32| PlanStep {
        to: ppm(to),
        mirror: None,
        ramp: Duration::ZERO,
        hold: Duration::from_secs(600),
        proof: true,
        approve: false,
        within: Duration::from_hours(24),
        otherwise: Otherwise::Abort,
    };
    let hours = Hours {
        time_zone: "Europe/Berlin".into(),
        spans: vec![HoursSpan { days: [true; 7], from: 540, to: 1_020 }],
    };
    Release {
        id: id.into(),
        plan: Plan {
            name: "careful".into(),
            steps: vec![step_of(10_000), step_of(1_000_000)],
            promote: Promote::Manual,
            hours: Some(hours),
        },
        canary: "canary".into(),
        upstream: "v2".into(),
        by: "ann".into(),
        why: "v2 \"is\" ready".into(),
        started_ms: 1,
        step,
        from: ppm(7),
        phase: Phase::Proving,
        since_ms: 2,
        held: Some(Held { by: "bob".into(), why: "lunch".into(), at_ms: 3 }),
        ended: None,
    }
}

#[test]
fn a_release_goes_on_where_it_stood_and_the_oldest_ones_go() {
    let (_directory, path) = directory();
    let (mut database, _) = database(&path);
    let at = |id: &str, step| RouteRecord {
        previous_stable: Some("v1".into()),
        release: Some(release(id, step)),
        ..record("shop", 7)
    };
    let save = |database: &mut Database, record: &RouteRecord| {
        database.save(&[Change { record: record.clone(), decision: None }]).unwrap();
    };
    for number in 0..105 {
        save(&mut database, &at(&format!("r-{number:03}"), 0));
    }
    save(&mut database, &at("r-104", 1));
    let kept = database.releases("shop", 1_000).unwrap();
    assert_eq!(kept.len(), 100);
    assert_eq!((&*kept[0].id, kept[0].step, &*kept[99].id), ("r-104", 1, "r-005"));
    database.close().unwrap();
    assert_eq!(self::database(&path).1, [at("r-104", 1)]);
    sqlite3(&path).execute_batch("UPDATE release SET body = '{}' WHERE id = 'r-104'").unwrap();
    let error = Database::open(&place(&path), BUSY_TIMEOUT).err().unwrap().to_string();
    assert!(error.contains("release.body"), "{error}");
}
