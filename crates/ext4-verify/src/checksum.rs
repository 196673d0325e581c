//! CRC-32C as ext4 uses it: the raw register, without the inversions at start and end. Kernel documentation,
//! "Checksums".

use crate::numbers::le16_pair;

/// The state of the register. Without the feature `metadata_csum` there is none, and every field of a checksum is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crc(Option<u32>);

impl Crc {
    /// All ones, where every checksum begins.
    pub(crate) const START: Self = Self(Some(!0));

    /// Where every checksum of a file system begins.
    pub(crate) fn start(has_checksums: bool) -> Self {
        if has_checksums { Self::START } else { Self(None) }
    }

    /// The register after some more bytes.
    #[must_use]
    pub(crate) fn over(self, bytes: &[u8]) -> Self {
        Self(self.0.map(|register| !crc32c::crc32c_append(!register, bytes)))
    }

    /// The start of the checksums of an inode and of everything that belongs to it.
    #[must_use]
    pub(crate) fn of_inode(self, number: u32, generation: u32) -> Self {
        self.over(&number.to_le_bytes()).over(&generation.to_le_bytes())
    }

    /// What the field of the checksum holds.
    pub(crate) fn value(self) -> u32 {
        self.0.unwrap_or(0)
    }

    /// The low half, as 16-bit fields hold it.
    pub(crate) fn low(self) -> u32 {
        self.value() & 0xffff
    }
}

/// The checksum of an inode of 256 bytes: both its fields count as zero, the high one only where it exists.
pub(crate) fn of_inode(seed: Crc, inode: &[u8]) -> (u32, u32) {
    let mut bytes = inode.to_vec();
    let has_high = crate::numbers::le16(inode, 0x80) >= 4;
    let mut clear = |at: usize| {
        if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..2)) {
            field.fill(0);
        }
    };
    clear(0x7c);
    if has_high {
        clear(0x82);
    }
    let computed = seed.over(&bytes);
    if has_high {
        (le16_pair(inode, 0x7c, 0x82), computed.value())
    } else {
        (u32::from(crate::numbers::le16(inode, 0x7c)), computed.low())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32C (iSCSI) is 0xe3069283 with the inversions of its usual form.
    #[test]
    fn register_is_the_check_value_without_the_last_inversion() {
        assert_eq!(Crc::START.over(b"123456789").value(), !0xe306_9283);
        assert_eq!(Crc::START.over(b"12345").over(b"6789"), Crc::START.over(b"123456789"));
        assert_eq!(Crc::start(false).over(b"123456789").value(), 0);
    }
}
