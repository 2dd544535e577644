//! `retries` and `concurrent_max` of `[[upstream]]`: what is tried once more, and how much is asked at a time.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Section, Value, Wrong};
use super::units::Weight;
use super::{suggest, values};

/// A share of live requests, for retries and for rescues.
pub(super) const BUDGET_DEFAULT: Weight = Weight::FIFTH;

const ATTEMPTS: RangeInclusive<u64> = 1..=3;
const PER_SECOND: RangeInclusive<u64> = 0..=1_000;
const BACKOFF: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(1);
const CONCURRENT: RangeInclusive<u64> = 1..=1_000_000;

/// What is tried again beyond a dead pooled connection, which always is. Small: a decision carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Beyond the first.
    pub attempts: u8,
    pub on: RetryOn,
    /// Of live requests.
    pub budget: Weight,
    /// Retries that a worker may do each second whatever the budget says.
    pub per_second_min: u16,
    /// The longest wait before a retry; the wait itself is drawn.
    pub backoff: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection came about. Nothing was sent, so any method may go to another endpoint.
    pub connect: bool,
    /// The connection broke before the first byte of the answer. For idempotent methods only.
    pub reset: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            on: RetryOn { connect: true, reset: false },
            budget: BUDGET_DEFAULT,
            per_second_min: 3,
            backoff: Duration::from_millis(25),
        }
    }
}

/// `false`, or a table. Left out: on, with its defaults.
pub(super) fn read(upstream: &mut Section<'_>) -> Option<Retry> {
    let written = upstream.optional("retries", |value| match value.item {
        DeValue::Boolean(false) => Ok(None),
        DeValue::Table(table) => Ok(Some((table, value.span.clone()))),
        _ => Err(value.wrong_kind("write false, or a table such as { attempts = 1, on = [\"connect\"] }")),
    });
    let default = Retry::default();
    let mut section = match written {
        None => return Some(default),
        Some(None) => return None,
        Some(Some((table, place))) => upstream.table("retries", table, place),
    };
    let attempts = section.or("attempts", default.attempts.into(), values::whole(ATTEMPTS));
    let on = section.list("on", 1..=2, "a list of \"connect\" and \"reset\"", cause);
    let budget = section.or("budget", default.budget, values::weight);
    let per_second_min =
        section.or("min_per_second", default.per_second_min.into(), values::whole(PER_SECOND));
    let backoff = section.or("backoff", default.backoff, values::duration(BACKOFF));
    section.finish();
    let on = on.map_or(default.on, |causes| RetryOn {
        connect: causes.contains(&"connect"),
        reset: causes.contains(&"reset"),
    });
    let (attempts, per_second_min) = (u8::try_from(attempts).ok()?, u16::try_from(per_second_min).ok()?);
    Some(Retry { attempts, on, budget, per_second_min, backoff })
}

/// `false`, or how many requests may be in flight.
pub(super) fn read_concurrent_max(upstream: &mut Section<'_>) -> Option<u32> {
    const HELP: &str = "write false, or a whole number from 1 to 1000000, such as 200";
    let written = upstream.optional("concurrent_max", |value| match value.item {
        DeValue::Boolean(false) => Ok(None),
        DeValue::Integer(_) => {
            let found = values::whole(CONCURRENT)(value).map_err(|_| value.wrong("out of range", HELP))?;
            Ok(u32::try_from(found).ok())
        }
        _ => Err(value.wrong_kind(HELP)),
    });
    written.flatten()
}

fn cause(value: &Value<'_>) -> Result<&'static str, Wrong> {
    let help = "write \"connect\" (no connection came about) or \"reset\" (it broke before the answer)";
    match value.str() {
        Some("connect") => Ok("connect"),
        Some("reset") => Ok("reset"),
        Some(text) => match suggest::nearest(text, ["connect", "reset"].into_iter()) {
            Some(near) => Err(value.wrong("unknown", format!("did you mean `{near}`?"))),
            None => Err(value.wrong("unknown", help)),
        },
        None => Err(value.wrong_kind(help)),
    }
}
