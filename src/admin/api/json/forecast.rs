//! The shape of a forecast.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{finite, written};
use crate::config::units::duration_text;
use crate::control::view::ForecastView;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ForecastJson {
    /// `null`: of no route, only of numbers.
    pub route: Option<String>,
    pub canary: Option<String>,
    /// An unhealthy canary is taken back, and not only noticed.
    pub acts: bool,
    pub weight: String,
    pub weight_ppm: u32,
    pub requests_per_second: f64,
    pub canary_requests_per_second: f64,
    /// Stable's share of failures.
    pub base_ratio: f64,
    pub within: String,
    pub within_seconds: f64,
    pub harms: Vec<HarmJson>,
    pub smallest_seen: Option<SmallestSeenJson>,
    pub weight_needed: Option<WeightNeededJson>,
    /// A gross harm that would go unseen.
    pub blind_spot: Option<WeightNeededJson>,
    /// Why nothing can be told.
    pub undecided: Option<String>,
}

/// What becomes of a canary that fails so often.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HarmJson {
    pub worse_ratio: f64,
    /// Releases that were played.
    pub runs: usize,
    /// The share of them in which it was seen in time.
    pub seen_ratio: f64,
    pub delay_seconds: SpreadJson,
    pub canary_requests: SpreadJson,
    pub failed_requests: SpreadJson,
}

/// Of the releases 5%, half and 95% need no more; `null`: more than what was looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SpreadJson {
    pub low: Option<f64>,
    pub median: Option<f64>,
    pub high: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SmallestSeenJson {
    /// Seen in 9 of 10 releases; `null`: none is.
    pub ratio: Option<f64>,
    pub runs: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WeightNeededJson {
    pub worse_ratio: f64,
    /// With so much it is seen in 9 of 10 releases; `null`: with no share.
    pub weight: Option<String>,
    pub weight_ppm: Option<u32>,
    pub runs: usize,
}

impl From<&ForecastView> for ForecastJson {
    fn from(view: &ForecastView) -> Self {
        let (weight, weight_ppm) = written(view.weight);
        let told = view.told.as_ref();
        let name = |name: &std::sync::Arc<str>| name.to_string();
        Self {
            route: view.route.as_ref().map(name),
            canary: view.canary.as_ref().map(name),
            acts: view.acts,
            weight,
            weight_ppm,
            requests_per_second: view.traffic.rps,
            canary_requests_per_second: view.traffic.rps * view.weight.ratio(),
            base_ratio: view.traffic.base,
            within: duration_text(view.within),
            within_seconds: view.within.as_secs_f64(),
            harms: told.map_or(Vec::new(), |told| {
                let spread = SpreadJson::of;
                let harms = told.harms.iter().map(|harm| HarmJson {
                    worse_ratio: harm.worse,
                    runs: harm.runs,
                    seen_ratio: harm.seen,
                    delay_seconds: spread([
                        harm.delay_seconds.low,
                        harm.delay_seconds.median,
                        harm.delay_seconds.high,
                    ]),
                    canary_requests: spread([harm.requests.low, harm.requests.median, harm.requests.high]),
                    failed_requests: spread([harm.failed.low, harm.failed.median, harm.failed.high]),
                });
                harms.collect()
            }),
            smallest_seen: told.map(|told| SmallestSeenJson {
                ratio: told.smallest_seen.worse,
                runs: told.smallest_seen.runs,
            }),
            weight_needed: told.map(|told| {
                WeightNeededJson::of(
                    told.weight_needed.worse,
                    told.weight_needed.weight,
                    told.weight_needed.runs,
                )
            }),
            blind_spot: view
                .blind_spot
                .map(|blind| WeightNeededJson::of(blind.worse, blind.weight, blind.runs)),
            undecided: view.untold.map(|untold| untold.sentence().to_owned()),
        }
    }
}

impl SpreadJson {
    fn of([low, median, high]: [Option<f64>; 3]) -> Self {
        let [low, median, high] = [low, median, high].map(|value| value.and_then(finite));
        Self { low, median, high }
    }
}

impl WeightNeededJson {
    fn of(worse_ratio: f64, weight: Option<crate::config::Weight>, runs: usize) -> Self {
        let (weight, weight_ppm) = weight.map(written).unzip();
        Self { worse_ratio, weight, weight_ppm, runs }
    }
}

impl ForecastJson {
    /// For whoever has just raised a weight, if a grossly bad canary would go unseen, or if that cannot be told.
    pub fn blind_spot_sentence(&self) -> Option<String> {
        if let Some(why) = &self.undecided {
            return Some(why.clone());
        }
        let blind = self.blind_spot.as_ref()?;
        Some(format!(
            "at {} of {} req/s a canary that fails {} would not be seen within {}; {}",
            self.weight,
            figure(self.requests_per_second),
            share(blind.worse_ratio),
            self.within,
            would_do(blind, "")
        ))
    }
}

pub fn would_do(needed: &WeightNeededJson, of: &str) -> String {
    match &needed.weight {
        Some(weight) => format!("{weight}{of} would do"),
        None => "no share of the traffic would do".to_owned(),
    }
}

pub fn share(ratio: f64) -> String {
    format!("{}%", figure(ratio * 100.0))
}

/// About three figures, without what says nothing.
pub fn figure(number: f64) -> String {
    let decimals = match number.abs() {
        ..0.1 => 4,
        ..1.0 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_as_long_as_they_are_useful() {
        for (number, shown) in
            [(0.0, "0"), (0.0002, "0.0002"), (0.28, "0.28"), (5.0, "5"), (23.46, "23.5"), (1_000.0, "1000")]
        {
            assert_eq!(figure(number), shown);
        }
        assert_eq!(share(0.001), "0.1%");
        assert_eq!(share(0.05), "5%");
    }
}
