//! `fuzz_bodies::layers`, guided by coverage.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz_bodies::layers(bytes);
});
