//! Numbers between their types.

// snugfs is built for 64-bit targets: below, a target of another width does not compile.

/// A length or an index within memory. Every `u64` is one, as `usize` has 64 bits; whether so much memory is there, the
/// allocation or the slice finds out.
#[must_use]
pub const fn to_usize(number: u64) -> usize {
    usize::from_ne_bytes(number.to_ne_bytes())
}

/// A length or an index within memory, as a number or an offset of an image.
#[must_use]
pub const fn to_u64(number: usize) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}
