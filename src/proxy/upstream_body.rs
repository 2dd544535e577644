//! The body of an answer where it comes from: the connection that carried the request brings it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::failure::Broken;
use super::pool::{OwnConnection, SharedStream};

pub(super) enum UpstreamBody {
    /// HTTP/1: to be polled is what the connection needs to go on.
    Own(Box<OwnConnection>),
    /// HTTP/2: the connection has a task, and the stream counts as one of its own for as long as it is held.
    Shared(Incoming, SharedStream),
}

impl UpstreamBody {
    /// Of HTTP/2.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Shared(..))
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Own(own) => own.client.poll_frame(context).map_err(Broken::Http1),
            // hyper takes a reset without an error for the end; a real end is told by the stream.
            Self::Shared(incoming, _) => match Pin::new(&mut *incoming).poll_frame(context) {
                Poll::Ready(None) if !incoming.is_end_stream() => Poll::Ready(Some(Err(Broken::Reset))),
                frame => frame.map_err(Broken::Http2),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(own) => own.client.has_ended(),
            Self::Shared(incoming, _) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(own) => own.client.size_hint(),
            Self::Shared(incoming, _) => incoming.size_hint(),
        }
    }
}
