//! `recorder_memory` of the library, driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chancery_fuzz::run("recorder_memory", input));
