//! Numbers between their types.

// snugfs is built for 64-bit targets: below, a target of another width does not compile.

/// Converts to a length or an index within memory. Never truncates, because `usize` has 64 bits. A length without memory
/// fails when it is allocated, an index when it is used.
#[must_use]
pub const fn to_usize(number: u64) -> usize {
    usize::from_ne_bytes(number.to_ne_bytes())
}

/// Converts a length or an index within memory to a number or an offset of an image.
#[must_use]
pub const fn to_u64(number: usize) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

/// Converts a number to a narrower type. `why` says why it always fits.
///
/// # Panics
/// If it does not fit, because a truncated number would make a wrong image.
#[must_use]
#[track_caller]
pub fn narrow<T: TryFrom<u64>>(number: u64, why: &str) -> T {
    T::try_from(number).unwrap_or_else(|_| panic!("invariant: {why}, and this is {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_value() {
        assert_eq!((to_usize(u64::MAX), to_u64(usize::MAX)), (usize::MAX, u64::MAX));
        assert_eq!(narrow::<u8>(255, "bytes end at 255"), 255);
    }

    #[test]
    #[should_panic(expected = "invariant: bytes end at 255, and this is 256")]
    fn a_number_that_does_not_fit_stops_the_program() {
        let _: u8 = narrow(256, "bytes end at 255");
    }
}
