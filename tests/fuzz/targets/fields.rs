//! See `andon::routing::fuzzing::fields`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| andon::routing::fuzzing::fields(data));
