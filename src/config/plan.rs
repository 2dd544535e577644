//! `[[plan]]` and `[[freeze]]`: how a release rises, and when nothing may.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::names::Names;
use super::reader::{Section, Value, Wrong};
use super::units::Weight;
use super::{suggest, values};

const SPAN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(30 * 24);
const WITHIN_DEFAULT: Duration = Duration::from_hours(24);
const HOURS_HELP: &str =
    "write days and hours, such as \"Mon-Fri 09:00-17:00\", \"Sat,Sun 10:00-12:30\" or \"08:00-24:00\"";
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// How a release rises. It is stored with each release that follows it, so that a changed file does not change a release
/// that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub name: Arc<str>,
    /// 1 to [`Plan::STEPS_MAX`], each higher than the one before.
    pub steps: Vec<PlanStep>,
    pub promote: Promote,
    /// `None`: at any time.
    pub hours: Option<Hours>,
}

impl Plan {
    pub const PLANS_MAX: usize = 1_024;
    pub const STEPS_MAX: usize = 100;
    pub const FREEZES_MAX: usize = 1_024;
    pub const HOURS_MAX: usize = 32;

    pub fn mirrors(&self) -> bool {
        self.steps.iter().any(|step| step.mirror.is_some())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Above 0, but for a step that mirrors.
    pub to: Weight,
    /// Of stable's requests, so many are copied to the canary, whose answers nobody gets. Only before the first step with
    /// a weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Weight>,
    /// The time in which it is risen to, in equal moves. 0: at once. 1 s to 30 days.
    #[serde(with = "milliseconds")]
    pub ramp: Duration,
    /// How long it then stays: 0 to 30 days.
    #[serde(with = "milliseconds")]
    pub hold: Duration,
    /// Goes on only with a proof that the canary is not worse.
    pub proof: bool,
    /// Goes on only when a person has said so.
    pub approve: bool,
    /// How long proof and approval are waited for: 1 s to 30 days.
    #[serde(with = "milliseconds")]
    pub within: Duration,
    pub otherwise: Otherwise,
}

/// What becomes of a release whose proof or approval does not come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    Hold,
    Abort,
    GoOn,
}

/// What follows the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promote {
    /// A last step of 100% makes the canary stable.
    Auto,
    /// A person does.
    Manual,
}

/// When weights may rise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// Of the time zone database, such as `Europe/Berlin`.
    pub time_zone: Box<str>,
    pub spans: Vec<HoursSpan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoursSpan {
    /// Monday first.
    pub days: [bool; 7],
    /// Of the day, in minutes: 0 to 1440.
    pub from: u16,
    /// Exclusive, and after `from`.
    pub to: u16,
}

/// A time in which no release may rise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub name: Arc<str>,
    pub from_ms: i64,
    pub to_ms: i64,
    /// Empty: all.
    pub routes: Vec<Arc<str>>,
}

pub(super) fn read_all(root: &mut Section<'_>) -> Vec<Plan> {
    let sections = root.sections("plan", 0..=Plan::PLANS_MAX).unwrap_or_default();
    let mut names = Names::new("plan");
    sections.into_iter().filter_map(|section| read(section, &mut names)).collect()
}

fn read(mut section: Section<'_>, names: &mut Names) -> Option<Plan> {
    let name = names.claim(&mut section);
    if !section.has("steps") {
        section
            .missing("steps", "steps = [{ to = \"1%\", hold = \"10m\" }, { to = \"100%\", hold = \"10m\" }]");
    }
    let tables = section.sections("steps", 1..=Plan::STEPS_MAX).unwrap_or_default();
    let mut steps: Vec<PlanStep> = Vec::new();
    for table in tables {
        let above = steps.last().map_or(Weight::ZERO, |step| step.to);
        steps.extend(step(table, above));
    }
    if !steps.is_empty() && steps.iter().all(|step| step.mirror.is_some()) {
        section.missing(
            "to",
            "{ to = \"100%\", hold = \"10m\" }` as the last step: copies alone bring it to nobody; `steps",
        );
    }
    let promote = section.or("promote", Promote::Auto, |value| {
        choice(value, &[("auto", Promote::Auto), ("manual", Promote::Manual)])
    });
    let hours = hours(&mut section);
    section.finish();
    Some(Plan { name: name?, steps, promote, hours })
}

fn step(mut section: Section<'_>, above: Weight) -> Option<PlanStep> {
    let mirror = mirror(&mut section, above);
    let to = match section.has("mirror") {
        true => Some(Weight::ZERO),
        false => section.required("to", "to = \"1%\"", |value| {
            let to = values::weight(value)?;
            if to > above {
                return Ok(to);
            }
            let help = format!("write a share above {above}: each step is higher than the one before");
            Err(value.wrong("not above the step before", help))
        }),
    };
    let ramp = section.optional("ramp", values::duration(SPAN));
    let hold = section.optional("hold", values::duration(SPAN));
    let proof = section.optional("until", |value| choice(value, &[("proof", ())])).is_some();
    let approve = section.or("approve", false, values::flag);
    let within = section.or("within", WITHIN_DEFAULT, values::duration(SPAN));
    let otherwise = section.or("otherwise", Otherwise::Hold, |value| {
        let all = [("hold", Otherwise::Hold), ("abort", Otherwise::Abort), ("go-on", Otherwise::GoOn)];
        choice(value, &all)
    });
    for key in ["ramp", "until"].into_iter().filter(|key| mirror.is_some() && section.has(key)) {
        let wrong = Wrong {
            says: "is in a step that mirrors".to_owned(),
            label: "copies are at once, and are no evidence".to_owned(),
            help: "leave it to a step with `to`".to_owned(),
        };
        section.wrong(key, section.place.clone(), wrong);
    }
    if mirror.is_some() && hold.is_none() && !approve {
        section.missing("hold", "hold = \"10m\"");
    }
    if proof && to == Some(Weight::WHOLE) {
        let wrong = Wrong {
            says: "is \"proof\" at 100%".to_owned(),
            label: "nothing is left to compare with".to_owned(),
            help: "ask for the proof at the step before".to_owned(),
        };
        section.wrong("until", section.place.clone(), wrong);
    }
    section.finish();
    let (ramp, hold) = (ramp.unwrap_or_default(), hold.unwrap_or_default());
    Some(PlanStep { to: to?, mirror, ramp, hold, proof, approve, within, otherwise })
}

/// In the place of `to`.
fn mirror(section: &mut Section<'_>, above: Weight) -> Option<Weight> {
    for (key, value) in section.chosen(&["to"]) {
        if section.has("mirror") {
            section.clash(
                "mirror",
                (key, &value),
                "write two steps: nobody is on the canary while it mirrors",
            );
        }
    }
    section.optional("mirror", |value| {
        let share = values::weight(value)?;
        if share.is_zero() {
            return Err(value.wrong("nothing is copied", "write a share above 0%"));
        }
        match above.is_zero() {
            true => Ok(share),
            false => {
                let help = "mirror in the first steps: one that has users has requests of its own";
                Err(value.wrong("behind a step with a weight", help))
            }
        }
    })
}

fn hours(section: &mut Section<'_>) -> Option<Hours> {
    let time_zone = section.or("time_zone", "UTC".into(), |value| {
        let name = values::text(value)?;
        let help = "write a name of the time zone database, such as \"Europe/Berlin\"";
        TimeZone::get(&name).map(|_| name).map_err(|_| value.wrong("not a time zone", help))
    });
    let spans =
        section.list("hours", 0..=Plan::HOURS_MAX, "a list, such as [\"Mon-Fri 09:00-17:00\"]", |value| {
            let text = value.str().ok_or_else(|| value.wrong_kind(HOURS_HELP))?;
            HoursSpan::parse(text).ok_or_else(|| value.wrong("not hours of days", HOURS_HELP))
        })?;
    (!spans.is_empty()).then_some(Hours { time_zone, spans })
}

impl HoursSpan {
    fn parse(text: &str) -> Option<Self> {
        let (days, hours) = text.trim().rsplit_once(' ').unwrap_or(("Mon-Sun", text.trim()));
        let (from, to) = hours.split_once('-')?;
        let (from, to) = (minute_of_day(from)?, minute_of_day(to)?);
        let mut span = Self { days: [false; 7], from, to };
        for part in days.split(',') {
            let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
            let (mut day, last) = (day_of_week(first)?, day_of_week(last)?);
            span.days[last] = true;
            while day != last {
                span.days[day] = true;
                day = (day + 1) % 7;
            }
        }
        (from < to).then_some(span)
    }
}

fn day_of_week(text: &str) -> Option<usize> {
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(text.trim()))
}

/// `09:00`, up to `24:00`.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (hour, minute): (u16, u16) = match two_digits(hour) && two_digits(minute) {
        true => (hour.parse().ok()?, minute.parse().ok()?),
        false => return None,
    };
    (minute < 60).then_some(hour * 60 + minute).filter(|minutes| *minutes <= 24 * 60)
}

pub(super) fn read_freezes(root: &mut Section<'_>, routes: &[super::Route]) -> Vec<Freeze> {
    let sections = root.sections("freeze", 0..=Plan::FREEZES_MAX).unwrap_or_default();
    let mut names = Names::new("freeze");
    sections.into_iter().filter_map(|section| freeze(section, &mut names, routes)).collect()
}

fn freeze(mut section: Section<'_>, names: &mut Names, routes: &[super::Route]) -> Option<Freeze> {
    let name = names.claim(&mut section);
    let from = section.required("from", "from = \"2026-12-20T00:00:00Z\"", |value| moment(value));
    let to = section.required("to", "to = \"2027-01-04T00:00:00Z\"", |value| {
        let to = moment(value)?;
        match from.is_some_and(|from| to <= from) {
            true => Err(value.wrong("not after from", "write a time after that of from")),
            false => Ok(to),
        }
    });
    let frozen = section.list("routes", 0..=super::Route::ROUTES_MAX, "a list of names of routes", |value| {
        let name = value.str().ok_or_else(|| value.wrong_kind("write the name of a route"))?;
        let known = || routes.iter().map(|route| &*route.name);
        let found = routes.iter().find(|route| &*route.name == name).map(|route| Arc::clone(&route.name));
        found.ok_or_else(|| {
            let help = suggest::for_name(name, known()).unwrap_or_else(|| "there are no routes".to_owned());
            value.wrong("no such route", help)
        })
    });
    section.finish();
    Some(Freeze { name: name?, from_ms: from?, to_ms: to?, routes: frozen.unwrap_or_default() })
}

/// RFC 3339, in quotes or not, with its offset.
fn moment(value: &Value<'_>) -> Result<i64, Wrong> {
    let help =
        "write a time with its offset, such as \"2026-12-20T00:00:00Z\" or \"2026-12-20T00:00:00+01:00\"";
    let text = value.str().ok_or_else(|| value.wrong_kind(help))?;
    if text.parse::<jiff::Timestamp>().is_err() && text.parse::<DateTime>().is_ok() {
        return Err(value.wrong("no offset", help));
    }
    let at = text.parse::<jiff::Timestamp>().map_err(|_| value.wrong("not a time", help))?;
    Ok(at.as_millisecond())
}

fn choice<T: Copy>(value: &Value<'_>, choices: &[(&str, T)]) -> Result<T, Wrong> {
    let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let help = format!("write {}", words.join(" or "));
    let text = value.str().ok_or_else(|| value.wrong_kind(help.as_str()))?;
    let found = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
    found.ok_or_else(|| match suggest::nearest(text, choices.iter().map(|(word, _)| *word)) {
        Some(near) => value.wrong("unknown", format!("did you mean `{near}`?")),
        None => value.wrong("unknown", help),
    })
}

mod milliseconds {
    //! As people read them in the store.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_days_and_times_of_day() {
        let span = |days: &str, from, to| {
            Some(HoursSpan { days: std::array::from_fn(|day| days.as_bytes()[day] == b'x'), from, to })
        };
        for (text, parsed) in [
            ("Mon-Fri 09:00-17:00", span("xxxxx..", 540, 1_020)),
            ("sat,Sun 10:00-12:30", span(".....xx", 600, 750)),
            ("Fri-Mon 00:00-24:00", span("x...xxx", 0, 1_440)),
            ("Wed 23:59-24:00", span("..x....", 1_439, 1_440)),
            ("08:00-09:00", span("xxxxxxx", 480, 540)),
            ("Mon-Fri 17:00-09:00", None),
            ("Mon-Fri 09:00-09:00", None),
            ("Mon 9:00-17:00", None),
            ("Mon 09:60-17:00", None),
            ("Mon 09:00-24:01", None),
            ("Moon 09:00-17:00", None),
            ("Mon-Fri", None),
            ("", None),
        ] {
            assert_eq!(HoursSpan::parse(text), parsed, "{text}");
        }
    }
}
