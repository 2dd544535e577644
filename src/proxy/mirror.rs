//! Copies of requests: shown to another version, whose answer is thrown away and compared.
//!
//! A copy is made of what stable was sent, when stable's answer has begun: the live request is on its way by then, so
//! nothing that becomes of a copy can touch it, and there is something to compare with. It is a request like any other, of a
//! client that reads nothing: it has a [`Record`], counts as the variant `mirror`, and stands in the access log.
//!
//! Copies are the first thing to go: none is begun while memory is short, or beyond `in_flight_max`, or of a body that was
//! longer than `body_max` or not through when stable answered. Each that is left out is counted, with the reason.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, header};
use http_body_util::BodyExt;

use super::access_log::{Line, Route};
use super::body::{ResponseBody, Tail};
use super::clock;
use super::connection::Downstream;
use super::exchange::{Exchanged, Outgoing, exchange};
use super::headers::Content;
use super::message::Request;
use super::record::Record;
use super::replay::{BodyCopy, Head, Spare, SpareBody};
use super::total::Total;
use super::upload::RequestBody;
use super::worker::Worker;
use crate::metrics::SlotId;
use crate::metrics::copies::Uncopied;
use crate::metrics::load::Pressure;
use crate::routing::{Decision, Holds, Mirrored, Snapshot};

/// An answer that has not ended by then is broken off.
const AGE_MAX: Duration = Duration::from_secs(60);

/// A copy in the making.
pub(super) struct Copy {
    mirrored: Box<Mirrored>,
    line: Option<Box<Line>>,
    /// As it went to stable. `None` until then.
    sent: Option<(Head, BodyCopy)>,
}

impl Copy {
    /// `line` is that of the request.
    pub(super) fn new(mirrored: Box<Mirrored>, line: Option<&Line>, snapshot: &Snapshot) -> Box<Self> {
        let line = line.zip(mirrored.decision.as_ref()).map(|(line, decision)| {
            let route = Route::at(snapshot, decision.place);
            // A span is that of the live request.
            Box::new(Line { route, span: None, ..line.clone() })
        });
        Box::new(Self { mirrored, line, sent: None })
    }

    pub(super) fn body_bytes_max(&self) -> u32 {
        self.mirrored.body_bytes_max
    }

    pub(super) fn take(&mut self, request: &Request<RequestBody>, body: &SpareBody) {
        self.sent = Some((Head::of(request), body.copied()));
    }

    /// Stable has answered with this status.
    pub(super) fn send(self, downstream: &Rc<Downstream>, live: StatusCode) {
        let worker = &downstream.worker;
        let Self { mirrored, line, sent } = self;
        let Mirrored { slot, in_flight_max, decision, limit, .. } = *mirrored;
        let whole = sent.and_then(|(head, body)| Some((head, body.whole()?)));
        let is_short = worker.admission.pressure() != Pressure::None;
        let reason = match (decision, whole) {
            (Some(decision), Some(whole)) if !is_short && worker.copies.get() < in_flight_max => {
                let under_way = UnderWay::begin(worker);
                let holds = Holds { limit, ..Holds::default() };
                let content = Content::of(whole.0.headers());
                let record = Record::start(worker, (decision, holds), (content, None), clock::now(), line);
                let copying = show(Rc::clone(downstream), record, whole, live);
                tokio::task::spawn_local(async move {
                    copying.await;
                    drop(under_way);
                });
                return;
            }
            (None, _) => Uncopied::NoEndpoint,
            (_, None) => Uncopied::Body,
            _ => Uncopied::Busy,
        };
        worker.shard.slot(slot).copies.uncopied[reason as usize].add(1);
    }
}

/// Sends the copy, and reads its answer to the end.
async fn show(
    downstream: Rc<Downstream>,
    mut record: Box<Record>,
    (mut head, body): (Head, Option<Bytes>),
    live: StatusCode,
) {
    let Decision { slot, timeouts, .. } = *record.decision();
    let worker = Rc::clone(&downstream.worker);
    let mut total = Total::new(&worker.deadlines, Some(timeouts.request.unwrap_or(AGE_MAX).min(AGE_MAX)));
    // All of the body is here.
    head.headers_mut().remove(header::EXPECT);
    record.identify(head.headers_mut());
    // Without a body it can be sent again, where a pooled connection turns out to be dead.
    let spare = if body.is_some() { SpareBody::Gone } else { SpareBody::Empty };
    let spare = Spare { body: spare, gate: None, hints: None };
    let request = head.with(RequestBody::Whole(body));
    let outgoing = Outgoing { request, websocket: None, body_state: None, spare };
    let exchanged = {
        let exchange = pin!(exchange(&downstream, outgoing, &mut record));
        total.bound(None, exchange).await
    };
    let same = exchanged.as_ref().is_ok_and(|exchanged| exchanged.response.status() == live);
    count_answer(&worker, slot, same);
    match exchanged {
        Ok(Exchanged { response, .. }) => {
            record.head(&response);
            let tail = Tail { record, upload: None, timeout: timeouts.body, total };
            let mut body = ResponseBody::streaming(response.into_body(), tail);
            while let Some(Ok(_)) = body.frame().await {}
        }
        Err(error) => {
            record.answer(error.outcome(), error.status());
        }
    }
}

fn count_answer(worker: &Worker, slot: SlotId, same: bool) {
    let slot = worker.shard.slot(slot);
    if same { &slot.copies.same } else { &slot.copies.different }.add(1);
}

/// Counts one copy for as long as it lives, also if its task is dropped.
struct UnderWay(Rc<Worker>);

impl UnderWay {
    fn begin(worker: &Rc<Worker>) -> Self {
        worker.copies.set(worker.copies.get() + 1);
        Self(Rc::clone(worker))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.copies.set(self.0.copies.get() - 1);
    }
}
