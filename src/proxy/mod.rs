//! The data plane: one thread a worker; shared are the live snapshot, certificates, and a few atomic counts of limits.
//!
//! Reading order: [`request`] is the journey of a request from head to outcome, top to bottom. [`worker`] is the
//! thread around it, [`connection`] one downstream connection, [`pool`] and [`connect`] the upstream side,
//! [`http1`] how messages of HTTP/1 are read and written on both; HTTP/2 is hyper's.
//! `rescue` says what follows when an attempt fails.
//! It knows routing and counting; it does not know that canaries are judged.

#[doc(hidden)]
pub mod benching;
#[doc(hidden)]
pub mod fuzzing;
pub mod request;

mod accept;
pub mod access_log;
pub mod admission;
mod body;
mod clock;
mod connect;
mod connection;
mod deadline;
mod downstream_body;
mod early;
mod ending;
mod error;
mod exchange;
mod failure;
mod fault;
mod forwarded;
mod grpc;
mod headers;
mod http1;
mod http2_head;
pub mod listener;
mod message;
mod mirror;
mod no_endpoint;
mod policy;
mod pool;
mod proxy_protocol;
mod recall;
mod record;
mod replay;
mod request_id;
mod rescue;
mod reserve;
mod retry;
mod send;
pub mod spans;
mod splice;
mod stream;
mod target;
mod tls;
mod total;
mod trace;
mod tunnel;
mod turn;
mod upload;
mod upstream_body;
mod websocket;
pub mod worker;

pub use admission::Admission;
pub use listener::{BindError, Bound, Intake, PassedOn};
pub use reserve::Reserve;
pub use worker::{Phase, Setup};
