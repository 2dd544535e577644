//! What it takes to send a request once more: a copy of its head, and of its body if that is small enough.
//!
//! The body is copied while it streams up, into a buffer with a bound; a body that outgrows it cannot be sent again,
//! and its copy is dropped at once. A second sending plays the copy and then goes on with what the client still
//! sends, so a request can be given to another upstream in the middle of its upload. Nothing here reads ahead:
//! a byte is taken from the client when an upstream asks for it.
//!
//! Copies are made only where a rescue, a retry or a mirror could use them; an ordinary request to stable has none.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header, request};
use http_body::{Frame, SizeHint};

use super::early::{Gate, Hints};
use super::message::Request;
use super::upload::{BodyState, RequestBody, Upload};

/// What is left to send a request again with, beside its head.
pub(super) struct Spare {
    pub(super) body: SpareBody,
    pub(super) gate: Option<Gate>,
    /// `None`: an HTTP/1.0 client, which cannot be sent any.
    pub(super) hints: Option<Hints>,
}

pub(super) enum SpareBody {
    /// There is no body.
    Empty,
    Kept(Keeper),
    /// There is one, and what has been sent of it is gone.
    Gone,
}

impl Spare {
    /// The whole body could be sent again, as far as it has come.
    pub(super) fn is_whole(&self) -> bool {
        match &self.body {
            SpareBody::Empty => true,
            SpareBody::Kept(keeper) => keeper.0.borrow().keeping,
            SpareBody::Gone => false,
        }
    }

    /// HTTP/2 asks a client for its body without `100 Continue`.
    pub(super) fn expects_nothing<B>(&self, request: &mut Request<B>) {
        request.headers_mut().remove(header::EXPECT);
        if let Some(gate) = &self.gate {
            gate.open();
        }
    }

    /// `None`: not all of the body is there any more. What sent the request before must be gone.
    pub(super) fn request(&self, head: Head) -> Option<Request<RequestBody>> {
        let body = match &self.body {
            SpareBody::Empty => RequestBody::Empty,
            SpareBody::Kept(keeper) => RequestBody::Kept(keeper.play()?),
            SpareBody::Gone => return None,
        };
        Some(head.with(body))
    }
}

/// A request of HTTP/1 without its body.
pub(super) struct Head(Request<RequestBody>);

impl Head {
    /// A copy.
    pub(super) fn of(request: &Request<RequestBody>) -> Self {
        let mut head = Request::new(RequestBody::Empty);
        head.method_mut().clone_from(request.method());
        head.uri_mut().clone_from(request.uri());
        head.headers_mut().clone_from(request.headers());
        Self(head)
    }

    /// What is left of a request that was sent.
    pub(super) fn left(request: Request<RequestBody>) -> Self {
        Self(request)
    }

    pub(super) fn method(&self) -> &Method {
        self.0.method()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    pub(super) fn into_parts(self) -> Box<request::Parts> {
        self.0.into_parts().0
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.0.headers_mut()
    }

    pub(super) fn with(mut self, body: RequestBody) -> Request<RequestBody> {
        *self.0.body_mut() = body;
        self.0
    }
}

/// A body as it went up, for somebody else.
pub(super) enum BodyCopy {
    Empty,
    Kept(Rc<RefCell<Kept>>),
    Gone,
}

impl SpareBody {
    pub(super) fn copied(&self) -> BodyCopy {
        match self {
            Self::Empty => BodyCopy::Empty,
            Self::Kept(keeper) => BodyCopy::Kept(Rc::clone(&keeper.0)),
            Self::Gone => BodyCopy::Gone,
        }
    }
}

impl BodyCopy {
    /// `None`: not all of it is here. `Some(None)`: there is no body.
    pub(super) fn whole(&self) -> Option<Option<Bytes>> {
        match self {
            Self::Empty => Some(None),
            Self::Kept(kept) => {
                let kept = kept.borrow();
                let is_whole = !kept.lost && kept.upload.has_ended();
                is_whole.then(|| Some(Bytes::copy_from_slice(&kept.copy)))
            }
            Self::Gone => None,
        }
    }
}

/// Holds a body and its copy for as long as the request may be sent again. Its drop ends the copying.
pub(super) struct Keeper(Rc<RefCell<Kept>>);

pub(super) struct Kept {
    upload: Box<Upload>,
    copy: BytesMut,
    bytes_max: usize,
    /// `copy` has all that came.
    keeping: bool,
    /// Something went by that `copy` has not.
    lost: bool,
    /// Of the whole.
    size: SizeHint,
    /// Which sending may take bytes from the client: the last one.
    sending: u32,
}

impl Keeper {
    /// From here on what `upload` brings is kept, up to so many bytes.
    pub(super) fn new(upload: Box<Upload>, bytes_max: usize) -> (Self, Playback) {
        let size = upload.size_hint();
        let kept =
            Kept { upload, copy: BytesMut::new(), bytes_max, keeping: true, lost: false, size, sending: 0 };
        let shared = Rc::new(RefCell::new(kept));
        (Self(Rc::clone(&shared)), Playback { kept: shared, told: 0, sending: 0 })
    }

    fn play(&self) -> Option<Playback> {
        let mut kept = self.0.borrow_mut();
        if !kept.keeping {
            return None;
        }
        // Whatever the sending before had reached, this one begins. The other may still be about: over HTTP/2 a body
        // has a task of its own, which hears a moment later that nobody wants it.
        kept.sending += 1;
        kept.upload.set_state(BodyState::Moving);
        Some(Playback { kept: Rc::clone(&self.0), told: 0, sending: kept.sending })
    }
}

impl Drop for Keeper {
    /// The copy stays: whoever plays it now may not be through.
    fn drop(&mut self) {
        self.0.borrow_mut().keeping = false;
    }
}

impl Kept {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        match frame.data_ref() {
            Some(data) if self.copy.len() + data.len() <= self.bytes_max => {
                self.copy.extend_from_slice(data);
            }
            // Too long, or trailers, which are too rare to be worth a place.
            _ => {
                (self.keeping, self.lost) = (false, true);
                self.copy = BytesMut::new();
            }
        }
    }
}

/// One sending of a kept body: first the copy, then what the client sends.
pub(super) struct Playback {
    kept: Rc<RefCell<Kept>>,
    /// Bytes of the copy that this sending has given away.
    told: usize,
    sending: u32,
}

impl Playback {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let kept = &mut *self.kept.borrow_mut();
        if self.sending != kept.sending {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if self.told < kept.copy.len() {
            let piece = Bytes::copy_from_slice(&kept.copy[self.told..]);
            self.told = kept.copy.len();
            let ended = kept.upload.is_end_stream();
            kept.upload.set_state(if ended { BodyState::Ended } else { BodyState::Moving });
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let frame = kept.upload.poll(context);
        match &frame {
            Poll::Ready(Some(Ok(frame))) if kept.keeping => {
                kept.keep(frame);
                self.told = kept.copy.len();
            }
            Poll::Ready(Some(_)) => kept.lost = true,
            _ => {}
        }
        frame
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let kept = self.kept.borrow();
        self.told >= kept.copy.len() && kept.upload.is_end_stream()
    }

    /// Asked for before it begins.
    pub(super) fn size_hint(&self) -> SizeHint {
        if self.told == 0 { self.kept.borrow().size } else { SizeHint::default() }
    }
}

impl Drop for Playback {
    fn drop(&mut self) {
        let kept = self.kept.borrow();
        if self.sending == kept.sending {
            kept.upload.is_left_alone();
        }
    }
}
