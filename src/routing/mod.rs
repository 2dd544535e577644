//! Which variant serves a request, on which endpoint, and why. Pure: no clock, no socket, no random source.
//!
//! A [`Snapshot`] is immutable and whole. [`decide`] looks at one request and returns a small `Copy`
//! [`Decision`], so nothing borrowed from a snapshot outlives the moment of deciding.
//!
//! In the order of a decision: [`matcher`] finds the route by host and path, [`overrides`] and [`sticky`] look
//! whether the request is tied to a variant, `lots` draws if not, [`split`] says who owns the place drawn, `balance`
//! picks one of the [`usable`] endpoints; [`mirror`] says whether a copy goes elsewhere. [`table`] is built on a reload, [`snapshot`] on every move of a weight and
//! whenever an endpoint comes or goes; [`live`] holds the one in force, and each worker has its own [`Dice`].

pub mod decision;
pub mod dice;
pub mod endpoint_ids;
#[doc(hidden)]
pub mod fuzzing;
pub mod harm;
pub mod live;
pub mod matcher;
pub mod meaning;
pub mod mirror;
pub mod overrides;
pub mod paths;
pub mod snapshot;
pub mod split;
pub mod sticky;
pub mod table;
pub mod usable;

mod balance;
mod decide;
mod fields;
mod hash;
mod hashing;
mod host;
mod lots;
mod redirect;

#[cfg(test)]
mod testing;

pub use decide::decide;
pub use decision::{
    Answer, Decided, Decision, Endpoint, EndpointId, Fallback, Missed, Names, NoEndpoint, Place, Share,
    Timeouts, TlsId, View, Why,
};
pub use dice::Dice;
pub use endpoint_ids::EndpointIds;
pub use harm::Holds;
pub use live::Live;
pub use meaning::{Answered, Meant};
pub use mirror::{Mirrored, mirror};
pub use redirect::without_port;
pub use snapshot::Snapshot;
pub use table::{Table, TableError};
pub use usable::Usable;
