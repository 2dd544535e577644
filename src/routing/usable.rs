//! The endpoints of one upstream that may be used just now.
//!
//! Built anew whenever one of them comes or goes, and held by the snapshot beside the table, so that a change of
//! health costs one upstream. An endpoint that came back lately has a part of sixteenths: of the requests that would
//! be its own it takes so many, and the others go to those with a full part.

use super::Endpoint;
use super::hashing::Hashing;
use crate::config::Balance;

/// A full part.
pub const WHOLE_PART: u8 = 16;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usable {
    /// Those with a full part first.
    endpoints: Box<[Endpoint]>,
    /// One for each endpoint. If no endpoint has a full part, all have: there is nobody to be spared by.
    parts: Box<[u8]>,
    /// How many have a full part; none only if there is no endpoint.
    full: usize,
    /// With [`Balance::Hash`].
    hashing: Option<Hashing>,
    /// Its names were never looked up yet: that there is no endpoint is nobody's failure.
    pending: bool,
}

impl Usable {
    /// Endpoints with their parts, 1 to [`WHOLE_PART`]. `members` says how many the upstream has in all, usable or not.
    pub fn new(mut list: Vec<(Endpoint, u8)>, members: usize, balance: Balance) -> Self {
        if list.iter().all(|(_, part)| *part < WHOLE_PART) {
            list.iter_mut().for_each(|(_, part)| *part = WHOLE_PART);
        }
        list.sort_by_key(|(_, part)| *part < WHOLE_PART);
        let full = list.iter().filter(|(_, part)| *part >= WHOLE_PART).count();
        let (endpoints, parts): (Vec<_>, Vec<_>) = list.into_iter().unzip();
        let hashing = (balance == Balance::Hash).then(|| Hashing::new(&endpoints, members));
        Self { endpoints: endpoints.into(), parts: parts.into(), full, hashing, pending: false }
    }

    /// All of them, each with a full part.
    pub fn all(endpoints: &[Endpoint], balance: Balance) -> Self {
        let list = endpoints.iter().map(|endpoint| (*endpoint, WHOLE_PART)).collect();
        Self::new(list, endpoints.len(), balance)
    }

    /// None, and nobody knows yet which ones there will be.
    pub fn pending() -> Self {
        Self { pending: true, ..Self::default() }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    pub(super) fn full(&self) -> &[Endpoint] {
        &self.endpoints[..self.full]
    }

    pub(super) fn hashing(&self) -> Option<&Hashing> {
        self.hashing.as_ref()
    }

    /// Does this endpoint take the request that fell to it? `bits` are random, or the same for the same user.
    pub(super) fn takes(&self, index: usize, bits: u64) -> bool {
        index < self.full || bits % u64::from(WHOLE_PART) < u64::from(self.parts[index])
    }
}
