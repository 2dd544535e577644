//! What the admin listener counts of those whom it does not let in.

use prometheus::proto::MetricFamily;

use super::Shards;
use super::exposition::Family;
use super::shard::Counter;

/// Written by the control thread alone.
#[derive(Debug, Default)]
pub struct AdminCounters {
    pub denied: [Counter; Denied::ALL.len()],
}

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It said nothing of who asks, or what it said is over.
    Nobody,
    /// A token that nobody has.
    WrongToken,
    /// Another role is needed.
    Role,
    /// A web page of somebody else's asked.
    Origin,
}

impl Denied {
    pub const ALL: [Self; 4] = [Self::Nobody, Self::WrongToken, Self::Role, Self::Origin];

    fn label(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::WrongToken => "wrong_token",
            Self::Role => "role",
            Self::Origin => "origin",
        }
    }
}

impl AdminCounters {
    pub fn deny(&self, why: Denied) {
        self.denied[why as usize].add(1);
    }
}

pub(super) fn families(shards: &Shards) -> Vec<MetricFamily> {
    let mut denied = Family::counter(
        "andon_admin_auth_failures_total",
        "Requests to the admin listener that were not let in, by why",
    );
    for why in Denied::ALL {
        denied.count(&[("reason", why.label())], shards.admin().denied[why as usize].get());
    }
    denied.done().into_iter().collect()
}
