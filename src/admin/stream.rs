//! Bodies that are made while they are sent: the next part only when there is room for it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use http_body::Frame;

/// What a body was made from, and what its next part is. `None`: that was all. An error breaks the answer off, so that
/// what is not whole does not look whole.
pub(super) type Next<S> = Result<Option<(Bytes, S)>, io::Error>;

/// Asks `next` for part after part.
pub(super) fn body<S, F, N>(state: S, next: F) -> Body
where
    S: Send + 'static,
    F: Fn(S) -> N + Send + Unpin + 'static,
    N: Future<Output = Next<S>> + Send + 'static,
{
    let first = next(state);
    Body::new(Made { next, part: Some(Box::pin(first)) })
}

struct Made<F, N> {
    next: F,
    /// `None`: that was all.
    part: Option<Pin<Box<N>>>,
}

impl<S, F, N> http_body::Body for Made<F, N>
where
    F: Fn(S) -> N + Send + Unpin + 'static,
    N: Future<Output = Next<S>> + Send + 'static,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(part) = self.part.as_mut() else { return Poll::Ready(None) };
        let made = ready!(part.as_mut().poll(context));
        self.part = None;
        Poll::Ready(match made {
            Ok(Some((bytes, state))) => {
                self.part = Some(Box::pin((self.next)(state)));
                Some(Ok(Frame::data(bytes)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        })
    }
}
