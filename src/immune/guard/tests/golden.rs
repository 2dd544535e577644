//! Guards against their golden vectors: errors and latency together.

use super::*;

/// The numbers of a vector, in our words; what it leaves out is the reference's default.
fn golden(config: &serde_json::Value) -> Guard {
    let number = |key: &str, default: f64| config[key].as_f64().unwrap_or(default);
    let default = Judge::default();
    let slack = Duration::from_micros(config["latency_slack_us"].as_u64().unwrap_or(1_000));
    let judge = Judge {
        false_alarm: number("false_alarm", 0.001),
        hold_at: number("hold_odds", 20.0),
        warm_up: Duration::ZERO,
        tolerate: Tolerate {
            errors: number("error_ratio", 1.0),
            extra: number("extra", 0.0002),
            latency: number("latency_factor", 1.25),
            slack,
        },
        percentiles: vectors::list(&config["quantiles"]).iter().map(|q| q.as_f64().unwrap()).collect(),
        fast_trip: None,
        ceilings: Vec::new(),
        ..default
    };
    let learning =
        Learning { memory_ticks: number("memory_ticks", 300.0), beyond_min: number("min_beyond", 10.0) };
    Guard::learning(&judge, learning)
}

fn golden_detail(histogram: &serde_json::Value) -> Detail {
    let mut detail = Detail::default();
    for pair in vectors::list(histogram) {
        let [bucket, count] = [0, 1].map(|at| vectors::whole(&pair[at]));
        detail.latency.add(usize::try_from(bucket).unwrap(), u32::try_from(count).unwrap());
    }
    detail
}

fn golden_check(guard: &Guard, check: &serde_json::Value, name: &serde_json::Value) {
    vectors::assert_same_ln(guard.odds(), &check["ln_odds"], name);
    assert_eq!(guard.is_unhealthy(), check["state"] == "abort", "{name}");
    assert_eq!(guard.holds(), check["state"] != "go", "{name}");
    let marks =
        guard.percentiles.iter().map(|percentile| percentile.mark.map(|mark| [mark.stable, mark.canary]));
    assert_eq!(serde_json::json!(marks.collect::<Vec<_>>()), check["marks"], "{name}");
    let bets =
        std::iter::once(&guard.errors).chain(guard.percentiles.iter().map(|percentile| &percentile.bet));
    for (bet, ln) in bets.zip(vectors::list(&check["ln_odds_bets"])) {
        vectors::assert_same_ln(bet.odds(), ln, name);
    }
}

#[test]
fn golden_guards_are_reproduced() {
    for vector in vectors::of_kind("guard") {
        let mut guard = golden(&vector["config"]);
        let mut checks = vectors::list(&vector["checks"]).iter().peekable();
        for (tick, after) in vectors::list(&vector["ticks"]).iter().zip(1..) {
            let [nc, xc, ns, xs] = [0, 1, 2, 3].map(|at| vectors::whole(&tick[at]));
            guard.call(SECOND_US, counts(nc, xc), counts(ns, xs));
            guard.tick(&golden_detail(&tick[4]), &golden_detail(&tick[5]));
            if let Some(check) = checks.next_if(|check| vectors::whole(&check["after"]) == after) {
                golden_check(&guard, check, &vector["name"]);
            }
        }
        assert_eq!(checks.next(), None, "{}: every check was reached", vector["name"]);
    }
}
