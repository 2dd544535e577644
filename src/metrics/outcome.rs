//! How a request ended, and whose doing that was.
//!
//! Blame is fixed by the outcome when it is named; nothing patches it later. Only [`Blame::Upstream`] is
//! evidence against a variant: a client that hangs up has reasons of its own.

use std::fmt;

/// Each request in flight ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered to the end with a status below 500, or as a rule of the route's `failures` calls a success.
    Success,
    /// Answered to the end with a status of 500 or above, or as such a rule calls a failure; of gRPC the code says it.
    ServerError,
    /// No connection: refused or unreachable.
    ConnectError,
    ConnectTimeout,
    /// Connected, but no response head in time.
    ResponseTimeout,
    /// The connection broke before the response head.
    Reset,
    /// What came back is not HTTP.
    Protocol,
    /// The response body broke off, or stalled longer than allowed.
    Truncated,
    /// Not sent: the upstream had as many requests in flight as it may have. Its doing, and evidence: a version that
    /// answers too slowly for its share of the traffic is a worse one, and the requests that it never got would
    /// otherwise be missing where it is judged.
    Overflow,
    /// The client went away, or broke its own request.
    DownstreamGone,
    /// The request body stalled or was malformed.
    DownstreamBad,
    /// Cut by our own drain deadline, or by a fault of our own.
    Internal,
    /// None of the endpoints could be used, so nothing was sent.
    NoEndpoint,
    /// Taken from a canary that had not begun to answer when it was backed off, and given to stable.
    Recalled,
    /// A failure on purpose: in a drill the canary was not even asked, and stable answered.
    Drill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Nobody,
    Downstream,
    Upstream,
    Andon,
}

impl Outcome {
    pub const COUNT: usize = 15;
    pub const ALL: [Self; Self::COUNT] = [
        Self::Success,
        Self::ServerError,
        Self::ConnectError,
        Self::ConnectTimeout,
        Self::ResponseTimeout,
        Self::Reset,
        Self::Protocol,
        Self::Truncated,
        Self::Overflow,
        Self::DownstreamGone,
        Self::DownstreamBad,
        Self::Internal,
        Self::NoEndpoint,
        Self::Recalled,
        Self::Drill,
    ];

    pub fn blame(self) -> Blame {
        match self {
            Self::Success => Blame::Nobody,
            Self::DownstreamGone | Self::DownstreamBad => Blame::Downstream,
            Self::Internal | Self::Recalled => Blame::Andon,
            Self::ServerError
            | Self::ConnectError
            | Self::ConnectTimeout
            | Self::ResponseTimeout
            | Self::Reset
            | Self::Protocol
            | Self::Truncated
            | Self::NoEndpoint
            | Self::Drill
            | Self::Overflow => Blame::Upstream,
        }
    }

    /// No connection came about: FastTrip counts these on their own.
    pub fn is_connect_error(self) -> bool {
        matches!(self, Self::ConnectError | Self::ConnectTimeout | Self::NoEndpoint)
    }

    /// The label value in `andon_outcomes_total` and `andon_upstream_errors_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ServerError => "server_error",
            Self::ConnectError => "connect_error",
            Self::ConnectTimeout => "connect_timeout",
            Self::ResponseTimeout => "response_timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::Truncated => "truncated",
            Self::Overflow => "overflow",
            Self::DownstreamGone => "downstream_gone",
            Self::DownstreamBad => "downstream_bad",
            Self::Internal => "internal",
            Self::NoEndpoint => "no_endpoint",
            Self::Recalled => "recalled",
            Self::Drill => "drill",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_in_order_of_the_discriminants() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
    }

    #[test]
    fn a_client_that_leaves_is_never_evidence() {
        assert_eq!(Outcome::DownstreamGone.blame(), Blame::Downstream);
        assert_eq!(Outcome::Internal.blame(), Blame::Andon);
        assert_eq!(Outcome::Recalled.blame(), Blame::Andon);
    }
}
