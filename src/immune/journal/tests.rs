//! A segment comes back as it was written, or is refused.

use super::*;
use crate::config::Event;

fn detail(buckets: &[(usize, u32)]) -> Detail {
    let mut detail = Detail::default();
    buckets.iter().for_each(|(bucket, count)| detail.latency.add(*bucket, *count));
    detail.events[Event::EVENTS_MAX - 1] = 3;
    detail
}

fn counts(requests: u64, failed: u64) -> Counts {
    Counts { requests, failed, connect_errors: 0 }
}

/// Guards that have seen something, and what they see next.
fn written() -> (Guard, Vec<u8>) {
    let mut guard = Guard::new(&Judge::default());
    for second in 0..40 {
        guard.call(1_000_000, counts(50, second % 3), counts(950, 1));
        guard.tick(&detail(&[(200, 48), (700, 1)]), &detail(&[(190, 940), (300, 9)]));
    }
    let mut writer = Writer::new(&guard);
    for second in 0..3 {
        let call = Call { step_us: 1_000_000, canary: counts(50, second), stable: counts(950, 0) };
        writer.push(&[call], &detail(&[(200, 48)]), &detail(&[(190, 940)]), second < 2);
        guard.call(call.step_us, call.canary, call.stable);
        if second < 2 {
            guard.tick(&detail(&[(200, 48)]), &detail(&[(190, 940)]));
        }
    }
    (guard, writer.finish())
}

#[test]
fn a_segment_comes_back_to_the_last_bit() {
    let (live, bytes) = written();
    let segment = Segment::decode(&bytes).unwrap();
    assert_eq!(segment.frames.len(), 3);
    assert_eq!(segment.frames[1].calls[0].canary, counts(50, 1));
    assert_eq!(segment.frames[1].canary, detail(&[(200, 48)]));
    let again = segment.replay(|_, _| {});
    assert_eq!(again.odds().to_bits(), live.odds().to_bits());
    let bits = |guard: &Guard| postcard::to_stdvec(guard).unwrap();
    assert!(bits(&again) == bits(&live), "everything that the guard remembers is the same");
}

#[test]
fn what_is_damaged_or_of_another_form_is_refused() {
    let (_, bytes) = written();
    for at in 1..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        assert_eq!(Segment::decode(&bytes).err(), Some(Unreadable::Damaged), "byte {at}");
    }
    for length in 0..bytes.len() {
        assert_eq!(Segment::decode(&bytes[..length]).err(), Some(Unreadable::Damaged), "{length} bytes");
    }
    let mut other = bytes;
    other[0] = FORM + 1;
    assert_eq!(Segment::decode(&other).err(), Some(Unreadable::Form(FORM + 1)));
}

/// Who changes what a guard or a frame is made of changes [`FORM`] too, and then this.
#[test]
fn the_form_is_the_one_that_its_number_stands_for() {
    let mut writer = Writer::new(&Guard::new(&Judge::default()));
    writer.push(&[Call::default()], &detail(&[(1, 1)]), &detail(&[(2, 2)]), true);
    let bytes = writer.finish();
    assert_eq!((FORM, bytes.len()), (2, 2_532));
}
