//! Counters are added up by whoever reads them, and codes have their places.

use super::*;
use crate::metrics::histogram::bucket_of;

fn finish(outcome: Outcome) -> Finish {
    let evidence = Evidence::of(outcome, Some(4_000));
    Finish { outcome, code: 200, duration_us: 5_000, evidence, now_us: 7 }
}

#[test]
fn only_a_telling_outcome_is_judged() {
    let slot = SlotCounters::default();
    slot.finish(&finish(Outcome::Success));
    slot.finish(&finish(Outcome::ConnectError));
    slot.finish(&finish(Outcome::DownstreamGone));
    slot.finish(&finish(Outcome::Internal));
    slot.finish(&Finish { evidence: None, ..finish(Outcome::ServerError) });
    let judged = &slot.judged;
    assert_eq!((judged.requests.get(), judged.failed.get(), judged.connect_errors.get()), (2, 1, 1));
    assert_eq!(judged.latency_counts().unwrap()[bucket_of(4_000)].get(), 1);
    assert_eq!(slot.outcomes.iter().map(Counter::get).sum::<u64>(), 5);
}

#[test]
fn a_miss_is_evidence_and_no_request() {
    let slot = SlotCounters::default();
    slot.miss(Some(Evidence::ConnectError), 7);
    slot.miss(None, 8);
    assert_eq!((slot.judged.requests.get(), slot.judged.connect_errors.get(), slot.missed.get()), (1, 1, 2));
    assert_eq!(slot.outcomes.iter().map(Counter::get).sum::<u64>(), 0);
    assert_eq!((slot.started.get(), slot.last_failure_us.get()), (0, 8));
}

#[test]
fn a_late_request_is_evidence_before_it_has_ended() {
    let slot = SlotCounters::default();
    slot.late(None, 7);
    assert_eq!((slot.judged.requests.get(), slot.last_failure_us.get()), (0, 0));
    slot.late(Some(Evidence::Failure), 8);
    slot.finish(&Finish { evidence: None, now_us: 9, ..finish(Outcome::Success) });
    assert_eq!((slot.judged.requests.get(), slot.judged.failed.get(), slot.last_failure_us.get()), (1, 1, 8));
}

#[test]
fn a_duration_on_a_bound_belongs_to_that_bound() {
    let slot = SlotCounters::default();
    slot.finish(&finish(Outcome::Success));
    assert_eq!(slot.durations[2].get(), 1, "5 ms is le=\"0.005\"");
}

#[test]
fn every_code_has_a_label_and_unknown_ones_share_one() {
    assert!(CODES.is_sorted());
    for code in CODES.into_iter().chain([504]) {
        assert_eq!(code_label(code_index(code)), code.to_string());
    }
    for code in [0, 100, 418, 599, 999, u16::MAX] {
        assert_eq!(code_label(code_index(code)), "other", "{code}");
    }
}

#[test]
fn slots_far_apart_do_not_meet() {
    let shard = Shard::default();
    let last = SlotId::from_index(u32::try_from(Slots::SLOTS_MAX).unwrap() - 1);
    shard.slot(last).started.add(3);
    assert_eq!(shard.slot(last).started.get(), 3);
    assert!(shard.peek(SlotId::from_index(0)).is_none());
}
