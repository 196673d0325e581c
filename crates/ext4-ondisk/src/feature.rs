//! Feature bits of the superblock.
//!
//! Source: kernel documentation, "The Super Block" (`s_feature_compat`, `s_feature_incompat`, `s_feature_ro_compat`). Names
//! are those of e2fsprogs (`lib/e2p/feature.c`), which mke2fs takes and dumpe2fs prints.

/// The superblock's word that holds a feature bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `s_feature_compat`: a system that does not know the feature may read and write the file system.
    Compat,
    /// `s_feature_incompat`: a system that does not know the feature must not use the file system.
    Incompat,
    /// `s_feature_ro_compat`: a system that does not know the feature may only read the file system.
    RoCompat,
}

/// A feature: one bit of one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The word that holds the bit.
    pub word: Word,
    /// The bit, as a mask.
    pub bit: u32,
    /// The name in e2fsprogs.
    pub name: &'static str,
}

macro_rules! features {
    ($($(#[$doc:meta])* $constant:ident = $word:ident $bit:literal $name:literal;)*) => {
        $(
            $(#[$doc])*
            pub const $constant: Feature = Feature { word: Word::$word, bit: $bit, name: $name };
        )*

        /// All features that this crate knows, by word and bit.
        pub const ALL: &[Feature] = &[$($constant),*];
    };
}

features! {
    /// The file system has a journal.
    HAS_JOURNAL = Compat 0x4 "has_journal";
    /// Files may have extended attributes.
    EXT_ATTR = Compat 0x8 "ext_attr";
    /// Inode 7 keeps blocks for more group descriptors.
    RESIZE_INODE = Compat 0x10 "resize_inode";
    /// Directories may have an index.
    DIR_INDEX = Compat 0x20 "dir_index";
    /// Files may be compressed. No kernel ever supported it.
    COMPRESSION = Incompat 0x1 "compression";
    /// Directory entries have the type of their file.
    FILETYPE = Incompat 0x2 "filetype";
    /// The journal must be replayed.
    RECOVER = Incompat 0x4 "needs_recovery";
    /// This is an external journal, not a file system.
    JOURNAL_DEV = Incompat 0x8 "journal_dev";
    /// Group descriptors are spread over the groups.
    META_BG = Incompat 0x10 "meta_bg";
    /// Files may have extent trees.
    EXTENT = Incompat 0x40 "extent";
    /// Block numbers have 64 bits, group descriptors `s_desc_size` bytes.
    BIT64 = Incompat 0x80 "64bit";
    /// Multiple-mount protection.
    MMP = Incompat 0x100 "mmp";
    /// Bitmaps and inode tables may be in another group.
    FLEX_BG = Incompat 0x200 "flex_bg";
    /// Large attribute values are in inodes.
    EA_INODE = Incompat 0x400 "ea_inode";
    /// Directory entries carry data behind their names.
    DIRDATA = Incompat 0x1000 "dirdata";
    /// The checksum seed is `s_checksum_seed`, not computed from the UUID.
    CSUM_SEED = Incompat 0x2000 "metadata_csum_seed";
    /// Directories may exceed 2 GiB or have three levels of index.
    LARGE_DIR = Incompat 0x4000 "large_dir";
    /// Small contents are in the inode.
    INLINE_DATA = Incompat 0x8000 "inline_data";
    /// Inodes may be encrypted.
    ENCRYPT = Incompat 0x1_0000 "encrypt";
    /// Directories may ignore case.
    CASEFOLD = Incompat 0x2_0000 "casefold";
    /// Only groups 0, 1 and the powers of 3, 5 and 7 have a copy of the superblock.
    SPARSE_SUPER = RoCompat 0x1 "sparse_super";
    /// Files may exceed 2 GiB.
    LARGE_FILE = RoCompat 0x2 "large_file";
    /// `i_blocks` has 48 bits.
    HUGE_FILE = RoCompat 0x8 "huge_file";
    /// A link count of 1 means that a directory has more than [`MAX_LINKS`](crate::inode::MAX_LINKS).
    DIR_NLINK = RoCompat 0x20 "dir_nlink";
    /// All inodes have at least `s_min_extra_isize` extra bytes.
    EXTRA_ISIZE = RoCompat 0x40 "extra_isize";
    /// Metadata has CRC-32C checksums.
    METADATA_CSUM = RoCompat 0x400 "metadata_csum";
    /// The file system can only be mounted read-only.
    READONLY = RoCompat 0x1000 "read-only";
}
