//! What a worker has at hand for the messages that it reads: names of fields that were read lately, and heads that were used.
//!
//! The same few names come with every message, in the same letters, and to know one again costs a fifth of reading it.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, Method, Uri, request, response};

use super::super::message::{Request, Response};

/// A power of two.
const PLACES: usize = 256;
/// What is longer is rare.
const NAME_BYTES_MAX: usize = 31;

/// More of a kind are freed.
const HEADS_MAX: usize = 64;
/// One with room for more is freed.
const FIELDS_MAX: usize = 96;

pub(in crate::proxy) struct Stock {
    /// Each name has one place that it may be in, which the next that belongs there takes from it.
    names: RefCell<Box<[Option<Known>]>>,
    requests: Shelf<request::Parts>,
    answers: Shelf<response::Parts>,
}

/// Heads in which nothing stands.
struct Shelf<H>(RefCell<Vec<Box<H>>>);

struct Known {
    length: usize,
    letters: [u8; NAME_BYTES_MAX],
    name: HeaderName,
}

impl Default for Stock {
    fn default() -> Self {
        let names = (0..PLACES).map(|_| None).collect();
        Self { names: RefCell::new(names), requests: Shelf::default(), answers: Shelf::default() }
    }
}

impl Stock {
    /// `None`: it is no name of a field.
    pub(super) fn name(&self, letters: &[u8]) -> Option<HeaderName> {
        let mut places = self.names.borrow_mut();
        let place = &mut places[place_of(letters)];
        if let Some(known) = place
            && known.letters[..known.length] == *letters
        {
            return Some(known.name.clone());
        }
        let name = HeaderName::from_bytes(letters).ok()?;
        if letters.len() <= NAME_BYTES_MAX {
            let mut known = Known { length: letters.len(), letters: [0; _], name: name.clone() };
            known.letters[..letters.len()].copy_from_slice(letters);
            *place = Some(known);
        }
        Some(name)
    }

    /// A head to read one of a request into.
    pub(super) fn request(&self) -> Box<request::Parts> {
        self.requests.take().unwrap_or_else(|| Request::new(()).into_parts().0)
    }

    /// A head to read one of an answer into.
    pub(super) fn answer(&self) -> Box<response::Parts> {
        self.answers.take().unwrap_or_else(|| Response::new(()).into_parts().0)
    }

    /// The head of a request that is through.
    pub(in crate::proxy) fn keep_request(&self, mut head: Box<request::Parts>) {
        if self.requests.has_room_for(&head.headers) {
            head.method = Method::GET;
            head.uri = Uri::default();
            head.headers.clear();
            head.extensions.clear();
            self.requests.put(head);
        }
    }

    /// The head of an answer that is through.
    pub(in crate::proxy) fn keep_answer(&self, mut head: Box<response::Parts>) {
        if self.answers.has_room_for(&head.headers) {
            head.headers.clear();
            head.extensions.clear();
            self.answers.put(head);
        }
    }
}

impl<H> Default for Shelf<H> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<H> Shelf<H> {
    fn has_room_for(&self, headers: &HeaderMap) -> bool {
        self.0.borrow().len() < HEADS_MAX && headers.capacity() <= FIELDS_MAX
    }

    fn take(&self) -> Option<Box<H>> {
        self.0.borrow_mut().pop()
    }

    fn put(&self, head: Box<H>) {
        self.0.borrow_mut().push(head);
    }
}

/// By length, and three of the letters.
fn place_of(letters: &[u8]) -> usize {
    let letter = |index: usize| usize::from(letters.get(index).copied().unwrap_or(0));
    let last = letters.len().saturating_sub(1);
    let mixed = letters.len() + letter(0) + 3 * letter(last / 2) + 49 * letter(last);
    mixed % PLACES
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_name_is_the_same_however_often_it_is_read() {
        let stock = Stock::default();
        let long = "x".repeat(100);
        let many: Vec<String> = (0..1_000).map(|number| format!("X-{number}")).collect();
        let all = many.iter().map(String::as_str).chain(["Host", "host", "HOST", "a", &long]);
        let all: Vec<&str> = all.collect();
        for letters in all.iter().chain(&all) {
            let name = stock.name(letters.as_bytes()).unwrap();
            assert_eq!(name.as_str(), letters.to_ascii_lowercase());
            assert_eq!(stock.name(letters.as_bytes()), Some(name));
        }
    }

    #[test]
    fn what_is_no_name_is_none_each_time() {
        let stock = Stock::default();
        for letters in ["", " ", "a b", "a:", "\u{e4}"] {
            assert_eq!((stock.name(letters.as_bytes()), stock.name(letters.as_bytes())), (None, None));
        }
    }

    #[test]
    fn a_head_that_is_used_again_says_nothing_of_its_last_message() {
        let stock = Stock::default();
        let mut request = stock.request();
        (request.method, request.uri) = (Method::PUT, Uri::from_static("/secret?key=1"));
        request.headers.insert("authorization", HeaderValue::from_static("one"));
        request.extensions.insert(1_u8);
        let box_of_it = &raw const *request;
        stock.keep_request(request);
        let again = stock.request();
        assert_eq!(&raw const *again, box_of_it);
        let new = Request::new(()).into_parts().0;
        assert_eq!(format!("{again:?}"), format!("{new:?}"));
        let mut answer = stock.answer();
        answer.headers.insert("set-cookie", HeaderValue::from_static("one"));
        answer.extensions.insert(1_u8);
        stock.keep_answer(answer);
        let again = stock.answer();
        assert!(again.headers.is_empty() && again.extensions.is_empty());
    }

    #[test]
    fn heads_that_are_many_or_large_are_not_kept() {
        let stock = Stock::default();
        for _ in 0..2 * HEADS_MAX {
            stock.keep_answer(Response::new(()).into_parts().0);
        }
        assert_eq!(stock.answers.0.borrow().len(), HEADS_MAX);
        let mut large = stock.request();
        large.headers.reserve(4 * FIELDS_MAX);
        stock.keep_request(large);
        assert!(stock.requests.0.borrow().is_empty());
    }

    #[test]
    fn usual_names_have_a_place_of_their_own() {
        let usual = [
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "accept-language",
            "cookie",
            "connection",
            "content-type",
            "content-length",
            "cache-control",
            "date",
            "server",
            "etag",
            "last-modified",
            "set-cookie",
            "vary",
            "referer",
            "origin",
            "authorization",
            "x-request-id",
            "transfer-encoding",
            "location",
        ];
        let places: std::collections::BTreeSet<_> =
            usual.iter().map(|name| place_of(name.as_bytes())).collect();
        assert_eq!(places.len(), usual.len());
    }
}
