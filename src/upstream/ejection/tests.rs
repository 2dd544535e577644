//! Who is out, for how long, and who may never be.

use super::*;
use crate::config::Weight;

const SECOND: u64 = 1_000_000;
const NOBODY: [usize; 0] = [];
const NO_TURN: [(usize, Turn); 0] = [];

struct Rig {
    settings: Ejection,
    endpoints: Vec<(Passive, bool, EndpointTotals)>,
    now_us: u64,
}

impl Rig {
    fn new(count: usize) -> Self {
        let endpoints = (0..count).map(|_| (Passive::default(), true, EndpointTotals::default())).collect();
        Self { settings: Ejection::default(), endpoints, now_us: 0 }
    }

    fn with_share(count: usize, share: &str) -> Self {
        let mut rig = Self::new(count);
        rig.settings.share_max = Weight::parse(share).unwrap();
        rig
    }

    fn fails(&mut self, index: usize, times: u64) {
        let totals = &mut self.endpoints[index].2;
        totals.failed += times;
        totals.row_max += times;
    }

    fn answers(&mut self, index: usize) {
        let totals = &mut self.endpoints[index].2;
        totals.good += 1;
        totals.row_max = 0;
    }

    fn look(&mut self) -> Vec<(usize, Turn)> {
        let (settings, now_us) = (self.settings, self.now_us);
        let mut due = false;
        for (passive, _, totals) in &mut self.endpoints {
            due |= passive.look(&settings, now_us, *totals);
        }
        let mut all: Vec<_> = self.endpoints.iter_mut().map(|(passive, well, _)| (passive, *well)).collect();
        let turns = judge(&mut all, &settings, now_us);
        assert!(due || turns.is_empty(), "{turns:?} without a look that said so");
        turns
    }

    fn out(&mut self) -> Vec<usize> {
        self.look();
        (0..self.endpoints.len()).filter(|index| self.endpoints[*index].0.is_out()).collect()
    }
}

#[test]
fn so_many_failures_in_a_row_and_not_one_less() {
    let mut rig = Rig::new(3);
    rig.fails(1, 4);
    assert_eq!(rig.out(), NOBODY);
    rig.fails(1, 1);
    let turns = rig.look();
    assert_eq!(turns, [(1, Turn::Ejected { failures: 5, hold: Duration::from_secs(10) })]);
}

#[test]
fn a_good_answer_breaks_the_row() {
    let mut rig = Rig::new(3);
    for _ in 0..100 {
        rig.fails(1, 4);
        rig.look();
        rig.answers(1);
        assert_eq!(rig.out(), NOBODY);
    }
}

#[test]
fn rows_of_several_workers_are_not_added_while_one_of_them_is_answered() {
    let mut rig = Rig::new(2);
    let totals = &mut rig.endpoints[0].2;
    (totals.good, totals.failed, totals.row_max) = (100, 12, 3);
    assert_eq!(rig.out(), NOBODY, "four workers with a row of three each");
    rig.endpoints[0].2.failed += 2;
    assert_eq!(rig.out(), [0], "and now nobody is answered");
}

#[test]
fn a_lone_endpoint_is_never_out() {
    let mut rig = Rig::with_share(1, "100%");
    rig.fails(0, 1_000);
    assert_eq!(rig.out(), NOBODY);
}

#[test]
fn at_most_the_share_is_out_and_the_worst_first() {
    let mut rig = Rig::new(10);
    (0..10).for_each(|index| rig.fails(index, 10 + index as u64));
    assert_eq!(rig.out(), [5, 6, 7, 8, 9]);
    assert_eq!(rig.out(), [5, 6, 7, 8, 9], "no more a moment later");
    let mut rig = Rig::with_share(10, "1%");
    (0..10).for_each(|index| rig.fails(index, 10));
    assert_eq!(rig.out().len(), 1, "one may always be out");
    let mut rig = Rig::with_share(10, "0%");
    (0..10).for_each(|index| rig.fails(index, 10));
    assert_eq!(rig.out(), NOBODY);
}

#[test]
fn the_last_one_that_is_well_stays() {
    let mut rig = Rig::with_share(3, "100%");
    (0..3).for_each(|index| rig.fails(index, 9));
    assert_eq!(rig.out().len(), 2);
    let mut rig = Rig::with_share(3, "100%");
    rig.endpoints[0].1 = false;
    rig.endpoints[1].1 = false;
    rig.fails(2, 9);
    assert_eq!(rig.out(), NOBODY, "the others fail their checks");
}

#[test]
fn the_hold_grows_to_its_maximum_and_good_service_shortens_it_again() {
    let mut rig = Rig::new(2);
    rig.settings.hold_max = Duration::from_secs(25);
    for hold in [10, 20, 25, 25] {
        rig.fails(0, 5);
        let turns = rig.look();
        let expected = Turn::Ejected { failures: 5, hold: Duration::from_secs(hold) };
        assert_eq!(turns, [(0, expected)]);
        rig.now_us += hold * SECOND - 1;
        assert_eq!(rig.look(), NO_TURN);
        rig.now_us += 1;
        assert_eq!(rig.look(), [(0, Turn::Back)]);
        assert_eq!(rig.look(), NO_TURN, "its old row is forgotten");
    }
    for _ in 0..4 {
        rig.now_us += 10 * SECOND;
        rig.look();
    }
    rig.fails(0, 5);
    assert_eq!(rig.look(), [(0, Turn::Ejected { failures: 5, hold: Duration::from_secs(10) })]);
}

#[test]
fn what_ends_badly_while_it_is_out_is_not_held_against_it() {
    let mut rig = Rig::new(2);
    rig.fails(0, 5);
    assert_eq!(rig.out(), [0]);
    rig.fails(0, 50);
    rig.now_us += 10 * SECOND;
    assert_eq!(rig.look(), [(0, Turn::Back)]);
    assert_eq!(rig.out(), NOBODY);
}
