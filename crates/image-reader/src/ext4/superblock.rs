//! Reads the superblock, against which all other numbers are checked.

use std::mem::{offset_of, size_of};

use ext4_ondisk::feature::{self, Word};
use ext4_ondisk::superblock::{MAGIC, OFFSET};
use ext4_ondisk::{Checksum, Feature, Superblock as Raw, read_padded};

use image_tree::to_u64;

use crate::bytes::until_zero;
use crate::{ReadError, Window};

const MAGIC_OFFSET: usize = OFFSET + offset_of!(Raw, s_magic);
/// Incompatible features that this reader supports, or that do not change how files are read.
const SUPPORTED: [Feature; 12] = [
    feature::FILETYPE,
    feature::RECOVER,
    feature::EXTENT,
    feature::BIT64,
    feature::MMP,
    feature::FLEX_BG,
    feature::EA_INODE,
    feature::CSUM_SEED,
    feature::LARGE_DIR,
    feature::INLINE_DATA,
    feature::ENCRYPT,
    feature::CASEFOLD,
];
/// Unsupported features with a name for messages.
const UNSUPPORTED: [Feature; 4] =
    [feature::COMPRESSION, feature::JOURNAL_DEV, feature::META_BG, feature::DIRDATA];

/// The fields of a superblock that the reader needs.
#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) block_size: u64,
    pub(super) blocks: u64,
    pub(super) free_blocks: u64,
    pub(super) inodes: u32,
    pub(super) free_inodes: u32,
    pub(super) inodes_per_group: u32,
    pub(super) inode_size: u64,
    pub(super) descriptor_size: u64,
    pub(super) first_data_block: u64,
    pub(super) checksum_seed: Option<Checksum>,
    pub(super) label: Vec<u8>,
    pub(super) uuid: [u8; 16],
    /// `ext2`, `ext3` or `ext4`.
    pub(super) generation: &'static str,
    pub(super) warnings: Vec<String>,
    /// Whether the journal has changes that are not applied.
    pub(super) needs_recovery: bool,
}

/// Whether there is the magic of a superblock.
pub(crate) fn is_there(window: &Window) -> bool {
    window.bytes(to_u64(MAGIC_OFFSET), 2).is_ok_and(|magic| magic == MAGIC.to_le_bytes())
}

fn damaged(what: impl Into<String>) -> ReadError {
    ReadError::damaged("superblock", what)
}

impl Superblock {
    pub(super) fn read(window: &Window) -> Result<Self, ReadError> {
        let mut bytes = [0; size_of::<Raw>()];
        window.read(to_u64(OFFSET), &mut bytes).map_err(|error| ReadError::io("superblock", error))?;
        let raw: Raw = read_padded(&bytes);
        if raw.s_magic.get() != MAGIC {
            return Err(damaged("is missing"));
        }
        let block_size = raw
            .block_size()
            .ok_or_else(|| damaged(format!("has an invalid block size of 2^{} KiB", raw.s_log_block_size)))?;
        let incompatible = raw.features(Word::Incompat);
        let unknown = SUPPORTED.iter().fold(incompatible, |bits, feature| bits & !feature.bit);
        if unknown != 0 {
            return Err(unsupported(unknown));
        }
        let mut superblock = Self {
            block_size,
            blocks: raw.blocks_count(),
            free_blocks: raw.free_blocks_count(),
            inodes: raw.s_inodes_count.get(),
            free_inodes: raw.s_free_inodes_count.get(),
            inodes_per_group: raw.s_inodes_per_group.get(),
            inode_size: raw.inode_size().into(),
            descriptor_size: raw.descriptor_size().into(),
            first_data_block: raw.s_first_data_block.get().into(),
            checksum_seed: None,
            label: until_zero(&raw.s_volume_name).to_vec(),
            uuid: raw.s_uuid,
            generation: generation(&raw),
            warnings: Vec::new(),
            needs_recovery: raw.has(feature::RECOVER),
        };
        superblock.check(window)?;
        if raw.has(feature::METADATA_CSUM) {
            superblock.checksum_seed = Some(raw.checksum_seed());
            if raw.computed_checksum() != raw.s_checksum.get() {
                superblock.warnings.push("superblock: its checksum is wrong".to_owned());
            }
        }
        if raw.has(feature::RECOVER) {
            let text = "the journal has changes that are not applied; files are shown without them";
            superblock.warnings.push(text.to_owned());
        }
        Ok(superblock)
    }

    /// Checks the fields that all other numbers are computed from, so that these can't overflow.
    fn check(&mut self, window: &Window) -> Result<(), ReadError> {
        let bytes = self.blocks.checked_mul(self.block_size).ok_or_else(|| damaged("has too many blocks"))?;
        if self.blocks <= self.first_data_block || self.first_data_block > 1 {
            return Err(damaged(format!("has an invalid number of {} blocks", self.blocks)));
        }
        if !self.inode_size.is_power_of_two() || self.inode_size < 128 || self.inode_size > self.block_size {
            return Err(damaged(format!("has an invalid inode size of {} bytes", self.inode_size)));
        }
        if !self.descriptor_size.is_power_of_two()
            || self.descriptor_size < 32
            || self.descriptor_size > self.block_size
        {
            return Err(damaged(format!(
                "has an invalid group descriptor size of {} bytes",
                self.descriptor_size
            )));
        }
        if self.inodes < ext4_ondisk::inode::ROOT || self.inodes_per_group == 0 {
            return Err(damaged(format!(
                "has an invalid number of {} inodes, {} per group",
                self.inodes, self.inodes_per_group
            )));
        }
        if bytes > window.length() {
            let text = format!("the file system has {bytes} bytes, but the image only {}", window.length());
            self.warnings.push(text);
        }
        self.free_blocks = self.free_blocks.min(self.blocks);
        self.free_inodes = self.free_inodes.min(self.inodes);
        Ok(())
    }

    /// Number of complete blocks in this number of \[bytes\].
    pub(super) fn whole_blocks(&self, bytes: u64) -> u64 {
        bytes.checked_div(self.block_size).unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.blocks.saturating_mul(self.block_size)
    }

    /// Offset of consecutive blocks in \[bytes\]; `None` if they are not all in the file system.
    pub(super) fn offset_of(&self, block: u64, blocks: u64) -> Option<u64> {
        let end = block.checked_add(blocks)?;
        (block >= 1 && end <= self.blocks).then(|| block.saturating_mul(self.block_size))
    }
}

fn generation(raw: &Raw) -> &'static str {
    if raw.has(feature::EXTENT) || raw.has(feature::BIT64) {
        "ext4"
    } else if raw.has(feature::HAS_JOURNAL) {
        "ext3"
    } else {
        "ext2"
    }
}

fn unsupported(unknown: u32) -> ReadError {
    let name = UNSUPPORTED.iter().find(|feature| unknown & feature.bit != 0);
    let name = name.map_or_else(|| format!("{unknown:#x}"), |feature| feature.name.to_owned());
    ReadError::unsupported(
        "superblock",
        format!("the feature {name} is not supported"),
        "mount the image instead",
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::Image;
    use super::*;

    fn read(image: Image) -> Result<Superblock, String> {
        let found = Superblock::read(&image.window());
        found.map_err(|error| error.to_string().split("; ").next().unwrap_or_default().to_owned())
    }

    fn error(image: Image) -> String {
        read(image).unwrap_err()
    }

    const INCOMPATIBLE: usize = 0x60;
    const READ_ONLY_COMPATIBLE: usize = 0x64;

    #[test]
    fn a_superblock_is_known_by_its_magic() {
        assert!(is_there(&Image::new().window()));
        let mut image = Image::new();
        image.bytes[1024 + 0x39] = 0;
        assert!(!is_there(&Window::whole(std::sync::Arc::new(image.bytes.clone()))));
        assert_eq!(error(image), "superblock: is missing");
    }

    #[test]
    fn unknown_features_are_refused_by_name() {
        // Types, recovery, extents, mmp, flex_bg, ea_inode, csum_seed, largedir, inline_data, encrypt, casefold.
        assert!(read(Image::new().field(INCOMPATIBLE, 0x3_e746)).is_ok());
        for (bit, name) in [
            (0x1, feature::COMPRESSION.name),
            (0x8, feature::JOURNAL_DEV.name),
            (0x10, feature::META_BG.name),
            (0x1000, feature::DIRDATA.name),
            (0x8000_0000, "0x80000000"),
        ] {
            let text = format!("superblock: the feature {name} is not supported");
            assert_eq!(error(Image::new().field(INCOMPATIBLE, 0x42 | bit)), text);
        }
    }

    #[test]
    fn features_decide_the_generation() {
        let generation = |compatible, incompatible| {
            read(Image::new().field(0x5c, compatible).field(INCOMPATIBLE, incompatible)).unwrap().generation
        };
        assert_eq!(generation(0, 2), "ext2");
        assert_eq!(generation(4, 2), "ext3");
        assert_eq!([generation(4, 0x40), generation(0, 0x40)], ["ext4"; 2]);
    }

    #[test]
    fn sizes_with_64_bits_decide_the_generation() {
        // With 64bit, descriptors have a size of their own.
        let image = Image::new().field(INCOMPATIBLE, 0x80).field(0xfc, 64 << 16);
        let found = read(image).unwrap();
        assert_eq!((found.generation, found.descriptor_size), ("ext4", 64));
    }

    #[test]
    fn a_wrong_checksum_is_a_warning() {
        let image = || {
            let mut image = Image::new().field(READ_ONLY_COMPATIBLE, 0x400);
            // Checksums are CRC-32C.
            image.bytes[1024 + 0x175] = 1;
            let raw: Raw = read_padded(&image.bytes[1024..2048]);
            image.field(0x3fc, raw.computed_checksum())
        };
        let right = read(image()).unwrap();
        assert!(right.checksum_seed.is_some());
        assert_eq!(right.warnings, [""; 0]);
        assert_eq!(read(image().field(0x3fc, 0)).unwrap().warnings, ["superblock: its checksum is wrong"]);
        assert!(read(Image::new()).unwrap().checksum_seed.is_none());
    }

    #[test]
    fn sizes_must_be_possible() {
        let blocks = |first, number| Image::new().field(0x14, first).field(4, number);
        for (first, number, is_valid) in
            [(1, 2, true), (0, 1, true), (1, 1, false), (0, 0, false), (2, 64, false)]
        {
            let found = read(blocks(first, number));
            assert_eq!(found.is_ok(), is_valid, "{first} {number}");
        }
        assert_eq!(error(blocks(2, 64)), "superblock: has an invalid number of 64 blocks");
        for (size, is_valid) in
            [(128, true), (256, true), (1024, true), (64, false), (192, false), (2048, false), (0, false)]
        {
            assert_eq!(read(Image::new().field(0x58, size)).is_ok(), is_valid, "{size}");
        }
        let descriptors = |size: u32| Image::new().field(INCOMPATIBLE, 0xc2).field(0xfc, size << 16);
        for (size, is_valid) in
            [(32, true), (64, true), (1024, true), (16, false), (48, false), (2048, false)]
        {
            assert_eq!(read(descriptors(size)).is_ok(), is_valid, "{size}");
        }
        for (inodes, per_group, is_valid) in [(2, 1, true), (1, 1, false), (32, 0, false), (0, 0, false)] {
            let found = read(Image::new().field(0, inodes).field(0x28, per_group));
            assert_eq!(found.is_ok(), is_valid, "{inodes} {per_group}");
        }
    }

    #[test]
    fn free_counts_are_at_most_all() {
        let found = read(Image::new().field(0xc, 65).field(0x10, 33)).unwrap();
        assert_eq!((found.free_blocks, found.free_inodes), (64, 32));
        let found = read(Image::new().field(0xc, 63).field(0x10, 31)).unwrap();
        assert_eq!((found.free_blocks, found.free_inodes), (63, 31));
    }

    #[test]
    fn a_truncated_image_is_a_warning() {
        assert_eq!(read(Image::new()).unwrap().warnings, [""; 0]);
        let mut image = Image::new();
        image.bytes.pop();
        let text = "the file system has 65536 bytes, but the image only 65535";
        assert_eq!(read(image).unwrap().warnings, [text]);
    }

    #[test]
    fn blocks_are_in_the_file_system() {
        let found = read(Image::new()).unwrap();
        for (block, number, offset) in [
            (1, 63, Some(1024)),
            (63, 1, Some(64_512)),
            (0, 1, None),
            (63, 2, None),
            (64, 1, None),
            (u64::MAX, 1, None),
            (1, u64::MAX, None),
        ] {
            assert_eq!(found.offset_of(block, number), offset, "{block} {number}");
        }
        assert_eq!([0, 1023, 1024, 5000].map(|bytes| found.whole_blocks(bytes)), [0, 0, 1, 4]);
    }
}
