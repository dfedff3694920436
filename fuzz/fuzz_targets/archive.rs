//! The target `archive` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fuzz::ARCHIVE.run)(data));
