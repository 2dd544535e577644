//! The body of a request where it comes from: what the client sends, in either protocol.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;

use super::http1::{self, RequestBytes};
use super::splice::Pipe;

pub(super) enum DownstreamBody {
    Empty,
    /// HTTP/1: to be polled is what reads from the connection.
    Own(RequestBytes),
    /// HTTP/2: the connection has a task.
    Shared(Incoming),
}

/// The client's side of an exchange broke.
#[derive(Debug, Error)]
pub(super) enum Spoiled {
    #[error(transparent)]
    Http1(http1::Error),
    #[error(transparent)]
    Http2(hyper::Error),
}

impl Spoiled {
    /// What it sent is to blame, not that it sends no more.
    pub(super) fn is_malformed(&self) -> bool {
        matches!(self, Self::Http1(http1::Error::Malformed(_) | http1::Error::Head(_)))
    }
}

impl DownstreamBody {
    /// What comes next is worth a pipe.
    pub(super) fn may_splice(&self) -> bool {
        matches!(self, Self::Own(bytes) if bytes.may_splice())
    }

    /// The next stretch of it, into an empty pipe.
    pub(super) fn poll_splice(
        &mut self,
        pipe: &mut Pipe,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, Spoiled>> {
        match self {
            Self::Own(bytes) => bytes.poll_splice(pipe, context).map_err(Spoiled::Http1),
            Self::Empty | Self::Shared(_) => Poll::Ready(Err(Spoiled::Http1(http1::Error::Closed))),
        }
    }
}

impl Body for DownstreamBody {
    type Data = Bytes;
    type Error = Spoiled;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Spoiled>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Own(bytes) => bytes.poll_frame(context).map_err(Spoiled::Http1),
            Self::Shared(incoming) => Pin::new(incoming).poll_frame(context).map_err(Spoiled::Http2),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Own(bytes) => bytes.is_end_stream(),
            Self::Shared(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Own(bytes) => bytes.size_hint(),
            Self::Shared(incoming) => incoming.size_hint(),
        }
    }
}
