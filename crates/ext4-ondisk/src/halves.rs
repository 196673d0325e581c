//! Parts of integers: ext4 stores many numbers as a low and a high half in separate fields.

/// Returns bits 0 to 31.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "truncation is the purpose")]
pub const fn low32(n: u64) -> u32 {
    n as u32
}

/// Returns bits 32 to 63.
pub(crate) const fn high32(n: u64) -> u32 {
    low32(n >> 32)
}

/// Returns bits 0 to 15.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "truncation is the purpose")]
pub const fn low16(n: u32) -> u16 {
    n as u16
}

/// Returns bits 16 to 31.
pub(crate) const fn high16(n: u32) -> u16 {
    low16(n >> 16)
}

/// Returns bits 0 to 7.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "truncation is the purpose")]
pub const fn low8(n: u64) -> u8 {
    n as u8
}

/// Joins the halves of a 64-bit number.
pub(crate) fn join64(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Joins the halves of a 32-bit number.
pub(crate) fn join32(low: u16, high: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_join_to_the_whole() {
        let n = 0x0123_4567_89ab_cdef;
        assert_eq!((low32(n), high32(n), low8(n)), (0x89ab_cdef, 0x0123_4567, 0xef));
        assert_eq!(join64(low32(n), high32(n)), n);
        assert_eq!(join32(low16(0x89ab_cdef), high16(0x89ab_cdef)), 0x89ab_cdef);
    }
}
