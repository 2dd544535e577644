//! What is known of endpoints: which there are, whether they pass their checks, whether they fail their requests.
//!
//! [`group`] is the state of one upstream and [`ejection`] its judgement of failing endpoints; both are pure and
//! owned by the controller. [`lookout`] is a thread of its own that asks: [`probe`] asks one endpoint whether it is
//! well, [`dns`] asks for the addresses of one name. What it finds it sends to the controller, which publishes.
//!
//! A check is never a request: it is counted on its own, and no guard ever hears of it.

pub mod dns;
pub mod ejection;
pub mod group;
pub mod lookout;
pub mod probe;

mod standing;

pub use ejection::Passive;
pub use group::{Change, Group, Member};
pub use lookout::{CheckCounts, Lookout, News};
