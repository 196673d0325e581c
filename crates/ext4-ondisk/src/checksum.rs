//! CRC-32C as ext4 uses it: the raw register, seeded with `!0` or with what came before, never inverted at the end.
//!
//! Source: kernel documentation, "Checksums" (`metadata_csum`). What each checksum covers is in the module of its
//! structure.

/// The CRC-32C register after some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(u32);

impl Checksum {
    /// The register before any byte.
    pub const START: Self = Self(!0);

    /// Continues from a stored register value, such as `s_checksum_seed`.
    pub const fn from_seed(seed: u32) -> Self {
        Self(seed)
    }

    /// Computes the seed of all metadata of a file system: the checksum of its UUID.
    pub fn of_filesystem(uuid: &[u8; 16]) -> Self {
        Self::START.over(uuid)
    }

    /// Computes the seed of everything that belongs to one inode (the inode, its extent blocks and directory blocks) from
    /// the file system's seed (`ext4_iget` in `fs/ext4/inode.c`, `i_csum_seed`).
    pub fn of_inode(filesystem: Self, number: u32, generation: u32) -> Self {
        filesystem.over(&number.to_le_bytes()).over(&generation.to_le_bytes())
    }

    /// Continues over `bytes`. The library inverts at both ends; this inverts back.
    #[must_use]
    pub fn over(self, bytes: &[u8]) -> Self {
        Self(!crc32c::crc32c_append(!self.0, bytes))
    }

    /// The register's value.
    pub const fn value(self) -> u32 {
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
        assert_eq!(Checksum::from_seed(Checksum::START.over(b"1").value()), Checksum::START.over(b"1"));
    }
}
