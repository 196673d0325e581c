//! `fuzz_bodies::ext4`, guided by coverage.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz_bodies::ext4(bytes);
});
