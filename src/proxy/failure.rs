//! What breaks an exchange with an upstream, in either protocol, and what that tells of the request and the connection.

use thiserror::Error;

use super::error::ProxyError;
use super::http1;
use super::upload::BodyState;

/// The upstream's side of an exchange broke.
#[derive(Debug, Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Http1(http1::Error),
    #[error(transparent)]
    Http2(hyper::Error),
    /// Without an error, and not at the end.
    #[error("the stream was reset")]
    Reset,
}

impl Broken {
    /// The connection ended before any answer: what a pooled connection does that the upstream had given up.
    pub(super) fn is_closed_early(&self) -> bool {
        match self {
            Self::Http1(error) => matches!(error, http1::Error::Closed | http1::Error::Broken(_)),
            Self::Http2(error) => {
                let is_over = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
                is_over || is_io(error)
            }
            Self::Reset => false,
        }
    }

    /// The upstream says that it has not looked at the request: REFUSED_STREAM, or a GOAWAY that ends below its stream
    /// (RFC 9113, 8.7).
    pub(super) fn is_unprocessed(&self) -> bool {
        let Self::Http2(error) = self else { return false };
        of_http2(error).is_some_and(|error| {
            error.is_remote()
                && (error.is_go_away()
                    || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
        })
    }

    /// More than this one request failed.
    pub(super) fn tells_of_connection(&self) -> bool {
        match self {
            Self::Http1(_) => true,
            Self::Http2(error) => of_http2(error).is_none_or(|error| !error.is_reset()),
            Self::Reset => false,
        }
    }
}

fn is_io(error: &hyper::Error) -> bool {
    let plain = std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
    (plain || of_http2(error).is_some_and(h2::Error::is_io)) && !error.is_user()
}

fn of_http2(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Why there is no response head.
pub(super) enum Failed {
    /// Nothing of the request was written, and it is whole.
    Unsent,
    Broken(Broken),
    /// The upstream's protocol has no words for it.
    Unsendable,
    TimedOut,
    /// The client's own deadline came first.
    CallDeadline,
    /// The canary was closed meanwhile.
    Recalled,
}

impl Failed {
    /// A request body that broke off or stalled is the client's doing, whatever the upstream said to it.
    pub(super) fn into_error(self, body: Option<BodyState>) -> ProxyError {
        match (self, body) {
            (_, Some(BodyState::Left)) => ProxyError::RequestCut,
            (_, Some(BodyState::Malformed)) => ProxyError::RequestBody,
            (_, Some(BodyState::Stalled)) => ProxyError::RequestBodyTimeout,
            (_, Some(BodyState::TooLarge)) => ProxyError::RequestTooLarge,
            (Self::TimedOut, _) => ProxyError::ResponseTimeout,
            (Self::CallDeadline, _) => ProxyError::CallDeadline,
            (Self::Recalled, _) => ProxyError::Recalled,
            (Self::Unsendable, _) => ProxyError::Unsendable,
            (Self::Unsent, _) => ProxyError::Reset(None),
            (Self::Broken(broken), _) => of_broken(broken),
        }
    }
}

fn of_broken(broken: Broken) -> ProxyError {
    match broken {
        Broken::Http1(http1::Error::Flood) => ProxyError::Flood,
        Broken::Http1(http1::Error::OddLength) => ProxyError::Framing,
        Broken::Http1(http1::Error::ForeignCoding) => ProxyError::ForeignCoding,
        Broken::Http1(http1::Error::Head(_) | http1::Error::Malformed(_)) => ProxyError::Protocol(broken),
        Broken::Http2(ref error) if error.is_parse() => ProxyError::Protocol(broken),
        broken => ProxyError::Reset(Some(broken)),
    }
}
