//! Why a request could not be served, each with its status, outcome and short truth for the client.
//!
//! Status, outcome and therefore blame are fixed by the variant; nothing patches them later. The client gets a
//! sentence, the debug log gets the cause.

use std::io;

use http::{HeaderValue, StatusCode, header};
use thiserror::Error;

use super::body::ResponseBody;
use super::failure::Broken;
use super::grpc;
use super::message::Response;
use crate::metrics::{Blame, Outcome};

#[derive(Debug, Error)]
pub(super) enum ProxyError {
    #[error("the upstream refused the connection")]
    Connect(#[source] io::Error),
    #[error("the upstream has as many requests as it may have")]
    Overflow,
    #[error("this proxy cannot open a connection just now")]
    Local(#[source] io::Error),
    #[error("the upstream's TLS cannot be trusted or understood")]
    Handshake(#[source] io::Error),
    #[error("this upstream has just been taken out")]
    Gone,
    #[error("the upstream did not accept the connection in time")]
    ConnectTimeout,
    #[error("the upstream did not answer in time")]
    ResponseTimeout,
    #[error("the upstream did not answer in the time that the client gave it")]
    CallDeadline,
    #[error("the upstream was taken out of service before it answered")]
    Recalled,
    #[error("the request was not answered in the time that it has")]
    RequestTimeout,
    #[error("the upstream closed the connection before it answered")]
    Reset(#[source] Option<Broken>),
    #[error("the upstream's answer is not valid HTTP")]
    Protocol(#[source] Broken),
    #[error("the upstream switched protocols without being asked")]
    UnaskedUpgrade,
    #[error("the upstream's answer has a transfer coding other than chunked")]
    ForeignCoding,
    #[error("the upstream sends one informational answer after another")]
    Flood,
    #[error("the upstream's protocol cannot carry this request")]
    Unsendable,
    #[error("the client left in the middle of its request")]
    RequestCut,
    #[error("the request body is malformed")]
    RequestBody,
    #[error("the request body stalled")]
    RequestBodyTimeout,
    #[error("the request body is too large")]
    RequestTooLarge,
    #[error("the upstream's answer has more than one length, or an odd one")]
    Framing,
}

impl ProxyError {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Connect(_) | Self::Handshake(_) => Outcome::ConnectError,
            Self::Overflow => Outcome::Overflow,
            Self::Local(_) | Self::Gone => Outcome::Internal,
            Self::Recalled => Outcome::Recalled,
            Self::ConnectTimeout => Outcome::ConnectTimeout,
            Self::ResponseTimeout | Self::RequestTimeout => Outcome::ResponseTimeout,
            Self::Reset(_) => Outcome::Reset,
            Self::Protocol(_)
            | Self::UnaskedUpgrade
            | Self::ForeignCoding
            | Self::Framing
            | Self::Flood
            | Self::Unsendable => Outcome::Protocol,
            // It waits no longer: the same as a client that has left.
            Self::RequestCut | Self::CallDeadline => Outcome::DownstreamGone,
            Self::RequestBody | Self::RequestBodyTimeout | Self::RequestTooLarge => Outcome::DownstreamBad,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Connect(_)
            | Self::Handshake(_)
            | Self::Reset(_)
            | Self::Protocol(_)
            | Self::UnaskedUpgrade
            | Self::ForeignCoding
            | Self::Framing
            | Self::Flood
            | Self::Unsendable => StatusCode::BAD_GATEWAY,
            Self::Local(_) | Self::Gone | Self::Overflow | Self::Recalled => StatusCode::SERVICE_UNAVAILABLE,
            Self::ConnectTimeout | Self::ResponseTimeout | Self::RequestTimeout | Self::CallDeadline => {
                StatusCode::GATEWAY_TIMEOUT
            }
            // Nobody is there to read it: 499, as for every client that left.
            Self::RequestCut => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::RequestBody => StatusCode::BAD_REQUEST,
            Self::RequestBodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// Our own answer. The connection is closed where the request body may be half read.
    pub(super) fn into_response(self) -> Response<ResponseBody> {
        let mut response = answer(self.status(), &self.to_string());
        if matches!(self, Self::Overflow) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.outcome().blame() == Blame::Downstream {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(self, Self::CallDeadline) {
            response.headers_mut().insert(grpc::STATUS, grpc::DEADLINE_EXCEEDED);
        }
        response
    }
}

impl ProxyError {
    /// A connection that did not come about: the upstream's doing, unless it is we who have run out of something.
    /// Our own shortage must never count against a variant.
    pub(super) fn of_connect(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(
                libc_codes::EMFILE
                | libc_codes::ENFILE
                | libc_codes::ENOBUFS
                | libc_codes::ENOMEM
                | libc_codes::EADDRNOTAVAIL,
            ) => Self::Local(error),
            _ => Self::Connect(error),
        }
    }
}

/// What the kernel would say a little later.
pub(super) fn too_many_files() -> io::Error {
    io::Error::from_raw_os_error(libc_codes::EMFILE)
}

/// Linux's numbers, the same on every architecture that we build for.
mod libc_codes {
    pub(super) const ENOMEM: i32 = 12;
    pub(super) const ENFILE: i32 = 23;
    pub(super) const EMFILE: i32 = 24;
    pub(super) const EADDRNOTAVAIL: i32 = 99;
    pub(super) const ENOBUFS: i32 = 105;
}

/// A short plain-text answer of our own.
pub(super) fn answer(status: StatusCode, text: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::text(format!("andon: {text}\n")));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_shortage_is_never_the_upstreams_fault() {
        let blame = |code| ProxyError::of_connect(io::Error::from_raw_os_error(code)).outcome().blame();
        let too_many_files = io::Error::from_raw_os_error(libc_codes::EMFILE).to_string();
        assert!(too_many_files.contains("Too many open files"), "{too_many_files}");
        for code in [libc_codes::EMFILE, libc_codes::ENFILE, libc_codes::ENOBUFS, libc_codes::EADDRNOTAVAIL] {
            assert_eq!(blame(code), Blame::Andon, "{code}");
        }
        const ECONNREFUSED: i32 = 111;
        assert_eq!(blame(ECONNREFUSED), Blame::Upstream);
    }
}
