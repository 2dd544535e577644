//! The only place where state changes.
//!
//! One thread with its own runtime. The controller owns the live state of every route, ticks the immune system,
//! takes commands one after another, and publishes snapshots. It is never called from inside a request; if it
//! dies, traffic goes on with the last snapshot.
//!
//! Read [`state`] for what may change (and [`ladder`] for how a canary climbs back), [`controller`] for when it takes effect, and `ticks` for what the immune
//! system does.

pub mod clock;
pub mod command;
pub mod controller;
pub mod drift;
pub mod events;
pub mod explained;
pub mod forecasts;
pub mod ladder;
pub mod merge;
pub mod shown_config;
pub mod state;
pub mod view;
pub mod watch_file;
pub mod what_if;

mod announced;
mod boot;
mod changes;
mod climbing;
mod drill;
mod endpoint_views;
mod evidence;
mod gauges;
mod hand_over;
mod harm;
mod jobs;
mod judged_again;
mod lots;
mod memory;
mod mirror;
mod outside;
mod publish;
mod queries;
mod record;
mod recorder;
mod releases;
mod reload;
mod rest;
#[cfg(test)]
mod rig;
mod routes;
mod saving;
mod self_test;
mod steering;
#[cfg(test)]
mod testing;
mod ticks;
mod upstreams;
mod views;
mod watched;
mod windows;

pub use clock::Clock;
pub use command::{Command, Handle, Refusal};
pub use controller::{Controller, Start, StartError};
pub use hand_over::HandOver;
