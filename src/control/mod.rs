//! The only place where state changes.
//!
//! One thread with its own runtime. The controller owns the live state of every route, ticks the immune system,
//! takes commands one after another, and publishes snapshots. It is never called from inside a request; if it
//! dies, traffic goes on with the last snapshot.

pub mod command;
pub mod view;
