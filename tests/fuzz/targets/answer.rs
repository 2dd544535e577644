//! See `andon::proxy::fuzzing::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| andon::proxy::fuzzing::answer(data));
