//! A connection to an upstream: it is asked, and answers, one request after another.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::unconstrained;

use super::super::early::{ANSWERS_AHEAD_MAX, Ahead};
use super::super::message::{Request, Response};
use super::super::splice::{Pipe, WORTHWHILE_BYTES};
use super::super::stream::Stream;
use super::super::upload::RequestBody;
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::stock::Stock;
use super::{Error, request_head};

/// A connection, and what is under way on it.
pub(in crate::proxy) struct Client {
    io: Io,
    outbox: Outbox<RequestBody>,
    inbox: Inbox,
    /// Of the request under way.
    method: Method,
    /// Informational answers to it.
    ahead: u32,
    /// The upstream keeps the connection open behind its answer.
    keep_alive: bool,
}

enum Io {
    Whole(Stream),
    /// Somebody else writes the rest of the request.
    Parted(Rc<Parted>),
    Gone,
}

struct Parted {
    stream: RefCell<Stream>,
    /// The request broke off, and with it the connection.
    broken: Cell<bool>,
}

impl Client {
    pub(in crate::proxy) fn new(stream: Stream) -> Self {
        Self {
            io: Io::Whole(stream),
            outbox: Outbox::default(),
            inbox: Inbox::default(),
            method: Method::GET,
            ahead: 0,
            keep_alive: true,
        }
    }

    /// Takes the body of the request and leaves its head. Nothing is written before somebody polls.
    pub(in crate::proxy) fn begin(&mut self, request: &mut Request<RequestBody>) {
        let body = std::mem::take(request.body_mut());
        let sizing = request_head::sizing(request.headers(), &body);
        let head = self.outbox.begin(body, sizing, Some(request.headers()));
        request_head::write(head, request, sizing);
        self.method.clone_from(request.method());
        self.ahead = 0;
    }

    /// The body of the request, if the upstream cannot have seen anything of either.
    pub(in crate::proxy) fn take_unsent(&mut self) -> Option<RequestBody> {
        self.outbox.take_unsent()
    }

    /// Writes the request and waits for the head of the answer, which may come before the request is through.
    pub(in crate::proxy) fn poll_head(
        &mut self,
        ahead: &Ahead<'_>,
        stock: &Stock,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response<()>, Error>> {
        loop {
            self.write(context)?;
            let Some(head) = self.inbox.take_answer(&self.method, stock)? else {
                match ready!(self.read(context)) {
                    Ok(0) => return Poll::Ready(Err(self.outbox.failure().unwrap_or(Error::Closed))),
                    Ok(_) => continue,
                    Err(error) => return Poll::Ready(Err(self.outbox.failure().unwrap_or(error))),
                }
            };
            let status = head.response.status();
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                self.keep_alive = head.keep_alive;
                self.inbox.expect(head.framing);
                return Poll::Ready(Ok(head.response));
            }
            self.ahead += 1;
            if self.ahead > ANSWERS_AHEAD_MAX {
                return Poll::Ready(Err(Error::Flood));
            }
            // A 100 lets the body go: there may be more to write.
            ahead.tell(status, head.response.headers());
        }
    }

    /// The next piece of the answer's body, or its trailers.
    pub(in crate::proxy) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        // The last bytes of the request may still be here. What goes wrong with them does not spoil the answer.
        let _ = self.write(context);
        loop {
            if let Some(frame) = self.inbox.take_frame()? {
                return Poll::Ready(Some(Ok(frame)));
            }
            if self.inbox.has_ended() {
                return Poll::Ready(None);
            }
            if ready!(self.read(context))? == 0 && !self.inbox.ends_with_connection() {
                return Poll::Ready(Some(Err(Error::Closed)));
            }
        }
    }

    /// What comes next is worth a pipe.
    pub(in crate::proxy) fn may_splice(&self) -> bool {
        self.inbox.unread() >= WORTHWHILE_BYTES && matches!(self.io, Io::Whole(Stream::Plain(_)))
    }

    /// The next stretch of the answer's body, into an empty pipe.
    pub(in crate::proxy) fn poll_splice(
        &mut self,
        pipe: &mut Pipe,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        let _ = self.write(context);
        let Io::Whole(Stream::Plain(socket)) = &self.io else { return Poll::Ready(Err(Error::Closed)) };
        self.inbox.poll_splice(socket, pipe, context)
    }

    /// The last piece of the answer has been taken.
    pub(in crate::proxy) fn has_ended(&self) -> bool {
        self.inbox.has_ended()
    }

    pub(in crate::proxy) fn size_hint(&self) -> SizeHint {
        self.inbox.size_hint()
    }

    /// The answer is here and the request is not through. What writes the rest, so that a client that reads nothing until it
    /// has sent everything is not stuck: each side goes on at its own pace. `None`: there is nothing to write.
    pub(in crate::proxy) fn part(&mut self) -> Option<impl Future<Output = ()> + use<>> {
        let mut rest = self.outbox.take_rest()?;
        let Io::Whole(stream) = std::mem::replace(&mut self.io, Io::Gone) else { return None };
        let parted = Rc::new(Parted { stream: RefCell::new(stream), broken: Cell::new(false) });
        self.io = Io::Parted(Rc::clone(&parted));
        Some(async move {
            let written = poll_fn(|context| rest.poll(&mut *parted.stream.borrow_mut(), context)).await;
            if written.is_err() {
                // Who waits for more of the answer hears of it by the end of the connection.
                parted.broken.set(true);
                parted.stream.borrow().cut();
            }
        })
    }

    /// Ready for another request: this one is over on both sides, and the upstream stays.
    pub(in crate::proxy) fn may_go_on(&self) -> bool {
        let whole = matches!(self.io, Io::Whole(_));
        whole && self.keep_alive && self.outbox.is_through() && self.inbox.is_over()
    }

    /// Between two requests, which may follow one another at once.
    pub(in crate::proxy) fn rest(&mut self) {
        self.outbox.rest();
        self.inbox.rest();
    }

    /// The next one will not come so soon.
    pub(in crate::proxy) fn give_back(&mut self) {
        self.inbox.give_back();
    }

    /// Between two requests: nothing has come, neither a byte nor the end. Leaves no waker: whoever takes the connection
    /// polls it at once.
    pub(in crate::proxy) fn is_quiet(&mut self) -> bool {
        // Whatever the task has left of its turn: a dead one that nobody may read from would pass for a good one.
        let Io::Whole(stream) = &mut self.io else { return false };
        let mut byte = [0];
        let look = poll_fn(|context| {
            Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut ReadBuf::new(&mut byte)).is_pending())
        });
        pin!(unconstrained(look)).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(true)
    }

    /// The bare stream, and what was read from it behind the head of the answer.
    pub(in crate::proxy) fn into_parts(self) -> Option<(Stream, Bytes)> {
        let Io::Whole(stream) = self.io else { return None };
        Some((stream, self.inbox.into_rest()))
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let Io::Whole(stream) = &mut self.io else { return Ok(()) };
        match self.outbox.poll(stream, context) {
            Poll::Ready(Err(error)) => Err(Error::Upload(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// 0: it is the end.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        match &mut self.io {
            Io::Whole(stream) => self.inbox.poll_read(stream, context),
            Io::Parted(parted) if !parted.broken.get() => {
                self.inbox.poll_read(&mut parted.stream.borrow_mut(), context)
            }
            Io::Parted(_) | Io::Gone => Poll::Ready(Err(Error::Closed)),
        }
    }
}
