//! `fuzz_bodies::registration_and_list`, guided by coverage.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz_bodies::registration_and_list(bytes);
});
