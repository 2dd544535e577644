//! `[route.mirror]`: copies of stable's requests for a version that no user depends on yet.
//!
//! Off unless somebody asks for it. A copy is a second request, so it is made of methods that change nothing, unless the
//! file names others: an order that is copied is placed twice.

use std::sync::Arc;

use super::names::Names;
use super::reader::Section;
use super::rescue::{self, Methods};
use super::units::Weight;
use super::values;

const IN_FLIGHT_MAX: std::ops::RangeInclusive<u64> = 1..=10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// `None`: copies are made only while a plan says so.
    pub to: Option<MirrorTo>,
    pub methods: Methods,
    /// A request with a longer body is not copied.
    pub body_bytes_max: u32,
    /// Copies under way at once, of each worker; above that none is begun.
    pub in_flight_max: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorTo {
    /// Name of an upstream.
    pub upstream: Arc<str>,
    /// Of the requests that stable answers.
    pub share: Weight,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            to: None,
            methods: Methods::default(),
            body_bytes_max: rescue::BODY_BYTES_DEFAULT,
            in_flight_max: 100,
        }
    }
}

pub(super) fn read(route: &mut Section<'_>, upstreams: &Names) -> Mirror {
    let default = Mirror::default();
    let Some(mut section) = route.optional_section("mirror") else { return default };
    let upstream = section.optional("to", |value| upstreams.resolve(value));
    let share = section.optional("share", values::weight);
    if section.has("to") != section.has("share") {
        let (key, example) = match section.has("to") {
            true => ("share", "share = \"10%\""),
            false => ("to", "to = \"…\"` with the name of an upstream, or leave out `share"),
        };
        section.missing(key, example);
    }
    let methods = rescue::methods(&mut section).unwrap_or(default.methods);
    let body_bytes_max = section.or("body_max", default.body_bytes_max, rescue::body_max);
    let in_flight_max =
        section.or("in_flight_max", default.in_flight_max.into(), values::whole(IN_FLIGHT_MAX));
    section.finish();
    Mirror {
        to: upstream.zip(share).map(|(upstream, share)| MirrorTo { upstream, share }),
        methods,
        body_bytes_max,
        in_flight_max: u32::try_from(in_flight_max).unwrap_or(default.in_flight_max),
    }
}
