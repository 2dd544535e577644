//! The TOML file, parsed once into types that cannot hold a bad value.
//!
//! One file a section. Reading is all or nothing: [`parse`] returns a [`Config`] in which every name resolves
//! and every number is possible, or **all** problems at once, each with its place. Imports nothing of ours.

pub mod admin;
pub mod guard;
pub mod listener;
pub mod route;
pub mod store;
pub mod units;
pub mod upstream;
pub mod workers;

pub use admin::Admin;
pub use guard::{Ceiling, FastTrip, Guard, OnUnhealthy, Tolerate};
pub use listener::Listener;
pub use route::{
    Canary, HeaderMatch, HostPattern, Matcher, Override, OverrideTo, PathPattern, Route, Service, StickyKey,
    Trigger, Upgrade,
};
pub use store::Store;
pub use units::Weight;
pub use upstream::Upstream;
pub use workers::Workers;

/// Everything that the file says. Names are checked: each `stable` and `upstream` names one of `upstreams`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub workers: Workers,
    pub admin: Admin,
    pub store: Store,
    pub listeners: Vec<Listener>,
    pub upstreams: Vec<Upstream>,
    pub routes: Vec<Route>,
}
