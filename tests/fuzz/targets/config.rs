//! See `andon::config::fuzzing::file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| andon::config::fuzzing::file(data));
