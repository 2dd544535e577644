//! The time that a whole request may take, from its head to the last byte of its answer (`request_timeout`).
//!
//! Off unless an upstream asks for it: the other deadlines catch whoever stops, this one also whoever goes on for ever.
//! What is meant to last is exempt: tunnels, and streams of messages.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::deadline::{Deadline, Deadlines};
use super::error::ProxyError;
use super::upload::BodyState;

/// `None`: as long as it likes.
#[derive(Debug)]
pub(super) struct Total(Option<Deadline>);

impl Total {
    pub(super) fn new(deadlines: &Rc<Deadlines>, span: Option<Duration>) -> Self {
        Self(span.map(|span| Deadline::after(deadlines, span)))
    }

    /// Pending for ever if there is no such deadline.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        match &mut self.0 {
            None => Poll::Pending,
            Some(deadline) => deadline.poll(context),
        }
    }

    /// It turned out to be something that is meant to last.
    pub(super) fn lift(&mut self) {
        self.0 = None;
    }

    /// The way to the answer's head. Who was waited for when time was up is to blame: `body` knows.
    pub(super) async fn bound<T>(
        &mut self,
        body: Option<&Cell<BodyState>>,
        mut exchange: Pin<&mut impl Future<Output = Result<T, ProxyError>>>,
    ) -> Result<T, ProxyError> {
        poll_fn(|context| match exchange.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => self.poll(context).map(|()| {
                Err(match body.map(Cell::get) {
                    Some(BodyState::Waiting) => ProxyError::RequestBodyTimeout,
                    _ => ProxyError::RequestTimeout,
                })
            }),
        })
        .await
    }
}
