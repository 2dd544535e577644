//! HTTP/1.1, both sides of it: requests are read and written, answers are written and read.
//!
//! hyper's client and server are made for programs that ask and answer: a message goes through a channel to the task of
//! its connection, and a body comes back through another. Here whoever waits has the connection in hand, and all of that
//! is in the way. Heads are read by httparse, as hyper does. Ours are where a message ends, and what becomes of the
//! connection then:
//!
//! - [`client`]: a connection to an upstream. [`server`]: one from a client.
//! - [`inbox`]: the bytes that came, and the body that is in them; [`chunked`] where it comes in chunks.
//! - [`outbox`]: a message on its way out, head and body.
//! - [`request_head`], [`answer_head`]: how a head is read and written; [`head`] what is the same in both.
//!
//! What can be read in two ways is an error and never a guess (RFC 9112, 6.3): who misreads where a message ends takes what
//! is meant for one client for another's. Nobody reads ahead of who takes the bytes, but for one buffer.

use std::io;

use thiserror::Error;

mod answer_head;
mod chunked;
mod client;
mod head;
mod inbox;
mod outbox;
mod request_head;
mod server;
mod stock;
#[cfg(test)]
mod tests;
pub(super) mod whole;

pub(super) use answer_head::Asker;
pub(super) use client::Client;
pub(super) use outbox::{Outlet, Source};
pub(super) use request_head::{RequestHead, Unread};
pub(super) use server::{Answering, RequestBytes, Wire};
pub(super) use stock::Stock;

/// Why an exchange came to nothing. The other side is "it", and an answer, or the body of a request, is what it sends.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("it closed the connection")]
    Closed,
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    #[error("the body of the request broke off")]
    Upload(#[source] io::Error),
    #[error("the head of its answer cannot be read")]
    Head(#[source] httparse::Error),
    #[error("its answer is malformed: {0}")]
    Malformed(&'static str),
    #[error("its answer has more than one length, or an odd one")]
    OddLength,
    #[error("its answer has a transfer coding other than chunked")]
    ForeignCoding,
    #[error("it sends one informational answer after another")]
    Flood,
}
