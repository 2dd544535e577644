//! W3C trace context: whose trace a request belongs to, and a new one where it belongs to none.
//!
//! What is valid passes as it is, `tracestate` with it: without [`spans`](super::spans) nothing of ours belongs in there.

use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// 32 hex digits.
pub(super) type TraceId = [u8; 32];

/// `version "-" trace-id "-" parent-id "-" flags`, two, 32, 16 and two digits.
const LENGTH: usize = 55;

/// `None`: there is no `traceparent`, or it is not valid.
pub(super) fn id_of(headers: &HeaderMap) -> Option<TraceId> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    parse(first.as_bytes())
}

/// Versions that are not known yet may say more behind the flags (W3C Trace Context, 3.2.4 and 4.3).
fn parse(value: &[u8]) -> Option<TraceId> {
    let (known, more) = value.split_at_checked(LENGTH)?;
    let hex = |from: usize, to: usize| {
        let digits = &known[from..to];
        digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(digits)
    };
    let (version, trace, parent, _flags) = (hex(0, 2)?, hex(3, 35)?, hex(36, 52)?, hex(53, 55)?);
    let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
    let ends = more.is_empty() || (version != b"00" && more[0] == b'-');
    let is_zero = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
    let valid = dashes && ends && version != b"ff" && !is_zero(trace) && !is_zero(parent);
    if valid { trace.try_into().ok() } else { None }
}

/// A trace begins here, sampled: whether to keep it is up to those who record. State of an invalid parent goes.
pub(super) fn begin(headers: &mut HeaderMap, mut random: impl FnMut() -> u64) {
    // 0 is no id.
    let value = format!("00-{:016x}{:016x}-{:016x}-01", random(), random().max(1), random().max(1));
    headers.remove(TRACESTATE);
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(TRACEPARENT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_what_the_standard_calls_valid_is_a_trace() {
        let trace = b"4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(parse(GOOD.as_bytes()), Some(*trace));
        assert_eq!(parse(GOOD.replacen("00", "cc", 1).as_bytes()), Some(*trace));
        assert_eq!(parse(format!("{}-what", GOOD.replacen("00", "01", 1)).as_bytes()), Some(*trace));
        for bad in [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            format!("{GOOD}x"),
            format!("{}x", GOOD.replacen("00", "01", 1)),
            GOOD.replacen("00", "ff", 1),
            GOOD.to_uppercase(),
            GOOD.replace('-', "_"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".to_owned(),
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn two_parents_are_none() {
        let good = HeaderValue::from_static(GOOD);
        let mut headers = HeaderMap::from_iter([(TRACEPARENT, good.clone())]);
        assert!(id_of(&headers).is_some());
        headers.append(TRACEPARENT, good);
        assert_eq!(id_of(&headers), None);
    }

    #[test]
    fn a_new_trace_is_valid_whatever_the_random_source_says() {
        let state = HeaderValue::from_static("a=1");
        let mut headers = HeaderMap::from_iter([(TRACESTATE, state.clone()), (TRACEPARENT, state)]);
        begin(&mut headers, || 0);
        assert!(id_of(&headers).is_some(), "{headers:?}");
        assert!(!headers.contains_key(TRACESTATE));
    }
}
