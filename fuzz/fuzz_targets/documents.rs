//! The target `documents` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fuzz::DOCUMENTS.run)(data));
