//! Whose trace a request belongs to, which span in it is ours, and whether anybody keeps it.
//!
//! The parent decides: what it samples is kept, what it does not is not. A trace that begins here is kept if the
//! random part of its id, its last 56 bits, falls into the share (OpenTelemetry's consistent probability sampling):
//! all who sample by it, each with a share of its own, keep the same traces first.

use http::{HeaderMap, HeaderValue};

use crate::config::units::WHOLE_PPM;
use crate::config::{Scheme, Weight};
use crate::proxy::trace::{TRACEPARENT, TRACESTATE, id_of};

const SAMPLED: u8 = 1;
/// Sampled, and that the id is random: the flags that version 00 of the field knows.
const KNOWN_FLAGS: u8 = 3;
const RANDOM_BITS: u32 = 56;

/// Of a request whose span is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Context {
    pub(super) trace: u128,
    pub(super) span: u64,
    /// `None`: the trace begins here.
    pub(super) parent: Option<u64>,
    pub(super) flags: u8,
    pub(super) scheme: Scheme,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    /// Random parts below it are not kept.
    threshold: u64,
}

impl Sampler {
    pub(super) fn new(sample: Weight) -> Self {
        let rejected = u128::from(WHOLE_PPM - sample.ppm()) << RANDOM_BITS;
        let threshold = rejected / u128::from(WHOLE_PPM);
        Self { threshold: u64::try_from(threshold).unwrap_or(u64::MAX) }
    }

    fn keeps(self, trace: u128) -> bool {
        let random = trace & ((1 << RANDOM_BITS) - 1);
        random >= u128::from(self.threshold)
    }

    /// Makes our span the parent of what the upstream does. What nobody records has no span of ours: with a parent
    /// it passes as it is, and a trace that begins here goes on as one that is not sampled.
    pub(super) fn begin(
        self,
        headers: &mut HeaderMap,
        scheme: Scheme,
        mut random: impl FnMut() -> u64,
    ) -> Option<Context> {
        let parent = Parent::of(headers);
        if parent.as_ref().is_some_and(|parent| parent.flags & SAMPLED == 0) {
            return None;
        }
        let (trace, flags) = match &parent {
            Some(parent) => (parent.trace, parent.flags & KNOWN_FLAGS),
            None => {
                // State belongs to a parent, and this one was not valid. 0 is no id.
                headers.remove(TRACESTATE);
                let trace = u128::from(random()) << 64 | u128::from(random().max(1));
                (trace, if self.keeps(trace) { SAMPLED } else { 0 })
            }
        };
        let span = random().max(1);
        headers.insert(TRACEPARENT, written(trace, span, flags));
        let parent = parent.map(|parent| parent.span);
        (flags & SAMPLED != 0).then_some(Context { trace, span, parent, flags, scheme })
    }
}

/// What the `traceparent` that came says.
struct Parent {
    trace: u128,
    span: u64,
    flags: u8,
}

impl Parent {
    fn of(headers: &HeaderMap) -> Option<Self> {
        id_of(headers)?;
        // It is valid, so all stands in its place: 00-(32 digits)-(16 digits)-01.
        let value = headers.get(TRACEPARENT)?.to_str().ok()?;
        Some(Self {
            trace: u128::from_str_radix(value.get(3..35)?, 16).ok()?,
            span: u64::from_str_radix(value.get(36..52)?, 16).ok()?,
            flags: u8::from_str_radix(value.get(53..55)?, 16).ok()?,
        })
    }
}

fn written(trace: u128, span: u64, flags: u8) -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    put_hex(&mut text[3..35], trace);
    put_hex(&mut text[36..52], u128::from(span));
    put_hex(&mut text[53..55], u128::from(flags));
    HeaderValue::from_bytes(&text).expect("hex digits and dashes are valid in a header")
}

fn put_hex(digits: &mut [u8], mut value: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn sampler(sample: &str) -> Sampler {
        Sampler::new(Weight::parse(sample).unwrap())
    }

    fn begin(sample: &str, parent: Option<&str>, random: u64) -> (Option<Context>, HeaderMap) {
        let mut headers = HeaderMap::from_iter([(TRACESTATE, HeaderValue::from_static("a=1"))]);
        if let Some(parent) = parent {
            headers.insert(TRACEPARENT, parent.parse().unwrap());
        }
        let context = sampler(sample).begin(&mut headers, Scheme::Http, || random);
        (context, headers)
    }

    #[test]
    fn a_sampled_parent_is_kept_whatever_the_share() {
        let (context, headers) = begin("0%", Some(PARENT), 0xabc);
        let context = context.unwrap();
        assert_eq!(context.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.parent, context.span), (Some(0x00f0_67aa_0ba9_02b7), 0xabc));
        assert_eq!(headers[TRACEPARENT], PARENT.replace("00f067aa0ba902b7", "0000000000000abc"));
        assert_eq!(headers[TRACESTATE], "a=1");
    }

    #[test]
    fn an_unsampled_parent_passes_as_it_is() {
        let parent = PARENT.replace("-01", "-02");
        let (context, headers) = begin("100%", Some(&parent), 1);
        assert_eq!(context, None);
        assert_eq!(headers[TRACEPARENT], parent);
        assert_eq!(headers[TRACESTATE], "a=1");
    }

    #[test]
    fn a_later_version_goes_on_as_ours_with_the_flags_that_ours_knows() {
        let (_, headers) =
            begin("0%", Some(&(PARENT.replacen("00", "07", 1).replace("-01", "-ff") + "-x")), 1);
        let went_on = headers[TRACEPARENT].to_str().unwrap();
        assert!(
            went_on.len() == 55 && went_on.starts_with("00-4bf9") && went_on.ends_with("-03"),
            "{went_on}"
        );
    }

    #[test]
    fn without_a_valid_parent_the_share_decides_and_the_upstream_is_told() {
        for (sample, kept) in [("100%", true), ("0%", false)] {
            for parent in [None, Some("00-bad")] {
                for random in [0, u64::MAX] {
                    let (context, headers) = begin(sample, parent, random);
                    assert_eq!(context.is_some(), kept, "{sample} {random}");
                    assert_eq!(context.and_then(|context| context.parent), None);
                    let flags = if kept { "-01" } else { "-00" };
                    assert!(headers[TRACEPARENT].to_str().unwrap().ends_with(flags), "{headers:?}");
                    assert!(id_of(&headers).is_some() && !headers.contains_key(TRACESTATE), "{headers:?}");
                }
            }
        }
    }

    #[test]
    fn the_share_is_that_of_the_last_56_bits() {
        let whole: u128 = 1 << 56;
        let sampler = sampler("10%");
        assert!(!sampler.keeps(whole * 9 / 10 - 1) && sampler.keeps(whole * 9 / 10 + 1));
        assert!(sampler.keeps(whole - 1) && !sampler.keeps(u128::MAX << 56));
    }
}
