//! A message on its way: its head in a box, beside its body.
//!
//! A head has some 250 bytes and goes through thirty hands between the two sockets, which moved 15 KB for a small request
//! and its answer, and cost 4% of its CPU. In a box it stays where it is, and the box is used again: see
//! [`Stock`](super::http1::Stock). `http`'s own messages begin and end where hyper speaks.

use http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version, request, response};
use hyper::upgrade::OnUpgrade;

#[derive(Debug)]
pub(super) struct Message<H, B> {
    head: Box<H>,
    body: B,
}

pub(super) type Request<B> = Message<request::Parts, B>;
pub(super) type Response<B> = Message<response::Parts, B>;

impl<H, B> Message<H, B> {
    pub(super) fn from_parts(head: Box<H>, body: B) -> Self {
        Self { head, body }
    }

    pub(super) fn into_parts(self) -> (Box<H>, B) {
        (self.head, self.body)
    }

    pub(super) fn into_body(self) -> B {
        self.body
    }

    pub(super) fn body(&self) -> &B {
        &self.body
    }

    pub(super) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    pub(super) fn map<T>(self, change: impl FnOnce(B) -> T) -> Message<H, T> {
        Message { head: self.head, body: change(self.body) }
    }
}

impl<B> Request<B> {
    pub(super) fn new(body: B) -> Self {
        http::Request::new(body).into()
    }

    pub(super) fn method(&self) -> &Method {
        &self.head.method
    }

    pub(super) fn method_mut(&mut self) -> &mut Method {
        &mut self.head.method
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.head.uri
    }

    pub(super) fn uri_mut(&mut self) -> &mut Uri {
        &mut self.head.uri
    }

    pub(super) fn version(&self) -> Version {
        self.head.version
    }

    pub(super) fn version_mut(&mut self) -> &mut Version {
        &mut self.head.version
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.headers
    }

    pub(super) fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.head.extensions
    }

    /// Its stream, once it is answered with a yes.
    pub(super) fn upgrade(&mut self) -> OnUpgrade {
        upgrade(&mut self.head.extensions)
    }
}

impl<B> Response<B> {
    pub(super) fn new(body: B) -> Self {
        http::Response::new(body).into()
    }

    pub(super) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(super) fn status_mut(&mut self) -> &mut StatusCode {
        &mut self.head.status
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.headers
    }

    /// The stream of the request to which it says yes.
    pub(super) fn upgrade(&mut self) -> OnUpgrade {
        upgrade(&mut self.head.extensions)
    }
}

/// hyper gives it to its own kind of messages only.
fn upgrade(extensions: &mut Extensions) -> OnUpgrade {
    let mut carrier = http::Request::new(());
    std::mem::swap(carrier.extensions_mut(), extensions);
    let stream = hyper::upgrade::on(&mut carrier);
    std::mem::swap(carrier.extensions_mut(), extensions);
    stream
}

impl<B> From<http::Request<B>> for Request<B> {
    fn from(request: http::Request<B>) -> Self {
        let (head, body) = request.into_parts();
        Self { head: Box::new(head), body }
    }
}

impl<B> From<Request<B>> for http::Request<B> {
    fn from(Message { head, body }: Request<B>) -> Self {
        Self::from_parts(*head, body)
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (head, body) = response.into_parts();
        Self { head: Box::new(head), body }
    }
}

impl<B> From<Response<B>> for http::Response<B> {
    fn from(Message { head, body }: Response<B>) -> Self {
        Self::from_parts(*head, body)
    }
}
