//! `[route.guard]`: the immune system, in operator's words.

use std::time::Duration;

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

impl Default for Guard {
    fn default() -> Self {
        Self {
            on_unhealthy: OnUnhealthy::Abort,
            false_alarm: 0.001,
            hold_at: 20.0,
            tick: Duration::from_secs(1),
            tolerate: Tolerate { errors: 1.0, extra: 0.0002 },
            fast_trip: Some(FastTrip { failures: 10, span: Duration::from_secs(1), connect_errors: 5 }),
            ceilings: vec![Ceiling { error_rate: 0.05, window: Duration::from_secs(60), min_requests: 100 }],
        }
    }
}
