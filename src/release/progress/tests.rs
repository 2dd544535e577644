//! Which move follows which facts, and what never happens whatever the facts are.

use proptest::prelude::*;

use super::*;

const START_MS: i64 = 1_700_000_000_000;
const MIN_MS: i64 = 60_000;

fn weight(text: &str) -> Weight {
    Weight::parse(text).unwrap()
}

fn step(to: &str) -> PlanStep {
    PlanStep {
        to: weight(to),
        mirror: None,
        ramp: Duration::ZERO,
        hold: Duration::ZERO,
        proof: false,
        approve: false,
        within: Duration::from_hours(1),
        otherwise: Otherwise::Hold,
    }
}

fn holding(to: &str, minutes: u64) -> PlanStep {
    PlanStep { hold: Duration::from_mins(minutes), ..step(to) }
}

fn release(steps: Vec<PlanStep>) -> Release {
    Release {
        id: "r-1".into(),
        plan: Plan { name: "careful".into(), steps, promote: Promote::Auto, hours: None },
        canary: "canary".into(),
        upstream: "v2".into(),
        by: "ann".into(),
        why: "v2 is ready".into(),
        started_ms: START_MS,
        step: 0,
        from: Weight::ZERO,
        phase: Phase::Raising,
        since_ms: START_MS,
        held: None,
        ended: None,
    }
}

/// A release and the world around it.
struct Play {
    release: Release,
    facts: Facts,
}

impl Play {
    fn new(steps: Vec<PlanStep>) -> Self {
        let facts = Facts { now_ms: START_MS, ..Facts::default() };
        Self { release: release(steps), facts }
    }

    fn pass(&mut self, ms: i64) -> &mut Self {
        self.facts.now_ms += ms;
        self
    }

    /// Makes all moves that are due now; what was done, in words.
    fn moves(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        while let Some(next) = self.release.next(&self.facts) {
            assert!(done.len() < 50, "moves without end: {done:?}");
            match next {
                Move::Raise(to, release) => {
                    (self.facts.aim, self.facts.effective) = (to, to);
                    self.release = release;
                    done.push(to.to_string());
                }
                Move::Go(release) => {
                    done.push(release.phase.label().to_owned());
                    self.release = release;
                }
                Move::Hold(why) => {
                    let held = Held { by: "plan".into(), why: Arc::clone(&why), at_ms: self.facts.now_ms };
                    self.release = self.release.held(held);
                    done.push(format!("held: {why}"));
                }
                Move::Abort(why) => {
                    self.end(End::Aborted);
                    done.push(format!("aborted: {why}"));
                }
                Move::Promote => {
                    self.end(End::Promoted);
                    done.push("promoted".to_owned());
                }
            }
        }
        done
    }

    fn end(&mut self, how: End) {
        let ended = Ended { how, by: "plan".into(), why: "".into(), at_ms: self.facts.now_ms };
        self.release = self.release.ended(ended);
    }

    fn waits_for(&self) -> String {
        self.release.waits_for(&self.facts).sentence
    }
}

#[test]
fn steps_follow_each_other_and_the_last_makes_it_stable() {
    let mut play = Play::new(vec![holding("1%", 10), step("10%"), holding("100%", 5)]);
    assert_eq!(play.moves(), ["1%", "holding"]);
    assert_eq!(play.waits_for(), "holds 1% for 10 min");
    assert_eq!(play.pass(10 * MIN_MS - 1).moves(), [""; 0]);
    assert_eq!(play.pass(1).moves(), ["raising", "10%", "raising", "100%", "holding"]);
    assert_eq!(play.pass(5 * MIN_MS).moves(), ["promoting", "promoted"]);
    assert_eq!(play.pass(MIN_MS).moves(), [""; 0]);
}

#[test]
fn copies_come_before_users_and_not_in_closed_hours() {
    let copies = PlanStep { mirror: Some(weight("10%")), ..holding("0%", 10) };
    let mut play = Play::new(vec![copies, step("100%")]);
    play.facts.closed = Some("closed".to_owned());
    assert_eq!((play.moves(), play.release.mirror()), (vec![], None));
    play.facts.closed = None;
    assert_eq!(play.moves(), ["holding"]);
    assert_eq!((play.release.mirror(), play.facts.aim), (Some(weight("10%")), Weight::ZERO));
    assert_eq!(play.waits_for(), "mirrors 10% for 10 min");
    play.facts.unseen = true;
    assert_eq!(play.pass(10 * MIN_MS).moves(), [""; 0]);
    assert_eq!(play.waits_for(), "goes on when a request was copied");
    play.facts.unseen = false;
    assert_eq!(play.moves(), ["raising", "100%", "promoting", "promoted"]);
    assert_eq!(play.release.mirror(), None);
}

#[test]
fn a_plan_that_ends_below_the_whole_or_says_manual_waits_for_a_person() {
    let mut play = Play::new(vec![step("50%")]);
    assert_eq!(play.moves(), ["50%", "ready"]);
    assert_eq!(play.waits_for(), "waits to be promoted");
    play.release = play.release.promoted_early(play.facts.now_ms);
    assert_eq!(play.moves(), ["100%", "promoted"]);

    let mut play = Play::new(vec![step("100%")]);
    play.release.plan.promote = Promote::Manual;
    assert_eq!(play.moves(), ["100%", "ready"]);
}

#[test]
fn a_ramp_rises_in_equal_moves_and_catches_up_no_pause() {
    let mut play = Play::new(vec![PlanStep { ramp: Duration::from_mins(20), ..step("20%") }, step("100%")]);
    assert_eq!(play.moves(), [""; 0]);
    assert_eq!(play.pass(MIN_MS).moves(), ["1%"]);
    assert_eq!(play.pass(MIN_MS).moves(), ["2%"]);
    play.facts.blocked = Some("odds".to_owned());
    assert_eq!(play.pass(10 * MIN_MS).moves(), [""; 0]);
    play.facts.blocked = None;
    assert_eq!(play.moves(), ["3%"]);
    for _ in 0..16 {
        play.pass(MIN_MS).moves();
    }
    assert_eq!(play.facts.aim, weight("19%"));
    assert_eq!(play.pass(MIN_MS).moves(), ["20%", "raising", "100%", "promoting", "promoted"]);
}

#[test]
fn a_proof_is_waited_for_and_then_what_the_step_says_happens() {
    let proving = |otherwise| PlanStep { proof: true, otherwise, ..step("10%") };
    for (otherwise, moves) in [
        (Otherwise::Hold, vec!["held: no proof that the canary is not worse within 1 h"]),
        (Otherwise::Abort, vec!["aborted: no proof that the canary is not worse within 1 h"]),
        (Otherwise::GoOn, vec!["raising", "100%", "promoting", "promoted"]),
    ] {
        let mut play = Play::new(vec![proving(otherwise), step("100%")]);
        play.facts.missing = "37 of about 900 requests".to_owned();
        assert_eq!(play.moves(), ["10%", "proving"]);
        assert_eq!(play.waits_for(), "waits for a proof: 37 of about 900 requests");
        assert_eq!(play.pass(60 * MIN_MS - 1).moves(), [""; 0]);
        assert_eq!(play.pass(1).moves(), moves, "{otherwise:?}");
    }
    let mut play = Play::new(vec![proving(Otherwise::Hold), step("100%")]);
    play.moves();
    play.facts.healthy = true;
    assert_eq!(play.moves(), ["raising", "100%", "promoting", "promoted"]);
}

#[test]
fn an_approval_is_a_persons_word_and_counts_only_where_it_is_asked_for() {
    let mut play = Play::new(vec![PlanStep { approve: true, ..holding("10%", 1) }, step("100%")]);
    assert_eq!(play.moves(), ["10%", "holding"]);
    assert_eq!(play.release.approved(play.facts.now_ms, play.facts.aim), None);
    assert_eq!(play.pass(MIN_MS).moves(), ["approving"]);
    assert_eq!(play.waits_for(), "waits for an approval");
    play.release = play.release.approved(play.facts.now_ms, play.facts.aim).unwrap();
    assert_eq!(play.moves(), ["100%", "promoting", "promoted"]);
}

#[test]
fn while_held_nothing_moves_and_the_time_does_not_count() {
    let mut play = Play::new(vec![holding("1%", 10), step("100%")]);
    play.moves();
    play.pass(4 * MIN_MS);
    let held = |by: &str| Held { by: by.into(), why: "lunch".into(), at_ms: START_MS + 4 * MIN_MS };
    play.release = play.release.held(held("ann")).held(held("bob"));
    assert_eq!(play.waits_for(), "held by ann: lunch");
    assert_eq!(play.pass(100 * MIN_MS).moves(), [""; 0]);
    play.release = play.release.resumed(play.facts.now_ms);
    assert_eq!(play.pass(6 * MIN_MS - 1).moves(), [""; 0]);
    assert_eq!(play.pass(1).moves(), ["raising", "100%", "promoting", "promoted"]);
}

#[test]
fn a_deadline_that_passed_begins_anew_when_it_is_resumed() {
    let mut play = Play::new(vec![PlanStep { proof: true, ..step("10%") }, step("100%")]);
    play.moves();
    assert_eq!(play.pass(60 * MIN_MS).moves().len(), 1);
    play.release = play.pass(MIN_MS).release.resumed(START_MS + 61 * MIN_MS);
    assert_eq!(play.moves(), [""; 0]);
    assert_eq!(play.pass(60 * MIN_MS).moves().len(), 1);
}

#[test]
fn what_speaks_against_a_raise_is_told_and_a_hold_does_not_end_in_it() {
    let mut play = Play::new(vec![holding("1%", 10), step("100%")]);
    play.facts.closed = Some("freeze \"holidays\"".to_owned());
    assert_eq!(play.moves(), [""; 0]);
    assert_eq!(play.waits_for(), "rises after this: freeze \"holidays\"");
    play.facts.closed = None;
    play.moves();
    play.facts.blocked = Some("odds 30:1".to_owned());
    assert_eq!(play.pass(20 * MIN_MS).moves(), [""; 0]);
    assert_eq!(play.waits_for(), "goes on after this: odds 30:1");
}

#[test]
fn a_hold_without_a_single_request_proves_nothing_and_does_not_end() {
    let mut play = Play::new(vec![holding("1%", 10), step("100%")]);
    play.moves();
    play.facts.unseen = true;
    assert_eq!(play.pass(600 * MIN_MS).moves(), [""; 0]);
    assert_eq!(play.waits_for(), "goes on when the canary has had requests");
    play.facts.unseen = false;
    assert_eq!(play.moves(), ["raising", "100%", "promoting", "promoted"]);
}

#[test]
fn a_clock_that_jumps_ends_one_hold_at_most() {
    let mut play = Play::new(vec![holding("1%", 10), holding("10%", 10), step("100%")]);
    play.moves();
    assert_eq!(play.pass(1_000 * MIN_MS).moves(), ["raising", "10%", "holding"]);
    assert_eq!(play.pass(-500 * MIN_MS).moves(), [""; 0]);
}

#[test]
fn a_release_is_stored_and_read_back_the_same() {
    let mut play = Play::new(vec![holding("1%", 10), PlanStep { proof: true, ..step("100%") }]);
    play.moves();
    for release in [play.release.clone(), play.release.resumed(1)] {
        let text = serde_json::to_string(&release).unwrap();
        assert_eq!(serde_json::from_str::<Release>(&text).unwrap(), release, "{text}");
    }
    assert!(serde_json::to_string(&play.release).unwrap().contains("\"hold\":600000"));
}

/// One look at whatever is true, and what people do.
#[derive(Clone, Debug)]
struct Look {
    pass_ms: i64,
    healthy: bool,
    blocked: bool,
    closed: bool,
    hold: bool,
    resume: bool,
    approve: bool,
}

fn any_look() -> impl Strategy<Value = Look> {
    (-MIN_MS..20 * MIN_MS, any::<[bool; 6]>()).prop_map(|(pass_ms, flags)| Look {
        pass_ms,
        healthy: flags[0],
        blocked: flags[1],
        closed: flags[2],
        hold: flags[3] && flags[4],
        resume: flags[4],
        approve: flags[5],
    })
}

fn any_step() -> impl Strategy<Value = PlanStep> {
    (0_u64..3, 0_u64..30, any::<[bool; 2]>()).prop_map(|(ramp, hold, [proof, approve])| PlanStep {
        ramp: Duration::from_mins(ramp),
        hold: Duration::from_mins(hold),
        proof,
        approve,
        ..step("1%")
    })
}

proptest! {
    #[test]
    fn whatever_happens_weights_rise_to_the_step_only_and_only_when_they_may(
        steps in proptest::collection::vec(any_step(), 1..5),
        looks in proptest::collection::vec(any_look(), 1..200),
    ) {
        let last = steps.len() - 1;
        let to = |at: usize| if at == last { weight("100%") } else { weight(&format!("{}%", at + 1)) };
        let steps = steps.into_iter().enumerate().map(|(at, step)| PlanStep { to: to(at), ..step }).collect();
        let mut play = Play::new(steps);
        for look in looks {
            play.pass(look.pass_ms);
            play.facts.healthy = look.healthy;
            play.facts.blocked = look.blocked.then(String::new);
            play.facts.closed = look.closed.then(String::new);
            if look.hold && play.release.is_running() {
                let held = Held { by: "ann".into(), why: "".into(), at_ms: play.facts.now_ms };
                play.release = play.release.held(held);
            } else if look.resume {
                play.release = play.release.resumed(play.facts.now_ms);
            }
            if look.approve && play.release.held.is_none() && play.release.is_running() {
                let approved = play.release.approved(play.facts.now_ms, play.facts.aim);
                play.release = approved.unwrap_or(play.release);
            }
            let (before, held) = (play.facts.aim, play.release.held.is_some());
            play.moves();
            let step = play.release.plan.steps[play.release.step].to;
            let promoting = play.release.phase == Phase::Promoting;
            prop_assert!(play.facts.aim <= step || promoting);
            prop_assert!(play.facts.aim >= before, "a plan lowers nothing but by its end");
            prop_assert!(play.facts.aim == before || !(held || look.blocked));
            prop_assert!(play.facts.aim == before || !look.closed || promoting);
            prop_assert!(!play.release.waits_for(&play.facts).sentence.is_empty());
        }
        // There is a way out of every state.
        play.facts.blocked = None;
        play.facts.closed = None;
        play.facts.healthy = true;
        for _ in 0..500 {
            play.release = play.release.resumed(play.facts.now_ms);
            if play.release.is_running() {
                let approved = play.release.approved(play.facts.now_ms, play.facts.aim);
                play.release = approved.unwrap_or(play.release);
            }
            play.pass(10 * MIN_MS).moves();
        }
        prop_assert_eq!(play.release.ended.map(|ended| ended.how), Some(End::Promoted));
    }
}
