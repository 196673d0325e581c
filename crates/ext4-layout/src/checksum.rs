//! CRC-32C as ext4 uses it: the raw register, seeded with `!0` or with what came before, never inverted at the end.
//!
//! Kernel documentation, "Checksums" (`metadata_csum`).

use crate::units::InodeNr;

/// The register after some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum(u32);

impl Checksum {
    /// The register before any byte.
    pub(crate) const START: Self = Self(!0);

    /// The seed of all metadata of a file system: its UUID.
    pub(crate) fn of_filesystem(uuid: &[u8; 16]) -> Self {
        Self::START.over(uuid)
    }

    /// The seed of what belongs to one inode: its number and its generation, which is 0 in every image of ours.
    pub(crate) fn of_inode(filesystem: Self, inode: InodeNr) -> Self {
        filesystem.over(&inode.0.to_le_bytes()).over(&0_u32.to_le_bytes())
    }

    /// The register after these bytes too. The library inverts at both ends; we invert back.
    pub(crate) fn over(self, bytes: &[u8]) -> Self {
        Self(!crc32c::crc32c_append(!self.0, bytes))
    }

    /// The register's value.
    pub(crate) const fn value(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_is_not_inverted_at_the_end() {
        // The check value of CRC-32C for "123456789" is 0xe3069283, after the inversion that ext4 leaves out.
        assert_eq!(!Checksum::START.over(b"123456789").value(), 0xe306_9283);
        assert_eq!(Checksum::START.over(b"1234").over(b"56789"), Checksum::START.over(b"123456789"));
    }
}
