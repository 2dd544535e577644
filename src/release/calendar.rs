//! Whether weights may rise now: the hours of a plan, and freezes.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::plan::{Freeze, Hours};

/// Why nothing may rise now. `None`: it may.
pub fn closed(route: &str, hours: Option<&Hours>, freezes: &[Freeze], now_ms: i64) -> Option<String> {
    let frozen = freezes.iter().find(|freeze| {
        let concerns = freeze.routes.is_empty() || freeze.routes.iter().any(|name| **name == *route);
        concerns && (freeze.from_ms..freeze.to_ms).contains(&now_ms)
    });
    if let Some(freeze) = frozen {
        let until = Timestamp::from_millisecond(freeze.to_ms).map(|at| at.to_string()).unwrap_or_default();
        return Some(format!("freeze \"{}\" until {until}", freeze.name));
    }
    let hours = hours?;
    (!is_open(hours, now_ms)).then(|| format!("the hours of the plan ({})", hours.time_zone))
}

/// In a time zone that this machine does not know, which the file could not name, hours are those of UTC.
fn is_open(hours: &Hours, now_ms: i64) -> bool {
    let Ok(now) = Timestamp::from_millisecond(now_ms) else { return false };
    let now = now.to_zoned(TimeZone::get(&hours.time_zone).unwrap_or(TimeZone::UTC));
    let day = now.weekday().to_monday_zero_offset();
    let minute = u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).unwrap_or(0);
    let today = |days: &[bool; 7]| usize::try_from(day).is_ok_and(|day| days[day]);
    hours.spans.iter().any(|span| today(&span.days) && (span.from..span.to).contains(&minute))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::HoursSpan;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn hours_are_those_of_the_time_zone_in_summer_too() {
        let spans =
            vec![HoursSpan { days: [true, true, true, true, true, false, false], from: 540, to: 1_020 }];
        let hours = Hours { time_zone: "Europe/Berlin".into(), spans };
        for (now, open) in [
            ("2026-11-27T07:59:59Z", false), // a Friday, 08:59:59
            ("2026-11-27T08:00:00Z", true),
            ("2026-11-27T15:59:59Z", true),
            ("2026-11-27T16:00:00Z", false),
            ("2026-11-28T10:00:00Z", false), // a Saturday
            ("2026-07-24T07:00:00Z", true),  // a Friday, 09:00 in summer
            ("2026-07-24T06:59:00Z", false),
        ] {
            assert_eq!(closed("shop", Some(&hours), &[], ms(now)).is_none(), open, "{now}");
        }
    }

    #[test]
    fn a_freeze_holds_for_its_routes_until_it_ends() {
        let freeze = |routes: &[&str]| Freeze {
            name: "holidays".into(),
            from_ms: ms("2026-12-20T00:00:00Z"),
            to_ms: ms("2027-01-04T00:00:00Z"),
            routes: routes.iter().map(|route| (*route).into()).collect(),
        };
        let inside = ms("2026-12-24T12:00:00Z");
        let told = closed("shop", None, &[freeze(&[])], inside).unwrap();
        assert_eq!(told, "freeze \"holidays\" until 2027-01-04T00:00:00Z");
        assert!(closed("shop", None, &[freeze(&["api"])], inside).is_none());
        assert!(closed("shop", None, &[freeze(&["api", "shop"])], inside).is_some());
        assert!(closed("shop", None, &[freeze(&[])], ms("2027-01-04T00:00:00Z")).is_none());
        assert!(closed("shop", None, &[freeze(&[])], ms("2026-12-19T23:59:59Z")).is_none());
    }
}
