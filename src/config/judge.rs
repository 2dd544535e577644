//! What the immune system judges by: the numbers of `[route.guard]` that are about evidence.
//!
//! They are values without names of routes or upstreams, and can be written down: a record of what was judged holds them,
//! so that it can be judged again.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::reader::{Section, Value, Wrong};
use super::units::{duration_text, parse_duration, parse_ratio};
use super::{suggest, values};

const TICK: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(1);
const WINDOW_MAX: Duration = Duration::from_hours(1);
const SPAN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(10);
const WARM_UP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);
const LATENCY: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(4);
const FAILURES: RangeInclusive<u64> = 1..=1_000_000;
const REQUESTS: RangeInclusive<u64> = 1..=1_000_000_000;

const FALSE_ALARM_ACCEPTED: &str = "a share above 0 and up to 0.5, such as 0.001";
const ODDS_ACCEPTED: &str = "odds from 1 to 1000000, such as 20";
const PERCENTILE_ACCEPTED: &str = "a number from 1 to 99.99, such as 99";
const EXTRA_ACCEPTED: &str = "a share from \"0%\" to \"100%\", such as \"0.02%\"";
const EXTRA_PROOF_ACCEPTED: &str = "a share from \"0.01%\" to \"50%\", such as \"0.5%\"";
const ERROR_RATE_ACCEPTED: &str = "a share from \"0%\" to \"99.99%\", such as \"5%\"";

/// The least `false_alarm`: smaller is as good as never.
const FALSE_ALARM_MIN: f64 = 1e-12;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    /// The share of good releases of up to a day that may be aborted by chance: above 0, at most 0.5.
    pub false_alarm: f64,
    /// Odds at which nothing rises any more, and a ceiling may blame the canary: 1 to 1 000 000.
    pub hold_at: f64,
    /// How long one tick of the bets is: 1 s to 1 min. Faults shorter than about three ticks count as blips.
    pub tick: Duration,
    /// Latency is not judged so long after a canary's first traffic: 0 to 1 h.
    pub warm_up: Duration,
    pub tolerate: Tolerate,
    /// Of latency, as shares of one, in rising order: 0.5 is p50. At most [`Judge::PERCENTILES_MAX`].
    pub percentiles: Vec<f64>,
    pub errors: Mode,
    pub latency: Mode,
    pub harm: Mode,
    /// `None`: off (`fast_trip = false`).
    pub fast_trip: Option<FastTrip>,
    /// At most [`Judge::CEILINGS_MAX`].
    pub ceilings: Vec<Ceiling>,
    /// In the order of `[[route.guard.event]]`.
    pub events: Vec<EventTerms>,
    pub proof: Proof,
}

impl Judge {
    pub const CEILINGS_MAX: usize = 16;
    pub const PERCENTILES_MAX: usize = 8;
}

/// What becomes of what a signal finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// It is not even looked at.
    Off,
    /// It is recorded.
    Watch,
    /// The canary is unhealthy.
    #[default]
    Act,
}

/// What may differ between canary and stable before anything counts against the canary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tolerate {
    /// The canary's failure rate may be so many times stable's. Written `"1.0x"`: 1 to 100.
    pub errors: f64,
    /// And so many of its requests more, failed or slow. Written `"0.02%"`: 0 to 1.
    pub extra: f64,
    /// The canary may take so many times as long as stable. Written `"1.5x"`: 1 to 100.
    pub latency: f64,
    /// And so much more: 0 to 10 s.
    pub slack: Duration,
}

/// So many failures one after another, while stable answers, and the canary is off at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FastTrip {
    pub failures: u32,
    /// Written `for`: the failures must span this long.
    pub span: Duration,
    pub connect_errors: u32,
    pub mode: Mode,
}

/// A rule that an operator can say aloud: "more than 5% failed in the last minute".
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    pub limit: CeilingLimit,
    pub window: Duration,
    pub min_requests: u64,
    pub mode: Mode,
}

/// Of the canary's requests in the window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum CeilingLimit {
    /// At most this share may fail.
    Errors(f64),
    /// This percentile, as a share of one, may be at most so long.
    Latency { percentile: f64, max: LatencyMax },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum LatencyMax {
    Absolute(Duration),
    /// So many times what is remembered of stable.
    Relative(f64),
}

/// What is counted as an event is said in [`super::Event`]; here is how it is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventTerms {
    pub name: Arc<str>,
    /// Stable may have so many times as many for each request. Written `"1.25x"`: 1 to 100.
    pub tolerate: f64,
    pub mode: Mode,
}

/// What `Healthy` takes: evidence that the canary is not worse than this.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Against chance: 1 to 1 000 000.
    pub odds: f64,
    /// The canary fails less than so many times as often as stable, and `extra`: 1 to 100.
    pub errors: f64,
    /// 0.0001 to 0.5.
    pub extra: f64,
}

impl Default for Tolerate {
    fn default() -> Self {
        Self { errors: 1.0, extra: 0.0002, latency: 1.5, slack: Duration::from_millis(2) }
    }
}

impl Default for FastTrip {
    fn default() -> Self {
        Self { failures: 10, span: Duration::from_secs(1), connect_errors: 5, mode: Mode::Act }
    }
}

impl Default for Proof {
    fn default() -> Self {
        Self { odds: 20.0, errors: 1.5, extra: 0.005 }
    }
}

impl Ceiling {
    pub const WINDOW_DEFAULT: Duration = Duration::from_secs(60);
    pub const MIN_REQUESTS_DEFAULT: u64 = 100;
}

impl EventTerms {
    pub const TOLERATE_DEFAULT: f64 = 1.25;
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            false_alarm: 0.001,
            hold_at: 20.0,
            tick: Duration::from_secs(1),
            warm_up: Duration::from_secs(30),
            tolerate: Tolerate::default(),
            percentiles: vec![0.5, 0.9, 0.99, 0.999],
            errors: Mode::Act,
            latency: Mode::Act,
            harm: Mode::Act,
            fast_trip: Some(FastTrip::default()),
            ceilings: vec![Ceiling {
                limit: CeilingLimit::Errors(0.05),
                window: Ceiling::WINDOW_DEFAULT,
                min_requests: Ceiling::MIN_REQUESTS_DEFAULT,
                mode: Mode::Act,
            }],
            events: Vec::new(),
            proof: Proof::default(),
        }
    }
}

/// All but the events, which are tables of their own.
pub(super) fn read(section: &mut Section<'_>) -> Judge {
    let default = Judge::default();
    let false_alarm = values::number(FALSE_ALARM_MIN, 0.5, FALSE_ALARM_ACCEPTED);
    let false_alarm = section.or("false_alarm", default.false_alarm, false_alarm);
    let hold_at = section.or("hold_at", default.hold_at, values::number(1.0, 1e6, ODDS_ACCEPTED));
    let tick = section.or("tick", default.tick, values::duration(TICK));
    let warm_up = section.or("warm_up", default.warm_up, values::duration(WARM_UP));
    let tolerate = tolerate(section.section("tolerate"));
    let percentiles = percentiles(section).unwrap_or(default.percentiles);
    let mut signals = section.section("signals");
    let mut mode_of = |key| signals.or(key, Mode::Act, mode);
    let (errors, latency, harm) = (mode_of("errors"), mode_of("latency"), mode_of("harm"));
    let fast_trip_mode = mode_of("fast_trip");
    signals.finish();
    let fast_trip = fast_trip(section, fast_trip_mode);
    let ceilings = match section.sections("ceilings", 0..=Judge::CEILINGS_MAX) {
        Some(sections) => sections.into_iter().filter_map(|section| ceiling(section, tick)).collect(),
        None => default.ceilings,
    };
    let proof = proof(section.section("proof"));
    Judge {
        false_alarm,
        hold_at,
        tick,
        warm_up,
        tolerate,
        percentiles,
        errors,
        latency,
        harm,
        fast_trip,
        ceilings,
        events: Vec::new(),
        proof,
    }
}

pub(super) fn mode(value: &Value<'_>) -> Result<Mode, Wrong> {
    let help = "write \"act\" (the canary is unhealthy), \"watch\" (record only) or \"off\"";
    match value.str() {
        Some("act") => Ok(Mode::Act),
        Some("watch") => Ok(Mode::Watch),
        Some("off") => Ok(Mode::Off),
        Some(text) => match suggest::nearest(text, ["act", "watch", "off"].into_iter()) {
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
    let latency = section.or("latency", default.latency, values::ratio(1.0..=100.0));
    let slack = Duration::ZERO..=Duration::from_secs(10);
    let slack = section.or("slack", default.slack, values::duration(slack));
    section.finish();
    Tolerate { errors, extra, latency, slack }
}

/// `[]` is the same as `signals = { latency = "off" }`.
fn percentiles(section: &mut Section<'_>) -> Option<Vec<f64>> {
    let accepted = "a list such as [50, 90, 99, 99.9]";
    let mut list = section.list("percentiles", 0..=Judge::PERCENTILES_MAX, accepted, percentile)?;
    list.sort_by(f64::total_cmp);
    list.dedup();
    Some(list)
}

/// 99.9 as 0.999: read again with the point moved, since 99.9 / 100 is another number in 64 bits.
fn percentile(value: &Value<'_>) -> Result<f64, Wrong> {
    let percent = values::number(1.0, 99.99, PERCENTILE_ACCEPTED)(value)?;
    Ok(format!("{percent}e-2").parse().expect("a number in range, and an exponent"))
}

/// `false`, or a table. Left out: on, with its defaults.
fn fast_trip(section: &mut Section<'_>, mode: Mode) -> Option<FastTrip> {
    let written = section.optional("fast_trip", |value| match value.item {
        DeValue::Boolean(false) => Ok(None),
        DeValue::Table(table) => Ok(Some((table, value.span.clone()))),
        _ => Err(value.wrong_kind(
            "write false, or a table such as { failures = 10, for = \"1s\", connect_errors = 5 }",
        )),
    });
    let default = FastTrip { mode, ..FastTrip::default() };
    let is_off = |trip: &FastTrip| trip.mode == Mode::Off;
    let mut section = match written {
        None => return Some(default).filter(|trip| !is_off(trip)),
        Some(None) => return None,
        Some(Some((table, place))) => section.table("fast_trip", table, place),
    };
    let count = |found: u64| u32::try_from(found).unwrap_or(u32::MAX);
    let failures = section.or("failures", default.failures.into(), values::whole(FAILURES));
    let span = section.or("for", default.span, values::duration(SPAN));
    let connect_errors = section.or("connect_errors", default.connect_errors.into(), values::whole(FAILURES));
    section.finish();
    let trip = FastTrip { failures: count(failures), span, connect_errors: count(connect_errors), mode };
    Some(trip).filter(|trip| !is_off(trip))
}

/// `{ error_rate = "5%" }`, or `{ percentile = 99, latency = "500ms" }`.
fn ceiling(mut section: Section<'_>, tick: Duration) -> Option<Ceiling> {
    let limit = ceiling_limit(&mut section);
    let window = section.or("window", Ceiling::WINDOW_DEFAULT, |value| {
        let window = values::duration(*TICK.start()..=WINDOW_MAX)(value)?;
        if window >= tick {
            return Ok(window);
        }
        let tick = duration_text(tick);
        Err(value.wrong("shorter than a tick", format!("write at least one tick, which is \"{tick}\" here")))
    });
    let min_requests = section.or("min_requests", Ceiling::MIN_REQUESTS_DEFAULT, values::whole(REQUESTS));
    let mode = section.or("mode", Mode::Act, mode);
    section.finish();
    Some(Ceiling { limit: limit?, window, min_requests, mode })
}

fn ceiling_limit(section: &mut Section<'_>) -> Option<CeilingLimit> {
    let latency = section.chosen(&["latency"]).pop();
    if let Some((key, value)) = latency {
        let max = section.read(key, &value, latency_max);
        for (other, value) in section.chosen(&["error_rate"]) {
            section.clash(
                key,
                (other, &value),
                "write one of error_rate and latency: a ceiling is about one",
            );
        }
        let percentile = section.required("percentile", "percentile = 99", percentile);
        return Some(CeilingLimit::Latency { percentile: percentile?, max: max? });
    }
    let error_rate = values::percent(0.0..=0.9999, ERROR_RATE_ACCEPTED);
    let error_rate = section.required("error_rate", "error_rate = \"5%\"", error_rate);
    for (key, value) in section.chosen(&["percentile"]) {
        section.clash("error_rate", (key, &value), "a percentile belongs to a `latency`");
    }
    error_rate.map(CeilingLimit::Errors)
}

/// `"500ms"` or `"1.5x"`.
fn latency_max(value: &Value<'_>) -> Result<LatencyMax, Wrong> {
    let help = "write a duration from \"1ms\" to \"4m\", such as \"500ms\", or a ratio to stable from \"1x\" to \
                \"100x\", such as \"1.5x\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let absolute = parse_duration(text).filter(|found| LATENCY.contains(found)).map(LatencyMax::Absolute);
    let relative = || parse_ratio(text).filter(|ratio| (1.0..=100.0).contains(ratio));
    let max = absolute.or_else(|| relative().map(LatencyMax::Relative));
    max.ok_or_else(|| value.wrong("out of range", help))
}

fn proof(mut section: Section<'_>) -> Proof {
    let default = Proof::default();
    let odds = section.or("odds", default.odds, values::number(1.0, 1e6, ODDS_ACCEPTED));
    let errors = section.or("errors", default.errors, values::ratio(1.0..=100.0));
    let extra = values::percent(0.0001..=0.5, EXTRA_PROOF_ACCEPTED);
    let extra = section.or("extra", default.extra, extra);
    section.finish();
    Proof { odds, errors, extra }
}
