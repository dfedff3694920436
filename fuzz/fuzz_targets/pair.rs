//! The target `pair` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fuzz::PAIR.run)(data));
