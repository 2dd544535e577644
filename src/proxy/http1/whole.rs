//! A whole message, read from bytes that are at hand: for tests and for fuzzing.

use http::{HeaderMap, Method, Request, Response};

use super::inbox::Inbox;
use super::request_head::Unread;
use super::stock::Stock;
use super::{Error, head};
use crate::config::RequestLimits;

/// A message, and what stands behind it.
#[derive(Debug)]
pub(in crate::proxy) struct Whole<H> {
    pub(in crate::proxy) head: H,
    pub(in crate::proxy) body: Vec<u8>,
    pub(in crate::proxy) trailers: Option<HeaderMap>,
    /// The connection could carry another request.
    pub(in crate::proxy) may_go_on: bool,
    /// Bytes that came behind it.
    pub(in crate::proxy) behind: usize,
}

/// Why there is no whole request.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum Unwhole {
    #[error(transparent)]
    Head(#[from] Unread),
    #[error(transparent)]
    Body(#[from] Error),
}

/// Bytes as they come.
struct Pieces<'a> {
    inbox: Inbox,
    rest: std::slice::Iter<'a, &'a [u8]>,
}

impl<'a> Pieces<'a> {
    fn new(pieces: &'a [&'a [u8]]) -> Self {
        Self { inbox: Inbox::default(), rest: pieces.iter() }
    }

    /// False: the connection has ended.
    fn more(&mut self) -> bool {
        match self.rest.find(|piece| !piece.is_empty()) {
            Some(piece) => {
                self.inbox.room().extend_from_slice(piece);
                self.inbox.came(piece.len(), usize::MAX);
                true
            }
            None => {
                self.inbox.came(0, usize::MAX);
                false
            }
        }
    }

    fn body<H>(mut self, head: H, framing: head::Framing, keep_alive: bool) -> Result<Whole<H>, Error> {
        self.inbox.expect(framing);
        let (mut body, mut trailers) = (Vec::new(), None);
        loop {
            match self.inbox.take_frame()?.map(|frame| frame.into_data()) {
                Some(Ok(data)) => body.extend_from_slice(&data),
                Some(Err(frame)) => trailers = frame.into_trailers().ok(),
                None if self.inbox.has_ended() => break,
                None if self.more() || self.inbox.ends_with_connection() => {}
                None => return Err(Error::Closed),
            }
        }
        // All of what was sent has come by the time that somebody asks.
        while self.more() {}
        let behind = self.inbox.into_rest().len();
        Ok(Whole { head, body, trailers, may_go_on: keep_alive && behind == 0, behind })
    }
}

/// Reads what comes in these pieces, to the end of the connection, as the answer to a request of this method.
pub(in crate::proxy) fn read(pieces: &[&[u8]], method: &Method) -> Result<Whole<Response<()>>, Error> {
    let (mut pieces, stock) = (Pieces::new(pieces), Stock::default());
    let head = loop {
        match pieces.inbox.take_answer(method, &stock)? {
            Some(head) if !head.response.status().is_informational() => break head,
            Some(head) if head.response.status().as_u16() == 101 => break head,
            Some(_) => {}
            None if pieces.more() => {}
            None => return Err(Error::Closed),
        }
    };
    pieces.body(head.response.into(), head.framing, head.keep_alive)
}

/// Reads what comes in these pieces, to the end of the connection, as a request.
pub(in crate::proxy) fn read_request(
    pieces: &[&[u8]],
    limits: &RequestLimits,
) -> Result<Whole<Request<()>>, Unwhole> {
    let (mut pieces, stock) = (Pieces::new(pieces), Stock::default());
    let head = loop {
        match pieces.inbox.take_request(limits, &stock)? {
            Some(head) => break head,
            None if pieces.more() => {}
            None => return Err(Error::Closed.into()),
        }
    };
    Ok(pieces.body(head.request.into(), head.framing, head.asker.keep_alive)?)
}
