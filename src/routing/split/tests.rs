//! The split keeps its promises: exact, disjoint, one way.

use proptest::prelude::*;

use super::*;
use crate::config::Route;

fn split(ppm: &[u32]) -> Split {
    Split::new(&ppm.iter().map(|ppm| Weight::from_ppm(*ppm).unwrap()).collect::<Vec<_>>())
}

/// How many places each variant owns, by asking for every place.
fn owned(split: &Split, variants: usize) -> Vec<u32> {
    let mut owned = vec![0; variants];
    for position in 0..WHOLE_PPM {
        owned[split.variant_at(position)] += 1;
    }
    owned
}

/// Weights that sum to at most the whole.
fn any_weights(canaries: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0..=WHOLE_PPM, canaries).prop_map(|mut cuts| {
        cuts.sort_unstable();
        let mut before = 0;
        for cut in &mut cuts {
            (*cut, before) = (*cut - before, *cut);
        }
        cuts
    })
}

#[test]
fn weight_zero_sends_nothing_and_the_whole_sends_all() {
    for canaries in 1..=Route::CANARIES_MAX {
        let mut ppm = vec![0; canaries];
        assert!(split(&ppm).is_stable_only());
        assert_eq!(split(&ppm).segments.len(), 1);
        for canary in 0..canaries {
            ppm.fill(0);
            ppm[canary] = WHOLE_PPM;
            let split = split(&ppm);
            assert!(!split.is_stable_only());
            assert!(split.segments.iter().all(|segment| segment.variant == canary + 1), "{ppm:?}");
        }
    }
    assert!(split(&[]).is_stable_only());
}

#[test]
fn every_weight_of_a_lone_canary_is_exact() {
    for ppm in (1..WHOLE_PPM).step_by(7).chain([1, 2, WHOLE_PPM - 1]) {
        let split = split(&[ppm]);
        assert_eq!(split.variant_at(0), 1);
        assert_eq!(split.variant_at(ppm - 1), 1);
        assert_eq!(split.variant_at(ppm), STABLE);
        assert_eq!(split.variant_at(WHOLE_PPM - 1), STABLE);
    }
    for ppm in [0, 1, 333_333, 999_999, WHOLE_PPM] {
        assert_eq!(owned(&split(&[ppm]), 2), [WHOLE_PPM - ppm, ppm]);
    }
}

#[test]
fn a_second_canary_grows_from_the_other_end() {
    let split = split(&[100, 200]);
    for (position, variant) in
        [(0, 1), (99, 1), (100, 0), (WHOLE_PPM - 201, 0), (WHOLE_PPM - 200, 2), (WHOLE_PPM - 1, 2)]
    {
        assert_eq!(split.variant_at(position), variant, "{position}");
    }
}

#[test]
fn further_canaries_begin_at_the_anchors() {
    let split = split(&[1; Route::CANARIES_MAX]);
    for (position, variant) in [
        (500_000, 3),
        (499_999, 4),
        (250_000, 5),
        (249_999, 6),
        (750_000, 7),
        (749_999, 8),
        (125_000, 9),
        (875_000, 15),
        (874_999, 16),
    ] {
        assert_eq!(split.variant_at(position), variant, "{position}");
    }
}

#[test]
fn where_parts_meet_the_later_canary_gives_way_and_keeps_its_share() {
    assert_eq!(owned(&split(&[600_000, 0, 300_000]), 4), [100_000, 600_000, 0, 300_000]);
    assert_eq!(owned(&split(&[600_000, 100_000, 0, 300_000]), 5), [0, 600_000, 100_000, 0, 300_000]);
    assert_eq!(split(&[600_000, 0, 300_000]).variant_at(600_000), 3);
}

#[test]
fn weights_beyond_the_whole_leave_the_last_canaries_short() {
    assert_eq!(owned(&split(&[700_000, 700_000, 700_000]), 4), [0, 700_000, 300_000, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_weights_of_any_canaries_are_exact(ppm in any_weights(1..=Route::CANARIES_MAX)) {
        let split = split(&ppm);
        let stable = WHOLE_PPM - ppm.iter().sum::<u32>();
        let expected: Vec<u32> = [stable].into_iter().chain(ppm.iter().copied()).collect();
        prop_assert_eq!(owned(&split, expected.len()), expected);
        prop_assert!(split.segments.len() <= 3 * ppm.len() + 1);
        prop_assert!(split.segments.is_sorted_by_key(|segment| segment.end));
    }
}

proptest! {
    #[test]
    fn raising_one_of_two_moves_places_only_from_stable_to_it(
        ppm in any_weights(2..=2), canary in 0..2usize, more in 0..=WHOLE_PPM,
    ) {
        let mut raised = ppm.clone();
        raised[canary] += more.min(WHOLE_PPM - ppm.iter().sum::<u32>());
        only_from_stable_to(canary + 1, &split(&ppm), &split(&raised))?;
    }

    #[test]
    fn raising_one_of_many_is_one_way_while_nobody_is_in_its_way(
        ppm in prop::collection::vec(0..=31_250u32, 16), canary in 0..16usize, more in 0..=31_250u32,
    ) {
        // The anchors and ends are 125 000 apart and most of them serve two, so 62 500 each never meet.
        let mut raised = ppm.clone();
        raised[canary] += more;
        only_from_stable_to(canary + 1, &split(&ppm), &split(&raised))?;
    }
}

/// Looks at both sides of every border of both splits, which is as good as looking at every place.
fn only_from_stable_to(canary: usize, before: &Split, after: &Split) -> Result<(), TestCaseError> {
    let borders = before.segments.iter().chain(&after.segments).map(|segment| segment.end);
    for position in borders.flat_map(|end| [end - 1, end]).chain([0]).filter(|at| *at < WHOLE_PPM) {
        let (was, is) = (before.variant_at(position), after.variant_at(position));
        prop_assert!(was == is || (was == STABLE && is == canary), "at {}: {} to {}", position, was, is);
    }
    Ok(())
}
