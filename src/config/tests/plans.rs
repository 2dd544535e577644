//! `[[plan]]` and `[[freeze]]`.

use std::time::Duration;

use super::*;
use crate::config::plan::{Otherwise, Promote};

fn plan_of(text: &str) -> Plan {
    let mut config = config_of(&format!("[[plan]]\nname = \"p\"\n{text}\n"));
    config.plans.pop().unwrap()
}

#[test]
fn a_plan_is_steps_that_rise() {
    let plan = plan_of(
        "steps = [{ to = \"1%\", hold = \"10m\" }, { to = \"90%\", ramp = \"1h\", until = \"proof\", approve = true, within = \"2h\", \
         otherwise = \"go-on\" }]",
    );
    let [first, last] = plan.steps.as_slice() else { panic!("{plan:?}") };
    assert_eq!((first.hold, first.ramp, first.proof), (Duration::from_mins(10), Duration::ZERO, false));
    assert_eq!((first.within, first.otherwise), (Duration::from_hours(24), Otherwise::Hold));
    assert_eq!((last.ramp, last.proof, last.approve), (Duration::from_hours(1), true, true));
    assert_eq!((last.within, last.otherwise), (Duration::from_hours(2), Otherwise::GoOn));
    assert_eq!((plan.promote, plan.hours), (Promote::Auto, None));
}

#[test]
fn a_plan_may_begin_with_copies() {
    let plan = plan_of("steps = [{ mirror = \"10%\", hold = \"10m\" }, { to = \"1%\", hold = \"10m\" }]");
    assert_eq!((plan.steps[0].mirror, plan.steps[0].to), (Weight::from_ppm(100_000), Weight::ZERO));
    assert_eq!((plan.steps[1].mirror, plan.steps[1].to), (None, Weight::from_ppm(10_000).unwrap()));
    let stored = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
    let older = stored.replace("\"mirror\":\"10%\",", "");
    assert_eq!(serde_json::from_str::<Plan>(&older).unwrap().steps[0].mirror, None);
}

#[test]
fn what_is_no_plan_is_refused_with_what_is_accepted() {
    for (text, found) in [
        ("", "steps is missing"),
        ("steps = []", "steps"),
        ("steps = [{ hold = \"1m\" }]", "to is missing"),
        ("steps = [{ to = \"0%\" }]", "each step is higher than the one before"),
        ("steps = [{ to = \"5%\" }, { to = \"5%\" }]", "write a share above 5%"),
        ("steps = [{ to = \"101%\" }]", "more than 100%"),
        ("steps = [{ to = \"5%\", hold = \"0s\" }]", "less than 1s"),
        ("steps = [{ to = \"5%\", until = \"prof\" }]", "did you mean `proof`?"),
        ("steps = [{ to = \"100%\", until = \"proof\" }]", "nothing is left to compare with"),
        ("steps = [{ to = \"5%\", otherwise = \"die\" }]", "write \"hold\" or \"abort\" or \"go-on\""),
        ("steps = [{ to = \"5%\", wait = \"1m\" }]", "wait"),
        ("steps = [{ mirror = \"5%\", hold = \"1m\" }]", "copies alone bring it to nobody"),
        ("steps = [{ mirror = \"5%\" }, { to = \"5%\" }]", "hold is missing"),
        ("steps = [{ mirror = \"0%\", hold = \"1m\" }, { to = \"5%\" }]", "nothing is copied"),
        ("steps = [{ mirror = \"5%\", to = \"1%\", hold = \"1m\" }, { to = \"5%\" }]", "write two steps"),
        ("steps = [{ to = \"5%\" }, { mirror = \"5%\", hold = \"1m\" }]", "behind a step with a weight"),
        (
            "steps = [{ mirror = \"5%\", hold = \"1m\", ramp = \"1m\" }, { to = \"5%\" }]",
            "copies are at once",
        ),
        (
            "steps = [{ mirror = \"5%\", hold = \"1m\", until = \"proof\" }, { to = \"5%\" }]",
            "are no evidence",
        ),
        ("steps = [{ to = \"5%\" }]\npromote = \"never\"", "write \"auto\" or \"manual\""),
        ("steps = [{ to = \"5%\" }]\nhours = [\"Mon-Fri\"]", "write days and hours"),
        ("steps = [{ to = \"5%\" }]\ntime_zone = \"Europe/Nowhere\"", "not a time zone"),
    ] {
        let problems = problems_of(&format!("[[plan]]\nname = \"p\"\n{text}\n{REST}"));
        let drawn = problems.drawn(Color::Plain);
        assert!(drawn.contains(found), "{text}: {drawn}");
    }
}

#[test]
fn a_freeze_is_a_stretch_of_time_for_known_routes() {
    let freeze = |text: &str| format!("[[freeze]]\nname = \"f\"\n{text}\n");
    let good = "from = \"2026-12-20T00:00:00+01:00\"\nto = \"2027-01-04T00:00:00Z\"";
    let config = config_of(&freeze(good));
    assert_eq!(config.freezes[0].to_ms - config.freezes[0].from_ms, (15 * 24 + 1) * 3_600_000);
    for (text, found) in [
        ("from = \"2026-12-20T00:00:00Z\"", "to is missing"),
        ("from = \"2026-12-20\"\nto = \"2027-01-04T00:00:00Z\"", "from"),
        ("from = \"2026-12-20T00:00:00\"\nto = \"2027-01-04T00:00:00Z\"", "no offset"),
        ("from = \"2027-12-20T00:00:00Z\"\nto = \"2027-01-04T00:00:00Z\"", "not after from"),
        (&format!("{good}\nroutes = [\"nowhere\"]"), "no such route"),
    ] {
        let drawn = problems_of(&(freeze(text) + REST)).drawn(Color::Plain);
        assert!(drawn.contains(found), "{text}: {drawn}");
    }
}

#[test]
fn capacity_is_a_share_or_false() {
    assert_eq!(route_of("").capacity, Some(Weight::HALF));
    assert_eq!(route_of("capacity = \"80%\"").capacity, Weight::parse("80%"));
    assert_eq!((route_of("capacity = false").capacity, route_of("capacity = \"0%\"").capacity), (None, None));
}
