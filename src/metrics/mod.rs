//! Counters, and nothing that acts on them.
//!
//! Each worker owns one [`Shard`] and is its only writer; the control thread reads all shards and adds them up
//! ([`totals`]); a scrape turns the sums into Prometheus families ([`exposition`]). Per request nothing is
//! locked, allocated or formatted.

pub mod admin;
pub mod copies;
pub mod endpoints;
pub mod exposition;
pub mod histogram;
pub mod judged;
pub mod load;
pub mod notify;
pub mod outcome;
pub mod outside;
pub mod releases;
pub mod self_test;
pub mod shard;
pub mod slots;
pub mod stir;
pub mod tls;
pub mod totals;
pub mod upstream_families;
pub mod users;
mod variant_families;
mod worker_families;

pub mod process;

pub use load::Load;
pub use outcome::{Blame, Outcome};
pub use shard::Shard;
pub use slots::SlotId;
pub use totals::{Shards, SlotTotals};
