//! See `andon::routing::fuzzing::find`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| andon::routing::fuzzing::find(data));
