//! Spans for OpenTelemetry: one of kind server for each request that is sampled.
//!
//! They go the way of the access log: a worker hands the [`Line`](super::access_log) of a request that has ended to a
//! queue of bounded length, and neither encodes nor sends nor waits. One thread sends them in batches. What the queue
//! cannot take, and what no collector took in time, is dropped and counted.
//!
//! Without the feature `otlp` there are no spans: the types that stand in for them have no values.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
mod context;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(feature = "otlp")]
mod message;
#[cfg(feature = "otlp")]
mod recorder;
#[cfg(feature = "otlp")]
mod wire;

#[cfg(not(feature = "otlp"))]
pub use absent::{Exporter, Spans, start};
#[cfg(feature = "otlp")]
pub use exporter::Exporter;
#[cfg(feature = "otlp")]
pub use recorder::{Spans, start};

#[cfg(not(feature = "otlp"))]
pub(super) use absent::Context;
#[cfg(feature = "otlp")]
pub(super) use context::Context;
