//! What the immune system would see of a canary, and when: a question, and its answer worked out beside the loop.
//!
//! Playing releases takes a good part of a second, so the loop only looks up what the route is like, and another thread
//! plays. The same question about the same traffic has the same answer.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::command::{Refusal, Reply};
use super::controller::Controller;
use super::jobs::answer;
use super::routes::SplitLive;
use super::state::{effective, effective_sum};
use super::view::ForecastView;
use crate::config::{Judge, OnUnhealthy, Weight};
use crate::immune::forecast::{self, Beside, Question, Traffic};

/// Forecasts at one time. Further ones are refused with [`Refusal::Busy`].
pub const FORECASTS_MAX: usize = 2;
/// How far a forecast may look ahead.
pub const WITHIN: RangeInclusive<Duration> = forecast::WITHIN_MIN..=forecast::WITHIN_MAX;
const SEED: u64 = 0x00a1_1d04;

#[derive(Clone, Debug, PartialEq)]
pub struct AskForecast {
    pub route: Arc<str>,
    /// May be left out where the route has one canary.
    pub canary: Option<Arc<str>>,
    /// `None`: what it is meant to get.
    pub weight: Option<Weight>,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct What {
    /// The one harm to look at. `None`: a few.
    pub worse: Option<f64>,
    pub within: Duration,
    /// Only whether a grossly bad canary would go unseen, which is quickly told.
    pub blind_spot_only: bool,
}

/// What is asked about.
#[derive(Clone, Debug)]
pub struct Setting {
    pub route: Option<Arc<str>>,
    pub canary: Option<Arc<str>>,
    pub judge: Judge,
    /// An unhealthy canary is taken back, and not only noticed.
    pub acts: bool,
    pub weight: Weight,
    pub traffic: Traffic,
}

impl Setting {
    /// Takes up to a second.
    pub fn tell(self, what: What) -> ForecastView {
        let Self { route, canary, judge, acts, weight, traffic } = self;
        let What { worse, within, blind_spot_only } = what;
        let mut view = ForecastView {
            route,
            canary,
            acts,
            weight,
            within,
            traffic,
            told: None,
            blind_spot: None,
            untold: None,
        };
        match forecast::blind_spot(&judge, traffic, weight, within, SEED) {
            Ok(blind_spot) => view.blind_spot = blind_spot,
            Err(untold) => view.untold = Some(untold),
        }
        if view.untold.is_none() && !blind_spot_only {
            view.told = forecast::forecast(&judge, traffic, Question { weight, worse, within }, SEED).ok();
        }
        view
    }
}

impl Controller {
    pub(super) fn forecast(&self, ask: AskForecast, reply: Reply<ForecastView>) {
        let what = ask.what;
        let setting = match self.setting(ask) {
            Ok(setting) => setting,
            Err(refusal) => return answer(reply, Err(refusal)),
        };
        let Ok(permit) = Arc::clone(&self.queries.forecasts).try_acquire_owned() else {
            return answer(reply, Err(Refusal::Busy(format!("{FORECASTS_MAX} forecasts are made already"))));
        };
        tokio::task::spawn_blocking(move || {
            let view = setting.tell(what);
            drop(permit);
            answer(reply, Ok(view));
        });
    }

    fn setting(&self, ask: AskForecast) -> Result<Setting, Refusal> {
        let AskForecast { route, canary, weight, .. } = ask;
        let unknown = || Refusal::UnknownRoute { route: Arc::clone(&route), known: self.routes.names() };
        let place = self.routes.find(&route).ok_or_else(unknown)?;
        let canaries = self.routes.split(place).map(|split| (split, &split.state.record.canaries));
        let named = canaries.and_then(|(split, canaries)| {
            let at = match &canary {
                Some(name) => canaries.iter().position(|canary| canary.name == *name),
                None => (canaries.len() == 1).then_some(0),
            };
            Some((split, at?))
        });
        let Some((split, at)) = named else {
            let known = canaries
                .map_or(Vec::new(), |(_, all)| all.iter().map(|canary| Arc::clone(&canary.name)).collect());
            return Err(Refusal::WhichCanary { route, asked: canary, known });
        };
        let record = &split.state.record.canaries[at];
        Ok(Setting {
            route: Some(route),
            canary: Some(Arc::clone(&record.name)),
            judge: split.canaries[at].guard.judge().clone(),
            acts: split.on_unhealthy != OnUnhealthy::Watch,
            weight: weight.unwrap_or(record.aim),
            traffic: self.traffic(split, at),
        })
    }

    /// The requests of the last seconds, and how often stable is remembered to fail.
    fn traffic(&self, split: &SplitLive, at: usize) -> Traffic {
        let slots = split.canaries.iter().map(|live| &live.watched).chain([&split.stable]);
        let rps = slots.map(|watched| self.window(watched.slot).requests_per_second()).sum();
        let record = &split.state.record;
        let live = &split.canaries[at];
        let beside = match live.compared_with {
            Some(baseline) => Beside::Baseline { share: effective(record, &record.canaries[baseline]) },
            None => {
                let sum =
                    effective_sum(record).ppm().saturating_sub(effective(record, &record.canaries[at]).ppm());
                Beside::Rest { others: Weight::from_ppm(sum).unwrap_or(Weight::WHOLE) }
            }
        };
        Traffic { rps, base: live.guard.stable_rate().unwrap_or(0.0), beside }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::command::Command;
    use crate::control::rig::{Rig, answered, shop, watching};
    use crate::control::testing::weight;
    use crate::immune::forecast::Untold;

    fn about(route: &str, canary: Option<&str>) -> AskForecast {
        let what = What { worse: Some(1.0), within: forecast::WITHIN_MIN, blind_spot_only: true };
        AskForecast { route: route.into(), canary: canary.map(Into::into), weight: None, what }
    }

    #[tokio::test]
    async fn a_forecast_is_about_the_route_as_it_is() {
        let mut rig = Rig::new(watching(shop("5%"))).await;
        let silent = rig.ask(|reply| Command::Forecast(about("shop", None), reply)).await.unwrap().unwrap();
        assert_eq!(
            (silent.untold, silent.weight, silent.acts),
            (Some(Untold::NoTraffic), weight("5%"), false)
        );
        for _ in 0..3 {
            rig.all_is_well();
        }
        let told =
            rig.ask(|reply| Command::Forecast(about("shop", Some("canary")), reply)).await.unwrap().unwrap();
        assert_eq!((told.untold, told.canary.as_deref()), (None, Some("canary")));
        assert!((told.traffic.rps - 420.0).abs() < 1.0, "{:?}", told.traffic);
        assert_eq!((told.traffic.base, told.traffic.beside), (0.0, Beside::Rest { others: Weight::ZERO }));
    }

    #[tokio::test]
    async fn what_does_not_exist_is_refused_by_name() {
        let mut rig = Rig::new(shop("5%")).await;
        let mut refused = |ask| answered(&mut rig.ask(|reply| Command::Forecast(ask, reply))).unwrap_err();
        assert!(matches!(refused(about("nope", None)), Refusal::UnknownRoute { .. }));
        let Refusal::WhichCanary { known, .. } = refused(about("shop", Some("nope"))) else { panic!() };
        assert_eq!(known, ["canary".into()]);
    }

    #[tokio::test]
    async fn more_at_once_than_may_be_are_told_so() {
        let mut rig = Rig::new(shop("5%")).await;
        let all = u32::try_from(FORECASTS_MAX).unwrap();
        let held = Arc::clone(&rig.controller.queries.forecasts).try_acquire_many_owned(all).unwrap();
        let asked = answered(&mut rig.ask(|reply| Command::Forecast(about("shop", None), reply)));
        assert!(matches!(asked, Err(Refusal::Busy(_))), "{asked:?}");
        drop(held);
        assert!(rig.ask(|reply| Command::Forecast(about("shop", None), reply)).await.unwrap().is_ok());
    }
}
