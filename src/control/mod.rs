//! The only place where state changes.
//!
//! One thread with its own runtime. The controller owns the live state of every route, ticks the immune system,
//! takes commands one after another, and publishes snapshots. It is never called from inside a request; if it
//! dies, traffic goes on with the last snapshot.
//!
//! Read [`state`] for what may change.

pub mod clock;
pub mod command;
pub mod merge;
pub mod state;
pub mod view;

#[cfg(test)]
mod testing;

pub use clock::Clock;
pub use command::{Command, Handle, Refusal};
