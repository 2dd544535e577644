//! `rescue` and `harm_max` of `[route.guard]`: what protects users from a canary before anything is proven.
//!
//! A rescue sends a request a second time, to stable, so it is on for methods that may be sent twice and for no
//! others. The harm budget is off unless somebody asks for it: a good canary of a service that fails now and then
//! by itself would use it up, too.

use http::{Method, StatusCode};
use toml::de::DeValue;

use super::reader::{Section, Value, Wrong};
use super::units::{Weight, parse_bytes};
use super::values;

/// Methods by name, so that a set of them is a few bits.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::TRACE,
    Method::PUT,
    Method::DELETE,
    Method::POST,
    Method::PATCH,
    Method::CONNECT,
];
const STATUS_MIN: u16 = 500;
const STATUS_MAX: u16 = 599;

/// `[route.guard] rescue`. Small, because each decision for a canary carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescue {
    pub methods: Methods,
    pub statuses: Statuses,
    /// A longer request body is not kept, so its request cannot be sent again.
    pub body_bytes_max: u32,
    /// Of the route's live requests, so many may be sent to stable in vain.
    pub budget: Weight,
}

impl Rescue {
    pub const BODY_BYTES_MAX: u64 = 16 << 20;
}

pub(super) const BODY_BYTES_DEFAULT: u32 = 64 << 10;

impl Default for Rescue {
    fn default() -> Self {
        Self {
            methods: Methods::default(),
            statuses: [500, 502, 503, 504].into_iter().fold(Statuses(0), Statuses::with),
            body_bytes_max: BODY_BYTES_DEFAULT,
            budget: super::retry::BUDGET_DEFAULT,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(u16);

impl Default for Methods {
    /// What may be sent twice without a thought.
    fn default() -> Self {
        [Method::GET, Method::HEAD].iter().fold(Self(0), Self::with)
    }
}

impl Methods {
    pub fn contains(self, method: &Method) -> bool {
        METHODS.iter().position(|known| known == method).is_some_and(|bit| self.0 & (1 << bit) != 0)
    }

    fn with(self, method: &Method) -> Self {
        let bit = METHODS.iter().position(|known| known == method);
        Self(self.0 | bit.map_or(0, |bit| 1 << bit))
    }
}

/// Of 500 to 599: an answer below is a success, here as in every outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses(u128);

impl Statuses {
    pub fn contains(self, status: StatusCode) -> bool {
        let bit = status.as_u16().checked_sub(STATUS_MIN).filter(|bit| *bit <= STATUS_MAX - STATUS_MIN);
        bit.is_some_and(|bit| self.0 & (1 << bit) != 0)
    }

    fn with(self, status: u16) -> Self {
        Self(self.0 | 1 << (status - STATUS_MIN))
    }
}

/// `false`, or a table. Left out: on, with its defaults.
pub(super) fn read(guard: &mut Section<'_>) -> Option<Rescue> {
    let written = guard.optional("rescue", |value| match value.item {
        DeValue::Boolean(false) => Ok(None),
        DeValue::Table(table) => Ok(Some((table, value.span.clone()))),
        _ => Err(value.wrong_kind("write false, or a table such as { methods = [\"GET\", \"HEAD\"] }")),
    });
    let default = Rescue::default();
    let mut section = match written {
        None => return Some(default),
        Some(None) => return None,
        Some(Some((table, place))) => guard.table("rescue", table, place),
    };
    let methods = methods(&mut section);
    let statuses = section.list("statuses", 0..=100, "a list such as [500, 502, 503, 504]", |value| {
        values::whole(u64::from(STATUS_MIN)..=u64::from(STATUS_MAX))(value)
    });
    let statuses = statuses.map(|statuses| {
        statuses.into_iter().filter_map(|status| u16::try_from(status).ok()).fold(Statuses(0), Statuses::with)
    });
    let body_bytes_max = section.or("body_max", default.body_bytes_max, body_max);
    let budget = section.or("budget", default.budget, values::weight);
    section.finish();
    Some(Rescue {
        methods: methods.unwrap_or(default.methods),
        statuses: statuses.unwrap_or(default.statuses),
        body_bytes_max,
        budget,
    })
}

/// `None`: the section does not say.
pub(super) fn methods(section: &mut Section<'_>) -> Option<Methods> {
    let methods = section.list("methods", 1..=METHODS.len(), "a list such as [\"GET\", \"HEAD\"]", method);
    methods.map(|methods| methods.iter().fold(Methods(0), Methods::with))
}

/// `false`, or how many users at most may see a canary fail.
pub(super) fn read_harm_max(guard: &mut Section<'_>) -> Option<u32> {
    const HELP: &str = "write false, or a whole number from 1 to 1000000, such as 25";
    let written = guard.optional("harm_max", |value| match value.item {
        DeValue::Boolean(false) => Ok(None),
        DeValue::Integer(_) => {
            let found = values::whole(1..=1_000_000)(value).map_err(|_| value.wrong("out of range", HELP))?;
            Ok(u32::try_from(found).ok())
        }
        _ => Err(value.wrong_kind(HELP)),
    });
    written.flatten()
}

fn method(value: &Value<'_>) -> Result<Method, Wrong> {
    let help = "write a method in upper case: GET, HEAD, OPTIONS, TRACE, PUT, DELETE, POST or PATCH";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let known = METHODS.iter().find(|method| method.as_str() == text && **method != Method::CONNECT);
    known.cloned().ok_or_else(|| value.wrong("unknown", help))
}

pub(super) fn body_max(value: &Value<'_>) -> Result<u32, Wrong> {
    let help = "write a size from \"0B\" to \"16MiB\", such as \"64KiB\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let Some(bytes) = parse_bytes(text) else { return Err(value.wrong("not a size", help)) };
    let small = u32::try_from(bytes).ok().filter(|_| bytes <= Rescue::BODY_BYTES_MAX);
    small.ok_or_else(|| value.wrong("more than 16MiB", help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_and_head_are_rescued_from_what_servers_say_when_they_fail() {
        let rescue = Rescue::default();
        let methods: Vec<_> = METHODS.iter().filter(|method| rescue.methods.contains(method)).collect();
        assert_eq!(methods, [&Method::GET, &Method::HEAD]);
        assert!(!rescue.methods.contains(&Method::from_bytes(b"BREW").unwrap()));
        let all = (100..1_000).filter_map(|status| StatusCode::from_u16(status).ok());
        let statuses: Vec<_> =
            all.filter(|status| rescue.statuses.contains(*status)).map(|status| status.as_u16()).collect();
        assert_eq!(statuses, [500, 502, 503, 504]);
    }

    #[test]
    fn the_last_status_has_its_bit() {
        let last = Statuses(0).with(599);
        assert!(last.contains(StatusCode::from_u16(599).unwrap()));
        assert!(!last.contains(StatusCode::from_u16(600).unwrap()));
    }
}
