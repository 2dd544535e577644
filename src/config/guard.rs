//! `[route.guard]`: the immune system, in operator's words.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Section, Value, Wrong};
use super::units::duration_text;
use super::{Rescue, rescue, suggest, values};

const TICK: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(1);
const WINDOW_MAX: Duration = Duration::from_hours(1);
const SPAN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(10);
const FAILURES: RangeInclusive<u64> = 1..=1_000_000;
const REQUESTS: RangeInclusive<u64> = 1..=1_000_000_000;

const FALSE_ALARM_ACCEPTED: &str = "a share above 0 and up to 0.5, such as 0.001";
const HOLD_AT_ACCEPTED: &str = "odds from 1 to 1000000, such as 20";
const EXTRA_ACCEPTED: &str = "a share from \"0%\" to \"100%\", such as \"0.02%\"";
const ERROR_RATE_ACCEPTED: &str = "a share from \"0%\" to \"99.99%\", such as \"5%\"";

/// The least `false_alarm`: smaller is as good as never.
const FALSE_ALARM_MIN: f64 = 1e-12;

#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    pub on_unhealthy: OnUnhealthy,
    /// The share of good releases of up to a day that may be aborted by chance: above 0, at most 0.5.
    pub false_alarm: f64,
    /// Odds at which a ceiling may blame the canary: 1 to 1 000 000.
    pub hold_at: f64,
    /// How long one tick of the bets is: 1 s to 1 min. Faults shorter than about three ticks count as blips.
    pub tick: Duration,
    pub tolerate: Tolerate,
    /// `None`: off (`fast_trip = false`).
    pub fast_trip: Option<FastTrip>,
    /// At most [`Guard::CEILINGS_MAX`].
    pub ceilings: Vec<Ceiling>,
    /// `None`: off (`rescue = false`).
    pub rescue: Option<Rescue>,
    /// So many users may see a canary fail; `None`: off.
    pub harm_max: Option<u32>,
}

impl Guard {
    pub const CEILINGS_MAX: usize = 16;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnhealthy {
    /// Ceiling to 0 and the cord pulled.
    Abort,
    /// Record only.
    Watch,
}

/// The canary's failure rate may be `errors` times stable's plus `extra` before anything counts against it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerate {
    /// Written `"1.0x"`: 1 to 100.
    pub errors: f64,
    /// Written `"0.02%"`: 0 to 1.
    pub extra: f64,
}

/// So many failures one after another, while stable answers, and the canary is off at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastTrip {
    pub failures: u32,
    /// Written `for`: the failures must span this long.
    pub span: Duration,
    pub connect_errors: u32,
}

/// A rate that an operator can say aloud: "more than 5% failed in the last minute".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceiling {
    pub error_rate: f64,
    pub window: Duration,
    pub min_requests: u64,
}

impl Default for Tolerate {
    fn default() -> Self {
        Self { errors: 1.0, extra: 0.0002 }
    }
}

impl Default for FastTrip {
    fn default() -> Self {
        Self { failures: 10, span: Duration::from_secs(1), connect_errors: 5 }
    }
}

impl Ceiling {
    pub const WINDOW_DEFAULT: Duration = Duration::from_secs(60);
    pub const MIN_REQUESTS_DEFAULT: u64 = 100;
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            on_unhealthy: OnUnhealthy::Abort,
            false_alarm: 0.001,
            hold_at: 20.0,
            tick: Duration::from_secs(1),
            tolerate: Tolerate::default(),
            fast_trip: Some(FastTrip::default()),
            ceilings: vec![Ceiling {
                error_rate: 0.05,
                window: Ceiling::WINDOW_DEFAULT,
                min_requests: Ceiling::MIN_REQUESTS_DEFAULT,
            }],
            rescue: Some(Rescue::default()),
            harm_max: None,
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Guard {
    let default = Guard::default();
    let on_unhealthy = section.or("on_unhealthy", default.on_unhealthy, on_unhealthy);
    let false_alarm = values::number(FALSE_ALARM_MIN, 0.5, FALSE_ALARM_ACCEPTED);
    let false_alarm = section.or("false_alarm", default.false_alarm, false_alarm);
    let hold_at = section.or("hold_at", default.hold_at, values::number(1.0, 1e6, HOLD_AT_ACCEPTED));
    let tick = section.or("tick", default.tick, values::duration(TICK));
    let tolerate = tolerate(section.section("tolerate"));
    let fast_trip = fast_trip(&mut section);
    let ceilings = match section.sections("ceilings", 0..=Guard::CEILINGS_MAX) {
        Some(sections) => sections.into_iter().filter_map(|section| ceiling(section, tick)).collect(),
        None => default.ceilings,
    };
    let rescue = rescue::read(&mut section);
    let harm_max = rescue::read_harm_max(&mut section);
    section.finish();
    Guard { on_unhealthy, false_alarm, hold_at, tick, tolerate, fast_trip, ceilings, rescue, harm_max }
}

fn on_unhealthy(value: &Value<'_>) -> Result<OnUnhealthy, Wrong> {
    let help = "write \"abort\" (ceiling to 0 and the cord pulled) or \"watch\" (record only)";
    match value.str() {
        Some("abort") => Ok(OnUnhealthy::Abort),
        Some("watch") => Ok(OnUnhealthy::Watch),
        Some("back-off") => {
            Err(value.wrong("not in this version yet", format!("\"back-off\" is not there yet: {help}")))
        }
        Some(text) => match suggest::nearest(text, ["abort", "watch"].into_iter()) {
            Some(near) => Err(value.wrong("unknown", format!("did you mean `{near}`?"))),
            None => Err(value.wrong("unknown", help)),
        },
        None => Err(value.wrong_kind(help)),
    }
}

fn tolerate(mut section: Section<'_>) -> Tolerate {
    let default = Tolerate::default();
    let errors = section.or("errors", default.errors, values::ratio(1.0..=100.0));
    let extra = section.or("extra", default.extra, values::percent(0.0..=1.0, EXTRA_ACCEPTED));
    section.finish();
    Tolerate { errors, extra }
}

/// `false`, or a table. Left out: on, with its defaults.
fn fast_trip(section: &mut Section<'_>) -> Option<FastTrip> {
    let written = section.optional("fast_trip", |value| match value.item {
        DeValue::Boolean(false) => Ok(None),
        DeValue::Table(table) => Ok(Some((table, value.span.clone()))),
        _ => Err(value.wrong_kind(
            "write false, or a table such as { failures = 10, for = \"1s\", connect_errors = 5 }",
        )),
    });
    let default = FastTrip::default();
    let mut section = match written {
        None => return Some(default),
        Some(None) => return None,
        Some(Some((table, place))) => section.table("fast_trip", table, place),
    };
    let count = |found: u64| u32::try_from(found).unwrap_or(u32::MAX);
    let failures = section.or("failures", default.failures.into(), values::whole(FAILURES));
    let span = section.or("for", default.span, values::duration(SPAN));
    let connect_errors = section.or("connect_errors", default.connect_errors.into(), values::whole(FAILURES));
    section.finish();
    Some(FastTrip { failures: count(failures), span, connect_errors: count(connect_errors) })
}

fn ceiling(mut section: Section<'_>, tick: Duration) -> Option<Ceiling> {
    let error_rate = values::percent(0.0..=0.9999, ERROR_RATE_ACCEPTED);
    let error_rate = section.required("error_rate", "error_rate = \"5%\"", error_rate);
    let window = section.or("window", Ceiling::WINDOW_DEFAULT, |value| {
        let window = values::duration(*TICK.start()..=WINDOW_MAX)(value)?;
        if window >= tick {
            return Ok(window);
        }
        let tick = duration_text(tick);
        Err(value.wrong("shorter than a tick", format!("write at least one tick, which is \"{tick}\" here")))
    });
    let min_requests = section.or("min_requests", Ceiling::MIN_REQUESTS_DEFAULT, values::whole(REQUESTS));
    section.finish();
    Some(Ceiling { error_rate: error_rate?, window, min_requests })
}
