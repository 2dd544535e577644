//! `/routes/{route}/forecast`: how soon the immune system would see a bad canary, with the traffic of just now.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use super::super::Face;
use super::super::problem::Problem;
use super::answer;
use super::input::{self, Name};
use super::json::ForecastJson;
use crate::config::Weight;
use crate::config::units::{WEIGHT_ACCEPTED, parse_duration, parse_percent};
use crate::control::forecasts::{AskForecast, WITHIN, What};

pub(super) const WITHIN_DEFAULT: Duration = Duration::from_hours(1);
const WITHIN_ACCEPTED: &str = "a duration from \"10s\" to \"24h\", such as \"1h\"";
const WORSE_ACCEPTED: &str = "a share above \"0%\" and up to \"100%\", such as \"5%\"";
const PARAMETERS: &str = "weight, worse, within, canary, only";

pub(super) async fn of_route(
    State(face): State<Face>,
    Name(route): Name,
    uri: Uri,
) -> Result<Response, Problem> {
    let view = face.handle.forecast(ask(route, &uri)?).await?;
    Ok(answer(&ForecastJson::from(&view)))
}

fn ask(route: Arc<str>, uri: &Uri) -> Result<AskForecast, Problem> {
    let what = What { worse: None, within: WITHIN_DEFAULT, blind_spot_only: false };
    let mut ask = AskForecast { route, canary: None, weight: None, what };
    for (key, value) in input::query(uri)? {
        let bad = |accepted| Problem::bad_value(&key, &format!("{value:?}"), accepted);
        match key.as_str() {
            "weight" => ask.weight = Some(Weight::parse(&value).ok_or_else(|| bad(WEIGHT_ACCEPTED))?),
            "worse" => {
                let worse = parse_percent(&value).filter(|worse| *worse > 0.0 && *worse <= 1.0);
                ask.what.worse = Some(worse.ok_or_else(|| bad(WORSE_ACCEPTED))?);
            }
            "within" => {
                let within = parse_duration(&value).filter(|within| WITHIN.contains(within));
                ask.what.within = within.ok_or_else(|| bad(WITHIN_ACCEPTED))?;
            }
            "canary" => ask.canary = Some(value.into()),
            "only" if value == "blind_spot" => ask.what.blind_spot_only = true,
            "only" => return Err(bad("\"blind_spot\"")),
            _ => return Err(input::unknown_parameter(&key, PARAMETERS)),
        }
    }
    Ok(ask)
}
