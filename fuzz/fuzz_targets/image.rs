//! The target `image` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fuzz::IMAGE.run)(data));
