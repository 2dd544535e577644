//! Ties a user to a variant without remembering anybody: the hash of the user's key is a place on the split's ring.
//!
//! XXH3-64 of the key's bytes, seeded with the route's salt, scaled to parts per million. Every replica and any other
//! program that knows the salt agrees. The place never moves while the salt stays, so raising a weight only moves
//! users from stable to that canary and lowering takes the newest back first; another salt picks other people.
//! A key that is missing or empty ties nobody: the lot decides. What a key says is never stored or logged.

use std::net::IpAddr;

use twox_hash::XxHash3_64;

use crate::config::StickyKey;
use crate::metrics::users::User;

use super::View;
use super::fields;
use super::split;

const ENDPOINT_SALT: u64 = 0x656e_6470_6f69_6e74;
const PHANTOM_SALT: u64 = 0x7068_616e_746f_6d21;

/// Where on the ring this user stands, and who it is to the evidence; `None` if the request does not carry the key.
pub(super) fn place(key: &StickyKey, salt: u64, view: &View<'_>) -> Option<(u32, User)> {
    hash(key, salt, view).map(|hash| (split::position_ppm(hash), User::of_hash(hash)))
}

/// The same for the phantom's own lot: its people are no others' people.
pub(super) fn phantom_position_ppm(key: &StickyKey, salt: u64, view: &View<'_>) -> Option<u32> {
    hash(key, salt ^ PHANTOM_SALT, view).map(split::position_ppm)
}

/// `None` if the request does not carry the key.
fn hash(key: &StickyKey, salt: u64, view: &View<'_>) -> Option<u64> {
    let found = match key {
        StickyKey::Cookie(name) => fields::cookie(view.headers, name)?,
        StickyKey::Header(name) => view.headers.get(name)?.as_bytes(),
        StickyKey::Address => return Some(hash_address(salt, view)),
    };
    (!found.is_empty()).then(|| XxHash3_64::oneshot_with_seed(salt, found))
}

fn hash_address(salt: u64, view: &View<'_>) -> u64 {
    // An IPv4 client on a dual-stack socket is the same client.
    match view.client.to_canonical() {
        IpAddr::V4(address) => XxHash3_64::oneshot_with_seed(salt, &address.octets()),
        IpAddr::V6(address) => XxHash3_64::oneshot_with_seed(salt, &address.octets()),
    }
}

/// What chooses among endpoints by hash: the sticky key, else the client's address. Not salted as the split is, or a
/// canary's users would all meet on a few of its endpoints.
pub(super) fn endpoint_key(key: Option<&StickyKey>, view: &View<'_>) -> u64 {
    let found = key.and_then(|key| hash(key, ENDPOINT_SALT, view));
    found.unwrap_or_else(|| hash_address(ENDPOINT_SALT, view))
}

/// Names the people of one canary: from the route's name and the upstreams of its canaries, so that all replicas
/// agree and a canary on another upstream is tried on other people. Stable's upstream and the weights have no part.
pub fn salt<'a>(route: &str, canary_upstreams: impl Iterator<Item = &'a str>) -> u64 {
    let start = XxHash3_64::oneshot(route.as_bytes());
    canary_upstreams.fold(start, |salt, upstream| XxHash3_64::oneshot_with_seed(salt, upstream.as_bytes()))
}

#[cfg(test)]
mod tests;
