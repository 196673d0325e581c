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
