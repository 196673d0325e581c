use std::fmt;

use ext4_ondisk::group;
use image_tree::Timestamp;

use crate::LayoutError;
use crate::units::{BLOCK_SIZE, BLOCKS_PER_GROUP};

/// Maximum of the blocks for root, in \[thousandths of a percent\]: e2fsck and Linux reject more than half.
const MOST_RESERVED: u32 = 50_000;

/// Which systems can use a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compatibility {
    /// Linux 3.6 and e2fsprogs 1.43, and later ones: `metadata_csum` and `64bit`.
    #[default]
    Current,
    /// Older systems too: without `metadata_csum` and `64bit`. Metadata has no checksums, block numbers have 32 bits, group
    /// descriptors 32 bytes.
    Legacy,
}

impl Compatibility {
    /// Whether metadata has checksums.
    pub(crate) fn has_checksums(self) -> bool {
        matches!(self, Self::Current)
    }

    /// Size of a group descriptor in \[bytes\].
    pub(crate) fn descriptor_size(self) -> u16 {
        match self {
            Self::Current => group::SIZE,
            Self::Legacy => group::SHORT_SIZE,
        }
    }

    /// Number of group descriptors in a block.
    pub(crate) fn descriptors_per_block(self) -> u64 {
        match self {
            Self::Current => BLOCK_SIZE / 64,
            Self::Legacy => BLOCK_SIZE / 32,
        }
    }

    /// Maximum number of groups. With checksums 128 TiB: without `meta_bg` every backup has all descriptors, which then take half
    /// a group. Otherwise the most with fewer than 2^32 blocks.
    pub(crate) fn most_groups(self) -> u64 {
        match self {
            Self::Current => 1 << 20,
            Self::Legacy => (1 << 32) / BLOCKS_PER_GROUP - 1,
        }
    }
}

/// The properties of a file system, apart from its contents. Every field is within its range. The defaults suit a root file
/// system that grows when it is first used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Sets the feature `RO_COMPAT_READONLY`, so that Linux only mounts the file system read-only. `/lost+found` gets one block,
    /// and there is no journal and no reserve for growth, whatever `journal_size` and `grow_to` are. The other fields still
    /// apply. Default: false.
    pub sealed: bool,
    /// Which systems can use the file system. Default: current ones.
    pub compatibility: Compatibility,
    /// The volume's name, filled up with NUL; see [`Self::with_label`]. Default: none.
    pub label: [u8; 16],
    /// The volume's UUID in the order of its text form, not zero; also seeds directory hashes and checksums. Default:
    /// 44444444-4444-4444-8888-888888888888, the same for every image: set another one if two images are used on one machine.
    pub uuid: [u8; 16],
    /// Promised free space in \[bytes\]. Default: 32 MiB.
    pub free_space: u64,
    /// Promised free inodes. Default: 1,024.
    pub free_inodes: u64,
    /// The exact size in \[bytes\], a multiple of 4096; `None` for the smallest. Default: `None`.
    pub size: Option<u64>,
    /// Size in \[bytes\] up to which the file system grows online without a change of its features; `None` for no reserve.
    /// Default: 1 TiB.
    pub grow_to: Option<u64>,
    /// Inode density in \[bytes an inode\], at least 1024. Default: 16,384.
    pub bytes_per_inode: u64,
    /// Length of the journal in \[bytes\]: 0 for none, else at least 4 MiB; `None` as mke2fs chooses by size. Default: `None`.
    pub journal_size: Option<u64>,
    /// Blocks kept for root in \[thousandths of a percent\], 0 to 50,000; `None` for 5 %, at most half of
    /// what is free. Default: `None`.
    pub reserved: Option<u32>,
    /// The time in the superblock and of the inodes that no source describes. Default: one second after 1970-01-01, as in a
    /// Nix store.
    pub timestamp: Timestamp,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sealed: false,
            compatibility: Compatibility::Current,
            label: [0; 16],
            uuid: *b"\x44\x44\x44\x44\x44\x44\x44\x44\x88\x88\x88\x88\x88\x88\x88\x88",
            free_space: 32 << 20,
            free_inodes: 1024,
            size: None,
            grow_to: Some(1 << 40),
            bytes_per_inode: 16384,
            journal_size: None,
            reserved: None,
            timestamp: Timestamp::STORE,
        }
    }
}

/// A label of more than 16 bytes, or with a NUL byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLabel {
    label: String,
}

impl fmt::Display for InvalidLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the label {:?} is longer than 16 bytes or contains a NUL byte", self.label)
    }
}

impl std::error::Error for InvalidLabel {}

/// Defines methods that set a field.
macro_rules! setters {
    ($($setter:ident: $field:ident, $type:ty;)+) => {
        impl Options {$(
            #[doc = concat!("Sets [`Self::", stringify!($field), "`].")]
            #[must_use]
            pub fn $setter(self, $field: $type) -> Self {
                Self { $field, ..self }
            }
        )+}
    };
}

setters! {
    with_sealed: sealed, bool;
    with_compatibility: compatibility, Compatibility;
    with_label_bytes: label, [u8; 16];
    with_uuid: uuid, [u8; 16];
    with_free_space: free_space, u64;
    with_free_inodes: free_inodes, u64;
    with_size: size, Option<u64>;
    with_grow_to: grow_to, Option<u64>;
    with_bytes_per_inode: bytes_per_inode, u64;
    with_journal_size: journal_size, Option<u64>;
    with_reserved: reserved, Option<u32>;
    with_timestamp: timestamp, Timestamp;
}

impl Options {
    /// The options that are used.
    ///
    /// # Errors
    /// If no file system has them.
    pub(crate) fn checked(&self) -> Result<Self, LayoutError> {
        if self.uuid == [0; 16] {
            return Err(LayoutError::NoUuid);
        }
        if let Some(thousandths) = self.reserved.filter(|thousandths| *thousandths > MOST_RESERVED) {
            return Err(LayoutError::Reserved { thousandths });
        }
        Ok(self.clone().applied())
    }

    /// The options that are used: a sealed file system has no journal and does not grow.
    fn applied(self) -> Self {
        if self.sealed { Self { journal_size: Some(0), grow_to: None, ..self } } else { self }
    }

    /// The same with a label of at most 16 bytes without NUL.
    ///
    /// # Errors
    /// If the label is longer, or contains a NUL byte.
    pub fn with_label(self, label: &str) -> Result<Self, InvalidLabel> {
        let invalid = || InvalidLabel { label: label.to_owned() };
        let mut bytes = [0; 16];
        let start = bytes.get_mut(..label.len()).filter(|_| !label.contains('\0')).ok_or_else(invalid)?;
        start.copy_from_slice(label.as_bytes());
        Ok(Self { label: bytes, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_up_to_16_bytes_and_no_nul() {
        let label = |text: &str| Options::default().with_label(text).map(|options| options.label);
        assert_eq!(label(""), Ok([0; 16]));
        assert_eq!(label("ROOT"), Ok(*b"ROOT\0\0\0\0\0\0\0\0\0\0\0\0"));
        assert_eq!(label("sixteen bytes ok"), Ok(*b"sixteen bytes ok"));
        for bad in ["seventeen bytes..", "a\0b", "ääääääääa"] {
            assert_eq!(label(bad), Err(InvalidLabel { label: bad.to_owned() }));
        }
        assert_eq!(
            Options::default().with_label("a\0b").unwrap_err().to_string(),
            r#"the label "a\0b" is longer than 16 bytes or contains a NUL byte"#
        );
    }
}
