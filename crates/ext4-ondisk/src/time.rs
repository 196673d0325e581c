//! Times of an inode: 32-bit seconds, and an extra word with two more bits of seconds and the nanoseconds.
//!
//! Source: kernel documentation, "Inode Timestamps"; `ext4_encode_extra_time` and `ext4_decode_extra_time` in
//! `fs/ext4/ext4.h`.

use crate::{low8, low32};

/// Bits of the extra word that extend the seconds (`EXT4_EPOCH_BITS`).
const EPOCH_BITS: u32 = 2;

/// A time of an inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InodeTime {
    /// Seconds since 1970-01-01 00:00 UTC: −2³¹ to 2³⁴ − 2³¹ − 1 can be stored.
    pub seconds: i64,
    /// Nanoseconds, below 10⁹; a damaged image may hold up to 2³⁰ − 1.
    pub nanoseconds: u32,
}

impl InodeTime {
    /// Encodes as the seconds word and the extra word. Seconds outside the range are stored modulo 2³⁴.
    pub fn to_words(self) -> (u32, u32) {
        let low = low32(self.seconds.cast_unsigned());
        // The epoch counts from the sign-extended low word.
        let epoch = self.seconds.wrapping_sub(i64::from(low.cast_signed())) >> 32;
        let epoch = u32::from(low8(epoch.cast_unsigned())) & 3;
        (low, self.nanoseconds << EPOCH_BITS | epoch)
    }

    /// Decodes the seconds word and the extra word.
    pub fn from_words(low: u32, extra: u32) -> Self {
        let epoch = i64::from(extra & 3) << 32;
        // At most 35 bits: the sum cannot overflow.
        let seconds = i64::from(low.cast_signed()).wrapping_add(epoch);
        Self { seconds, nanoseconds: extra >> EPOCH_BITS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and last seconds of each epoch, from the table of "Inode Timestamps".
    #[test]
    fn epochs_begin_where_the_documentation_says() {
        let cases: [(i64, u32, u32); 8] = [
            (-0x8000_0000, 0x8000_0000, 0),
            (-1, 0xffff_ffff, 0),
            (0, 0, 0),
            (0x7fff_ffff, 0x7fff_ffff, 0),
            (0x8000_0000, 0x8000_0000, 1),
            (0xffff_ffff, 0xffff_ffff, 1),
            (0x1_0000_0000, 0, 1),
            (0x3_7fff_ffff, 0x7fff_ffff, 3),
        ];
        for (seconds, low, epoch) in cases {
            let time = InodeTime { seconds, nanoseconds: 999_999_999 };
            let words = (low, 999_999_999 << 2 | epoch);
            assert_eq!(time.to_words(), words, "{seconds}");
            assert_eq!(InodeTime::from_words(words.0, words.1), time);
        }
    }
}
