//! `[route.guard]`: the immune system, in operator's words.
//!
//! What it judges by is [`super::Judge`], what an answer means to it [`super::meaning`]; here is what it does about a bad
//! canary.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::meaning::{Event, FailureRule};
use super::outside::{self, Around};
use super::reader::{Section, Value, Wrong};
use super::{Judge, Outside, Rescue, Weight, judge, meaning, rescue, suggest, values};

const COOLDOWN: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(24);
const STRIKES: RangeInclusive<u64> = 1..=100;
const VERDICT_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);

#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    pub judge: Judge,
    pub on_unhealthy: OnUnhealthy,
    /// At a back-off, requests that the canary has not begun to answer go to stable, if they may be sent twice.
    pub recall: bool,
    /// A request without the head of an answer counts as failed after this long: 100 ms to 10 min.
    pub verdict_timeout: Duration,
    /// At most [`FailureRule::RULES_MAX`].
    pub failures: Vec<FailureRule>,
    /// At most [`Event::EVENTS_MAX`]; how they are judged stands at the same place of `judge.events`.
    pub events: Vec<Event>,
    /// At most [`Outside::SIGNALS_MAX`].
    pub outside: Vec<Outside>,
    /// `None`: off (`self_test = false`).
    pub self_test: Option<SelfTest>,
    /// `None`: off (`rescue = false`).
    pub rescue: Option<Rescue>,
    /// So many users may see a canary fail; `None`: off.
    pub harm_max: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnUnhealthy {
    /// Ceiling to 0 and the cord pulled.
    Abort,
    /// The ceiling is cut, and raised again step by step.
    BackOff(BackOff),
    /// Record only.
    Watch,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackOff {
    /// The ceiling is cut to this part of the effective weight, and raised by as much: 1.1 to 1000. Written `"4x"`.
    pub cut: f64,
    /// How long the canary must be well before each step up: 10 s to 24 h.
    pub cooldown: Duration,
    /// The cord is pulled at this one: 1 to 100.
    pub strikes: u32,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { cut: 4.0, cooldown: Duration::from_mins(10), strikes: 3 }
    }
}

/// A slice of stable's own traffic, judged as if it were a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// Of stable's requests.
    pub share: Weight,
    pub on_alarm: OnAlarm,
}

/// When stable was found to be worse than itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAlarm {
    /// Record only.
    Watch,
    /// From then on the guard records and does not act, until the cord of the route is reset.
    Suspend,
}

impl SelfTest {
    const SHARE_DEFAULT: u32 = 50_000;
}

impl Default for SelfTest {
    fn default() -> Self {
        let share = Weight::from_ppm(Self::SHARE_DEFAULT).unwrap_or(Weight::ZERO);
        Self { share, on_alarm: OnAlarm::Watch }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            judge: Judge::default(),
            on_unhealthy: OnUnhealthy::Abort,
            recall: true,
            verdict_timeout: Duration::from_secs(5),
            failures: Vec::new(),
            events: Vec::new(),
            outside: Vec::new(),
            self_test: Some(SelfTest::default()),
            rescue: Some(Rescue::default()),
            harm_max: None,
        }
    }
}

pub(super) fn read(mut section: Section<'_>, around: Around<'_>) -> Guard {
    let default = Guard::default();
    let on_unhealthy = on_unhealthy(&mut section);
    let recall = section.or("recall", default.recall, values::flag);
    let verdict_timeout = values::duration(VERDICT_TIMEOUT);
    let verdict_timeout = section.or("verdict_timeout", default.verdict_timeout, verdict_timeout);
    let mut judge = judge::read(&mut section);
    let failures = meaning::failures(&mut section);
    let (events, terms) = meaning::events(&mut section);
    judge.events = terms;
    let outside = outside::read_all(&mut section, around);
    let self_test = self_test(&mut section);
    let rescue = rescue::read(&mut section);
    let harm_max = rescue::read_harm_max(&mut section);
    section.finish();
    Guard {
        judge,
        on_unhealthy,
        recall,
        verdict_timeout,
        failures,
        events,
        outside,
        self_test,
        rescue,
        harm_max,
    }
}

fn on_unhealthy(section: &mut Section<'_>) -> OnUnhealthy {
    let wanted = section.or("on_unhealthy", OnUnhealthy::Abort, what_to_do);
    let plan = back_off(section.section("back_off"));
    match wanted {
        OnUnhealthy::BackOff(_) => OnUnhealthy::BackOff(plan),
        other => other,
    }
}

fn what_to_do(value: &Value<'_>) -> Result<OnUnhealthy, Wrong> {
    let help = "write \"abort\" (ceiling to 0 and the cord pulled), \"back-off\" (ceiling cut, and raised again) or \
                \"watch\" (record only)";
    match value.str() {
        Some("abort") => Ok(OnUnhealthy::Abort),
        Some("back-off") => Ok(OnUnhealthy::BackOff(BackOff::default())),
        Some("watch") => Ok(OnUnhealthy::Watch),
        Some(text) => match suggest::nearest(text, ["abort", "back-off", "watch"].into_iter()) {
            Some(near) => Err(value.wrong("unknown", format!("did you mean `{near}`?"))),
            None => Err(value.wrong("unknown", help)),
        },
        None => Err(value.wrong_kind(help)),
    }
}

fn back_off(mut section: Section<'_>) -> BackOff {
    let default = BackOff::default();
    let cut = section.or("cut", default.cut, values::ratio(1.1..=1_000.0));
    let cooldown = section.or("cooldown", default.cooldown, values::duration(COOLDOWN));
    let strikes = section.or("strikes", default.strikes.into(), values::whole(STRIKES));
    section.finish();
    BackOff { cut, cooldown, strikes: u32::try_from(strikes).unwrap_or(u32::MAX) }
}

/// `false`, or a table. Left out: on, with its defaults.
fn self_test(section: &mut Section<'_>) -> Option<SelfTest> {
    let help = "write false, or a table such as { share = \"5%\", on_alarm = \"watch\" }";
    let written = section.optional("self_test", |value| match value.item {
        DeValue::Boolean(false) => Ok(None),
        DeValue::Table(table) => Ok(Some((table, value.span.clone()))),
        _ => Err(value.wrong_kind(help)),
    });
    let default = SelfTest::default();
    let mut section = match written {
        None => return Some(default),
        Some(None) => return None,
        Some(Some((table, place))) => section.table("self_test", table, place),
    };
    let share = section.or("share", default.share, |value| {
        let help = "write a share from \"0.1%\" to \"50%\", such as \"5%\"";
        let share = values::weight(value)?;
        if (1_000..=500_000).contains(&share.ppm()) {
            Ok(share)
        } else {
            Err(value.wrong("out of range", help))
        }
    });
    let on_alarm =
        section.or("on_alarm", default.on_alarm, |value| match value.str() {
            Some("watch") => Ok(OnAlarm::Watch),
            Some("suspend") => Ok(OnAlarm::Suspend),
            _ => Err(value
                .wrong("unknown", "write \"watch\" (record only) or \"suspend\" (the guard acts no more)")),
        });
    section.finish();
    Some(SelfTest { share, on_alarm })
}
