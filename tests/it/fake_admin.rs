//! The real admin listener in front of a scripted controller: the same few routes, the same answers, every time.
//!
//! | route | what it is |
//! |---|---|
//! | `shop` | revision 7, one canary at 5% |
//! | `multi` | canaries `a` and `b`, which together may not have 100% each |
//! | `held` | its cord is pulled |
//! | `closed` | denies |
//!
//! Some reasons make it fail: `store down`, and `gone` (it drops the question).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use andon::admin::{Admin, Listeners, Phase, Setup};
use andon::config::{Access, Weight};
use andon::control::command::{Command, Handle, PullCord, Refusal, ReloadReport, SetWeight, StartDrill};
use andon::control::drift::{Difference, DriftView, Kind, Origin};
use andon::control::explained::Explanation;
use andon::control::forecasts::AskForecast;
use andon::control::view::{
    BackOffView, CanaryView, ForecastView, NextStep, RouteView, SignalView, StableView, VerdictKind,
    VerdictView, WindowView,
};
use andon::control::what_if::WhatIfReport;
use andon::immune::forecast::{Beside, Forecast, Harm, SmallestSeen, Spread, Traffic, Untold, WeightNeeded};
use andon::store::record::{Action, Checked, Cord, Decision, DecisionFilter, Head, Part, Recorded};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) struct FakeAdmin {
    pub(crate) address: SocketAddr,
    pub(crate) phase: watch::Sender<Phase>,
    /// Who may.
    pub(crate) access: watch::Sender<Arc<Access>>,
    /// While it is true, no command is answered.
    pub(crate) held: watch::Sender<bool>,
    /// Commands that changed something.
    pub(crate) changes: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeAdmin {
    pub(crate) fn start() -> Self {
        Self::naming(Access::default())
    }

    pub(crate) fn naming(access: Access) -> Self {
        let (access, says) = watch::channel(Arc::new(access));
        let (held, waits) = watch::channel(false);
        let changes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&changes);
        let (phase, phases) = watch::channel(Phase::Serving);
        let (stop, stopped) = oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                let (handle, commands) = Handle::new();
                let shutdown = async { drop(stopped.await) };
                let mut admin = Admin::new(Setup {
                    handle,
                    phase: phases,
                    access: says,
                    tls: watch::channel(Arc::default()).1,
                    counters: Arc::default(),
                });
                tokio::select! {
                    served = admin.serve(Listeners { tcp: listener, unix: None }, shutdown) => served.unwrap(),
                    () = control(commands, counted, waits) => {}
                }
            });
        });
        Self {
            address: address.recv().unwrap(),
            phase,
            access,
            held,
            changes,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for FakeAdmin {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the admin thread panicked");
    }
}

async fn control(
    mut commands: mpsc::Receiver<Command>,
    changes: Arc<AtomicUsize>,
    mut held: watch::Receiver<bool>,
) {
    while let Some(command) = commands.recv().await {
        if matches!(command, Command::SetWeight(..) | Command::PullCord(..) | Command::ResetCord(..)) {
            changes.fetch_add(1, Ordering::SeqCst);
        }
        held.wait_for(|held| !held).await.unwrap();
        // A caller that has gone away does not want the answer.
        let _ = match command {
            Command::Routes(reply) => reply.send(Ok(routes())).is_ok(),
            Command::Route(name, reply) => reply.send(route(&name)).is_ok(),
            Command::Upstreams(reply) => reply.send(Ok(Vec::new())).is_ok(),
            Command::SetWeight(asked, _) if &*asked.why == "gone" => false,
            Command::SetWeight(asked, reply) => reply.send(set_weight(&asked)).is_ok(),
            Command::PullCord(asked, reply) => reply.send(pull(&asked)).is_ok(),
            Command::ResetCord(asked, reply) => reply.send(reset(&asked.route)).is_ok(),
            Command::StartRelease(_, reply)
            | Command::SteerRelease(_, reply)
            | Command::RollBack(_, reply) => reply.send(Err(Refusal::Gone)).is_ok(),
            Command::Releases(_, reply) => reply.send(Ok(Vec::new())).is_ok(),
            Command::Drill(StartDrill { route: name, .. }, reply) | Command::EndDrill(name, reply) => {
                reply.send(route(&name)).is_ok()
            }
            Command::Decisions(filter, reply) => reply.send(Ok(decisions(&filter))).is_ok(),
            Command::Drift(reply) => reply.send(Ok(drift())).is_ok(),
            Command::Config(reply) => reply.send(Err(Refusal::Gone)).is_ok(),
            Command::SetUpstream(_, reply) => reply.send(Err(Refusal::Gone)).is_ok(),
            Command::Subscribe(_, reply) => reply.send(Err(Refusal::Gone)).is_ok(),
            Command::CheckRecord(_, reply) => reply.send(Ok(checked())).is_ok(),
            Command::RecordHead(reply) => reply.send(Ok(checked().head)).is_ok(),
            Command::Explain(_, reply) => reply.send(Ok(Explanation::default())).is_ok(),
            Command::WhatIf(_, reply) => reply.send(Ok(WhatIfReport::default())).is_ok(),
            Command::Reload(reply) => reply.send(reload()).is_ok(),
            Command::Metrics(reply) => {
                reply.send(Ok("# TYPE andon_store_up gauge\nandon_store_up 1\n".into())).is_ok()
            }
            Command::Forecast(asked, reply) => reply.send(forecast(&asked)).is_ok(),
            Command::TestNotify(name, reply) => {
                reply.send(Err(Refusal::UnknownReceiver { name, known: Vec::new() })).is_ok()
            }
            Command::HandOver(_, reply) | Command::Ping(reply) => reply.send(Ok(())).is_ok(),
        };
    }
}

fn set_weight(asked: &SetWeight) -> Result<RouteView, Refusal> {
    let mut view = route(&asked.route)?;
    let known: Vec<_> = view.canaries.iter().map(|canary| canary.name.clone()).collect();
    let (only, route) = (known.len() == 1, asked.route.clone());
    let named = |canary: &CanaryView| asked.canary.as_ref().map_or(only, |name| *name == canary.name);
    let Some(index) = view.canaries.iter().position(named) else {
        return Err(Refusal::WhichCanary { route, asked: asked.canary.clone(), known });
    };
    if asked.if_revision.is_some_and(|revision| revision != view.revision) {
        return Err(Refusal::Outdated(Box::new(view)));
    }
    if &*asked.why == "store down" {
        return Err(Refusal::StoreDown("disk full".to_owned()));
    }
    if let Some(cord) = view.cord.clone().filter(|_| !asked.weight.is_zero()) {
        return Err(Refusal::CordPulled { route, cord });
    }
    if view.canaries.len() > 1 && asked.weight == Weight::WHOLE {
        return Err(Refusal::TooMuch { sum_ppm: 1_050_000 });
    }
    let canary = &mut view.canaries[index];
    (canary.aim, canary.effective) = (asked.weight, asked.weight);
    // Who asked and why is shown, so that tests can see what arrived.
    canary.verdict.reason = format!("set by {}: {}", asked.by, asked.why);
    view.revision += 1;
    Ok(view)
}

/// Beside 6% there is a blind spot, and beside 7% no traffic; whoever asks for 8% comes when it is busy.
fn forecast(asked: &AskForecast) -> Result<ForecastView, Refusal> {
    let canary = route(&asked.route)?.canaries.first().map(|canary| canary.name.clone());
    let asked_weight = asked.weight.unwrap_or(weight("5%"));
    if asked_weight == weight("8%") {
        return Err(Refusal::Busy("2 forecasts are made already".to_owned()));
    }
    let needed = WeightNeeded { worse: 0.05, weight: Some(weight("20%")), runs: 40 };
    let untold = (asked_weight == weight("7%")).then_some(Untold::NoTraffic);
    let spread = |median| Spread { low: Some(median - 1.0), median: Some(median), high: None };
    let harm = Harm {
        worse: 0.05,
        runs: 200,
        seen: 0.92,
        delay_seconds: spread(180.0),
        requests: spread(194.0),
        failed: spread(10.0),
    };
    let told = Forecast {
        harms: vec![harm],
        smallest_seen: SmallestSeen { worse: None, runs: 40 },
        weight_needed: WeightNeeded { weight: None, ..needed },
    };
    let told = (untold.is_none() && !asked.what.blind_spot_only).then_some(told);
    Ok(ForecastView {
        route: Some(asked.route.clone()),
        canary,
        acts: &*asked.route != "held",
        weight: asked_weight,
        within: asked.what.within,
        traffic: Traffic { rps: 2.5, base: 0.001, beside: Beside::Rest { others: Weight::ZERO } },
        told,
        blind_spot: (asked_weight == weight("6%")).then_some(needed),
        untold,
    })
}

fn pull(asked: &PullCord) -> Result<Vec<RouteView>, Refusal> {
    let mut pulled = match &asked.route {
        Some(name) => vec![route(name)?],
        None => routes().into_iter().filter(|view| !view.canaries.is_empty()).collect(),
    };
    for view in &mut pulled {
        view.cord = Some(cord(&asked.by, &asked.why));
        view.canaries.iter_mut().for_each(|canary| canary.effective = Weight::ZERO);
    }
    Ok(pulled)
}

fn reset(name: &Arc<str>) -> Result<RouteView, Refusal> {
    let mut view = route(name)?;
    if view.cord.take().is_none() {
        return Err(Refusal::CordNotPulled { route: name.clone() });
    }
    view.canaries.iter_mut().for_each(|canary| canary.effective = canary.aim);
    Ok(view)
}

fn reload() -> Result<ReloadReport, Refusal> {
    let drawn = "error: stable names upstream \"shop-v9\"\n --> andon.toml:7:10\n".to_owned();
    Err(Refusal::BadConfig { drawn, count: 1 })
}

fn decisions(filter: &DecisionFilter) -> Vec<Recorded> {
    let of = |number: i64| {
        let hash = |number| format!("{number:064x}").into();
        Recorded { decision: decision(number), seq: number, previous: hash(number - 1), hash: hash(number) }
    };
    let is_wanted = |found: &Recorded| match &filter.part {
        Part::OlderThan(id) => found.decision.id < *id,
        Part::Only(id) => found.decision.id == *id,
        Part::Before(seq) => found.seq < *seq,
        Part::After(seq) => found.seq > *seq,
        Part::Newest => true,
    };
    let mut all: Vec<Recorded> = (1..=3).rev().map(of).collect();
    if matches!(filter.part, Part::After(_)) {
        all.reverse();
    }
    all.into_iter()
        .filter(|found| filter.route.as_ref().is_none_or(|route| *route == found.decision.route))
        .filter(is_wanted)
        .take(filter.limit as usize)
        .collect()
}

fn drift() -> DriftView {
    let origin = Origin {
        since_ms: 1_700_000_000_001,
        by: "ana".into(),
        why: "reason 1".into(),
        decision: Some("01890000-0000-7000-8000-000000000001".into()),
    };
    let one = Difference {
        kind: Kind::Aim,
        route: Some("shop".into()),
        canary: Some("canary".into()),
        upstream: None,
        file: "1%".to_owned(),
        live: "5%".to_owned(),
        origin: Some(origin),
        remedy: "write weight".to_owned(),
    };
    DriftView { differences: vec![one], more: 0 }
}

fn checked() -> Checked {
    let head = Head { seq: 3, hash: format!("{:064x}", 3).into() };
    Checked { head, rows: 3, pruned: 0, broken: None, is_done: true }
}

fn decision(number: i64) -> Decision {
    Decision {
        id: format!("01890000-0000-7000-8000-00000000000{number}").into(),
        at_ms: 1_700_000_000_000 + number,
        route: if number == 3 { "held".into() } else { "shop".into() },
        canary: Some("canary".into()),
        action: if number == 3 { Action::BackOff } else { Action::Weight },
        by: if number == 3 { "immune system".into() } else { "ana".into() },
        why: format!("reason {number}").into(),
        before: weight("5%"),
        after: if number == 3 { Weight::ZERO } else { weight("10%") },
        evidence: (number == 3).then(|| serde_json::json!({"limit": 0.01})),
    }
}

fn route(name: &str) -> Result<RouteView, Refusal> {
    let all = routes();
    let known = all.iter().map(|view| view.name.clone()).collect();
    let found = all.into_iter().find(|view| &*view.name == name);
    found.ok_or_else(|| Refusal::UnknownRoute { route: name.into(), known })
}

fn routes() -> Vec<RouteView> {
    let plain = |name: &str, revision, canaries| RouteView {
        name: name.into(),
        revision,
        deny: false,
        unsaved: false,
        drifts: name == "multi",
        cord: None,
        stable: Some(StableView { upstream: "v1".into(), effective: weight("95%"), window: window(950, 0) }),
        canaries,
        self_test: None,
        drill: None,
        release: None,
        previous_stable: None,
        mirror: None,
    };
    let mut held = canary("canary");
    held.effective = Weight::ZERO;
    held.verdict.kind = VerdictKind::Unhealthy;
    vec![
        plain("shop", 7, vec![canary("canary")]),
        plain("multi", 2, vec![canary("a"), canary("b")]),
        RouteView { cord: Some(cord("ana", "errors")), ..plain("held", 4, vec![held]) },
        RouteView { deny: true, stable: None, ..plain("closed", 1, vec![]) },
    ]
}

fn canary(name: &str) -> CanaryView {
    CanaryView {
        back_off: Some(BackOffView {
            strikes: 1,
            strikes_max: Some(3),
            next: NextStep::Up(Duration::from_secs(530)),
        }),
        name: name.into(),
        upstream: "v2".into(),
        aim: weight("5%"),
        ceiling: Weight::WHOLE,
        effective: weight("5%"),
        file_aim: weight("1%"),
        verdict: VerdictView {
            kind: VerdictKind::Undecided,
            reason: "2 of 50 failed".into(),
            odds: 100.0,
            holds: true,
            signals: vec![SignalView { name: "errors".into(), odds: 1000.0 }],
            outside: Vec::new(),
            compared_with: "stable".into(),
        },
        window: window(50, 2),
        lots: None,
    }
}

fn window(requests: u64, failures: u64) -> WindowView {
    let (p50_us, p95_us, p99_us) = (Some(900), Some(12_300), None);
    WindowView { seconds: 10.0, requests, failures, in_flight: 1, p50_us, p95_us, p99_us }
}

fn cord(by: &str, why: &str) -> Cord {
    let decision = "01890000-0000-7000-8000-000000000003".into();
    Cord { by: by.into(), why: why.into(), at_ms: 1_700_000_000_000, decision }
}

fn weight(text: &str) -> Weight {
    Weight::parse(text).unwrap()
}
