//! Which variant serves a request, on which endpoint, and why. Pure: no clock, no socket, no random source.
//!
//! A [`Snapshot`] is immutable and whole. [`decide`] looks at one request and returns a small `Copy`
//! [`Decision`], so nothing borrowed from a snapshot outlives the moment of deciding.

pub mod decision;

pub use decision::{Answer, Decision, Endpoint, EndpointId, Timeouts, View, Why};
