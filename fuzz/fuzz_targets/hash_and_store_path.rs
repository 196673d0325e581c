//! `fuzz_bodies::hash_and_store_path`, guided by coverage.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz_bodies::hash_and_store_path(bytes);
});
