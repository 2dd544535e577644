//! A whole answer, read from bytes that are at hand: for tests and for fuzzing.

use http::{HeaderMap, Method, Response};

use super::Error;
use super::inbox::Inbox;

/// An answer, and what stands behind it.
#[derive(Debug)]
pub(in crate::proxy) struct Whole {
    pub(in crate::proxy) head: Response<()>,
    pub(in crate::proxy) body: Vec<u8>,
    pub(in crate::proxy) trailers: Option<HeaderMap>,
    /// The connection could carry another request.
    pub(in crate::proxy) may_go_on: bool,
}

/// Reads what comes in these pieces, to the end of the connection, as the answer to a request of this method.
pub(in crate::proxy) fn read(pieces: &[&[u8]], method: &Method) -> Result<Whole, Error> {
    let mut inbox = Inbox::default();
    let mut pieces = pieces.iter().filter(|piece| !piece.is_empty());
    let mut more = |inbox: &mut Inbox| match pieces.next() {
        Some(piece) => {
            inbox.room().extend_from_slice(piece);
            inbox.came(piece.len(), usize::MAX);
            true
        }
        None => {
            inbox.came(0, usize::MAX);
            false
        }
    };
    let head = loop {
        match inbox.take_head(method)? {
            Some(head) if !head.response.status().is_informational() => break head,
            Some(head) if head.response.status().as_u16() == 101 => break head,
            Some(_) => {}
            None if more(&mut inbox) => {}
            None => return Err(Error::Closed),
        }
    };
    let keep_alive = head.keep_alive;
    inbox.expect(head.framing);
    let mut whole = Whole { head: head.response, body: Vec::new(), trailers: None, may_go_on: false };
    loop {
        match inbox.take_frame()?.map(|frame| frame.into_data()) {
            Some(Ok(data)) => whole.body.extend_from_slice(&data),
            Some(Err(frame)) => whole.trailers = frame.into_trailers().ok(),
            None if inbox.has_ended() => break,
            None if more(&mut inbox) || inbox.ends_with_connection() => {}
            None => return Err(Error::Closed),
        }
    }
    // All of what was sent has come by the time that somebody asks.
    while more(&mut inbox) {}
    whole.may_go_on = keep_alive && inbox.is_empty();
    Ok(whole)
}
