//! See `andon::proxy::fuzzing::forwarded`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| andon::proxy::fuzzing::forwarded(data));
