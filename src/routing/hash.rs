//! Maps of the routing index: keys from the configuration file, looked up with bytes from the network.
//!
//! The keys are fixed when a table is built and a request only ever looks up, so nobody can fill a map with
//! colliding keys from outside, and a random key would be a random source, which routing does not have. XXH3 instead
//! of the standard library's SipHash with a fixed key saves 297 instructions of 1 232 a decision (benches/routing.rs,
//! `one_host`, 2026-11-23).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use twox_hash::XxHash3_64;

pub(super) type Map<K, V> = HashMap<K, V, BuildHasherDefault<Xxh3>>;

/// XXH3-64, one call for each piece written.
#[derive(Debug, Default)]
pub(super) struct Xxh3(u64);

impl Hasher for Xxh3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = XxHash3_64::oneshot_with_seed(self.0, bytes);
    }

    /// The length that stands before a slice.
    fn write_usize(&mut self, length: usize) {
        self.0 ^= length as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
