//! Both ends of the sockets around a real andon: the process, scripted upstreams, raw clients, and waiting.

pub(crate) mod admin;
pub(crate) mod andon;
pub(crate) mod frames;
pub(crate) mod h2;
pub(crate) mod h2_upstream;
pub(crate) mod load;
pub(crate) mod message;
pub(crate) mod name_server;
pub(crate) mod port;
pub(crate) mod prometheus;
pub(crate) mod tls;
pub(crate) mod upstream;
pub(crate) mod wait;
pub(crate) mod wire;

pub(crate) use andon::{Andon, Site};
pub(crate) use frames::Frames;
pub(crate) use load::Load;
pub(crate) use message::Message;
pub(crate) use upstream::{Manual, Server, reply};
pub(crate) use wire::{End, Wire};

/// A request for `path` without a body.
pub(crate) fn get(path: &str) -> String {
    get_with(path, "")
}

/// With more fields, each ended by CRLF.
pub(crate) fn get_with(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n")
}

pub(crate) fn post(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
