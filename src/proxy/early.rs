//! Answers before the answer: `100 Continue` and `103 Early Hints`.
//!
//! hyper hands us what an upstream sends ahead (on its client side), but its server side cannot send a 103. So
//! the hints are written as bytes, by the socket wrapper in `connection`, in the only place where they can
//! stand: after all of the previous answer, before the head of this one. A 100 is not relayed as bytes: it opens
//! the gate of the request body, and hyper's server then asks the client to go on.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use http::{Request, StatusCode};

/// Hints of one connection waiting to be written. More are dropped: they are advice.
pub(super) const HINTS_MAX: usize = 16;

/// Closed until the upstream says `100 Continue`.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has hyper's client tell us of informational answers to this request. Without `hints` (an HTTP/1.0 client
/// cannot be sent any) they end here.
pub(super) fn listen<B>(request: &mut Request<B>, gate: Option<Gate>, hints: Option<SyncSender<Box<[u8]>>>) {
    hyper::ext::on_informational(request, move |response| match response.status() {
        StatusCode::CONTINUE => {
            if let Some(gate) = &gate {
                gate.open();
            }
        }
        StatusCode::EARLY_HINTS => {
            // A full queue drops the hint: the client loses advice, nothing else.
            if let Some(hints) = &hints {
                let _ = hints.try_send(bytes_of_hint(response.headers()));
            }
        }
        _ => {}
    });
}

/// `Link` and the like, never anything about framing or the connection.
fn bytes_of_hint(headers: &http::HeaderMap) -> Box<[u8]> {
    let mut text = String::from("HTTP/1.1 103 Early Hints\r\n");
    for (name, value) in headers {
        if let Ok(value) = value.to_str()
            && !super::headers::is_hop_by_hop(name)
            && name != http::header::CONTENT_LENGTH
        {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }
    text.push_str("\r\n");
    text.into_bytes().into()
}
