//! `/events`: server-sent events. What `EventSource` of a browser, or `curl -N`, can follow.
//!
//! | event | data |
//! |---|---|
//! | `hello` | first: where the listener is, and whether it goes on where it was |
//! | `reset` | something was missed that is no longer kept: read `/routes` and `/decisions` anew |
//! | `decision` | a decision that has taken effect; its `seq` and hashes come with the record |
//! | `state` | a route as it is now, because it has changed |
//! | `sample` | once a second the routes that have a canary; it has no id and is never sent twice |
//!
//! A comment comes when nothing else did for a while, so that both sides know that the other is there. Who reads too
//! slowly is cut off, and finds its place again by `Last-Event-ID`.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;

use super::super::problem::Problem;
use super::super::server::Leaving;
use super::super::{Face, stream};
use super::input;
use super::json::{DecisionJson, RouteJson, timestamp};
use crate::control::command::Handle;
use crate::control::events::{Event, Place, Position, Sample, Subscription, What};

/// Listeners at a time. Further ones are told to come again.
pub(in super::super) const EVENT_STREAMS_MAX: usize = 64;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a browser waits before it comes back.
const RETRY_MS: u32 = 1_000;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

struct Listener {
    subscription: Subscription,
    /// Drawn already, and sent first.
    first: VecDeque<String>,
    backlog: VecDeque<Arc<Event>>,
    /// `None`: all.
    route: Option<Arc<str>>,
    handle: Handle,
    leaving: Leaving,
    _seat: OwnedSemaphorePermit,
}

#[derive(Serialize)]
struct HelloJson {
    position: String,
    /// Nothing was missed.
    resumed: bool,
}

#[derive(Serialize)]
struct ResetJson {
    why: &'static str,
}

#[derive(Serialize)]
struct SampleJson {
    at: Option<String>,
    at_ms: i64,
    routes: Vec<RouteJson>,
}

pub(super) async fn listen(
    State(face): State<Face>,
    Extension(leaving): Extension<Leaving>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (route, from) = asked(&uri, &headers)?;
    if let Some(route) = &route {
        face.handle.route(route).await?;
    }
    let seat = Arc::clone(&face.event_streams).try_acquire_owned();
    let seat = seat.map_err(|_| Problem::busy(&format!("{EVENT_STREAMS_MAX} listen already")))?;
    let mut subscription = face.handle.subscribe(from).await?;
    let listener = Listener {
        first: VecDeque::from([hello(&subscription)]),
        backlog: std::mem::take(&mut subscription.backlog).into(),
        subscription,
        route,
        handle: face.handle,
        leaving,
        _seat: seat,
    };
    let body = stream::body(Some(listener), |listener| async move {
        let Some(listener) = listener else { return Ok(None) };
        Ok(Some(next(listener).await))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // A proxy between us would hold the events back until there are many.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

/// The route, and where the listener was. A browser can send the header only when it comes back by itself.
fn asked(uri: &Uri, headers: &HeaderMap) -> Result<(Option<Arc<str>>, Option<Position>), Problem> {
    let (mut route, mut last) = (None, None);
    for (key, value) in input::query(uri)? {
        match key.as_str() {
            "route" => route = Some(value.into()),
            "last_event_id" => last = Some(value),
            _ => return Err(input::unknown_parameter(&key, "route, last_event_id")),
        }
    }
    let header =
        headers.get(LAST_EVENT_ID).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let last = header.or(last).filter(|last| !last.is_empty());
    // One that we cannot have given is as good as one of another process.
    let unknown = Position { epoch: 0, number: 0 };
    Ok((route, last.map(|last| Position::parse(&last).unwrap_or(unknown))))
}

fn hello(subscription: &Subscription) -> String {
    let hello = HelloJson {
        position: subscription.at.to_string(),
        resumed: !matches!(subscription.place, Place::Lost(_)),
    };
    let mut text = format!("retry: {RETRY_MS}\n{}", drawn("hello", Some(subscription.at), &hello));
    if let Place::Lost(why) = subscription.place {
        text += &drawn("reset", Some(subscription.at), &ResetJson { why });
    }
    text
}

/// What is sent next, and the listener if there is more to come.
async fn next(mut listener: Listener) -> (Bytes, Option<Listener>) {
    if let Some(text) = listener.first.pop_front() {
        return (text.into(), Some(listener));
    }
    loop {
        let event = match listener.backlog.pop_front() {
            Some(event) => event,
            None => tokio::select! {
                biased;
                () = listener.leaving.wait() => return (Bytes::from_static(b": come back\n\n"), None),
                event = listener.subscription.events.recv() => match event {
                    Ok(event) => event,
                    Err(RecvError::Lagged(_)) => return (Bytes::from_static(b": too slow\n\n"), None),
                    Err(RecvError::Closed) => return (Bytes::from_static(b": andon ends\n\n"), None),
                },
                Ok(()) = listener.subscription.samples.changed() => {
                    let sample = Arc::clone(&listener.subscription.samples.borrow_and_update());
                    match listener.draw_sample(&sample).await {
                        Some(text) => return (text, Some(listener)),
                        None => continue,
                    }
                }
                () = tokio::time::sleep(KEEP_ALIVE) => return (Bytes::from_static(b":\n\n"), Some(listener)),
            },
        };
        if listener.wants(&event) {
            return (Bytes::copy_from_slice(draw(&event).as_bytes()), Some(listener));
        }
    }
}

impl Listener {
    fn wants(&self, event: &Event) -> bool {
        let Some(route) = &self.route else { return true };
        match &event.what {
            What::Decision(decision) => decision.route == *route,
            What::State(view) => view.name == *route,
            What::Many => true,
        }
    }

    /// `None`: the route is gone.
    async fn draw_sample(&self, sample: &Sample) -> Option<Bytes> {
        let Some(route) = &self.route else {
            let text = sample.drawn(|sample| {
                drawn(
                    "sample",
                    None,
                    &SampleJson::of(sample.at_ms, sample.routes.iter().map(RouteJson::from)),
                )
            });
            return Some(Bytes::copy_from_slice(text.as_bytes()));
        };
        // Its route need not have a canary, so it may not be among those that are sampled for all.
        let view = self.handle.route(route).await.ok()?;
        let one = SampleJson::of(sample.at_ms, [RouteJson::from(&view)].into_iter());
        Some(drawn("sample", None, &one).into())
    }
}

impl SampleJson {
    fn of(at_ms: i64, routes: impl Iterator<Item = RouteJson>) -> Self {
        Self { at: timestamp(at_ms), at_ms, routes: routes.collect() }
    }
}

fn draw(event: &Event) -> &str {
    event.drawn(|what| match what {
        What::Decision(decision) => drawn("decision", Some(event.at), &DecisionJson::from(decision)),
        What::State(view) => drawn("state", Some(event.at), &RouteJson::from(&**view)),
        What::Many => drawn("reset", Some(event.at), &ResetJson { why: "many routes have changed at once" }),
    })
}

/// JSON has no line breaks of its own, so it is one line of data.
fn drawn(event: &str, at: Option<Position>, data: &impl Serialize) -> String {
    let mut text = format!("event: {event}\n");
    if let Some(at) = at {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "id: {at}");
    }
    let data = serde_json::to_string(data).expect("structs with string keys always serialise");
    let _ = write!(text, "data: {data}\n\n");
    text
}
