//! A connection from a client: it asks, and is answered, one request after another.
//!
//! The body of a request is read by whoever wants it, perhaps in a task of its own, while the answer goes out. So the
//! connection is shared: who has the body reads, until it has all of it; before and after that, who answers.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::super::message::Response;
use super::super::splice::{Pipe, WORTHWHILE_BYTES};
use super::super::stream::Stream;
use super::Error;
use super::answer_head::{self, Asker};
use super::head::Framing;
use super::inbox::Inbox;
use super::outbox::{Outbox, Outlet, Source};
use super::request_head::{RequestHead, Unread};
use super::stock::Stock;
use crate::config::RequestLimits;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Waiting to go out before an answer.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Of a body that nobody wanted, so much is read and thrown away for the sake of the next request, if it is here already.
const UNWANTED_BYTES_MAX: usize = 64 * 1024;

pub(in crate::proxy) struct Wire {
    /// `None`: the connection has ended.
    stream: RefCell<Option<Stream>>,
    inbox: RefCell<Inbox>,
    /// Answers ahead of the answer, as far as they are not written.
    ahead: RefCell<Vec<u8>>,
    /// The client waits to be asked for the body.
    waits: Cell<bool>,
    /// The answer is on its way, so the client cannot be asked any more.
    is_answered: Cell<bool>,
    /// Somebody has the body of the request.
    is_lent: Cell<bool>,
    /// Who has it, and has to be told of an end that nobody else sees.
    borrower: Cell<Option<Waker>>,
    /// Who answers, and has to be told when it is given back.
    owner: Cell<Option<Waker>>,
}

impl Wire {
    /// `first` was read before.
    pub(in crate::proxy) fn new(stream: Stream, first: BytesMut) -> Rc<Self> {
        Rc::new(Self {
            stream: RefCell::new(Some(stream)),
            inbox: RefCell::new(Inbox::holding(first)),
            ahead: RefCell::default(),
            waits: Cell::new(false),
            is_answered: Cell::new(false),
            is_lent: Cell::new(false),
            borrower: Cell::new(None),
            owner: Cell::new(None),
        })
    }

    /// Nothing of a request is here.
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.inbox.borrow().is_empty()
    }

    /// The head of the next request. `None`: the client has left.
    pub(in crate::proxy) fn poll_head(
        &self,
        limits: &RequestLimits,
        stock: &Stock,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<RequestHead>, Unread>> {
        loop {
            if let Some(head) = self.inbox.borrow_mut().take_request(limits, stock)? {
                return Poll::Ready(Ok(Some(head)));
            }
            match ready!(self.read(context)) {
                Ok(0) | Err(_) => return Poll::Ready(Ok(None)),
                Ok(_) => {}
            }
        }
    }

    /// The body behind this head. `None`: there is none.
    pub(in crate::proxy) fn body(self: &Rc<Self>, head: &RequestHead) -> Option<RequestBytes> {
        self.inbox.borrow_mut().expect(head.framing);
        self.waits.set(head.waits);
        self.is_answered.set(false);
        (head.framing != Framing::Length(0)).then(|| {
            self.is_lent.set(true);
            RequestBytes(Rc::clone(self))
        })
    }

    /// Ready when the client has left. It may send the next request meanwhile; one buffer of that is read.
    pub(in crate::proxy) fn poll_left(&self, context: &mut Context<'_>) -> Poll<()> {
        // Who keeps a body to send it again has all of it, and asks for nothing more.
        if self.is_lent.get() && !self.inbox.borrow().has_ended() {
            self.owner.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        if !self.inbox.borrow().is_over() {
            // It has sent more, or nobody wants the rest of what it sends.
            return Poll::Pending;
        }
        match self.read_ahead(context) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Goes out before the answer. Too much of it is dropped: it is advice.
    pub(in crate::proxy) fn say_ahead(&self, hint: &[u8]) {
        let mut ahead = self.ahead.borrow_mut();
        if ahead.len() + hint.len() <= AHEAD_BYTES_MAX {
            ahead.extend_from_slice(hint);
        }
    }

    /// Writes what is to go out before the answer, as far as the client takes it.
    pub(in crate::proxy) fn poll_ahead(&self, context: &mut Context<'_>) -> io::Result<()> {
        let mut ahead = self.ahead.borrow_mut();
        while !ahead.is_empty()
            && let Poll::Ready(written) = self.poll_write(&[IoSlice::new(&ahead)], context)
        {
            let written = written?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            ahead.drain(..written);
        }
        Ok(())
    }

    /// Ready when nobody has the body any more. False: it is not at its end, and the rest of it is not here.
    pub(in crate::proxy) fn poll_over(&self, context: &mut Context<'_>) -> Poll<bool> {
        if self.is_lent.get() {
            self.owner.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        Poll::Ready(self.pass_over(context))
    }

    fn pass_over(&self, context: &mut Context<'_>) -> bool {
        let mut passed = 0;
        loop {
            let mut inbox = self.inbox.borrow_mut();
            match inbox.take_frame() {
                Ok(Some(frame)) => passed += frame.data_ref().map_or(0, Bytes::len),
                Ok(None) if inbox.has_ended() => return true,
                // Who was not asked for it may or may not send it.
                Ok(None) if passed > UNWANTED_BYTES_MAX || self.waits.get() => return false,
                Ok(None) => {
                    drop(inbox);
                    if !matches!(self.read(context), Poll::Ready(Ok(1..))) {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }

    /// Ends it for who has the body. What was read and not used comes with it.
    pub(in crate::proxy) fn take(&self) -> Option<(Stream, Bytes)> {
        let stream = self.stream.take()?;
        if let Some(borrower) = self.borrower.take() {
            borrower.wake();
        }
        Some((stream, self.inbox.take().into_rest()))
    }

    pub(in crate::proxy) fn poll_write(
        &self,
        slices: &[IoSlice<'_>],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.to_client(|stream| Outlet::poll_write(stream, slices, context))
    }

    pub(in crate::proxy) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to_client(|stream| Outlet::poll_flush(stream, context))
    }

    pub(in crate::proxy) fn poll_drain(
        &self,
        pipe: &mut Pipe,
        most: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.to_client(|stream| stream.poll_drain(pipe, most, context))
    }

    pub(in crate::proxy) fn is_plain(&self) -> bool {
        self.stream.borrow().as_ref().is_some_and(Outlet::is_plain)
    }

    fn to_client<T>(&self, write: impl FnOnce(&mut Stream) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &mut *self.stream.borrow_mut() {
            Some(stream) => write(stream),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// 0: it is the end.
    fn read(&self, context: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        match &mut *self.stream.borrow_mut() {
            Some(stream) => self.inbox.borrow_mut().poll_read(stream, context),
            None => Poll::Ready(Err(Error::Closed)),
        }
    }

    fn read_ahead(&self, context: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        match &mut *self.stream.borrow_mut() {
            Some(stream) => self.inbox.borrow_mut().poll_read_ahead(stream, context),
            None => Poll::Ready(Err(Error::Closed)),
        }
    }
}

/// The body of a request that comes on this connection.
pub(in crate::proxy) struct RequestBytes(Rc<Wire>);

impl RequestBytes {
    pub(in crate::proxy) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let wire = &*self.0;
        loop {
            let mut inbox = wire.inbox.borrow_mut();
            if let Some(frame) = inbox.take_frame()? {
                return Poll::Ready(Some(Ok(frame)));
            }
            if inbox.has_ended() {
                return Poll::Ready(None);
            }
            drop(inbox);
            self.ask(context);
            match wire.read(context) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Some(Err(Error::Closed))),
                Poll::Ready(read) => read.map(|_| ())?,
                Poll::Pending => return self.wait(context),
            }
        }
    }

    /// What comes next is worth a pipe.
    pub(in crate::proxy) fn may_splice(&self) -> bool {
        self.0.inbox.borrow().unread() >= WORTHWHILE_BYTES && self.0.is_plain()
    }

    /// The next stretch of it, into an empty pipe.
    pub(in crate::proxy) fn poll_splice(
        &mut self,
        pipe: &mut Pipe,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        self.ask(context);
        let moved = match &*self.0.stream.borrow() {
            Some(Stream::Plain(socket)) => self.0.inbox.borrow_mut().poll_splice(socket, pipe, context),
            _ => return Poll::Ready(Err(Error::Closed)),
        };
        if moved.is_pending() { self.wait(context) } else { moved }
    }

    pub(in crate::proxy) fn is_end_stream(&self) -> bool {
        self.0.inbox.borrow().has_ended()
    }

    pub(in crate::proxy) fn size_hint(&self) -> SizeHint {
        self.0.inbox.borrow().size_hint()
    }

    fn wait<T>(&self, context: &Context<'_>) -> Poll<T> {
        self.0.borrower.set(Some(context.waker().clone()));
        Poll::Pending
    }

    /// The client may wait for that. If it does not go out, the client has left, which the next read tells.
    fn ask(&self, context: &mut Context<'_>) {
        if !self.0.is_answered.get() && self.0.waits.replace(false) {
            self.0.ahead.borrow_mut().extend_from_slice(CONTINUE);
            let _ = self.0.poll_ahead(context);
        }
    }
}

impl Drop for RequestBytes {
    fn drop(&mut self) {
        self.0.is_lent.set(false);
        self.0.borrower.set(None);
        if let Some(owner) = self.0.owner.take() {
            owner.wake();
        }
    }
}

/// An answer on its way to the client.
pub(in crate::proxy) struct Answering<B>(Outbox<B>);

impl<B: Source> Answering<B> {
    pub(in crate::proxy) fn new() -> Self {
        Self(Outbox::default())
    }

    /// False: the connection ends behind it.
    pub(in crate::proxy) fn begin(
        &mut self,
        wire: &Wire,
        response: Response<B>,
        asker: &Asker,
        stock: &Stock,
        date: &[u8],
    ) -> bool {
        let (parts, body) = response.into_parts();
        let (sizing, length) = (answer_head::sizing(&parts, &body, asker), body.size_hint().exact());
        let head = self.0.begin(body, sizing, asker.takes_trailers.then_some(&parts.headers));
        head.append(&mut wire.ahead.borrow_mut());
        wire.is_answered.set(true);
        let goes_on = answer_head::write(head, &parts, (sizing, length), asker, date);
        stock.keep_answer(parts);
        goes_on
    }

    /// Ready when all of it is out, or cannot get out: then the connection is no good.
    pub(in crate::proxy) fn poll(
        &mut self,
        outlet: &mut impl Outlet,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        match ready!(self.0.poll(outlet, context)) {
            Ok(()) if self.0.is_through() => Poll::Ready(Ok(())),
            Ok(()) => Poll::Ready(Err(self.0.failure().unwrap_or(Error::Closed))),
            Err(error) => Poll::Ready(Err(Error::Broken(error))),
        }
    }
}
