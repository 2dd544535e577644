//! What the simulations are made of; `benches/verdict.rs` plays the same with more seeds.

pub(crate) mod chance;
pub(crate) mod latencies;
pub(crate) mod play;
pub(crate) mod proofs;
pub(crate) mod table;
pub(crate) mod users;
pub(crate) mod worlds;
