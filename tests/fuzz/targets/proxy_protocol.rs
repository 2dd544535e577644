//! See `andon::proxy::fuzzing::proxy_protocol`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| andon::proxy::fuzzing::proxy_protocol(data));
