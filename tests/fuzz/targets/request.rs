//! See `andon::proxy::fuzzing::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| andon::proxy::fuzzing::request(data));
